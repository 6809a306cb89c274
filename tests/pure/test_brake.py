"""When many peers would go at once, they are held."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import DropPresharedKey, GrantPeer, RemovePeer, TrimPeer
from overlayd.model.machine import Peer
from overlayd.model.node import Claim, Node
from overlayd.model.status import StateName
from overlayd.plan.result import Memory, Now, Plan
from tests.pure.cluster import (
    NODE_B,
    PEER_B,
    WALL,
    D,
    endpoint,
    inventory,
    net,
    node,
    peer,
    planned,
    working,
)
from tests.pure.crowds import at, crowd, gone, key, staying
from tests.pure.machine_in_memory import OUR_KEY


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

    def test_a_wall_clock_that_jumps(self) -> None:
        """The brake neither ends nor lasts longer for it: it goes by the clock that cannot jump."""
        for jump in (-3600.0, 86400.0):
            first = self.decide(crowd(4), 9)
            jumped = Now(1299.0, WALL + 1299.0 + jump)
            (remaining,) = {
                h.remaining for h in self.decide(crowd(4), 9, first.memory, jumped).held
            }
            self.assertEqual(remaining, 1.0)
            after = self.decide(crowd(4), 9, first.memory, evolve(jumped, monotonic=1301.0))
            self.assertEqual(len(gone(after)), 4)

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

    def test_a_held_peer_keeps_no_preshared_key(self) -> None:
        """With one it would be held dead."""
        first, *others = crowd(4)
        decided = planned(working(evolve(first, preshared=True), *others), inventory())
        self.assertEqual([c.key for c in decided.held], [p.key for p in (first, *others)])
        self.assertEqual([type(c) for c in decided.changes], [DropPresharedKey])

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
        self.assertEqual((gone(later), [h.remaining for h in later.held]), (set(), [300.0]))

    def test_our_node_is_back_before_the_others(self) -> None:
        """However long it was missing, the peers then have five minutes to be announced again."""
        peers, _ = staying(2)
        memory = Memory()
        for seconds in (1000, 5000):
            lost = evolve(inventory(), nodes={})
            memory = planned(working(*peers), lost, memory, at(seconds)).memory
        back = planned(working(*peers), inventory(), memory, at(5001))
        self.assertEqual((gone(back), [h.remaining for h in back.held]), (set(), [299.0, 299.0]))
        over = planned(working(*peers), inventory(), back.memory, at(5300))
        self.assertEqual(len(gone(over)), 2)

    def test_a_peer_that_goes_has_its_nodes_name(self) -> None:
        """The Node is named that was behind the peer while it was there."""
        peers, nodes = staying(2)
        before = planned(working(*peers), inventory(*nodes))
        after = planned(working(*peers), inventory(nodes[0]), before.memory, at(100.0))
        self.assertEqual(
            [c.node for c in after.changes if isinstance(c, RemovePeer)], [nodes[1].name]
        )


class WhatWouldGo(SynchronousTestCase):
    """Which peers the brake counts: those that nothing replaces."""

    def held(self, *nodes: Node, memory: Memory | None = None) -> tuple[int, int]:
        """How many of five peers are held and how many go, when their Nodes are these."""
        peers, _ = staying(5)
        decided = planned(working(*peers), inventory(*nodes), memory, at(1000))
        return len(decided.held), len(gone(decided))

    def test_by_what_became_of_the_nodes(self) -> None:
        """A new key replaces a peer at once. No key, or none that is its own, lets it go."""
        nodes = staying(5)[1]
        others = [node(f"o{n}", f"10.0.8.{n}", key(n), f"100.64.8.{n}") for n in range(5)]
        stolen = [evolve(n, key=key(i), created="2025") for i, n in enumerate(nodes)]
        for what, cluster, held_and_gone in (
            ("deleted", [], (5, 0)),
            ("another key", [evolve(n, key=key(i)) for i, n in enumerate(nodes)], (0, 5)),
            (
                "annotations wiped",
                [evolve(n, key=None, overlay_addresses=()) for n in nodes],
                (5, 0),
            ),
            ("key wiped", [evolve(n, key=None) for n in nodes], (5, 0)),
            ("our own key", [evolve(n, key=OUR_KEY.public()) for n in nodes], (5, 0)),
            ("the key of others", [*stolen, *others], (5, 0)),
            ("another key at another address", _elsewhere(nodes), (5, 0)),
            ("four deleted, another key", [evolve(n, key=key(9)) for n in nodes[:1]], (4, 1)),
            (
                "a key cannot be read",
                [node(n.name, str(n.address), unreadable=[Claim.KEY]) for n in nodes],
                (0, 0),
            ),
        ):
            self.assertEqual(self.held(*cluster), held_and_gone, what)

    def test_a_held_peer_whose_node_comes_back_with_another_key(self) -> None:
        """It is replaced, so it goes at once, and only what has no Node stays held."""
        peers, nodes = staying(5)
        memory = planned(working(*peers), inventory(), None, at(990)).memory
        self.assertEqual(len(memory.held), 5)
        self.assertEqual(self.held(evolve(nodes[0], key=key(0)), memory=memory), (4, 1))

    def test_replaced_peers_do_not_count_later(self) -> None:
        """Nor are they among those that went within the last minute."""
        peers, nodes = staying(9)
        rotated = [evolve(n, key=key(i)) for i, n in enumerate(nodes)]
        first = planned(working(*peers), inventory(*rotated), None, at(1000))
        now = [evolve(p, key=key(i)) for i, p in enumerate(peers)]
        then = planned(working(*now), inventory(*rotated[3:]), first.memory, at(1001))
        self.assertEqual((len(gone(then)), then.held), (3, ()))

    def test_a_new_key_waits_for_our_own_node(self) -> None:
        """Without our own Node not even a replaced peer goes."""
        peers, nodes = staying(1)
        others = evolve(inventory(), nodes={"s0": evolve(nodes[0], key=key(0))})
        decided = planned(working(*peers), others)
        self.assertEqual((gone(decided), len(decided.held)), (set(), 1))


def _elsewhere(nodes: list[Node]) -> list[Node]:
    """The Nodes with other addresses and other keys: nothing tells which peers were theirs."""
    return [node(n.name, f"10.0.8.{i}", key(i), f"100.64.8.{i}") for i, n in enumerate(nodes)]
