"""What failed is not remembered as done."""

from attrs import evolve
from immutables import Map
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import MoveEndpoint, Outcome
from overlayd.plan.result import Memory, Now, Plan
from overlayd.plan.undone import without_undone
from tests.pure.cluster import (
    NODE_B,
    NODE_C,
    OLD,
    PEER_B,
    PEER_C,
    WALL,
    B,
    C,
    endpoint,
    inventory,
    peer,
    planned,
    working,
)
from tests.pure.crowds import at, crowd, staying

ELSEWHERE = endpoint("10.0.0.77:51820")
MOVED = evolve(NODE_B, endpoint=ELSEWHERE)
ROAMED = evolve(
    PEER_B, endpoint=endpoint("10.9.9.9:1234"), sent=500, received=100, last_handshake=WALL - 200
)
SENT_IN_VAIN = Memory(
    endpoints=Map({B: endpoint("10.0.0.2:51820")}), before=Map({B: evolve(ROAMED, sent=400)})
)


def refused(decided: Plan, before: Memory) -> Memory:
    """What is remembered when all changes failed."""
    outcomes = [Outcome(change, "no tunnel answers") for change in decided.changes]
    return without_undone(decided.memory, before, outcomes)


class EndpointTests(SynchronousTestCase):
    """A peer that could not be dialled anew, for each reason to do so."""

    def test_another_announced(self) -> None:
        """An endpoint that was announced while we run is set by the next pass, if not by this."""
        young = evolve(PEER_B, last_handshake=WALL - 1)
        memory = planned(working(young), inventory(NODE_B)).memory
        decided = planned(working(young), inventory(MOVED), memory)
        again = planned(working(young), inventory(MOVED), refused(decided, memory))
        self.assertEqual([type(c) for c in again.changes], [MoveEndpoint])
        self.assertEqual(again.changes, decided.changes)

    def test_a_dead_one(self) -> None:
        """A dead endpoint is given up by the next pass too, though nothing was sent since."""
        decided = planned(working(ROAMED), inventory(NODE_B), SENT_IN_VAIN)
        self.assertEqual([type(c) for c in decided.changes], [MoveEndpoint])
        memory = refused(decided, SENT_IN_VAIN)
        self.assertEqual(
            planned(working(ROAMED), inventory(NODE_B), memory).changes, decided.changes
        )

    def test_one_that_answers_meanwhile(self) -> None:
        """A peer that answers after the failure is left alone."""
        decided = planned(working(ROAMED), inventory(NODE_B), SENT_IN_VAIN)
        memory = refused(decided, SENT_IN_VAIN)
        answered = evolve(ROAMED, received=200)
        self.assertEqual(planned(working(answered), inventory(NODE_B), memory).changes, ())

    def test_none_before(self) -> None:
        """Where nothing was known of a peer, a failure leaves nothing known."""
        bare = evolve(PEER_B, endpoint=None)
        decided = planned(working(bare), inventory(NODE_B))
        self.assertEqual(dict(refused(decided, Memory()).endpoints), {})

    def test_others_are_remembered(self) -> None:
        """What was made is remembered as made, beside what was not."""
        other = evolve(NODE_C, endpoint=endpoint("10.0.0.78:51820"))
        memory = planned(working(PEER_B, PEER_C), inventory(NODE_B, NODE_C)).memory
        decided = planned(working(PEER_B, PEER_C), inventory(MOVED, other), memory)
        outcomes = [Outcome(c, "no" if str(ELSEWHERE) in str(c) else None) for c in decided.changes]
        kept = without_undone(decided.memory, memory, outcomes)
        self.assertEqual(dict(kept.endpoints), {B: PEER_B.endpoint, C: other.endpoint})


class RemovalTests(SynchronousTestCase):
    """Peers that could not be removed."""

    def test_they_did_not_depart(self) -> None:
        """Who did not go does not count among those that went; who went before does."""
        gone = Memory(departed={B: 990.0})
        decided = planned(working(peer(OLD)), inventory(), gone, at(1000))
        self.assertEqual(set(decided.memory.departed), {B, OLD})
        self.assertEqual(refused(decided, gone).departed, {B: 990.0})

    def test_they_come_back(self) -> None:
        """Three that stayed by a failure and are wanted again do not hold the next that goes."""
        peers, nodes = staying(5)
        leaving = crowd(1)
        all_gone = planned(working(*peers), inventory(*nodes[3:]), None, at(1000))
        self.assertEqual(len(all_gone.changes), 3)
        for memory, held in (
            (all_gone.memory, 1),
            (refused(all_gone, Memory()), 0),
        ):
            decided = planned(working(*peers, *leaving), inventory(*nodes), memory, at(1001))
            self.assertEqual(len(decided.held), held)

    def test_it_is_tried_again(self) -> None:
        """A removal that failed is made by the next pass, and is not held instead."""
        decided = planned(working(*crowd(3)), inventory(), None, at(1000))
        memory = refused(decided, Memory())
        again = planned(working(*crowd(3)), inventory(), memory, Now(1001, WALL))
        self.assertEqual(again.changes, decided.changes)

    def test_one_whose_time_was_over(self) -> None:
        """A held peer that should have gone is not held a second time."""
        peers = crowd(5)
        memory = planned(working(*peers), inventory(), None, at(1000)).memory
        over = planned(working(*peers), inventory(), memory, at(1300))
        self.assertEqual(len(over.changes), 5)
        again = planned(working(*peers), inventory(), refused(over, memory), at(1301))
        self.assertEqual((len(again.changes), again.held), (5, ()))
