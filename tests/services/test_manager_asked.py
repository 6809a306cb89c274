"""What people ask of the passes: to confirm what is held, and what one would do now."""

from overlayd.model.errors import NotNow, Stopping, TunnelError
from overlayd.model.status import State, StateName
from overlayd.passes import PassResult, Reads
from overlayd.plan.result import Memory, Plan
from tests.bare_machine import BARE
from tests.services.manager_case import ManagerCase, result
from tests.statuses import key


class AskedTests(ManagerCase):
    def test_confirm_waits_for_a_pass_that_began_later(self) -> None:
        """The pass that runs when something is confirmed does not make the next one forget it."""
        self.manager.startService()
        answered = self.manager.confirm([key(1)])
        self.finish()
        self.assertEqual(self.calls[0].memory.confirmed, frozenset())
        self.assertEqual(self.calls[1].memory.confirmed, {key(1)})
        self.assertNoResult(answered)
        self.finish()
        report = self.successResultOf(answered)
        self.assertEqual(report.number, 2)
        self.assertIn("confirmed", report.why)

    def test_a_failed_pass_loses_no_confirmation(self) -> None:
        """Where the machine could not be read, the next pass knows what was confirmed."""
        self.start()
        answered = self.manager.confirm([key(1)])
        self.finish(TunnelError("it does not answer"))
        self.assertEqual(self.successResultOf(answered).error, "it does not answer")
        self.manager.confirm([key(2)])
        self.assertEqual(self.calls[-1].memory.confirmed, {key(1), key(2)})

    def test_a_plan_forgets_what_was_confirmed(self) -> None:
        """What the plan no longer remembers is not confirmed again."""
        self.start()
        self.manager.confirm([key(1)])
        self.finish()
        self.manager.want("test")
        self.assertEqual(self.calls[-1].memory.confirmed, frozenset())

    def test_without_our_node_nothing_is_confirmed(self) -> None:
        """Nothing goes then, and a confirmation must not wait for a time nobody looks at."""
        self.manager.startService()
        missing = Plan((), Memory(), State(StateName.NODE_MISSING, "there is no Node a"))
        self.finish(PassResult(None, BARE, missing, (), None, 0.0))
        refused = self.failureResultOf(self.manager.confirm([key(1)]), NotNow)
        self.assertIn("there is no Node a", str(refused.value))
        self.manager.want("test")
        self.assertEqual(self.calls[-1].memory.confirmed, frozenset())

    def test_preview(self) -> None:
        """A preview gets what a pass would get, and is none."""
        self.start()
        answered = self.manager.preview(self.preview)
        (work,) = self.previews
        self.assertEqual((work.inventory, work.memory, work.now.wall), (None, Memory(), 1000.0))
        self.assertEqual((work.standing, work.reads), (None, Reads.EVERYTHING))
        self.running.pop().callback(result().plan)
        self.assertEqual(self.successResultOf(answered), result().plan)
        self.assertEqual((self.manager.ledger.passes, len(self.calls)), (1, 1))

    def test_preview_while_a_pass_runs(self) -> None:
        """It comes after that pass, and knows what that one remembered and what was confirmed."""
        self.manager.startService()
        answered = self.manager.preview(self.preview)
        self.assertEqual(self.previews, [])
        memory = Memory(populations=((1.0, 5),))
        self.finish(PassResult(None, BARE, Plan((), memory), (), None, 0.0))
        self.assertIs(self.previews[0].memory, memory)
        self.running.pop().callback(result().plan)
        self.successResultOf(answered)
        self.assertIsNone(self.manager.stopService())

    def test_preview_while_the_daemon_stops(self) -> None:
        """It is refused, and does not keep the daemon from stopping."""
        self.manager.startService()
        answered = self.manager.preview(self.preview)
        stopped = self.manager.stopService()
        assert stopped is not None
        self.finish()
        self.failureResultOf(answered, Stopping)
        self.successResultOf(stopped)
