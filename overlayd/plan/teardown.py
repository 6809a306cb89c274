"""What has to go from a machine, in order, so that nothing of ours is left and nothing leaks."""

from collections.abc import Iterator, Mapping

from attrs import frozen

from overlayd.model.changes import (
    Change,
    EndDevice,
    RemoveLink,
    RemovePeer,
    RemoveRoute,
    RemoveRule,
)
from overlayd.model.keys import PublicKey
from overlayd.model.machine import PROTOCOL, Observed, RuleKind
from overlayd.plan.ground import is_ours

WHY = "teardown"


@frozen
class TakeDown:
    """What of ours a machine has.

    `rules` are for last, once nothing else is left: until then traffic is refused, and from then
    on it is not ours to keep in. `foreign` says in words what has our device's name and stays.
    """

    changes: tuple[Change, ...]
    rules: tuple[RemoveRule, ...]
    foreign: tuple[str, ...] = ()


def take_down(wg_dev: str, observed: Observed, names: Mapping[PublicKey, str]) -> TakeDown:
    """Decide what to remove, by our marks alone: no network and no Node has to be known.

    `names` tells which Node is behind a peer. From wherever removing was cut short, this goes on.
    """
    routes = sorted((r for r in observed.routes if r.protocol == PROTOCOL), key=str)
    foreign = _foreign(wg_dev, observed)
    return TakeDown(
        changes=(
            *(() if foreign else _remove_peers(observed, names)),
            *(RemoveRoute(route, WHY) for route in routes),
            *(() if foreign else _end_device(wg_dev, observed)),
        ),
        rules=tuple(_remove_rules(observed)),
        foreign=foreign,
    )


def _foreign(wg_dev: str, observed: Observed) -> tuple[str, ...]:
    link, device = observed.links.get(wg_dev), observed.device
    if link is not None:
        return () if is_ours(link, observed) else (f"the link {wg_dev}",)
    if device is not None and (device.public_key or 0) != observed.remembered:
        return (f"a process that answers for {wg_dev}, whose link is not here",)
    return ()


def _remove_peers(observed: Observed, names: Mapping[PublicKey, str]) -> Iterator[RemovePeer]:
    """A device is emptied first: the kernel takes seconds for each thousand peers that go with it.

    WireGuard refuses what no peer takes, so nothing leaks here either.
    """
    for key in sorted(observed.device.peers if observed.device else ()):
        yield RemovePeer(names.get(key, ""), key, WHY)


def _end_device(wg_dev: str, observed: Observed) -> Iterator[EndDevice | RemoveLink]:
    """A link without a tunnel behind it, or one that outlived its tunnel, is removed itself."""
    if observed.device is not None:
        yield EndDevice(wg_dev, WHY)
    elif wg_dev in observed.links:
        yield RemoveLink(wg_dev, WHY)


def _remove_rules(observed: Observed) -> Iterator[RemoveRule]:
    """Those that refuse go first: without the others beside them they would refuse local pods."""
    rules = list(observed.rules)
    rules.sort(key=lambda o: o.rule is not None and o.rule.kind is RuleKind.KEEP_IN)
    for owned in rules:
        yield RemoveRule(owned, WHY)
