"""Where a peer is dialled, and when WireGuard's own idea of it is overruled."""

from attrs import evolve
from immutables import Map
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import MoveEndpoint
from overlayd.model.machine import Peer
from overlayd.model.node import Claim, Node
from overlayd.plan.result import Memory, Now
from tests.pure.cluster import (
    NODE_B,
    NOW,
    PEER_B,
    WALL,
    B,
    endpoint,
    inventory,
    node,
    planned,
    reasons,
    working,
)

CONFIGURED = endpoint("10.0.0.2:51820")
ROAMED = endpoint("10.9.9.9:1234")


def moved(peer: Peer, n: Node = NODE_B, memory: Memory | None = None, now: Now = NOW) -> list[str]:
    """Where the plan dials the peer anew."""
    changes = planned(working(peer), inventory(n), memory, now).changes
    return [str(c.endpoint) for c in changes if isinstance(c, MoveEndpoint)]


class ConfiguredEndpoint(SynchronousTestCase):
    def new_peer(self, n: Node) -> str | None:
        (change,) = planned(working(), inventory(n)).changes
        found = getattr(change, "endpoint", None)
        return None if found is None else str(found)

    def test_what_the_node_announces(self) -> None:
        """The annotation is dialled; without one the InternalIP at wg-overlay's port."""
        self.assertEqual(self.new_peer(NODE_B), "10.0.0.2:51820")
        announced = evolve(NODE_B, endpoint=endpoint("192.0.2.7:4000"))
        self.assertEqual(self.new_peer(announced), "192.0.2.7:4000")
        self.assertEqual(self.new_peer(evolve(NODE_B, address=None)), None)

    def test_an_unreadable_one_is_not_guessed(self) -> None:
        """An annotation that cannot be read is not replaced by the InternalIP."""
        broken = node("b", "10.0.0.2", B, unreadable=[Claim.ENDPOINT])
        self.assertEqual(self.new_peer(broken), None)

    def test_one_inside_our_networks_is_left_out(self) -> None:
        """It would be dialled through the tunnel itself: it costs the endpoint, with a reason."""
        for inside, network in (("10.244.7.7:51820", "10.244.0.0/16"), ("100.64.0.2:1", "100.64")):
            n = evolve(NODE_B, endpoint=endpoint(inside))
            self.assertEqual(self.new_peer(n), None)
            reason = reasons(planned(working(), inventory(n)))[f"b endpoint {inside}"]
            self.assertIn(network, reason)

    def test_an_internal_ip_inside_our_networks_is_left_out(self) -> None:
        """The same holds for the InternalIP where that is what would be dialled."""
        n = node("b", "10.244.7.7", B)
        self.assertIn("b endpoint 10.244.7.7:51820", reasons(planned(working(), inventory(n))))

    def test_one_that_works_stays(self) -> None:
        """A bad or unreadable endpoint takes none away that the device has."""
        bad = evolve(NODE_B, endpoint=endpoint("10.244.7.7:51820"))
        unreadable = evolve(node("b", unreadable=[Claim.ENDPOINT], key=B))
        for n in (bad, unreadable):
            self.assertEqual(moved(evolve(PEER_B, endpoint=ROAMED), n), [])


class Roaming(SynchronousTestCase):
    """An endpoint that WireGuard learned is kept while it works."""

    def setUp(self) -> None:
        self.roamed = evolve(
            PEER_B, endpoint=ROAMED, last_handshake=WALL - 1000, sent=500, received=100
        )
        self.before = Memory(
            endpoints=Map({B: CONFIGURED}), before=Map({B: Peer(B, sent=400, received=100)})
        )

    def test_a_missing_one_is_set(self) -> None:
        """A peer without an endpoint gets the configured one at once."""
        self.assertEqual(moved(evolve(PEER_B, endpoint=None)), ["10.0.0.2:51820"])

    def test_the_same_one_is_left_alone(self) -> None:
        """The IPv6 form of an IPv4 address is the same endpoint."""
        self.assertEqual(moved(PEER_B), [])
        mapped = evolve(PEER_B, endpoint=endpoint("[::ffff:10.0.0.2]:51820"))
        self.assertEqual(moved(mapped, memory=self.before), [])

    def test_given_up_when_nothing_comes_back(self) -> None:
        """An old session, bytes sent since the last reading, none received: the configured one."""
        self.assertEqual(moved(self.roamed, memory=self.before), ["10.0.0.2:51820"])
        never = evolve(self.roamed, last_handshake=None)
        self.assertEqual(moved(never, memory=self.before), ["10.0.0.2:51820"])

    def test_kept_otherwise(self) -> None:
        """A young session, silence, an answer, or no reading before: it is kept."""
        young = evolve(self.roamed, last_handshake=WALL - 179)
        silent = evolve(self.roamed, sent=400)
        answered = evolve(self.roamed, received=101)
        for peer in (young, silent, answered):
            self.assertEqual(moved(peer, memory=self.before), [])
        self.assertEqual(moved(self.roamed, memory=Memory()), [])

    def test_a_device_made_anew_counts_from_zero(self) -> None:
        """Counters that fell belong to another device; what it sent in vain counts."""
        again = evolve(self.roamed, sent=148, received=0)
        self.assertEqual(moved(again, memory=self.before), ["10.0.0.2:51820"])

    def test_a_clock_set_back_keeps_no_dead_endpoint(self) -> None:
        """A handshake an hour in the future is not young, one a little ahead is."""
        ahead = evolve(self.roamed, last_handshake=WALL + 3600)
        self.assertEqual(moved(ahead, memory=self.before), ["10.0.0.2:51820"])
        slightly = evolve(self.roamed, last_handshake=WALL + 2)
        self.assertEqual(moved(slightly, memory=self.before), [])

    def test_a_change_while_we_run_is_set_at_once(self) -> None:
        """A Node that announces another endpoint is dialled there, however young the session."""
        young = evolve(self.roamed, last_handshake=WALL - 1)
        n = evolve(NODE_B, endpoint=endpoint("10.0.0.77:51820"))
        self.assertEqual(moved(young, n, self.before), ["10.0.0.77:51820"])

    def test_set_once(self) -> None:
        """After the change was set, the peer may roam again."""
        n = evolve(NODE_B, endpoint=endpoint("10.0.0.77:51820"))
        young = evolve(self.roamed, last_handshake=WALL - 1)
        memory = planned(working(young), inventory(n), self.before).memory
        self.assertEqual(moved(young, n, memory), [])

    def test_a_change_is_seen_across_an_unreadable_time(self) -> None:
        """The last configured endpoint is remembered while there is none to be read."""
        young = evolve(self.roamed, last_handshake=WALL - 1)
        broken = node("b", key=B, unreadable=[Claim.ENDPOINT])
        memory = planned(working(young), inventory(broken), self.before).memory
        n = evolve(NODE_B, endpoint=endpoint("10.0.0.77:51820"))
        self.assertEqual(moved(young, n, memory), ["10.0.0.77:51820"])
