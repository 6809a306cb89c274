"""A pass that looks at what changed alone, against one that looks at everything."""

from collections.abc import Callable
from ipaddress import ip_network

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import Outcome
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Link, Observed, Route
from overlayd.model.node import Inventory, IPNetwork, Node
from overlayd.plan.claim_index import follow, index_of
from overlayd.plan.decide import decide
from overlayd.plan.plan import plan
from overlayd.plan.result import Memory, Now, Plan
from overlayd.plan.standing import Standing, holders_in, stand
from tests.pure.cluster import (
    NODE_B,
    NODE_C,
    PEER_B,
    PEER_C,
    D,
    E,
    inventory,
    net,
    node,
    reasons,
    with_link,
    with_routes,
    working,
)
from tests.pure.machine_in_memory import Machine
from tests.pure.universes import (
    DEEDS,
    KEYS,
    NOW,
    OWN_PODS,
    SETTINGS,
    Universe,
    move,
    moves,
    nodes,
    settle,
    universes,
    untouched,
)

law = settings(deadline=None, max_examples=60, derandomize=True)
MOST = 5  # passes until all is at rest


class Daemon:
    """Passes over a machine in memory, each knowing where the one before left things."""

    def __init__(self, there: Machine, inventory: Inventory) -> None:
        self.there = there
        self.memory = Memory()
        self.standing: Standing | None = None
        self.inventory = inventory
        self.about: list[frozenset[str] | None] = []

    def one_pass(self, reads: bool, now: Now = NOW) -> Plan:
        observed = self.there.observe()
        if self.standing is not None and not (reads or self.standing.network_changed):
            observed = self.standing.observed
        holders = holders_in(observed.device, self.standing)
        decided = decide(
            SETTINGS, self.inventory, observed, holders, self.memory, now, self.standing
        )
        self.there.apply_all(decided.changes)
        outcomes = [Outcome(change) for change in decided.changes]
        self.standing = stand(self.inventory, observed, holders, decided, outcomes)
        self.memory = decided.memory
        self.about.append(decided.about)
        return decided

    def rest(self, reads: bool = False, now: Now = NOW) -> Plan:
        """Passes until one finds nothing to do."""
        for _ in range(MOST):
            decided = self.one_pass(reads, now)
            if not decided.changes and self.standing is not None:
                return decided
        raise AssertionError(f"never comes to rest: {[str(c) for c in decided.changes]}")

    def take(self, **changes: Node | None) -> None:
        """Nodes that are others now, or gone."""
        there, index = self.inventory.nodes, self.inventory.index
        for name, new in changes.items():
            index = follow(SETTINGS, index, there.get(name), new)
            there = there.set(name, new) if new is not None else there.delete(name)
        self.inventory = Inventory(there, frozenset(changes), "2", index=index)


def indexed(inventory: Inventory) -> Inventory:
    return evolve(inventory, index=index_of(SETTINGS, inventory.nodes.values()))


def device_of(machine: Machine) -> dict[str, tuple[object, ...]]:
    device = machine.observe().device
    peers = device.peers.values() if device else ()
    return {str(p.key): (p.endpoint, p.allowed_ips, p.keepalive) for p in peers}


def released(memory: Memory) -> Memory:
    """Without the brake: no pass remembers how many peers there were."""
    return evolve(memory, populations=((NOW.monotonic, 1000),), departed={})


changes = st.dictionaries(st.sampled_from("bcde"), st.none() | nodes(), min_size=1, max_size=3)


@frozen
class Happening:
    """Nodes that change, our own among them, and what somebody does to the machine meanwhile."""

    nodes: dict[str, Node | None]
    own_pods: int | None
    deed: Callable[[Observed], Observed]
    moves: list[tuple[IPNetwork, PublicKey]]
    after: float
    reads: bool

    def to(self, daemon: Daemon) -> None:
        there = daemon.inventory.nodes
        found = {n: new for n, new in self.nodes.items() if new or n in there}
        changed = {
            n: evolve(new, name=n, uid=f"uid-{n}") if new else None for n, new in found.items()
        }
        if self.own_pods is not None:
            pods = tuple(map(ip_network, OWN_PODS[self.own_pods]))
            changed["a"] = evolve(there["a"], pod_cidrs=pods)
        if changed:
            daemon.take(**changed)
        if self.reads:
            observed = self.deed(daemon.there.observe())
            for prefix, key in self.moves:
                observed = move(observed, prefix, key)
            daemon.there = Machine(observed)


happenings = st.builds(
    Happening,
    nodes=st.just({}) | changes,
    own_pods=st.none() | st.integers(0, 2),
    deed=st.just(untouched) | st.sampled_from(DEEDS),
    moves=st.just([]) | moves,
    after=st.sampled_from([0.0, 0.5, 5.0, 59.0, 61.0, 299.0, 301.0]),
    reads=st.booleans(),
)


def remembered(memory: Memory) -> Memory:
    return evolve(memory, before=Map())


Unread = tuple[dict[str, Node | None], list[tuple[IPNetwork, PublicKey]], PublicKey | None]
"""Nodes that change, prefixes that somebody moves between peers, and a peer that is removed."""

unread: st.SearchStrategy[Unread] = st.tuples(changes, moves, st.none() | st.sampled_from(KEYS))


class ScopeLaws(SynchronousTestCase):
    def at_rest(self, universe: Universe) -> Daemon:
        daemon = Daemon(Machine(universe.observed), indexed(universe.inventory))
        daemon.memory = released(daemon.memory)
        daemon.rest(reads=True)
        daemon.memory = released(daemon.memory)
        return daemon

    @law
    @given(universes(), st.lists(changes, min_size=1, max_size=4))
    def test_events(self, universe: Universe, events: list[dict[str, Node | None]]) -> None:
        """After any events the device is the one that a pass over everything would have left."""
        daemon = self.at_rest(universe)
        for event in events:
            present = {n: e for n, e in event.items() if e or n in daemon.inventory.nodes}
            daemon.take(**{n: evolve(e, name=n) if e else None for n, e in present.items()})
            whole = Machine(daemon.there.observe())
            settle(daemon.inventory, whole, daemon.memory, MOST)
            decided = daemon.rest()
            self.assertEqual(device_of(daemon.there), device_of(whole))
            self.assertEqual(told(decided), told(everything(daemon)))
            daemon.memory = released(daemon.memory)
            assert daemon.standing is not None
            self.assertEqual(
                daemon.standing.holders, holders_in(daemon.there.observe().device, None)
            )
            self.assertEqual(daemon.standing.observed.device, daemon.there.observe().device)

    @law
    @given(universes(), universes())
    def test_drift(self, universe: Universe, other: Universe) -> None:
        """What somebody did to peers and link is repaired as a pass over everything would."""
        daemon = self.at_rest(universe)
        daemon.there = Machine(disturbed(daemon.there.observe(), other.observed))
        whole = daemon.there.copy()
        settle(daemon.inventory, whole, daemon.memory, MOST)
        daemon.rest(reads=True)
        self.assertEqual(daemon.there.observe(), whole.observe())


def disturbed(there: Observed, other: Observed) -> Observed:
    """Our machine with the peers that another one has, and its link narrower than it was."""
    links = dict(there.links)
    if SETTINGS.wg_dev in links:
        links[SETTINGS.wg_dev] = evolve(links[SETTINGS.wg_dev], mtu=1280)
    there = evolve(there, links=links)
    if there.device is None or other.device is None:
        return there
    return evolve(there, device=evolve(there.device, peers=other.device.peers))


def everything(daemon: Daemon) -> Plan:
    return plan(SETTINGS, daemon.inventory, daemon.there.observe(), daemon.memory, NOW)


def told(decided: Plan) -> tuple[object, ...]:
    """What people are told of a plan."""
    return (
        decided.quarantines,
        decided.held,
        decided.state,
        decided.own,
        dict(decided.names),
        decided.foreign_routes,
    )


class FullDaemon(Daemon):
    """The same, planning for everything in each pass."""

    def one_pass(self, reads: bool, now: Now = NOW) -> Plan:
        self.standing = None
        return super().one_pass(reads, now)


class TogetherLaw(SynchronousTestCase):
    """Two daemons to whose clusters and machines the same happens."""

    @law
    @given(universes(), st.lists(happenings, min_size=1, max_size=4))
    def test_whatever_happens(self, universe: Universe, happened: list[Happening]) -> None:
        """One that always looks at everything ends each time with the same, brake and all."""
        first = indexed(universe.inventory)
        scoped, full = (D(Machine(universe.observed), first) for D in (Daemon, FullDaemon))
        now = NOW
        for daemon in (scoped, full):
            daemon.rest(reads=True, now=now)
        for one in happened:
            now = Now(now.monotonic + one.after, now.wall + one.after)
            told_now = []
            for daemon in (scoped, full):
                one.to(daemon)
                told_now.append(told(daemon.rest(reads=one.reads, now=now)))
            self.assertEqual(device_of(scoped.there), device_of(full.there))
            self.assertEqual(scoped.there.observe(), full.there.observe())
            self.assertEqual(told_now[0], told_now[1])
            self.assertEqual(remembered(scoped.memory), remembered(full.memory))

    @law
    @given(
        universes(),
        st.lists(
            st.tuples(changes, moves, st.none() | st.sampled_from(KEYS)), min_size=1, max_size=4
        ),
    )
    def test_unread(self, universe: Universe, happened: list[Unread]) -> None:
        """What somebody did to peers while events were acted on unread is repaired by a reading."""
        daemon = Daemon(Machine(universe.observed), indexed(universe.inventory))
        daemon.rest(reads=True)
        for event, moved, lost in happened:
            observed = daemon.there.observe()
            for prefix, key in moved:
                observed = move(observed, prefix, key)
            if lost is not None and observed.device is not None and lost in observed.device.peers:
                kept = observed.device.peers.delete(lost)
                observed = evolve(observed, device=evolve(observed.device, peers=kept))
            daemon.there = Machine(observed)
            there = daemon.inventory.nodes
            daemon.take(
                **{n: evolve(e, name=n) if e else None for n, e in event.items() if e or n in there}
            )
            daemon.rest()
        whole = daemon.there.copy()
        settle(daemon.inventory, whole, daemon.memory, MOST)
        decided = daemon.rest(reads=True)
        self.assertEqual(daemon.there.observe(), whole.observe())
        self.assertEqual(told(decided), told(everything(daemon)))


class BuildsOnTests(SynchronousTestCase):
    """What else has to be as it was, or everything is planned."""

    def setUp(self) -> None:
        self.daemon = Daemon(Machine(working(PEER_B, PEER_C)), indexed(inventory(NODE_B, NODE_C)))
        self.daemon.rest(reads=True)

    def about(self, there: Observed) -> frozenset[str] | None:
        self.daemon.there.observed = there
        return self.daemon.one_pass(reads=True).about

    def test_nothing_else(self) -> None:
        """With nothing changed our own Node alone is looked at."""
        self.assertEqual(self.about(self.daemon.there.observed), {"a"})

    def test_the_way_to_the_peers(self) -> None:
        """Another MTU of ours, or of a way to peers, is a matter of all peers."""
        there = self.daemon.there.observed
        for name, mtu in (("wg0", 1300), ("eth0", 1400)):
            changed = with_link(there, evolve(there.links[name], mtu=mtu))
            self.assertIsNone(self.about(changed), name)

    def test_a_narrow_default_route(self) -> None:
        """Where no peer is looked at, the default route says nothing of the way to the others."""
        there = with_link(self.daemon.there.observed, Link(7, "wwan0", mtu=1400, up=True))
        kept = frozenset(r for r in there.routes if r.destination != net("0.0.0.0/0"))
        there = with_routes(evolve(there, routes=kept), Route(net("0.0.0.0/0"), "wwan0"))
        self.daemon.there.observed = there
        self.daemon.rest(reads=True)
        decided = self.daemon.one_pass(reads=False)
        self.assertEqual((decided.about, decided.changes), ({"a"}, ()))

    def test_the_peer_with_the_narrowest_way_goes(self) -> None:
        """Its going is no matter of the others; the next reading gives the MTU back to them."""
        there = with_link(self.daemon.there.observed, Link(7, "ppp0", mtu=1400, up=True))
        self.daemon.there.observed = with_routes(there, Route(net("10.0.0.3/32"), "ppp0"))
        self.daemon.rest(reads=True)
        self.assertEqual(self.daemon.there.observed.links["wg0"].mtu, 1320)
        self.daemon.take(c=None)
        self.daemon.rest()
        self.daemon.rest(reads=True)
        self.assertEqual(self.daemon.there.observed.links["wg0"].mtu, 1420)
        self.assertEqual(self.daemon.one_pass(reads=True).about, {"a"})

    def test_a_pod_of_ours(self) -> None:
        """A pod that starts on this node is none."""
        there = with_link(self.daemon.there.observed, Link(9, "cali1", mtu=1400, up=True))
        route = Route(net("10.244.1.7/32"), "cali1")
        self.assertEqual(self.about(with_routes(there, route)), {"a"})

    def test_a_route_past_the_tunnel(self) -> None:
        """A foreign route inside our networks concerns whoever has those addresses."""
        there = with_routes(self.daemon.there.observed, Route(net("10.244.2.0/25"), "eth0"))
        self.assertIsNone(self.about(there))
        self.assertEqual(len(self.daemon.rest().foreign_routes), 1)

    def test_a_node_behind_a_foreign_route(self) -> None:
        """A Node that comes where such a route is already is named with it at once."""
        there = with_routes(self.daemon.there.observed, Route(net("10.244.4.0/24"), "eth0"))
        self.daemon.there.observed = there
        self.assertEqual(self.daemon.rest(reads=True).foreign_routes, ())
        self.daemon.take(d=node("d", "10.0.0.4", D, "100.64.0.4", "10.244.4.0/24"))
        named = [f.reason for f in self.daemon.rest().foreign_routes]
        self.assertEqual(named, ["takes traffic for 10.244.4.0/24 of d"])


class ScopeTests(SynchronousTestCase):
    def test_a_node_that_claims_everything(self) -> None:
        """It makes the change of another Node no matter of all Nodes."""
        greedy = node("x", "10.0.0.9", E, pods="10.244.0.0/16", day=2)
        others = [
            node(f"n{n}", f"10.0.1.{n}", PublicKey(bytes([100 + n]) * 32), pods=f"10.244.{n}.0/24")
            for n in range(20, 60)
        ]
        daemon = Daemon(Machine(working()), indexed(inventory(*others, greedy)))
        daemon.rest(reads=True)
        daemon.take(b=NODE_B)
        decided = daemon.rest()
        self.assertEqual(
            reasons(decided),
            {"x podCIDR 10.244.0.0/16": "a holds 10.244.1.0/24, which overlaps it"},
        )
        about = [names for names in daemon.about if names and "b" in names]
        self.assertTrue(about)
        self.assertLess(max(map(len, about)), 6)
