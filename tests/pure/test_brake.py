"""When many peers would go at once, they are held."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import GrantPeer, RemovePeer, TrimPeer
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Peer
from overlayd.model.node import Node
from overlayd.model.status import StateName
from overlayd.plan.result import Memory, Now, Plan
from tests.pure.cluster import (
    NODE_B,
    PEER_B,
    WALL,
    B,
    D,
    endpoint,
    inventory,
    net,
    node,
    peer,
    planned,
    working,
)


def key(number: int) -> PublicKey:
    return PublicKey(bytes([100 + number]) * 32)


def crowd(count: int) -> list[Peer]:
    """Peers whose Nodes are gone."""
    return [peer(key(n), f"100.64.9.{n} 10.244.{100 + n}.0/24") for n in range(count)]


def staying(count: int) -> tuple[list[Peer], list[Node]]:
    """Peers, and the Nodes that they belong to."""
    peers, nodes = [], []
    for n in range(count):
        k, ip = PublicKey(bytes([200 + n]) * 32), f"10.0.7.{n}"
        nodes.append(node(f"s{n}", ip, k, f"100.64.7.{n}"))
        peers.append(peer(k, f"100.64.7.{n}", f"{ip}:51820"))
    return peers, nodes


def at(seconds: float) -> Now:
    return Now(seconds, WALL + seconds)


def gone(decided: Plan) -> set[PublicKey]:
    return {c.key for c in decided.changes if isinstance(c, RemovePeer)}


class BrakeTests(SynchronousTestCase):
    def decide(
        self, leaving: list[Peer], stay: int, memory: Memory | None = None, now: Now | None = None
    ) -> Plan:
        peers, nodes = staying(stay)
        cluster = inventory(*nodes)
        return planned(working(*leaving, *peers), cluster, memory, now or at(1000))

    def test_three_may_always_go(self) -> None:
        """Up to three peers go at once, even if they are all there are."""
        decided = self.decide(crowd(3), 0)
        self.assertEqual(gone(decided), {key(0), key(1), key(2)})
        self.assertEqual(decided.held, ())

    def test_more_than_a_third_is_held(self) -> None:
        """More than three and more than 30 % of the peers are held, every one of them."""
        decided = self.decide(crowd(4), 9)
        self.assertEqual(gone(decided), set())
        self.assertEqual({h.key for h in decided.held}, {key(n) for n in range(4)})
        self.assertEqual({h.remaining for h in decided.held}, {300.0})

    def test_thirty_per_cent_may_go(self) -> None:
        """Exactly 30 % are not more than 30 %: six of twenty go."""
        self.assertEqual(len(gone(self.decide(crowd(6), 14))), 6)
        self.assertEqual(len(gone(self.decide(crowd(6), 13))), 0)

    def test_counts_those_that_went_within_a_minute(self) -> None:
        """Whether they go together or one after the other is no matter."""
        first = self.decide(crowd(3), 5)
        self.assertEqual(len(gone(first)), 3)
        late = [peer(key(9), "100.64.9.9")]
        soon = self.decide(late, 5, first.memory, at(1059))
        self.assertEqual((len(gone(soon)), len(soon.held)), (0, 1))
        later = self.decide(late, 5, first.memory, at(1060))
        self.assertEqual((len(gone(later)), len(later.held)), (1, 0))

    def test_a_removal_that_is_tried_again_counts_once(self) -> None:
        """A peer that went and is still there is the same peer."""
        memory = self.decide(crowd(3), 0).memory
        self.assertEqual(len(gone(self.decide(crowd(3), 0, memory, at(1001)))), 3)

    def test_the_share_is_of_a_minute_ago(self) -> None:
        """A device that just grew, or shrank, is measured by what it was."""
        memory = Memory(populations=((900.0, 100), (930.0, 50), (990.0, 4)))
        self.assertEqual(len(gone(self.decide(crowd(5), 1, memory))), 5)
        memory = Memory(populations=((900.0, 100), (930.0, 4), (990.0, 100)))
        self.assertEqual(len(gone(self.decide(crowd(5), 30, memory))), 0)

    def test_populations_are_few(self) -> None:
        """Many passes in a minute leave a bounded memory, with a count that is a minute old."""
        memory = Memory()
        for n in range(1000):
            memory = self.decide([], 1, memory, at(1000 + n * 0.3)).memory
        self.assertLess(len(memory.populations), 64)
        self.assertGreaterEqual(1000 + 999 * 0.3 - memory.populations[0][0], 60)
        self.assertLess(1000 + 999 * 0.3 - memory.populations[1][0], 60)

    def test_held_for_five_minutes(self) -> None:
        """After 300 s they go, whatever the brake says, and are not held again."""
        memory = self.decide(crowd(8), 0).memory
        before = self.decide(crowd(8), 0, memory, at(1299))
        self.assertEqual((len(gone(before)), before.held[0].remaining), (0, 1.0))
        after = self.decide(crowd(8), 0, before.memory, at(1300))
        self.assertEqual((len(gone(after)), after.held), (8, ()))
        again = self.decide(crowd(8), 0, after.memory, at(1301))
        self.assertEqual((len(gone(again)), again.held), (8, ()), "a removal that failed")

    def test_stays_held_when_the_count_falls(self) -> None:
        """A held peer does not go because others came back; one that is desired is not held."""
        memory = self.decide(crowd(4), 2).memory
        returned = node("r", "10.0.9.3", key(3), "100.64.9.3", "10.244.103.0/24")
        there = working(*[evolve(p, endpoint=endpoint("10.0.9.3:51820")) for p in crowd(4)])
        decided = planned(there, inventory(returned), memory, at(1010))
        self.assertEqual({h.key for h in decided.held}, {key(0), key(1), key(2)})
        self.assertEqual(decided.changes, ())

    def test_a_held_peer_yields_its_prefixes(self) -> None:
        """A Node that claims a part of what a held peer has gets it; the peer keeps the rest."""
        peers = [*crowd(4), peer(D, "10.244.0.0/17 100.64.8.8")]
        decided = planned(working(*peers), inventory(NODE_B, node("z", "10.0.0.9")))
        granted = [c.prefixes for c in decided.changes if isinstance(c, GrantPeer)]
        self.assertEqual(granted, [PEER_B.allowed_ips])
        trimmed = [(c.key, c.prefixes) for c in decided.changes if isinstance(c, TrimPeer)]
        self.assertEqual(trimmed, [(D, frozenset({net("10.244.0.0/17")}))])

    def test_a_held_peer_yields_to_our_own_node(self) -> None:
        """What our own Node claims is taken from held peers too."""
        peers = [*crowd(4), peer(D, "10.244.1.0/25")]
        decided = planned(working(*peers), inventory())
        trimmed = [c.prefixes for c in decided.changes if isinstance(c, TrimPeer)]
        self.assertEqual(trimmed, [frozenset({net("10.244.1.0/25")})])

    def test_without_our_node_nothing_goes(self) -> None:
        """An inventory that lacks our own Node removes no peer, not even a single one."""
        others = evolve(inventory(NODE_B), nodes={"b": NODE_B})
        there = working(PEER_B, peer(D, "100.64.8.8"))
        decided = planned(there, others)
        assert decided.state is not None
        self.assertEqual(decided.state.name, StateName.NODE_MISSING)
        self.assertEqual((gone(decided), [h.key for h in decided.held]), (set(), [D]))
        later = planned(there, others, decided.memory, at(2000))
        self.assertEqual((gone(later), [h.remaining for h in later.held]), (set(), [0.0]))

    def test_a_new_key_is_a_removal_too(self) -> None:
        """When many Nodes change their keys at once, the old peers are held without a prefix."""
        peers, nodes = staying(5)
        rotated = [evolve(n, key=key(i)) for i, n in enumerate(nodes)]
        decided = planned(working(*peers), inventory(*rotated))
        self.assertEqual(len(decided.held), 5)
        self.assertEqual(decided.held[0].node[0], "s")
        self.assertEqual(sum(isinstance(c, GrantPeer) for c in decided.changes), 5)
        self.assertNotIn(B, decided.memory.held)

    def test_a_peer_that_goes_has_its_nodes_name(self) -> None:
        """The Node is named that was behind the peer while it was there."""
        peers, nodes = staying(2)
        before = planned(working(*peers), inventory(*nodes))
        after = planned(working(*peers), inventory(nodes[0]), before.memory, at(100.0))
        self.assertEqual(
            [c.node for c in after.changes if isinstance(c, RemovePeer)], [nodes[1].name]
        )
