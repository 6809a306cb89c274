"""What a server that was away sees of 5,000 daemons: the jitter."""

from collections import Counter
from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from overlayd.services.retries import back_off
from overlayd.services.watch import LONGEST_WATCH, SHORTEST_WATCH, Pace

DAEMONS = 5000


def busiest(moments: Iterable[float], width: float) -> int:
    """How many of the moments fall into the fullest stretch of that many seconds."""
    return max(Counter(int(moment / width) for moment in moments).values())


class JitterTests(SynchronousTestCase):
    def test_retries(self) -> None:
        """Of those that lost it together, no tenth of a second sees a tenth, at any attempt."""
        daemons = [back_off() for _ in range(DAEMONS)]
        for number in (0, 1, 5, 50):
            delays = [retry(number) for retry in daemons]
            self.assertLess(busiest(delays, 0.1), DAEMONS / 10)
            self.assertGreaterEqual(min(delays), 0.5)
            self.assertLessEqual(max(delays), 30.0)

    def test_growth(self) -> None:
        """Each attempt waits longer than the one before, up to the longest, jitter aside."""
        retry = back_off()
        means = [sum(retry(number) for _ in range(300)) / 300 for number in (0, 2, 4, 6, 8)]
        self.assertEqual(means, sorted(means))

    def test_watches(self) -> None:
        """Watches that began together end apart: no second sees a hundredth of them."""
        daemons = [Pace.jittered() for _ in range(DAEMONS)]
        ends = [pace.watch_seconds() for pace in daemons]
        self.assertLess(busiest(ends, 1.0), DAEMONS / 100)
        self.assertGreaterEqual(min(ends), SHORTEST_WATCH)
        self.assertLessEqual(max(ends), LONGEST_WATCH)

    def test_paces(self) -> None:
        """A watch's retries have that jitter too."""
        delays = [Pace.jittered().retry(0) for _ in range(DAEMONS)]
        self.assertLess(busiest(delays, 0.1), DAEMONS / 10)
