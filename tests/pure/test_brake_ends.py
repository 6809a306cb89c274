"""When what the brake holds goes: confirmed by the operator, or by time."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import RemovePeer
from overlayd.plan.result import Now
from tests.pure.cluster import (
    NODE_B,
    inventory,
    node,
    planned,
    working,
)
from tests.pure.crowds import at, crowd, gone, key, staying


class ConfirmedTests(SynchronousTestCase):
    """What the operator let go."""

    def setUp(self) -> None:
        self.there = working(*crowd(5))
        before = planned(self.there, inventory(), None, at(1000))
        self.assertEqual(len(before.held), 5)
        self.memory = evolve(before.memory, confirmed=frozenset({key(0), key(1)}))

    def test_it_goes(self) -> None:
        """A confirmed peer goes with the next pass and says why; the others stay held."""
        decided = planned(self.there, inventory(), self.memory, at(1001))
        self.assertEqual(gone(decided), {key(0), key(1)})
        self.assertEqual({h.key for h in decided.held}, {key(2), key(3), key(4)})
        reasons = {c.why for c in decided.changes if isinstance(c, RemovePeer)}
        self.assertEqual(reasons, {"no Node announces its key; it was held until confirmed"})

    def test_a_removal_that_fails_is_tried_again(self) -> None:
        """A confirmed peer that is still there is not held anew."""
        memory = planned(self.there, inventory(), self.memory, at(1001)).memory
        self.assertEqual(gone(planned(self.there, inventory(), memory, at(1002))), {key(0), key(1)})

    def test_forgotten_once_gone(self) -> None:
        """Once it is gone, a peer of that key is like any other."""
        memory = planned(self.there, inventory(), self.memory, at(1001)).memory
        there = working(*crowd(5)[2:])
        memory = planned(there, inventory(), memory, at(1002)).memory
        self.assertEqual((memory.confirmed, len(memory.held)), (frozenset(), 3))
        self.assertEqual(gone(planned(self.there, inventory(), memory, at(1003))), set())

    def test_forgotten_once_wanted_again(self) -> None:
        """A Node that comes back takes its confirmation with it: the next time it is held."""
        back = [node(f"r{n}", f"10.0.9.{n}", key(n), f"100.64.9.{n}") for n in range(2)]
        decided = planned(self.there, inventory(*back), self.memory, at(1001))
        self.assertEqual((gone(decided), decided.memory.confirmed), (set(), frozenset()))
        again = planned(self.there, inventory(), decided.memory, at(1002))
        self.assertEqual((gone(again), len(again.held)), (set(), 5))

    def test_it_counts_as_gone(self) -> None:
        """What went by confirmation is among those of the last minute: the next one waits."""
        memory = planned(self.there, inventory(), self.memory, at(1001)).memory
        peers, nodes = staying(6)
        there = working(*crowd(5)[2:], *peers)
        decided = planned(there, inventory(*nodes[:5]), memory, at(1030))
        self.assertEqual((gone(decided), len(decided.held)), (set(), 4))

    def test_without_our_node_nothing_goes(self) -> None:
        """Whatever is confirmed; it goes once our Node is back."""
        missing = evolve(inventory(NODE_B), nodes={"b": NODE_B})
        decided = planned(self.there, missing, self.memory, at(1001))
        self.assertEqual((gone(decided), len(decided.held)), (set(), 5))
        back = planned(self.there, inventory(), decided.memory, at(1002))
        self.assertEqual(gone(back), {key(0), key(1)})

    def test_without_an_inventory_it_is_kept(self) -> None:
        """The operator's word outlives a time without an inventory, for peers that are there."""
        decided = planned(working(*crowd(5)[1:]), None, self.memory, at(1001))
        self.assertEqual(decided.memory.confirmed, {key(1)})

    def test_what_was_held_is_in_the_memory_of_its_end(self) -> None:
        """A removal that was held can be told from others, also as it goes."""
        decided = planned(self.there, inventory(), self.memory, at(1001))
        self.assertEqual(gone(decided) & decided.memory.held.keys(), {key(0), key(1)})


class UntilTests(SynchronousTestCase):
    def test_the_end_by_the_wall_clock(self) -> None:
        """The end of the hold is told as a time of day; it is counted by the monotonic clock."""
        first = planned(working(*crowd(4)), inventory(), None, Now(1000.0, 0.0))
        self.assertEqual({h.until for h in first.held}, {"1970-01-01T00:05:00.000Z"})
        later = planned(working(*crowd(4)), inventory(), first.memory, Now(1060.0, 7200.0))
        self.assertEqual({h.until for h in later.held}, {"1970-01-01T02:04:00.000Z"})

    def test_in_the_order_of_their_end(self) -> None:
        """Those that go first come first; those of one moment by the names of their Nodes."""
        peers, nodes = staying(5)
        before = planned(working(*peers), inventory(*nodes))
        first = planned(working(*peers), inventory(nodes[2]), before.memory, at(1000))
        then = planned(working(*peers), inventory(), first.memory, at(1001))
        self.assertEqual([h.node for h in then.held], ["s0", "s1", "s3", "s4", "s2"])

    def test_no_end(self) -> None:
        """While nothing goes at all, there is no end to be told."""
        missing = evolve(inventory(NODE_B), nodes={"b": NODE_B})
        self.assertEqual({h.until for h in planned(working(*crowd(4)), missing).held}, {None})
