"""Small clusters and machines, as Hypothesis finds them: few keys, few addresses, much overlap.

A universe has a past: a daemon worked on an inventory; then Nodes changed, and somebody changed
the machine by hand. Everything about a Node is one number, so that a universe is quickly drawn.
"""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface, IPv4Network, ip_address, ip_network
from itertools import product

from attrs import evolve, frozen
from hypothesis import strategies as st

from overlayd.model.keys import PublicKey
from overlayd.model.machine import PROTOCOL, Address, Link, Observed, OwnedRule, Peer, Route, Rule
from overlayd.model.machine import RuleKind as Kind
from overlayd.model.node import Claim, Endpoint, Fault, Inventory, IPNetwork, Node
from overlayd.model.settings import Settings
from overlayd.plan.plan import plan
from overlayd.plan.result import Memory, Now
from tests.pure.machine_in_memory import Machine, machine

SETTINGS = Settings(
    node_name="a", pods=(IPv4Network("10.244.0.0/16"), IPv4Network("10.245.0.0/24"))
)
KEYS = tuple(PublicKey(bytes([n]) * 32) for n in range(10, 14))
WALL = 1_700_000_000.0
NOW = Now(1000.0, WALL)

UNREADABLE = "unreadable"

_ADDRESSES = ["10.0.0.2", "10.0.0.3", "10.1.0.2", "10.1.0.1", None]
_ANNOUNCED = [*KEYS, None, UNREADABLE]
_OVERLAYS = [["100.64.0.2"], ["100.64.0.3"], ["100.64.0.1", "100.64.0.9"], [], ["fd00::2"]]
_PODS = [["10.244.2.0/24"], ["10.244.3.0/24"], ["10.244.3.128/25", "10.245.0.0/24"], []]
_NODES = list(
    product(
        _ADDRESSES,
        _ANNOUNCED,
        [*_OVERLAYS, ["10.0.0.2", "100.64.0.2"], UNREADABLE],
        [*_PODS, ["10.244.0.0/16", "fd00::/64"], ["10.0.0.0/8", "10.244.1.0/24"], UNREADABLE],
        [1, 2],  # the day on which it was created
    )
)
OWN_PODS = [["10.244.1.0/24"], ["10.244.2.0/24"], []]
_PREFIXES: list[IPNetwork] = [
    ip_network(text)
    for text in ("100.64.0.2", "100.64.0.9", "10.244.3.0/24", "10.244.0.0/16", "10.244.1.7/32")
]


@frozen
class Universe:
    """What the cluster says now, and the machine as it was left."""

    inventory: Inventory
    observed: Observed


def _node(name: str, number: int) -> Node:
    address, key, overlays, pods, day = _NODES[number]
    claims = ((Claim.KEY, key), (Claim.OVERLAY_ADDRESS, overlays), (Claim.POD_CIDR, pods))
    return Node(
        name=name,
        uid=f"uid-{name}",
        created=f"2024-01-0{day}T00:00:00Z",
        address=None if address is None else ip_address(address),
        key=key if isinstance(key, PublicKey) else None,
        overlay_addresses=() if overlays == UNREADABLE else tuple(map(ip_address, overlays)),
        pod_cidrs=() if pods == UNREADABLE else tuple(map(ip_network, pods)),
        faults=tuple(Fault(c, "?", "garbage") for c, value in claims if value == UNREADABLE),
    )


def _inventory(own_pods: int, numbers: list[int | None]) -> Inventory:
    own = Node(
        name="a",
        uid="uid-a",
        created="2024-01-01T12:00:00Z",
        address=ip_address("10.0.0.1"),
        pod_cidrs=tuple(map(ip_network, OWN_PODS[own_pods])),
    )
    others = {n: _node(n, x) for n, x in zip("bcde", numbers, strict=True) if x is not None}
    return Inventory({"a": own, **others}, frozenset(others), "1")


def _fresh_machine() -> Observed:
    return machine(
        Link(1, "lo", mtu=65536, up=True, loopback=True),
        Link(2, "eth0", mtu=1500, up=True),
        addresses=[("lo", "127.0.0.1/8"), ("eth0", "10.0.0.1/24")],
        routes=[
            Route(ip_network("0.0.0.0/0"), "eth0", ip_address("10.0.0.254")),
            Route(ip_network("10.0.0.0/24"), "eth0", protocol=2),
        ],
    )


def settle(inventory: Inventory, there: Machine, memory: Memory, most: int = 3) -> int:
    """Plan and apply until nothing is left to do; how many passes that took."""
    for passes in range(most + 1):
        decided = plan(SETTINGS, inventory, there.observe(), memory, NOW)
        if not decided.changes:
            return passes
        there.apply_all(decided.changes)
        memory = decided.memory
    raise AssertionError(f"never comes to rest: {[str(c) for c in decided.changes]}")


# --- what somebody may do to the machine by hand ------------------------------------------------


def _link_down(there: Observed) -> Observed:
    down = evolve(there.links["wg0"], up=False)
    kept = frozenset(r for r in there.routes if r.link != "wg0")
    return evolve(there, links={**there.links, "wg0": down}, routes=kept)


def link_gone(there: Observed) -> Observed:
    """The machine after `ip link del wg0`."""
    return evolve(
        there,
        links={n: link for n, link in there.links.items() if n != "wg0"},
        addresses=frozenset(a for a in there.addresses if a.link != "wg0"),
        routes=frozenset(r for r in there.routes if r.link != "wg0"),
        device=None,
    )


def _key_gone(there: Observed) -> Observed:
    assert there.device is not None
    return evolve(there, device=evolve(there.device, public_key=None, listen_port=7))


def _other_addresses(there: Observed) -> Observed:
    texts = ("100.64.0.1/16", "100.64.3.3/32", "172.16.0.1/24")
    kept = {a for a in there.addresses if a.link != "wg0"}
    added = {Address("wg0", IPv4Interface(text)) for text in texts}
    return evolve(there, addresses=frozenset(kept | added))


def _other_routes(there: Observed) -> Observed:
    kept = {r for r in there.routes if r.destination not in SETTINGS.networks}
    added = {
        Route(ip_network("10.244.0.0/16"), "wg0", protocol=4),
        Route(ip_network("10.245.0.0/24"), "eth0", protocol=PROTOCOL),
        Route(ip_network("10.245.0.0/24"), "wg0", protocol=PROTOCOL, metric=7),
        Route(ip_network("10.99.0.0/16"), "wg0", protocol=PROTOCOL),
    }
    return evolve(there, routes=frozenset(kept | added))


def _foreign_routes(there: Observed) -> Observed:
    kept = {r for r in there.routes if r.destination != SETTINGS.pods[0]}
    added = {Route(SETTINGS.pods[0], "eth0"), Route(ip_network("10.244.2.0/24"), "eth0")}
    return evolve(there, routes=frozenset(kept | added))


def _other_rules(there: Observed) -> Observed:
    stray = (
        None,
        Rule(IPv4Network("10.99.0.0/16"), Kind.REFUSE),
        Rule(SETTINGS.overlay, Kind.REFUSE),
    )
    return evolve(there, rules=tuple(OwnedRule(rule, n) for n, rule in enumerate(stray)))


def _preshared_keys(there: Observed) -> Observed:
    assert there.device is not None
    peers = {key: evolve(peer, preshared=True) for key, peer in there.device.peers.items()}
    return evolve(there, device=evolve(there.device, peers=peers))


def untouched(there: Observed) -> Observed:
    return there


DEEDS: list[Callable[[Observed], Observed]] = [
    untouched,
    _link_down,
    link_gone,
    _key_gone,
    _other_addresses,
    _other_routes,
    _foreign_routes,
    _other_rules,
    _preshared_keys,
    lambda there: evolve(there, device=None),
    lambda there: evolve(there, forwarding=False),
]


def move(there: Observed, prefix: IPNetwork, to: PublicKey) -> Observed:
    """Give a prefix to a peer, as `wg set` does."""
    if there.device is None:
        return there
    peers = {
        key: evolve(peer, allowed_ips=peer.allowed_ips - {prefix})
        for key, peer in there.device.peers.items()
    }
    peer = peers.get(to, Peer(to, Endpoint(ip_address("10.9.9.9"), 51820)))
    peers[to] = evolve(peer, allowed_ips=peer.allowed_ips | {prefix})
    return evolve(there, device=evolve(there.device, peers=peers))


_number = st.integers(0, len(_NODES) - 1)
moves = st.lists(st.tuples(st.sampled_from(_PREFIXES), st.sampled_from(KEYS)), max_size=2)


def nodes(name: str = "b") -> st.SearchStrategy[Node]:
    """Any Node of a name."""
    return st.builds(_node, st.just(name), _number)


@st.composite
def universes(draw: st.DrawFn) -> Universe:
    numbers: list[int | None] = [draw(st.none() | _number) for _ in "bcde"]
    before = _inventory(draw(st.integers(0, 2)), numbers)
    there = Machine(_fresh_machine())
    settle(before, there, Memory())
    for place in draw(st.sets(st.integers(0, 3), max_size=3)):
        numbers[place] = draw(_changed(numbers[place]))
    observed = draw(st.sampled_from(DEEDS))(there.observe())
    for prefix, key in draw(moves):
        observed = move(observed, prefix, key)
    return Universe(_inventory(draw(st.integers(0, 2)), numbers), observed)


def _changed(number: int | None) -> st.SearchStrategy[int | None]:
    """Another Node of that name: mostly one that differs in one thing."""
    if number is None:
        return _number
    return st.none() | st.sampled_from(list(_neighbours(number)))


def _neighbours(number: int) -> Iterator[int]:
    for other, values in enumerate(_NODES):
        differing = sum(a is not b for a, b in zip(values, _NODES[number], strict=True))
        if differing == 1:
            yield other
