"""Backing off from somebody who undoes what we repair."""

from twisted.trial.unittest import SynchronousTestCase

from overlayd.plan.fights import Repairs, fought_over, pause, remember_repairs


def repaired(times: int, every: float = 1.0) -> tuple[Repairs, float]:
    repairs: Repairs = {}
    now = 0.0
    for n in range(times):
        now = n * every
        repairs = remember_repairs(repairs, frozenset({"bring wg0 up"}), now)
    return repairs, now


class FightTests(SynchronousTestCase):
    def test_a_few_repairs_are_chance(self) -> None:
        """Up to five repairs in a minute are made at once."""
        repairs, now = repaired(5)
        self.assertEqual(pause(repairs, now), 0.0)
        self.assertEqual(fought_over(repairs, now), ())

    def test_more_are_a_fight(self) -> None:
        """The sixth repair of a thing in a minute is named and waits, and the next waits longer."""
        pauses = [pause(*repaired(n)) for n in range(6, 14)]
        self.assertEqual(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0])
        self.assertEqual(fought_over(*repaired(6)), ("bring wg0 up",))

    def test_rare_repairs_are_no_fight(self) -> None:
        """What is repaired every quarter of a minute never counts up."""
        self.assertEqual(pause(*repaired(100, every=15)), 0.0)

    def test_it_is_forgotten(self) -> None:
        """A minute without repairs ends the fight and leaves nothing in memory."""
        repairs, now = repaired(20)
        self.assertEqual(pause(repairs, now + 60), 0.0)
        self.assertEqual(remember_repairs(repairs, frozenset(), now + 60), {})
