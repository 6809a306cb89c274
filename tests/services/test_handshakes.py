"""Handshakes after our sessions died: with whom, when, and how many at a time."""

from collections.abc import Sequence

from attrs import evolve
from immutables import Map
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import BringUp, Change, GiveKey, Outcome, SetMtu, StartHandshake
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Device, Peer
from overlayd.model.node import Inventory
from overlayd.passes import PassResult
from overlayd.plan.result import Memory, Plan
from overlayd.services.handshakes import BATCH, PAUSE, Handshakes
from tests.bare_machine import BARE

INVENTORY = Inventory(nodes={}, changed=frozenset(), resource_version="1")


def key(number: int) -> PublicKey:
    return PublicKey(number.to_bytes(32, "big"))


def after(*changes: Change, names: int = 0, error: str | None = None) -> PassResult:
    """A pass that made `changes`, with so many Nodes behind peers."""
    named = Map({key(n): f"node{n}" for n in range(1, names + 1)})
    plan = Plan(changes, Memory(), names=named)
    outcomes = tuple(Outcome(change, error) for change in changes)
    return PassResult(INVENTORY, BARE, plan, outcomes, None, 0.0)


class HandshakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.batches: list[Sequence[StartHandshake]] = []
        self.answers: list[Deferred[list[Outcome]]] = []
        self.handshakes = Handshakes(self.clock, self.apply)
        self.handshakes.startService()

    def apply(self, changes: Sequence[StartHandshake]) -> Deferred[list[Outcome]]:
        self.batches.append(changes)
        self.answers.append(Deferred())
        return self.answers[-1]

    def started(self) -> list[str]:
        return [change.node for batch in self.batches for change in batch]

    def test_after_a_new_key_or_link(self) -> None:
        """A device that was given its key or brought up calls every peer."""
        for change in (GiveKey("lost"), BringUp("wg0", "down")):
            self.setUp()
            self.handshakes.after_pass(after(change, names=2))
            self.clock.advance(0)
            self.assertEqual(self.started(), ["node1", "node2"])

    def test_not_after_other_passes(self) -> None:
        """What costs no session, or was not made, starts nothing."""
        self.handshakes.after_pass(after(SetMtu("wg0", 1420, "x"), names=2))
        self.handshakes.after_pass(after(BringUp("wg0", "x"), names=2, error="no"))
        self.clock.advance(1)
        self.assertEqual(self.batches, [])

    def test_peers_that_come_with_the_inventory(self) -> None:
        """A device made before the first inventory calls the peers that the inventory brings."""
        self.handshakes.after_pass(evolve(after(GiveKey("new")), inventory=None))
        self.handshakes.after_pass(after(names=2))
        self.clock.advance(0)
        self.assertEqual(self.started(), ["node1", "node2"])
        self.answers[0].callback([])
        self.handshakes.after_pass(after(names=2))
        self.clock.advance(1)
        self.assertEqual(len(self.batches), 1)

    def test_small_batches_one_after_the_other(self) -> None:
        """A batch waits for the one before it, and then for as long as that took."""
        self.handshakes.after_pass(after(GiveKey("new"), names=2 * BATCH))
        self.clock.advance(0)
        self.clock.advance(3)
        self.assertEqual([len(b) for b in self.batches], [BATCH])
        self.answers[0].callback([])
        self.clock.advance(3 - PAUSE)
        self.assertEqual(len(self.batches), 1)
        self.clock.advance(PAUSE)
        self.assertEqual([len(b) for b in self.batches], [BATCH, BATCH])

    def test_keepalive_is_kept(self) -> None:
        """A peer's keepalive ends as it was."""
        device = Device(None, 0, {key(1): Peer(key(1), keepalive=7)})
        result = after(BringUp("wg0", "down"), names=1)
        result = evolve(result, observed=evolve(BARE, device=device))
        self.handshakes.after_pass(result)
        self.clock.advance(0)
        self.assertEqual(self.batches[0][0].keepalive, 7)

    def test_a_failure_does_not_end_it(self) -> None:
        """One batch that fails is logged; later passes start handshakes again."""
        self.handshakes.after_pass(after(GiveKey("new"), names=1))
        self.clock.advance(0)
        self.answers[0].errback(RuntimeError("oops"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.handshakes.after_pass(after(GiveKey("new"), names=1))
        self.clock.advance(0)
        self.assertEqual(len(self.batches), 2)

    def test_stop(self) -> None:
        """A stopped queue leaves no timer, also when an answer or a pass comes late."""
        self.handshakes.after_pass(after(GiveKey("new"), names=3 * BATCH))
        self.clock.advance(0)
        self.handshakes.stopService()
        self.answers[0].callback([])
        self.handshakes.after_pass(after(GiveKey("new"), names=1))
        self.assertEqual(self.clock.getDelayedCalls(), [])
