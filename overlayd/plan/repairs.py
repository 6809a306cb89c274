"""What can be repaired while our Node is not known: what settings and the device itself tell.

Unknown is not empty: no peer and no address is added or removed.
"""

from ipaddress import IPv4Interface

from attrs import evolve

from overlayd.model.changes import Change
from overlayd.model.machine import PROTOCOL, Observed
from overlayd.model.node import Inventory, IPAddress
from overlayd.model.settings import Settings
from overlayd.model.status import State, StateName
from overlayd.plan import machine, routes
from overlayd.plan.brake import brake, count_peers, held_peers
from overlayd.plan.desired import desired
from overlayd.plan.ground import Ground, something_is_ours
from overlayd.plan.guard import cuts_off
from overlayd.plan.mtu import wanted_mtu
from overlayd.plan.result import Memory, Now, Plan


def plan_repairs(
    settings: Settings,
    inventory: Inventory | None,
    observed: Observed,
    there: Ground,
    memory: Memory,
    now: Now,
) -> Plan:
    """Plan without an inventory, or with one that lacks our own Node.

    Where nothing of ours exists, nothing is made.
    """
    state = _state(settings, inventory)
    if there.adopted:
        return Plan((), memory, state, ours=False)  # not ours before all is checked
    if not something_is_ours(settings, observed):
        return Plan((), memory, state)
    stop = cuts_off(settings, observed, None, inventory.servers if inventory else ())
    if stop is not None:
        return Plan((), memory, stop)
    device = there.device
    memory = evolve(memory, populations=count_peers(device, memory, now))
    held = {key: since for key, since in memory.held.items() if key in device.peers}
    confirmed = frozenset(key for key in memory.confirmed if key in device.peers)
    names = memory.names
    if inventory is not None:
        wanted = desired(settings, inventory.nodes, there, device.public_key or observed.remembered)
        unwanted = frozenset(device.peers.keys() - wanted.peers.keys())
        braked = brake(device, unwanted, True, memory, now)
        held, confirmed = braked.held, braked.confirmed
        names = names.update(wanted.owners.behind)
    return Plan(
        changes=_repairs(settings, observed, there),
        memory=evolve(memory, held=held, confirmed=confirmed),
        state=state,
        names=names,
        held=held_peers(held, names, now, ends=False),
    )


def _repairs(settings: Settings, observed: Observed, there: Ground) -> tuple[Change, ...]:
    endpoints = (p.endpoint.address for p in there.device.peers.values() if p.endpoint)
    source = _source(settings, there)
    return (
        *machine.add_rules(settings, observed),
        *machine.make_device(settings, there),
        *machine.set_mtu(settings, there, wanted_mtu(settings, observed, endpoints)),
        *machine.bring_up(settings, there),
        *routes.set_routes(settings, there, source, keep_sources=True),
        *routes.remove_routes(settings, there, source, keep_sources=True),
        *machine.remove_rules(settings, observed),
        *machine.enable_forwarding(observed),
    )


def _source(settings: Settings, there: Ground) -> IPAddress | None:
    """The overlay address that the link has, else the source of another route: ours until now."""
    found = [
        interface.ip
        for interface in there.addresses
        if isinstance(interface, IPv4Interface)
        and interface.network.prefixlen == 32
        and interface.ip in settings.overlay
    ]
    sources = [r.source for r in there.routes if r.protocol == PROTOCOL and r.source is not None]
    return min(found, default=None) or min(sources, key=str, default=None)


def _state(settings: Settings, inventory: Inventory | None) -> State:
    if inventory is None:
        return State(StateName.STARTING, "waiting for the first list of Nodes")
    return State(
        StateName.NODE_MISSING,
        f"there is no Node {settings.node_name} among the {len(inventory.nodes)} of the cluster: "
        "register it, or say with --node-name which one this is",
    )
