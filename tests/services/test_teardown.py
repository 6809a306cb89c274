"""Taking a node down through the daemon: in which order, and what goes on where it is refused."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.own_node import Withdrawn, withdraw_annotations
from overlayd.kube.transport.api import Answer
from overlayd.model.changes import Outcome, RemoveLink
from overlayd.model.errors import NetworkError, Stopping, Unreachable
from overlayd.model.keys import PublicKey
from overlayd.model.node import Inventory, Node
from overlayd.model.settings import Settings
from overlayd.model.status import PassReport, State, StateName
from overlayd.model.teardown import TeardownReport
from overlayd.passes import PassResult
from overlayd.plan.result import Memory, Plan
from overlayd.services.announcer import Announcer
from overlayd.services.manager import PeerManager
from overlayd.services.teardown import WITHDRAWAL_LIMIT, Teardown
from overlayd.teardown import TakenDown
from tests.bare_machine import BARE
from tests.services.scripted import ScriptedCase, Whole, client

KEY = PublicKey(b"k" * 32)
ANNOTATED = {"wireguard-publickey": str(KEY), "wireguard-ip": "100.64.0.1"}
ENDPOINT = {"overlayd/endpoint": "192.0.2.1:51820"}
WANTED = {"wireguard-publickey": "key"}
REMOVED = Outcome(RemoveLink("wg0", "teardown"))
STUCK = Outcome(RemoveLink("wg0", "teardown"), "not supported")
DONE = TakenDown((REMOVED,), (), True)


class TeardownTests(SynchronousTestCase):
    """The real services, with an API server and a machine that answer as a test says."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[tuple[PublicKey | None, float]] = []
        self.answer: Deferred[Withdrawn] = succeed(Withdrawn(("wireguard-publickey",)))
        self.machine: list[Deferred[TakenDown]] = []
        self.writes: list[Any] = []
        self.passes: list[Deferred[PassResult]] = []
        self.reports: list[PassReport] = []
        self.other = Service()
        self.manager = PeerManager(
            self.clock, lambda: 1000.0, self.thread, self.run_pass, lambda n: 1.0
        )
        self.manager.on_report(self.reports.append)
        settings = Settings(node_name="a")
        self.announcer = Announcer(self.clock, settings, self.write, lambda n: 1.0)
        self.teardown = Teardown(
            self.clock, self.manager, self.announcer, [self.other], self.withdraw, self.take_down
        )
        for service in (self.manager, self.announcer, self.other):
            service.startService()
        self.end_pass()

    def thread(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Deferred[Any]:
        self.passes.append(Deferred())
        return self.passes[-1]

    def run_pass(self, *_: object) -> PassResult:
        raise AssertionError("passes run nowhere here")

    def end_pass(self) -> None:
        result = PassResult(None, BARE, Plan((), Memory()), (), KEY, 0.0)
        self.passes.pop().callback(result)

    def write(self, values: Any) -> Deferred[Answer]:
        self.writes.append(values)
        return Deferred()

    def withdraw(self, key: PublicKey | None, until: float) -> Deferred[Withdrawn]:
        self.asked.append((key, until))
        return self.answer

    def take_down(self, names: Mapping[PublicKey, str]) -> Deferred[TakenDown]:
        self.machine.append(Deferred())
        return self.machine[-1]

    def finished(self, done: TakenDown = DONE, force: bool = False) -> TeardownReport:
        asked = self.teardown.run(force)
        self.machine[-1].callback(done)
        return self.successResultOf(asked)

    def refused(self) -> str:
        report = self.successResultOf(self.teardown.run(False))
        self.assertIsNone(report.machine)
        self.assertEqual(self.machine, [])
        self.assertIsNone(self.teardown.state)
        self.assertTrue(self.manager.running and self.announcer.running and self.other.running)
        return report.withdrawal.error or ""

    def test_all_of_it(self) -> None:
        """Annotations first, then the machine; what was done is told, and is the last pass."""
        report = self.finished()
        self.assertEqual(self.asked, [(KEY, WITHDRAWAL_LIMIT)])
        self.assertEqual(report.withdrawal.removed, ("wireguard-publickey",))
        assert report.machine is not None
        self.assertEqual([c.text for c in report.machine.changes], ["remove link wg0"])
        self.assertEqual((report.machine.number, report.forwarding), (2, True))
        self.assertEqual(self.reports[-1], report.machine)
        self.assertEqual(self.manager.ledger.report, report.machine)
        state = self.teardown.state or State(StateName.CONVERGED)
        self.assertIs(state.name, StateName.TORN_DOWN)
        self.assertIn("restart overlayd", state.message)

    def test_keeps_out(self) -> None:
        """Nothing makes a pass or an announcement any more, and who asks for one is told why."""
        asked = self.manager.resync()
        self.end_pass()
        self.successResultOf(asked)
        self.finished()
        self.manager.take(Inventory({}, frozenset(), "1"))
        self.manager.kernel_announced("wg0 was removed")
        self.announcer.follow(Node("a"), WANTED)
        self.clock.advance(1000)
        self.assertEqual((self.passes, self.writes, self.clock.getDelayedCalls()), ([], [], []))
        self.assertFalse(self.other.running)
        self.assertFalse(self.announcer.announced)
        for request in (self.manager.resync(), self.manager.confirm([])):
            said = str(self.failureResultOf(request, Stopping).value)
            self.assertIn("taken down: restart overlayd", said)

    def test_a_pass_that_runs_ends_first(self) -> None:
        """The machine is not touched while a pass is at it; who waits for that pass gets it."""
        waiting = self.manager.resync()
        asked = self.teardown.run(False)
        self.assertEqual(self.machine, [])
        self.end_pass()
        self.assertEqual(len(self.machine), 1)
        self.machine[-1].callback(DONE)
        self.successResultOf(asked)
        self.successResultOf(waiting)

    def test_refused(self) -> None:
        """Where the API server is away or refuses, nothing is touched and the daemon works on."""
        self.answer.addCallback(lambda _: Failure(Unreachable("connection refused")))
        self.assertIn("connection refused", self.refused())
        for status in (401, 403, 409, 422, 500):
            self.answer = succeed(Withdrawn(refusal=Answer(status, b"because")))
            self.assertIn(str(status), self.refused())

    def test_silence(self) -> None:
        """An API server that does not answer in time is away; an answer after that does nothing."""
        self.answer = Deferred()
        asked = self.teardown.run(False)
        self.clock.advance(WITHDRAWAL_LIMIT)
        report = self.successResultOf(asked)
        self.assertIn("did not answer", report.withdrawal.error or "")
        self.answer.callback(Withdrawn(("wireguard-ip",)))
        self.assertEqual((self.machine, self.teardown.state), ([], None))

    def test_announces_again_after_a_refusal(self) -> None:
        """While it withdraws nothing is written; once it is refused, what differs is."""
        self.answer = Deferred()
        asked = self.teardown.run(False)
        self.announcer.follow(Node("a"), WANTED)
        self.assertEqual(self.writes, [])
        self.answer.errback(Unreachable("gone"))
        self.successResultOf(asked)
        self.assertEqual(self.writes, [WANTED])

    def test_forced(self) -> None:
        """With force it goes on, and says that the annotations stay."""
        self.answer = succeed(Withdrawn(refusal=Answer(500, b"no")))
        report = self.finished(force=True)
        self.assertIn("500", report.withdrawal.error or "")
        assert report.machine is not None
        self.assertFalse(report.machine.failed)
        self.assertIn("500", self.announcer.reason)

    def test_forced_and_asked_again(self) -> None:
        """What force left on the Node goes the next time."""
        self.answer = succeed(Withdrawn(refusal=Answer(500, b"no")))
        self.finished(force=True)
        self.answer = succeed(Withdrawn(("wireguard-ip",)))
        self.assertEqual(self.finished().withdrawal.removed, ("wireguard-ip",))

    def test_goes_on_where_it_failed(self) -> None:
        """What failed is told change by change, and asked again the rest is done."""
        report = self.finished(TakenDown((REMOVED, STUCK), ("the link wg1",), True))
        assert report.machine is not None
        self.assertEqual([c.error for c in report.machine.failures], ["not supported"])
        self.assertEqual(report.foreign, ("the link wg1",))
        assert self.teardown.state is not None
        self.assertIn("run overlayctl teardown again", self.teardown.state.message)
        self.finished()
        self.assertEqual(len(self.asked), 1)
        self.assertNotIn("in part", self.teardown.state.message)

    def test_machine_that_cannot_be_read(self) -> None:
        """That is a failure with its reason; so is an error that nobody thought of."""
        for error in (NetworkError("no netlink"), ZeroDivisionError("oh")):
            asked = self.teardown.run(False)
            self.machine[-1].errback(error)
            report = self.successResultOf(asked).machine
            assert report is not None
            self.assertIn(str(error), report.error or "")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_one_at_a_time(self) -> None:
        """A second request waits for the first, and goes on from there."""
        first, second = self.teardown.run(False), self.teardown.run(False)
        self.assertEqual(len(self.machine), 1)
        self.machine[-1].callback(DONE)
        self.successResultOf(first)
        self.machine[-1].callback(TakenDown((), (), True))
        report = self.successResultOf(second).machine
        assert report is not None
        self.assertEqual(report.changes, ())

    def test_stopping(self) -> None:
        """A daemon that is stopping takes nothing down, and starts nothing again."""
        self.answer = Deferred()
        asked = self.teardown.run(False)
        for service in (self.manager, self.announcer, self.other):
            service.stopService()
        self.answer.errback(Unreachable("aborted"))
        self.failureResultOf(asked, Stopping)
        self.assertFalse(self.announcer.running)
        self.assertEqual(self.machine, [])
        self.failureResultOf(self.teardown.run(True), Stopping)


class WithdrawTests(ScriptedCase):
    """What is asked of the API server, and what its answers mean."""

    def withdraw(self, *script: Whole, seconds: float = 10.0) -> Withdrawn:
        self.server = self.serve(*script)
        until = time.monotonic() + seconds
        return withdraw_annotations(client(self.server.url), "a", KEY, until)

    def patched(self, annotations: Mapping[str, str]) -> dict[str, Any]:
        done = self.withdraw(_node(annotations), Whole())
        self.assertIsNone(done.refusal)
        bodies = [json.loads(a.body) for a in self.server.asked if a.method == "PATCH"]
        removed: dict[str, Any] = bodies[0]["metadata"]["annotations"] if bodies else {}
        self.assertEqual(tuple(removed), done.names)
        return removed

    def test_those_that_are_there(self) -> None:
        """One PATCH removes our annotations that are there, and no other."""
        ours = ANNOTATED | ENDPOINT
        self.assertEqual(self.patched(ours | {"other": "x"}), dict.fromkeys(ours))

    def test_none(self) -> None:
        """Where none is there, or no Node, nothing is written."""
        self.assertEqual(self.patched({"other": "x"}), {})
        self.assertEqual(self.withdraw(Whole(404)), Withdrawn())
        self.assertEqual(self.withdraw(_node(ANNOTATED), Whole(404)), Withdrawn())

    def test_those_of_wg_overlay(self) -> None:
        """A Node that wg-overlay announced keeps what it reads; one with our key does not."""
        theirs = ANNOTATED | {"wireguard-publickey": str(PublicKey(b"t" * 32))}
        self.assertEqual(self.patched(theirs), {})
        self.assertEqual(self.patched(ANNOTATED), dict.fromkeys(ANNOTATED))
        self.assertEqual(self.patched(theirs | ENDPOINT), dict.fromkeys(theirs | ENDPOINT))

    def test_refusals(self) -> None:
        """Another answer to either request is a refusal."""
        for script in ([Whole(403)], [_node(ANNOTATED), Whole(403)]):
            done = self.withdraw(*script)
            assert done.refusal is not None
            self.assertEqual((done.names, done.refusal.status), ((), 403))

    def test_no_answer(self) -> None:
        """What breaks off or is no Node is no answer."""
        for answer in (Whole(cut=True), Whole(body=b"<html>")):
            self.assertRaises(Unreachable, self.withdraw, answer)

    def test_too_late(self) -> None:
        """When nobody waits any more, nothing is asked, so that nothing is withdrawn later."""
        self.assertRaises(Unreachable, self.withdraw, _node(ANNOTATED), Whole(), seconds=0.0)
        self.assertEqual(self.server.asked, [])


def _node(annotations: Mapping[str, str]) -> Whole:
    metadata = {"name": "a", "uid": "1", "annotations": dict(annotations)}
    return Whole(body=json.dumps({"metadata": metadata}).encode())
