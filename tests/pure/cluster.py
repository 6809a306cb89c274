"""Nodes, devices and machines in a line each, for tables. Node "a" is our own."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, ip_address, ip_network

from attrs import evolve

from overlayd.model.keys import PublicKey
from overlayd.model.machine import (
    ALIAS,
    PROTOCOL,
    Address,
    Device,
    Link,
    Observed,
    OwnedRule,
    Peer,
    Route,
    Rule,
    RuleKind,
)
from overlayd.model.node import Claim, Endpoint, Fault, Inventory, IPNetwork, Node
from overlayd.model.settings import Settings
from overlayd.model.status import StateName
from overlayd.plan.desired import Desired, desired
from overlayd.plan.ground import ground
from overlayd.plan.plan import plan
from overlayd.plan.result import Memory, Now, Plan
from tests.pure.machine_in_memory import OUR_KEY, interface, machine, peers_by_key

SETTINGS = Settings(node_name="a")
WALL = 1_700_000_000.0
NOW = Now(1000.0, WALL)

B, C, D, E, OLD = (PublicKey(bytes([n]) * 32) for n in (2, 3, 4, 5, 9))


def net(text: str) -> IPv4Network:
    return IPv4Network(text)


def nets(text: str) -> frozenset[IPNetwork]:
    """Networks by a list with spaces; an address is one of its own."""
    return frozenset(ip_network(part) for part in text.split())


def endpoint(text: str) -> Endpoint:
    address, _, port = text.rpartition(":")
    return Endpoint(ip_address(address.strip("[]")), int(port))


def node(
    name: str,
    ip: str | None = None,
    key: PublicKey | None = None,
    overlay: str = "",
    pods: str = "",
    *,
    day: int = 1,
    at: str | None = None,
    unreadable: Iterable[Claim] = (),
) -> Node:
    """A Node created on a day of January 2024."""
    return Node(
        name=name,
        uid=f"uid-{name}",
        created=f"2024-01-{day:02}T00:00:00Z",
        address=None if ip is None else ip_address(ip),
        key=key,
        overlay_addresses=tuple(ip_address(part) for part in overlay.split()),
        pod_cidrs=tuple(ip_network(part) for part in pods.split()),
        endpoint=None if at is None else endpoint(at),
        faults=tuple(Fault(claim, "?", "it cannot be read") for claim in unreadable),
    )


OUR_NODE = node("a", "10.0.0.1", pods="10.244.1.0/24")
NODE_B = node("b", "10.0.0.2", B, "100.64.0.2", "10.244.2.0/24")
NODE_C = node("c", "10.0.0.3", C, "100.64.0.3", "10.244.3.0/24")


def inventory(*nodes: Node, changed: Iterable[str] = ()) -> Inventory:
    """A cluster of our own Node, unless it is among `nodes`, and of these."""
    found = {n.name: n for n in nodes}
    return Inventory({"a": OUR_NODE, **found}, frozenset(changed), "1")


def peer(key: PublicKey, prefixes: str = "", at: str | None = None) -> Peer:
    return Peer(key, None if at is None else endpoint(at), nets(prefixes))


PEER_B = peer(B, "100.64.0.2 10.244.2.0/24", "10.0.0.2:51820")
PEER_C = peer(C, "100.64.0.3 10.244.3.0/24", "10.0.0.3:51820")


def device(*peers: Peer) -> Device:
    return Device(OUR_KEY.public(), 51820, peers_by_key(peers))


def bare() -> Observed:
    """A machine on which we never were."""
    found = machine(
        Link(1, "lo", mtu=65536, up=True, loopback=True),
        Link(2, "eth0", mtu=1500, up=True),
        addresses=[("lo", "127.0.0.1/8"), ("eth0", "10.0.0.1/24")],
        routes=[
            Route(ip_network("0.0.0.0/0"), "eth0", ip_address("10.0.0.254")),
            Route(ip_network("10.0.0.0/24"), "eth0", protocol=2),
        ],
    )
    return evolve(found, resolvers=frozenset({ip_address("10.0.0.254")}))


def working(*peers: Peer, settings: Settings = SETTINGS) -> Observed:
    """A machine on which everything of ours is in place, with these peers."""
    there = bare()
    ours = frozenset(our_route(str(network)) for network in settings.networks)
    return evolve(
        there,
        links={**there.links, "wg0": Link(3, "wg0", "tun", ALIAS, 1420, up=True)},
        addresses=there.addresses | {Address("wg0", interface("100.64.0.1/32"))},
        routes=there.routes | ours,
        rules=tuple(
            OwnedRule(Rule(network, kind), None)
            for network in settings.networks
            for kind in RuleKind
        ),
        device=device(*peers),
        remembered=OUR_KEY.public(),
    )


def our_route(destination: str, source: str | None = "100.64.0.1") -> Route:
    return Route(
        ip_network(destination),
        "wg0",
        source=None if source is None else ip_address(source),
        protocol=PROTOCOL,
    )


def with_link(there: Observed, link: Link) -> Observed:
    return evolve(there, links={**there.links, link.name: link})


def with_routes(there: Observed, *routes: Route) -> Observed:
    return evolve(there, routes=there.routes | frozenset(routes))


def without_route(there: Observed, destination: str) -> Observed:
    gone = ip_network(destination)
    return evolve(there, routes=frozenset(r for r in there.routes if r.destination != gone))


def with_address(there: Observed, link: str, text: str) -> Observed:
    return evolve(there, addresses=there.addresses | {Address(link, interface(text))})


def planned(
    there: Observed,
    cluster: Inventory | None,
    memory: Memory | None = None,
    now: Now = NOW,
    settings: Settings = SETTINGS,
) -> Plan:
    return plan(settings, cluster, there, memory or Memory(), now)


def state(decided: Plan) -> StateName | None:
    return decided.state.name if decided.state else None


def texts(decided: Plan) -> list[str]:
    """The changes as people see them, with the names of Nodes in place of keys."""
    found = []
    for change in decided.changes:
        text = str(change)
        for key, name in {B: "B", C: "C", D: "D", E: "E", OLD: "OLD"}.items():
            text = text.replace(str(key), name)
        found.append(text)
    return found


def reasons(decided: Plan) -> Mapping[str, str]:
    """Quarantines by Node and claim."""
    return {f"{q.node} {q.claim.value} {q.text}": q.reason for q in decided.quarantines}


def judged(*nodes: Node, peers: tuple[Peer, ...] = (), settings: Settings = SETTINGS) -> Desired:
    """What these Nodes and our own are given, on a machine with these peers."""
    there = ground(settings, working(*peers))
    assert there is not None
    found = {n.name: n for n in (OUR_NODE, *nodes)}
    return desired(settings, found, there, OUR_KEY.public())


def having(wanted: Desired) -> dict[str, frozenset[object]]:
    return {p.node: frozenset(p.prefixes) for p in wanted.peers.values()}


def left_out(wanted: Desired) -> list[tuple[str, str, str]]:
    return [(q.node, q.text, q.reason) for q in wanted.quarantines]
