"""Lists that are streamed, and servers that do not: promise 9 of the design."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.plan.resume import (
    STREAMS,
    Attempt,
    Cursor,
    Ending,
    How,
    Step,
    after,
)
from tests.pure.endings import (
    ANEW,
    FOLLOWING,
    RESUME,
    attempt_after,
    backoff,
    delay_after,
    moved,
    silent,
)


class StreamTests(SynchronousTestCase):
    """Lists are one request each while the server streams them, and pages once it does not."""

    def test_not_streamed(self) -> None:
        """A server that refuses is asked for pages of the same list at once."""
        for cursor, paged in (
            (Cursor(failures=3), Attempt(Step.LIST)),
            (evolve(FOLLOWING, must_list=True), Attempt(Step.LIST, "100")),
        ):
            refused = Ending(How.NOT_STREAMED, status=422)
            turned, delay = after(cursor, refused, 0.1)
            self.assertEqual(turned.attempt, paged)
            self.assertEqual(delay.seconds(backoff), 0.0)
            self.assertEqual(turned.failures, cursor.failures)

    def test_remembered(self) -> None:
        """It is never asked for a stream again, whatever happens then."""
        cursor, _ = after(Cursor(), Ending(How.NOT_STREAMED), 0.1)
        cursor, _ = after(cursor, Ending(How.LISTED, version="100"), 1.0)
        self.assertEqual(cursor.attempt, RESUME)
        for how, version in (
            (How.EXPIRED, "100"),
            (How.NO_EVENT, "100"),
            (How.WENT_BACK, None),
            (How.TOO_LARGE, None),
        ):
            ending = Ending(how, version="100", moved=True)
            self.assertEqual(attempt_after(ending, cursor), Attempt(Step.LIST, version), how)

    def test_unfinished(self) -> None:
        """A stream that ends before its end is asked for again, after the back-off."""
        for cursor in (evolve(Cursor(), failures=3), evolve(FOLLOWING, must_list=True, failures=3)):
            self.assertEqual(attempt_after(Ending(How.UNFINISHED), cursor), cursor.attempt)
            self.assertEqual(delay_after(Ending(How.UNFINISHED), cursor), backoff(3))

    def test_never_finished(self) -> None:
        """Where streams never come to their end, pages have to do, and back-off goes on."""
        cursor, delays = Cursor(), []
        for _ in range(STREAMS):
            self.assertEqual(cursor.attempt, ANEW)
            cursor, delay = after(cursor, Ending(How.UNFINISHED), 1.0)
            delays.append(delay.seconds(backoff))
        self.assertEqual(cursor.attempt, Attempt(Step.LIST))
        self.assertEqual(delays, [backoff(n) for n in range(STREAMS)])
        cursor, _ = after(cursor, Ending(How.LISTED, version="100"), 1.0)
        self.assertEqual(attempt_after(silent(How.EXPIRED), cursor), Attempt(Step.LIST, "100"))

    def test_finished(self) -> None:
        """One that comes to its end is followed at once by the watch, and forgives others."""
        cursor, _ = after(Cursor(), Ending(How.UNFINISHED), 1.0)
        cursor, delay = after(cursor, Ending(How.LISTED, version="100"), 1.0)
        self.assertEqual((cursor.attempt, cursor.streams), (RESUME, STREAMS))
        self.assertEqual(delay.seconds(backoff), 0.0)

    def test_faults(self) -> None:
        """What goes wrong otherwise says nothing about streams."""
        for how in (How.NO_ANSWER, How.REFUSED, How.EXPIRED, How.TOO_LARGE):
            cursor, _ = after(Cursor(), Ending(how, status=503), 1.0)
            self.assertEqual(cursor.streams, STREAMS)

    def test_backs_off(self) -> None:
        """A watch that is followed each time by another streamed list is not fresh."""
        cursor = evolve(FOLLOWING, failures=4)
        self.assertEqual(delay_after(moved(How.EXPIRED), cursor), backoff(4))
        self.assertEqual(delay_after(moved(How.EXPIRED), evolve(cursor, streams=0)), backoff(4))
