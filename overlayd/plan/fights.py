"""Who repairs the same thing again and again is fought with, and backs off."""

from collections.abc import Mapping

from attrs import frozen

WINDOW = 60.0  # seconds over which repairs of one thing are counted
PATIENCE = 5  # repairs of one thing in that time that are still chance
LONGEST_PAUSE = 15.0  # seconds: repairs stay inside the time that is promised for peers


@frozen
class Record:
    """When a thing was repaired in the last minute, and how often since that is a fight.

    A fight is over after a minute without a repair, not as soon as pauses have made repairs rare.
    """

    times: tuple[float, ...]
    rounds: int = 0

    @property
    def next_round(self) -> float:
        """When it may be repaired again."""
        return self.times[-1] + min(LONGEST_PAUSE, 0.5 * 2.0 ** (self.rounds - 1))


Repairs = Mapping[str, Record]
"""What was repaired in the last minute, in monotonic seconds; a thing is a change's text."""


def remember_repairs(repairs: Repairs, things: frozenset[str], now: float) -> Repairs:
    """Add what was repaired now, and forget what was longer ago than a minute."""
    recent = {
        thing: Record(times, record.rounds)
        for thing, record in repairs.items()
        if (times := tuple(t for t in record.times if now - t < WINDOW))
    }
    for thing in things:
        before = recent.get(thing, Record(()))
        times = (*before.times, now)
        fought = before.rounds > 0 or len(times) > PATIENCE
        recent[thing] = Record(times, before.rounds + fought)
    return recent


def fought_over(repairs: Repairs, now: float) -> tuple[str, ...]:
    """What has been repaired so often that somebody must be undoing it."""
    return tuple(sorted(thing for thing, record in repairs.items() if _is_fight(record, now)))


def pause(repairs: Repairs, now: float) -> float:
    """How many seconds to wait before the next repair: none at first, then longer and longer."""
    fights = (record.next_round - now for record in repairs.values() if _is_fight(record, now))
    return max((0.0, *fights))


def _is_fight(record: Record, now: float) -> bool:
    return record.rounds > 0 and now - record.times[-1] < WINDOW
