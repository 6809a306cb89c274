"""Who repairs the same thing again and again is fought with, and backs off."""

from collections.abc import Mapping

WINDOW = 60.0  # seconds over which repairs of one thing are counted
PATIENCE = 5  # repairs of one thing in that time that are still chance
LONGEST_PAUSE = 15.0  # seconds: repairs stay inside the time that is promised for peers

Repairs = Mapping[str, tuple[float, ...]]
"""When each thing was repaired, in monotonic seconds; a thing is a change's text."""


def remember_repairs(repairs: Repairs, things: frozenset[str], now: float) -> Repairs:
    """Add what was repaired now, and forget what was longer ago than a minute."""
    recent = {
        thing: tuple(t for t in times if now - t < WINDOW) for thing, times in repairs.items()
    }
    for thing in things:
        recent[thing] = (*recent.get(thing, ()), now)
    return {thing: times for thing, times in recent.items() if times}


def fought_over(repairs: Repairs, now: float) -> tuple[str, ...]:
    """What has been repaired so often in the last minute that somebody must be undoing it."""
    return tuple(
        sorted(
            thing
            for thing, times in repairs.items()
            if sum(now - t < WINDOW for t in times) > PATIENCE
        )
    )


def pause(repairs: Repairs, now: float) -> float:
    """How many seconds to wait before the next repair: none at first, then longer and longer."""
    most = max(
        (sum(now - t < WINDOW for t in times) for times in repairs.values()),
        default=0,
    )
    return 0.0 if most <= PATIENCE else min(LONGEST_PAUSE, 0.5 * 2 ** (most - PATIENCE - 1))
