"""Backing off from somebody who undoes what we repair."""

from twisted.trial.unittest import SynchronousTestCase

from overlayd.plan.fights import (
    LONGEST_PAUSE,
    Repairs,
    fought_over,
    pause,
    remember_repairs,
)

THING = "bring wg0 up"


def repaired(times: int, every: float = 1.0) -> tuple[Repairs, float]:
    repairs: Repairs = {}
    now = 0.0
    for n in range(times):
        now = n * every
        repairs = remember_repairs(repairs, frozenset({THING}), now)
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
        self.assertEqual(fought_over(*repaired(6)), (THING,))

    def test_rare_repairs_are_no_fight(self) -> None:
        """What is repaired every quarter of a minute never counts up."""
        self.assertEqual(pause(*repaired(100, every=15)), 0.0)

    def test_pauses_do_not_end_it(self) -> None:
        """Who goes on is fought for as long, although the pauses make the repairs rare."""
        repairs, now = repaired(12)
        for _ in range(20):
            now += pause(repairs, now)
            repairs = remember_repairs(repairs, frozenset({THING}), now)
            self.assertEqual(pause(repairs, now), LONGEST_PAUSE)
            self.assertEqual(fought_over(repairs, now), (THING,))

    def test_the_pause_begins_with_the_repair(self) -> None:
        """Once it is over nothing waits any more: what else breaks is repaired at once."""
        repairs, now = repaired(8)
        self.assertEqual(pause(repairs, now + 1.5), 0.5)
        self.assertEqual(pause(repairs, now + 2.0), 0.0)
        self.assertEqual(fought_over(repairs, now + 2.0), (THING,))

    def test_it_is_forgotten(self) -> None:
        """A minute without repairs ends the fight and leaves nothing in memory."""
        repairs, now = repaired(20)
        self.assertEqual(pause(repairs, now + 60), 0.0)
        self.assertEqual(fought_over(repairs, now + 60), ())
        self.assertEqual(remember_repairs(repairs, frozenset(), now + 60), {})
        again = remember_repairs(repairs, frozenset({THING}), now + 60)
        self.assertEqual(fought_over(again, now + 60), ())
