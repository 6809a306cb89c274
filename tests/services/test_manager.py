"""When passes run: one at a time, the newest inventory, back-off, and what people are told."""

from attrs import evolve

from overlayd.model.changes import EnableForwarding, Outcome, RemovePeer
from overlayd.model.errors import Stopping, TunnelError
from overlayd.passes import PassResult, Reads
from overlayd.plan.result import Memory, Plan
from overlayd.services.ledger import ECHO
from overlayd.services.manager import CHECK_AFTER
from overlayd.services.readings import LONGEST_PERIOD, SHORTEST_PERIOD, WHOLE_PERIOD
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

    def test_how_much_is_read(self) -> None:
        """A Node's event reads nothing, the kernel's the network, and when it is time everything.

        Without knowing how things stand everything is read: after a failure, and for a resync.
        """
        self.manager.startService()
        there = inventory("a")
        self.finish(result(left=there))
        self.manager.take(there)
        self.finish(result(left=there))
        self.manager.kernel_announced("wg0 changed")
        self.finish(result(left=there))
        self.clock.advance(SHORTEST_PERIOD)
        self.finish(result(FAILED))
        self.manager.take(inventory("a", "b"))
        self.finish(result(left=there))
        self.manager.resync()
        read = [None if work.standing is None else work.reads for work in self.calls]
        self.assertEqual(read, [None, Reads.NOTHING, Reads.NETWORK, Reads.EVERYTHING, None, None])

    def test_events_without_end_do_not_put_off_a_reading(self) -> None:
        """While Nodes change all the time the machine is still read when it is time."""
        self.manager.startService()
        self.finish(result(left=inventory("a")))
        read = []
        for number in range(30):
            self.clock.advance(0.1)
            self.manager.take(inventory("a", str(number)))
            read.append(self.calls[-1].reads)
            self.finish(result(left=inventory("a")))
        self.assertEqual(read.count(Reads.EVERYTHING), 1)

    def test_everything_is_planned_anew_now_and_then(self) -> None:
        """A reading is planned whole after a while, so that no mistake about a part stays."""
        self.manager.startService()
        self.finish(result(left=inventory("a")))
        while self.clock.seconds() < WHOLE_PERIOD:
            self.clock.advance(SHORTEST_PERIOD)
            self.finish(result(left=inventory("a")))
        whole = [n for n, work in enumerate(self.calls) if work.standing is None]
        self.assertEqual(whole, [0, len(self.calls) - 1])

    def test_a_change_is_looked_at_once_more(self) -> None:
        """Soon after a pass that changed something a small one sees that all is well."""
        self.start()
        self.manager.take(inventory("a"))
        self.finish(result(MADE, left=inventory("a")))
        self.clock.advance(CHECK_AFTER)
        self.assertEqual((len(self.calls), self.calls[-1].reads), (3, Reads.NOTHING))

    def test_a_silent_tunnel(self) -> None:
        """While the tunnel cannot be read, what the kernel announces is still repaired at once."""
        self.manager.startService()
        self.finish(result(left=inventory("a")))
        self.clock.advance(SHORTEST_PERIOD)
        self.finish(result(error="it does not answer"))
        self.assertEqual(self.manager.ledger.attempts, 1)
        self.manager.kernel_announced("a rule was removed")
        self.assertEqual(self.calls[-1].reads, Reads.NETWORK)
        self.assertIsNotNone(self.calls[-1].standing)
        self.finish(result(MADE, left=inventory("a")))
        self.assertEqual(
            self.manager.ledger.attempts, 2, "one that did not ask the tunnel heals nothing"
        )
        assert self.manager.ledger.trouble is not None
        self.assertEqual(self.manager.ledger.trouble.error, "it does not answer")
        self.clock.advance(40.0)
        self.finish(result(left=inventory("a")))
        self.assertEqual((self.manager.ledger.attempts, self.manager.ledger.trouble), (0, None))

    def test_announced_while_the_tunnel_is_asked_in_vain(self) -> None:
        """What the kernel announces in the seconds that this takes does not wait for the retry."""
        self.manager.startService()
        self.finish(result(left=inventory("a")))
        self.clock.advance(SHORTEST_PERIOD)
        self.manager.kernel_announced("a rule was removed")
        self.finish(result(error="it does not answer"))
        self.clock.advance(0)
        self.assertEqual((len(self.calls), self.calls[-1].reads), (3, Reads.NETWORK))

    def test_announced_while_events_come_without_end(self) -> None:
        """What the kernel announces during one of many passes is read in the next."""
        self.manager.startService()
        self.manager.take(inventory("a"))
        self.manager.kernel_announced("a rule was removed")
        self.finish(result(left=inventory("a")))
        self.assertEqual(self.calls[-1].reads, Reads.NETWORK)
        self.manager.take(inventory("a", "b"))
        self.finish(result(left=inventory("a")))
        self.assertEqual(self.calls[-1].reads, Reads.NOTHING)

    def test_events_without_end_do_not_put_off_asking_a_silent_tunnel(self) -> None:
        """While Nodes change all the time a tunnel that was silent is asked when it is time."""
        self.manager.startService()
        self.finish(result(left=inventory("a")))
        self.clock.advance(SHORTEST_PERIOD)
        self.finish(result(seconds=3.0, error="it does not answer"))
        asked = []
        for number in range(50):
            self.clock.advance(1.0)
            self.manager.take(inventory("a", str(number)))
            asked.append(self.calls[-1].reads is Reads.EVERYTHING)
            silent = result(seconds=3.0, error="it does not answer")
            self.finish(silent if asked[-1] else result(left=inventory("a")))
        self.assertEqual([n for n, whole in enumerate(asked, 1) if whole], [15, 30, 45])

    def test_a_slow_pass_does_not_put_off_a_reading(self) -> None:
        """However long a pass that changed something took, the machine is read when it is time."""
        self.manager.startService()
        self.finish(result(MADE, seconds=9.0, left=inventory("a")))
        self.clock.advance(LONGEST_PERIOD)
        self.assertEqual(self.calls[-1].reads, Reads.EVERYTHING)
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
