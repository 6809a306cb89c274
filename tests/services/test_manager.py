"""When passes run: one at a time, the newest inventory, back-off, and what people are told."""

from attrs import evolve

from overlayd.model.changes import EnableForwarding, Outcome, RemovePeer
from overlayd.model.errors import Stopping, TunnelError
from overlayd.passes import PassResult
from overlayd.plan.result import Memory, Plan
from overlayd.services.ledger import ECHO
from overlayd.services.readings import LONGEST_PERIOD, SHORTEST_PERIOD
from tests.bare_machine import BARE
from tests.services.manager_case import FAILED, MADE, ManagerCase, inventory, result
from tests.statuses import key


class PeerManagerTests(ManagerCase):
    def test_first_pass_at_start(self) -> None:
        """A pass runs as soon as the daemon starts, without an inventory."""
        self.manager.startService()
        self.assertEqual([work.inventory for work in self.calls], [None])

    def test_newest_inventory_wins(self) -> None:
        """What comes during a pass is one more pass, with the names that changed united."""
        self.manager.startService()
        self.manager.take(inventory("a"))
        self.manager.take(evolve(inventory("a", "b"), changed=frozenset({"b"})))
        self.assertEqual(len(self.calls), 1)
        self.finish()
        self.assertEqual(len(self.calls), 2)
        seen = self.calls[1].inventory
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
        for seconds, period in ((0.0, SHORTEST_PERIOD), (0.05, 5.0), (9.0, LONGEST_PERIOD)):
            self.setUp()
            self.manager.startService()
            self.finish(result(seconds=seconds))
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
        self.assertEqual(self.manager.ledger.attempts, 2)
        self.clock.advance(39.9)
        self.assertEqual(len(self.calls), 2)
        self.clock.advance(0.1)
        self.finish()
        self.assertEqual(self.manager.ledger.attempts, 0)
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
        self.assertEqual(self.manager.ledger.attempts, 0)
        assert self.manager.ledger.result is not None
        self.assertEqual(self.manager.ledger.result.forwarding_error, "read-only")
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
        self.assertEqual(self.manager.ledger.drift.total, 0)
        self.manager.kernel_announced("wg0 changed")
        self.finish(result(MADE))
        self.assertEqual(self.manager.ledger.drift.total, 1)
        self.assertEqual([r.text for r in self.manager.ledger.drift.last], ["bring wg0 up"])

    def test_what_was_held_is_no_repair(self) -> None:
        """A peer that goes because its time is over, or confirmed, is nobody's drift."""
        self.start()
        self.manager.take(inventory("a"))
        self.finish()
        changes = (RemovePeer("n1", key(1), "it was held"), RemovePeer("n2", key(2), "a stranger"))
        plan = Plan(changes, Memory(held={key(1): 1.0}))
        self.manager.want("test")
        self.finish(PassResult(None, BARE, plan, tuple(map(Outcome, changes)), None, 0.0))
        self.assertEqual([r.text for r in self.manager.ledger.drift.last], [str(changes[1])])

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

    def test_a_fight_without_an_inventory_slows_down(self) -> None:
        """So it is while there is no API server that would say what the cluster wants."""
        self.start()
        for _ in range(6):
            self.manager.kernel_announced("wg0 changed")
            self.finish(result(MADE))
        passes = len(self.calls)
        self.manager.kernel_announced("wg0 changed")
        self.assertEqual(len(self.calls), passes)

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

    def test_a_failure_does_not_hide_what_others_do(self) -> None:
        """While one change fails again and again, what somebody removes is still repaired at once.

        Not more often than once a second: nobody can tell it from what the failing pass stirs up.
        """
        self.manager.startService()
        for passes in (2, 3):
            self.finish(result(FAILED))
            self.manager.kernel_announced("a rule was removed")
            self.clock.advance(ECHO)
            self.assertEqual(len(self.calls), passes - 1)
            self.manager.kernel_announced("a rule was removed")
            self.assertEqual(len(self.calls), passes)

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
        self.assertIs(self.calls[-1].memory, memory)

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
