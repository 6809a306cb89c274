"""The brake: when many peers would go at once, they are kept for a while."""

from collections.abc import Iterable, Mapping

from attrs import frozen

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Device
from overlayd.model.status import Held
from overlayd.model.text import rfc3339
from overlayd.plan.owners import Owners
from overlayd.plan.result import Memory, Now

ALWAYS_MAY_GO = 3  # peers in a minute, however few there are
PERCENT_MAY_GO = 30
WINDOW = 60.0  # seconds: "at once", and how long ago the peers are counted of which it is a part
HOLD = 300.0  # seconds

_SPACING = 1.0  # seconds between two counts of the peers that are kept, so that those are few

Populations = tuple[tuple[float, int], ...]


@frozen
class Braked:
    """What becomes of the peers that would go."""

    going: frozenset[PublicKey]
    held: dict[PublicKey, float]  # since when
    since: dict[PublicKey, float]  # the same, with those whose time is over and that go now
    confirmed: frozenset[PublicKey]  # of those that would go; until they are gone
    departed: dict[PublicKey, float]  # when, in the last minute and now
    populations: Populations


def brake(
    device: Device, unwanted: frozenset[PublicKey], node_missing: bool, memory: Memory, now: Now
) -> Braked:
    """Let the unwanted peers of the device go, or hold those that are not held yet.

    A peer is held once: when its time is over, or its removal is confirmed, it goes, whatever the
    brake says by then. Without our own Node everything is held, and its time begins anew: that
    inventory cannot be right, and Nodes that register again come one by one.
    """
    departed = {k: at for k, at in memory.departed.items() if now.monotonic - at < WINDOW}
    populations = count_peers(device, memory, now)
    before = populations[0][1] if populations else 0  # a minute ago, or as long as we look
    too_many = _too_many(len(unwanted | departed.keys()), before)
    since = {}
    for key in sorted(unwanted):
        if node_missing:
            since[key] = now.monotonic
        elif key in memory.held:
            since[key] = memory.held[key]
        elif too_many:
            since[key] = now.monotonic
    confirmed = memory.confirmed & unwanted
    held = {
        key: at
        for key, at in since.items()
        if node_missing or (now.monotonic - at < HOLD and key not in confirmed)
    }
    going = unwanted - held.keys()
    departed.update(dict.fromkeys(sorted(going), now.monotonic))
    return Braked(going, held, since, confirmed, departed, populations)


def replaced(unwanted: Iterable[PublicKey], owners: Owners) -> frozenset[PublicKey]:
    """Those peers whose Node is there and has another key by now.

    They are not among those that would go: their prefixes are the new peer's already, so that
    holding them would keep nothing. A Node without a key, or with one that it lost to another Node,
    replaces nothing.
    """
    return frozenset(key for key in unwanted if owners.behind.get(key) in owners.keys)


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
    held: Mapping[PublicKey, float], names: Mapping[PublicKey, str], now: Now, ends: bool = True
) -> tuple[Held, ...]:
    """The held peers for people, those that go first first.

    `ends` is whether they go when their time is over, as things stand.
    """
    found = []
    for key in sorted(held, key=lambda k: (held[k], names.get(k, ""), k)):
        remaining = max(0.0, HOLD - (now.monotonic - held[key]))
        until = rfc3339(now.wall + remaining) if ends else None
        found.append(Held(key, names.get(key, ""), remaining, until))
    return tuple(found)
