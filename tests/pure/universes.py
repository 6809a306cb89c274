"""Small clusters and machines, as Hypothesis finds them: few keys, few addresses, much overlap."""

from ipaddress import ip_address, ip_network

from attrs import frozen
from hypothesis import strategies as st

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
from tests.pure.machine_in_memory import OUR_KEY, interface, machine, peers_by_key

SETTINGS = Settings(node_name="a", pods=(ip_network("10.244.0.0/16"), ip_network("10.245.0.0/24")))
KEYS = tuple(PublicKey(bytes([n]) * 32) for n in range(10, 16))
WALL = 1_700_000_000.0

_NODE_ADDRESSES = [ip_address(f"10.{n}.0.{m}") for n in (0, 1) for m in (2, 3, 4)]
_OVERLAY = [ip_address(f"100.64.0.{n}") for n in (1, 2, 3, 4, 9)]
_POD_CIDRS = [
    ip_network(text)
    for text in ("10.244.1.0/24", "10.244.2.0/24", "10.244.2.128/25", "10.244.0.0/16")
] + [ip_network("10.245.0.0/24"), ip_network("10.244.2.7/32")]
_STRANGE_ADDRESSES = [ip_address("10.0.0.2"), ip_address("fd00::2")]
_STRANGE_CIDRS = [ip_network("10.0.0.0/8"), ip_network("192.168.7.0/24"), ip_network("fd00::/64")]
_ENDPOINTS = [Endpoint(ip_address(text), 51820) for text in ("10.0.0.2", "10.9.9.9", "10.244.1.1")]
_PREFIXES: list[IPNetwork] = [*(ip_network(a) for a in _OVERLAY), *_POD_CIDRS]


@frozen
class Universe:
    inventory: Inventory
    observed: Observed


def few(values: list, most: int = 2) -> st.SearchStrategy[tuple]:  # type: ignore[type-arg]
    return st.lists(st.sampled_from(values), max_size=most).map(tuple)


@st.composite
def other_nodes(draw: st.DrawFn, name: str) -> Node:
    """A Node that may claim anything, twice or unreadably."""
    unreadable = draw(st.sets(st.sampled_from([Claim.KEY, Claim.OVERLAY_ADDRESS, Claim.POD_CIDR])))
    strange = draw(st.booleans())
    return Node(
        name=name,
        uid=f"uid-{draw(st.integers(0, 9))}",
        created=f"2024-01-0{draw(st.integers(1, 3))}T00:00:00Z",
        address=draw(st.none() | st.sampled_from(_NODE_ADDRESSES)),
        key=None if Claim.KEY in unreadable else draw(st.none() | st.sampled_from(KEYS)),
        overlay_addresses=draw(few([*_OVERLAY, *(_STRANGE_ADDRESSES if strange else [])])),
        pod_cidrs=draw(few([*_POD_CIDRS, *(_STRANGE_CIDRS if strange else [])])),
        endpoint=draw(st.none() | st.sampled_from(_ENDPOINTS)),
        faults=tuple(Fault(claim, "?", "unreadable") for claim in sorted(unreadable, key=str)),
    )


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """A cluster of our own Node "a" and up to five others."""
    names = "bcdef"[: draw(st.integers(0, 5))]
    own = Node(
        name="a",
        uid="uid-5",
        created="2024-01-02T00:00:00Z",
        address=ip_address("10.0.0.1"),
        pod_cidrs=draw(few(_POD_CIDRS, most=1)),
    )
    nodes = {"a": own, **{name: draw(other_nodes(name)) for name in names}}
    return Inventory(nodes, frozenset(nodes), "1")


@st.composite
def devices(draw: st.DrawFn) -> Device:
    """A device in which somebody may have done anything."""
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True))
    having: dict[PublicKey, set[IPNetwork]] = {key: set() for key in keys}
    if keys:
        for prefix in draw(st.sets(st.sampled_from(_PREFIXES))):
            having[draw(st.sampled_from(keys))].add(prefix)
    peers = [
        Peer(
            key,
            draw(st.none() | st.sampled_from(_ENDPOINTS)),
            frozenset(prefixes),
            draw(st.none() | st.sampled_from([WALL - 10, WALL - 1000, WALL + 3600])),
        )
        for key, prefixes in having.items()
    ]
    keyless = not peers and draw(st.booleans())
    return Device(
        None if keyless else OUR_KEY.public(),
        draw(st.sampled_from([51820, 0])),
        peers_by_key(peers),
    )


_RULES = [
    Rule(network, kind)
    for network in (*SETTINGS.networks, ip_network("10.99.0.0/16"))
    for kind in RuleKind
]
_FOREIGN = [
    Route(ip_network("10.244.0.0/16"), "eth0", ip_address("10.0.0.254")),
    Route(ip_network("10.244.2.0/24"), "eth0"),
    Route(ip_network("10.245.0.0/24"), "eth0", metric=100),
]


def _our_routes(draw: st.DrawFn) -> list[Route]:
    destinations = draw(st.sets(st.sampled_from([*SETTINGS.networks, ip_network("10.99.0.0/16")])))
    return [
        Route(
            destination,
            draw(st.sampled_from(["wg0", "wg0", "eth0"])),
            source=draw(st.none() | st.just(ip_address("100.64.0.1"))),
            protocol=draw(st.sampled_from([PROTOCOL, PROTOCOL, 4])),
            metric=draw(st.sampled_from([0, 0, 7])),
        )
        for destination in sorted(destinations)
    ]


@st.composite
def machines(draw: st.DrawFn) -> Observed:
    """A machine on which we were before, or never."""
    found = machine(
        Link(1, "lo", mtu=65536, up=True, loopback=True),
        Link(2, "eth0", mtu=1500, up=True),
        addresses=[("lo", "127.0.0.1/8"), ("eth0", "10.0.0.1/24")],
    )
    routes = {
        Route(ip_network("0.0.0.0/0"), "eth0", ip_address("10.0.0.254")),
        Route(ip_network("10.0.0.0/24"), "eth0", protocol=2),
        *draw(st.sets(st.sampled_from(_FOREIGN), max_size=1)),
    }
    links, addresses, device = dict(found.links), set(found.addresses), None
    if draw(st.integers(0, 9)) > 1:
        device = draw(st.none() | devices())
        up = draw(st.booleans())
        links["wg0"] = Link(3, "wg0", "tun", ALIAS, draw(st.sampled_from([1420, 1300])), up)
        texts = draw(st.sets(st.sampled_from(["100.64.0.1/32", "100.64.0.1/16", "100.64.3.3/32"])))
        addresses |= {Address("wg0", interface(text)) for text in texts}
        routes |= {r for r in _our_routes(draw) if up or r.link != "wg0"}
    return Observed(
        links=links,
        addresses=frozenset(addresses),
        routes=frozenset(routes),
        rules=tuple(OwnedRule(r, None) for r in draw(st.lists(st.sampled_from(_RULES)))),
        resolvers=frozenset(),
        forwarding=draw(st.booleans()),
        device=device,
        remembered=OUR_KEY.public(),
    )


def universes() -> st.SearchStrategy[Universe]:
    return st.builds(Universe, inventories(), machines())
