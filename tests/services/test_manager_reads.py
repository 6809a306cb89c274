"""How much of the machine a pass reads, and that a reading is never put off."""

from overlayd.passes import Reads
from overlayd.services.manager import CHECK_AFTER
from overlayd.services.readings import LONGEST_PERIOD, SHORTEST_PERIOD, WHOLE_PERIOD
from tests.services.manager_case import FAILED, MADE, ManagerCase, inventory, result


class ReadsTests(ManagerCase):
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
