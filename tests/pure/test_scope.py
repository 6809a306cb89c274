"""What makes a pass look at everything, and what it looks at otherwise."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Link, Observed, Route
from tests.pure.cluster import (
    NODE_B,
    NODE_C,
    PEER_B,
    PEER_C,
    C,
    D,
    E,
    inventory,
    net,
    nets,
    node,
    reasons,
    with_link,
    with_routes,
    working,
)
from tests.pure.daemon import Daemon
from tests.pure.machine_in_memory import Machine


class BuildsOnTests(SynchronousTestCase):
    """What else has to be as it was, or everything is planned."""

    def setUp(self) -> None:
        self.daemon = Daemon(Machine(working(PEER_B, PEER_C)), inventory(NODE_B, NODE_C))
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
    def test_a_newcomer_and_the_holder(self) -> None:
        """Who has what a newcomer claims is looked at with it, and keeps it."""
        for overlay, pods in (("100.64.0.4", "10.244.3.0/25"), ("100.64.0.3", "10.244.4.0/24")):
            daemon = Daemon(Machine(working(PEER_B, PEER_C)), inventory(NODE_B, NODE_C))
            daemon.rest(reads=True)
            daemon.take(d=node("d", "10.0.0.4", D, overlay, pods, day=2))
            decided = daemon.one_pass(reads=False)
            self.assertEqual(decided.about, {"a", "c", "d"})
            self.assertEqual([q.node for q in decided.quarantines], ["d"])
            held = daemon.peer(C)
            assert held is not None
            self.assertEqual(held.allowed_ips, PEER_C.allowed_ips)

    def test_a_claim_that_becomes_free(self) -> None:
        """Who went without it is looked at when its holder changes, and gets it."""
        late = node("d", "10.0.0.4", D, "100.64.0.4", "10.244.3.0/24", day=2)
        daemon = Daemon(Machine(working(PEER_B, PEER_C)), inventory(NODE_B, NODE_C, late))
        self.assertEqual([q.node for q in daemon.rest(reads=True).quarantines], ["d"])
        daemon.take(c=evolve(NODE_C, pod_cidrs=()))
        self.assertEqual(daemon.rest().quarantines, ())
        given = daemon.peer(D)
        assert given is not None
        self.assertEqual(given.allowed_ips, nets("100.64.0.4 10.244.3.0/24"))

    def test_a_node_that_claims_everything(self) -> None:
        """It makes the change of another Node no matter of all Nodes."""
        greedy = node("x", "10.0.0.9", E, pods="10.244.0.0/16", day=2)
        others = [
            node(f"n{n}", f"10.0.1.{n}", PublicKey(bytes([100 + n]) * 32), pods=f"10.244.{n}.0/24")
            for n in range(20, 60)
        ]
        daemon = Daemon(Machine(working()), inventory(*others, greedy))
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
