"""The decision of a pass: about everything, or about what has changed since the one before."""

from collections.abc import Mapping
from heapq import merge
from typing import TypeVar

from attrs import evolve
from immutables import Map

from overlayd.model.changes import RemovePeer
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Observed
from overlayd.model.node import Inventory
from overlayd.model.settings import Settings
from overlayd.plan.ground import ground
from overlayd.plan.mtu import wanted_mtu, ways
from overlayd.plan.overlay import same_endpoint
from overlayd.plan.plan import plan
from overlayd.plan.result import Memory, Now, Plan
from overlayd.plan.routes import near_routes
from overlayd.plan.scope import Scope, Search
from overlayd.plan.standing import NOBODY, Holders, Standing, differing

T = TypeVar("T")


def decide(
    settings: Settings,
    inventory: Inventory | None,
    observed: Observed,
    holders: Holders,
    memory: Memory,
    now: Now,
    standing: Standing | None,
) -> Plan:
    """Plan as `plan` does, for the part that differs from where the pass before left things.

    `holders` are those of the observed device. Without a `standing`, or where more changed than
    Nodes and peers, it is a plan for everything. By law both end in the same device.
    """
    if (
        inventory is None
        or standing is None
        or standing.network_changed  # what it observed is no measure of what was changed since
        or not _builds_on(settings, inventory, observed, memory, standing)
    ):
        return plan(settings, inventory, observed, memory, now)
    scope = _scope(settings, inventory, observed, holders, memory, standing)
    part = plan(settings, scope.nodes(inventory), scope.machine(observed), memory, now)
    if part.own.overlay_address is None:
        return part  # something stands in the way of everything
    return _widened(part, scope, observed, memory, standing)


def _builds_on(
    settings: Settings,
    inventory: Inventory,
    observed: Observed,
    memory: Memory,
    standing: Standing,
) -> bool:
    """Whether what was decided for the rest is still right: only Nodes and peers have changed."""
    name = settings.node_name
    if name not in inventory.nodes or name not in standing.inventory.nodes:
        return False
    before, own = standing.observed, inventory.nodes[name].pod_cidrs
    near = near_routes(settings, observed, own)
    if near and inventory is not standing.inventory:
        return False  # a foreign route may take traffic for a Node that changed
    if observed is before:
        return True
    now_there, then_there = ground(settings, observed), ground(settings, before)
    if now_there is None or now_there.link is None or then_there is None or then_there.link is None:
        return False
    one, other = now_there.device, then_there.device
    link, before_link = now_there.link, then_there.link
    the_ways = ways(settings, observed)
    return (
        one.public_key is not None
        and (one.public_key, link.index) == (other.public_key, before_link.index)
        and link.mtu == before_link.mtu  # what it should be, all the peers say together
        and now_there.addresses == then_there.addresses
        and the_ways == ways(settings, before)
        # The peer with the narrowest way may have gone since.
        and (len({*the_ways.values()}) < 2 or _has_its_mtu(settings, observed, memory, link.mtu))
        and near == near_routes(settings, before, own)
    )


def _has_its_mtu(settings: Settings, observed: Observed, memory: Memory, mtu: int) -> bool:
    """Whether our MTU is what all the peers together want."""
    peers = observed.device.peers if observed.device else NOBODY
    dialled = (
        memory.endpoints.get(key) or peer.endpoint
        for key, peer in peers.items()
        if key not in memory.held
    )
    addresses = (endpoint.address for endpoint in dialled if endpoint is not None)
    return wanted_mtu(settings, observed, addresses) in (None, mtu)


def _scope(
    settings: Settings,
    inventory: Inventory,
    observed: Observed,
    holders: Holders,
    memory: Memory,
    standing: Standing,
) -> Scope:
    """Ours is always in it, and what the brake holds, for that ends by time."""
    peers = observed.device.peers if observed.device else NOBODY
    search = Search(settings, standing.inventory, inventory, peers, holders, memory)
    changed = inventory.changed if inventory is not standing.inventory else frozenset[str]()
    removed = (c.key for c in standing.plan.changes if isinstance(c, RemovePeer))
    return search.reach(
        {settings.node_name, *changed, *standing.unsettled},
        {*memory.held, *removed, *_drifted(observed, memory, standing)},
    )


def _drifted(observed: Observed, memory: Memory, standing: Standing) -> list[PublicKey]:
    """The peers that are not as they were, other than by their traffic."""
    old = standing.observed.device.peers if standing.observed.device else NOBODY
    new = observed.device.peers if observed.device else NOBODY
    drifted = []
    for key in differing(old, new):
        was, now = old.get(key), new.get(key)
        if (
            was is None
            or now is None
            or was.allowed_ips != now.allowed_ips
            or now.preshared
            or not same_endpoint(now.endpoint, memory.endpoints.get(key))
        ):
            drifted.append(key)
    return drifted


def _widened(
    part: Plan, scope: Scope, observed: Observed, memory: Memory, standing: Standing
) -> Plan:
    """The plan for a part, with all that was known of the rest.

    What was read is remembered of every peer: what is sent in vain is so since the last reading,
    and not since the last plan for everything.
    """
    rest = standing.plan
    keys = scope.keys
    return evolve(
        part,
        about=scope.names,
        memory=evolve(
            part.memory,
            endpoints=_replaced(memory.endpoints, keys, part.memory.endpoints),
            names=_replaced(memory.names, keys, part.memory.names),
            before=observed.device.peers if observed.device else NOBODY,
        ),
        names=_replaced(rest.names, keys, part.names),
        quarantines=tuple(
            merge(
                (q for q in rest.quarantines if q.node not in scope.names),
                part.quarantines,
                key=lambda q: q.node,  # both are in order, and of different Nodes
            )
        ),
        foreign_routes=rest.foreign_routes,
    )


def _replaced(
    known: Map[PublicKey, T], keys: frozenset[PublicKey], new: Mapping[PublicKey, T]
) -> Map[PublicKey, T]:
    """What is known, where `keys` are known anew."""
    changed = known.mutate()
    for key in keys:
        if key in new:
            changed[key] = new[key]
        else:
            changed.pop(key, None)
    return changed.finish()
