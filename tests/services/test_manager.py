"""When passes run: one at a time, the newest inventory, back-off, and what people are told."""

from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import BringUp, EnableForwarding, Outcome
from overlayd.model.errors import Stopping, TunnelError
from overlayd.model.node import Inventory, Node
from overlayd.passes import PassResult
from overlayd.plan.result import Memory, Now, Plan
from overlayd.services.manager import LONGEST_PERIOD, SHORTEST_PERIOD, PeerManager
from tests.bare_machine import BARE


def result(*outcomes: Outcome, cpu: float = 0.0) -> PassResult:
    plan = Plan(changes=tuple(o.change for o in outcomes), memory=Memory())
    return PassResult(None, BARE, plan, outcomes, None, cpu)


def inventory(*names: str) -> Inventory:
    nodes = {name: Node(name) for name in names}
    return Inventory(nodes=nodes, changed=frozenset(names), resource_version="1")


MADE = Outcome(BringUp("wg0", "it was down"))
FAILED = Outcome(BringUp("wg0", "it was down"), "no such device")


class PeerManagerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls: list[tuple[Inventory | None, Memory, Now]] = []
        self.running: list[Deferred[Any]] = []
        self.manager = PeerManager(
            self.clock, lambda: 1000.0, self.thread, self.run_pass, lambda n: 20.0 * (n + 1)
        )

    def thread(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Deferred[Any]:
        function(*args, **kwargs)
        self.running.append(Deferred())
        return self.running[-1]

    def run_pass(self, inventory: Inventory | None, memory: Memory, now: Now) -> PassResult:
        self.calls.append((inventory, memory, now))
        return result()

    def finish(self, outcome: PassResult | Exception | None = None) -> None:
        running = self.running.pop()
        if isinstance(outcome, Exception):
            running.errback(outcome)
        else:
            running.callback(outcome or result())

    def start(self) -> None:
        self.manager.startService()
        self.finish()

    def test_first_pass_at_start(self) -> None:
        """A pass runs as soon as the daemon starts, without an inventory."""
        self.manager.startService()
        self.assertEqual([call[0] for call in self.calls], [None])

    def test_newest_inventory_wins(self) -> None:
        """What comes during a pass is one more pass, with the names that changed united."""
        self.manager.startService()
        self.manager.take(inventory("a"))
        self.manager.take(evolve(inventory("a", "b"), changed=frozenset({"b"})))
        self.assertEqual(len(self.calls), 1)
        self.finish()
        self.assertEqual(len(self.calls), 2)
        seen = self.calls[1][0]
        assert seen is not None
        self.assertEqual((set(seen.nodes), seen.changed), ({"a", "b"}, {"a", "b"}))

    def test_resync_waits_for_a_pass_that_began_later(self) -> None:
        """A pass that already runs does not answer a resync; the next one does."""
        self.manager.startService()
        answered = self.manager.resync()
        self.finish()
        self.assertNoResult(answered)
        self.finish()
        self.assertEqual(self.successResultOf(answered).number, 2)

    def test_a_pass_now_and_then(self) -> None:
        """Without any cause a pass runs again, the later the more it costs, up to a limit."""
        for cpu, period in ((0.0, SHORTEST_PERIOD), (0.05, 5.0), (9.0, LONGEST_PERIOD)):
            self.setUp()
            self.manager.startService()
            self.finish(result(cpu=cpu))
            self.clock.advance(period - 0.01)
            self.assertEqual(len(self.calls), 1)
            self.clock.advance(0.01)
            self.assertEqual(len(self.calls), 2)

    def test_failed_passes_back_off(self) -> None:
        """A pass that failed, in part or as a whole, runs again, later each time."""
        self.manager.startService()
        self.finish(result(FAILED))
        self.clock.advance(19.9)
        self.assertEqual(len(self.calls), 1)
        self.clock.advance(0.1)
        self.finish(TunnelError("it does not answer"))
        self.assertEqual(self.manager.attempts, 2)
        self.clock.advance(39.9)
        self.assertEqual(len(self.calls), 2)
        self.clock.advance(0.1)
        self.finish()
        self.assertEqual(self.manager.attempts, 0)
        self.clock.advance(SHORTEST_PERIOD)
        self.assertEqual(len(self.calls), 4)

    def test_a_new_inventory_does_not_wait_for_the_retry(self) -> None:
        """What the cluster changes is acted on at once, also after a failure."""
        self.manager.startService()
        self.finish(result(FAILED))
        self.manager.take(inventory("a"))
        self.assertEqual(len(self.calls), 2)

    def test_a_sysctl_that_is_not_ours_to_write_is_no_failure(self) -> None:
        """A read-only ip_forward is a state, not a reason to try again and again."""
        self.manager.startService()
        self.finish(result(Outcome(EnableForwarding("off"), "read-only")))
        self.assertEqual(self.manager.attempts, 0)
        assert self.manager.result is not None
        self.assertEqual(self.manager.result.forwarding_error, "read-only")
        self.clock.advance(SHORTEST_PERIOD - 0.01)
        self.assertEqual(len(self.calls), 1)

    def test_an_error_of_ours_is_logged_and_retried(self) -> None:
        """An exception that nobody thought of does not end the passes."""
        self.manager.startService()
        self.finish(ZeroDivisionError("oops"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.clock.advance(20.0)
        self.assertEqual(len(self.calls), 2)

    def test_repairs_are_counted(self) -> None:
        """A change without a change in the cluster repaired something; one with it did not."""
        self.start()
        self.manager.take(inventory("a"))
        self.finish(result(MADE))
        self.assertEqual(self.manager.drift.total, 0)
        self.manager.kernel_announced("wg0 changed")
        self.finish(result(MADE))
        self.assertEqual(self.manager.drift.total, 1)
        self.assertEqual([r.text for r in self.manager.drift.last], ["bring wg0 up"])

    def test_a_fight_slows_down(self) -> None:
        """What is undone at once each time is repaired with longer and longer pauses."""
        self.start()
        self.manager.take(inventory("a"))
        self.finish()
        for _ in range(6):
            self.manager.kernel_announced("wg0 changed")
            self.finish(result(MADE))
        passes = len(self.calls)
        self.manager.kernel_announced("wg0 changed")
        self.assertEqual(len(self.calls), passes)
        self.clock.advance(0.5)
        self.assertEqual(len(self.calls), passes + 1)

    def test_a_failure_that_announces_itself(self) -> None:
        """What a failing pass stirs up in the kernel does not overtake its retry."""
        self.manager.startService()
        self.manager.kernel_announced("wg0 was removed")
        self.finish(result(FAILED))
        self.manager.kernel_announced("wg0 was removed")
        self.clock.advance(19.9)
        self.assertEqual(len(self.calls), 1)
        self.clock.advance(0.1)
        self.assertEqual(len(self.calls), 2)

    def test_announced_while_a_pass_runs(self) -> None:
        """What the kernel announces during a pass is looked at right after it."""
        self.manager.startService()
        self.manager.kernel_announced("wg0 changed")
        self.finish()
        self.clock.advance(0)
        self.assertEqual(len(self.calls), 2)

    def test_memory_goes_from_pass_to_pass(self) -> None:
        """Each plan gets what the plan before it remembered."""
        self.manager.startService()
        memory = Memory(populations=((1.0, 5),))
        self.finish(PassResult(None, BARE, Plan((), memory), (), None, 0.0))
        self.manager.want("test")
        self.assertIs(self.calls[-1][1], memory)

    def test_stop_waits_for_the_pass(self) -> None:
        """Stopping lets the pass under way end, refuses who still waits, and leaves no timer."""
        self.manager.startService()
        answered = self.manager.resync()
        stopped = self.manager.stopService()
        assert stopped is not None
        self.assertNoResult(stopped)
        self.failureResultOf(answered, Stopping)
        self.finish()
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.calls), 1)

    def test_a_listener_that_breaks(self) -> None:
        """One listener's error is logged; the others hear of the pass, and so does who waits."""
        heard: list[PassResult] = []

        def broken(_: PassResult) -> None:
            raise ZeroDivisionError

        self.manager.on_pass(broken)
        self.manager.on_pass(heard.append)
        self.start()
        answered = self.manager.resync()
        self.finish()
        self.successResultOf(answered)
        self.assertEqual(len(heard), 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_stop_when_idle(self) -> None:
        """Stopping between two passes leaves no timer."""
        self.start()
        self.assertIsNone(self.manager.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
