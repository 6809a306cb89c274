"""The whole decision of one pass: from settings, inventory, machine and time to changes."""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address

from attrs import evolve
from immutables import Map

from overlayd.model.changes import Change
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Observed
from overlayd.model.node import Inventory, IPAddress, Node
from overlayd.model.settings import Settings
from overlayd.model.status import Own, State, StateName
from overlayd.plan import machine, peers, routes
from overlayd.plan.brake import Braked, brake, held_peers, replaced
from overlayd.plan.desired import Desired, WantedPeer, desired
from overlayd.plan.ground import Ground, foreign_device, ground, has_worked, other_tunnel
from overlayd.plan.guard import cuts_off, no_internal_ip
from overlayd.plan.mtu import wanted_mtu
from overlayd.plan.overlay import address_of, computed_address
from overlayd.plan.repairs import plan_repairs
from overlayd.plan.result import Memory, Now, Plan
from overlayd.plan.source import source_address

POD_CIDRS_PATIENCE = 60.0  # seconds in which a new Node normally gets its podCIDRs


def plan(
    settings: Settings, inventory: Inventory | None, observed: Observed, memory: Memory, now: Now
) -> Plan:
    """Decide what to change so that the machine is as the inventory wants it.

    `inventory` is None before the first one. `memory` is that of the plan before, `Memory()` for
    the first. Equal arguments give equal plans, whatever the order of the Nodes.
    """
    there = ground(settings, observed)
    if there is None:
        return Plan((), memory, foreign_device(settings, observed), ours=False)
    other = other_tunnel(settings, observed)
    if other is not None and not has_worked(settings, observed):
        return Plan((), memory, other, ours=not there.adopted)
    decided = _plan_ours(settings, inventory, observed, there, memory, now)
    return decided if decided.state is not None else evolve(decided, state=other)


def _plan_ours(
    settings: Settings,
    inventory: Inventory | None,
    observed: Observed,
    there: Ground,
    memory: Memory,
    now: Now,
) -> Plan:
    """Plan where nobody else's device is in the way."""
    node = inventory.nodes.get(settings.node_name) if inventory is not None else None
    if inventory is None or node is None:
        return plan_repairs(settings, inventory, observed, there, memory, now)
    stop = no_internal_ip(settings, node) or cuts_off(settings, observed, node, inventory.servers)
    overlay = computed_address(settings, node)
    if stop is not None or overlay is None:
        return Plan((), memory, stop, ours=not there.adopted)

    own_key = there.device.public_key or observed.remembered
    wanted = desired(settings, inventory.nodes, there, own_key)
    unwanted = frozenset(there.device.peers.keys() - wanted.peers.keys())
    outdated = replaced(unwanted, wanted.owners)
    braked = brake(there.device, unwanted - outdated, False, memory, now)
    lacking_since = _lacking_pod_cidrs(node, memory, now)
    names = _known_names(there, wanted, memory)
    others = {name: has for name, has in wanted.given.items() if name != node.name}
    ours = wanted.given.get(node.name, frozenset())
    source = source_address(settings, observed, overlay, ours)
    address = overlay if source == overlay else None  # else the holder's, whom it would shut out
    return Plan(
        changes=(
            *machine.add_rules(settings, observed),
            *machine.make_device(settings, there),
            *machine.add_address(settings, there, address),
            *peers.grant_peers(there.device, wanted, _why_new(there, wanted, memory.names)),
            *_lead_traffic(settings, observed, there, source, wanted),
            *peers.drop_preshared_keys(
                there.device, wanted.peers.keys() | braked.held.keys(), names
            ),
            *peers.move_endpoints(there.device, wanted, memory, now),
            *peers.trim_peers(there.device, wanted, braked.held),
            *peers.remove_peers(braked.going | outdated, wanted, memory, names),
            *machine.remove_addresses(settings, there, address),
            *routes.remove_routes(settings, there, source),
            *machine.remove_rules(settings, observed),
            *machine.enable_forwarding(observed),
        ),
        memory=evolve(_remember(there, wanted, braked, memory, lacking_since), names=Map(names)),
        state=_pod_cidrs_state(settings, lacking_since, now),
        own=Own(address_of(settings, node), overlay, node.pod_cidrs),
        names=Map(wanted.owners.behind),
        quarantines=wanted.quarantines,
        held=held_peers(braked.held, names, now),
        foreign_routes=routes.foreign_routes(settings, observed, others, node.pod_cidrs),
    )


def _lead_traffic(
    settings: Settings,
    observed: Observed,
    there: Ground,
    source: IPv4Address,
    wanted: Desired,
) -> Iterator[Change]:
    """A link takes routes only once it is up, and packets as large as they will stay."""
    others = there.device.elsewhere > 0
    mtu = wanted_mtu(settings, observed, _dialled(there, wanted), of_all=not others)
    if others and there.link is not None and mtu is not None:
        mtu = min(mtu, there.link.mtu)  # the rest of the peers may need what it has
    yield from machine.set_mtu(settings, there, mtu)
    yield from machine.bring_up(settings, there)
    yield from routes.set_routes(settings, there, source)


def _dialled(there: Ground, wanted: Desired) -> Iterator[IPAddress]:
    """Where the peers are reached: as they say, else as the device knows."""
    for key, peer in wanted.peers.items():
        if peer.endpoint is not None:
            yield peer.endpoint.address
        elif (found := there.device.peers.get(key)) is not None and found.endpoint is not None:
            yield found.endpoint.address


def _why_new(
    there: Ground, wanted: Desired, known: Mapping[PublicKey, str]
) -> Callable[[WantedPeer], str]:
    had = {wanted.owners.behind.get(key) for key in there.device.peers}

    def why(peer: WantedPeer) -> str:
        if there.link is None:
            return machine.NEW
        if peer.node in had:
            return f"the key of {peer.node} changed"
        return "missing" if peer.key in known else "the node joined"

    return why


def _known_names(there: Ground, wanted: Desired, memory: Memory) -> dict[PublicKey, str]:
    """The Nodes behind peers, also behind those whose Node has gone since."""
    gone = {key: memory.names[key] for key in there.device.peers if key in memory.names}
    return gone | dict(wanted.owners.behind)


def _remember(
    there: Ground, wanted: Desired, braked: Braked, memory: Memory, lacking_since: float | None
) -> Memory:
    """What the next plan has to know.

    A peer whose endpoint cannot be read keeps the last one; so does one that is held, or its Node
    would come back with another endpoint that nobody takes for new.
    """
    known = memory.endpoints
    endpoints = {key: known[key] for key in there.device.peers if key in known}
    for key, peer in wanted.peers.items():
        endpoint = peer.endpoint or known.get(key)
        if endpoint is not None:
            endpoints[key] = endpoint
    return Memory(
        held=braked.since,
        confirmed=braked.confirmed,
        departed=braked.departed,
        populations=braked.populations,
        endpoints=Map(endpoints),
        before=there.device.peers,
        no_pod_cidrs_since=lacking_since,
    )


def _lacking_pod_cidrs(node: Node, memory: Memory, now: Now) -> float | None:
    """Since when our Node has had no podCIDRs; None if it has some."""
    if node.pod_cidrs:
        return None
    return now.monotonic if memory.no_pod_cidrs_since is None else memory.no_pod_cidrs_since


def _pod_cidrs_state(settings: Settings, since: float | None, now: Now) -> State | None:
    if since is None:
        return None
    name = settings.node_name
    if now.monotonic - since <= POD_CIDRS_PATIENCE:
        return State(StateName.WAITING_FOR_POD_CIDRS, f"the Node {name} has no podCIDRs yet")
    return State(
        StateName.NO_POD_CIDRS,
        f"the Node {name} has had no podCIDRs for more than {POD_CIDRS_PATIENCE:.0f} s: "
        "kube-controller-manager gives them with --allocate-node-cidrs; other address managers "
        "may give Nodes none, and then overlayd cannot carry their pods",
    )
