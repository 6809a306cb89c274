"""The brake: when many peers would go at once, they are kept for a while."""

from collections.abc import Mapping

from attrs import frozen

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Device
from overlayd.model.status import Held
from overlayd.plan.result import Memory, Now

ALWAYS_MAY_GO = 3  # peers in a minute, however few there are
PERCENT_MAY_GO = 30
WINDOW = 60.0  # seconds: "at once", and how long ago the peers are counted of which it is a part
HOLD = 300.0  # seconds

_SPACING = 1.0  # seconds between two counts of the peers that are kept, so that those are few

Populations = tuple[tuple[float, int], ...]


@frozen
class Braked:
    """What becomes of the peers that no Node announces any more."""

    going: frozenset[PublicKey]
    held: dict[PublicKey, float]  # since when
    since: dict[PublicKey, float]  # the same, with those whose time is over and that go now
    departed: dict[PublicKey, float]  # when, in the last minute and now
    populations: Populations


def brake(
    device: Device, unwanted: frozenset[PublicKey], node_missing: bool, memory: Memory, now: Now
) -> Braked:
    """Let the unwanted peers of the device go, or hold those that are not held yet.

    A peer is held once: when its time is over it goes, whatever the brake says by then. Without our
    own Node everything is held, and nothing is let go: that inventory cannot be right.
    """
    departed = {k: at for k, at in memory.departed.items() if now.monotonic - at < WINDOW}
    populations = count_peers(device, memory, now)
    before = populations[0][1] if populations else 0  # a minute ago, or as long as we look
    too_many = _too_many(len(unwanted | departed.keys()), before)
    since = {}
    for key in sorted(unwanted):
        if key in memory.held:
            since[key] = memory.held[key]
        elif too_many or node_missing:
            since[key] = now.monotonic
    held = {k: at for k, at in since.items() if node_missing or now.monotonic - at < HOLD}
    going = unwanted - held.keys()
    departed.update(dict.fromkeys(sorted(going), now.monotonic))
    return Braked(going, held, since, departed, populations)


def _too_many(count: int, population: int) -> bool:
    return count > ALWAYS_MAY_GO and count * 100 > population * PERCENT_MAY_GO


def count_peers(device: Device, memory: Memory, now: Now) -> Populations:
    """The newest count that is a minute old, all since then, and this one.

    A device without a key is one that is being made: how few peers it has says nothing.
    """
    kept = memory.populations
    if device.public_key is None:
        return kept
    while len(kept) > 1 and now.monotonic - kept[1][0] >= WINDOW:
        kept = kept[1:]
    if kept and now.monotonic - kept[-1][0] < _SPACING:
        return kept
    return (*kept, (now.monotonic, len(device.peers) + device.elsewhere))


def held_peers(
    held: Mapping[PublicKey, float], names: Mapping[PublicKey, str], now: Now
) -> tuple[Held, ...]:
    """The held peers for people, those that go first first."""
    ordered = sorted(held, key=lambda k: (held[k], k))
    return tuple(
        Held(k, names.get(k, ""), max(0.0, HOLD - (now.monotonic - held[k]))) for k in ordered
    )
