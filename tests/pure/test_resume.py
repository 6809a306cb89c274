"""What the node watch does next: promise 9 of the design, sentence by sentence."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.plan.resume import (
    CALM,
    LONGEST_RETRY_AFTER,
    Attempt,
    Cursor,
    Delay,
    Ending,
    How,
    Step,
    after,
    is_below,
)
from tests.pure.endings import (
    ANEW,
    FOLLOWING,
    PROBE,
    RELIST,
    RESUME,
    attempt_after,
    backoff,
    delay_after,
    moved,
    silent,
)


class FirstListTests(SynchronousTestCase):
    def test_consistent(self) -> None:
        """The first list is consistent: it names no version."""
        self.assertEqual(Cursor().attempt, ANEW)

    def test_again(self) -> None:
        """Whatever keeps the first list from coming, the next attempt is that list again."""
        for how in (How.NO_ANSWER, How.REFUSED, How.EXPIRED, How.TOO_LARGE):
            ending = Ending(how, status=500)
            self.assertEqual(attempt_after(ending, Cursor()), ANEW, how)

    def test_then_watch_at_once(self) -> None:
        """A complete list is followed at once by a watch from its version."""
        cursor, delay = after(Cursor(failures=7), Ending(How.LISTED, version="100"), 1.0)
        self.assertEqual(cursor.attempt, RESUME)
        self.assertEqual(delay.seconds(backoff), 0.0)


class ResumeTests(SynchronousTestCase):
    def test_clean_end(self) -> None:
        """A clean end resumes the watch from the last version, after the back-off's first step."""
        ending = moved(How.ENDED, "105")
        self.assertEqual(attempt_after(ending), Attempt(Step.WATCH, "105"))
        self.assertEqual(delay_after(ending, evolve(FOLLOWING, failures=9)), backoff(0))

    def test_reset_or_hang(self) -> None:
        """A watch that broke off or fell silent resumes from the last whole event."""
        self.assertEqual(attempt_after(moved(How.BROKE_OFF, "103")), Attempt(Step.WATCH, "103"))

    def test_other_refusals(self) -> None:
        """A 404, 409 or 422 is tried again with the same back-off."""
        for status in (404, 409, 422):
            ending = Ending(How.REFUSED, version="100", status=status)
            self.assertEqual(attempt_after(ending), RESUME)
            self.assertEqual(delay_after(ending, evolve(FOLLOWING, failures=3)), backoff(3))

    def test_refused_probe(self) -> None:
        """A probe that is refused is tried again: the suspicion stays."""
        cursor = evolve(FOLLOWING, suspicious=True)
        self.assertEqual(attempt_after(Ending(How.REFUSED, status=403), cursor), PROBE)

    def test_a_hundred_resets(self) -> None:
        """A hundred resets of the watch, with events or without, cause no list."""
        for ending in (moved(How.BROKE_OFF), silent(How.BROKE_OFF)):
            cursor = FOLLOWING
            watches = 0
            while watches < 100:
                if cursor.attempt.step is Step.WATCH:
                    watches += 1
                    cursor, _ = after(cursor, ending, 1.0)
                else:
                    self.assertEqual(cursor.attempt, PROBE)
                    cursor, _ = after(cursor, Ending(How.PROBED, version="100"), 0.1)


class RelistTests(SynchronousTestCase):
    def test_expired(self) -> None:
        """A 410 means a list that is not older than the last version seen."""
        self.assertEqual(attempt_after(silent(How.EXPIRED)), RELIST)
        self.assertEqual(attempt_after(moved(How.EXPIRED, "107")), Attempt(Step.STREAM, "107"))

    def test_no_event(self) -> None:
        """So does a whole line that is no watch event."""
        self.assertEqual(attempt_after(moved(How.NO_EVENT, "107")), Attempt(Step.STREAM, "107"))

    def test_too_large(self) -> None:
        """A 504 that calls our version too large means to list without a version."""
        relisting = evolve(FOLLOWING, must_list=True)
        ending = Ending(How.TOO_LARGE, version="100", status=504)
        self.assertEqual(attempt_after(ending, relisting), ANEW)
        self.assertEqual(attempt_after(ending), ANEW)

    def test_went_back(self) -> None:
        """A running watch whose versions go back tells another history: list without a version."""
        self.assertEqual(attempt_after(moved(How.WENT_BACK)), ANEW)

    def test_expired_page(self) -> None:
        """A list whose token expired half-way is made again, as it was meant to be."""
        relisting = evolve(FOLLOWING, must_list=True)
        self.assertEqual(attempt_after(Ending(How.EXPIRED, status=410), relisting), RELIST)

    def test_failed_list_stays_due(self) -> None:
        """A list that is due and gets no answer is still due when the history proves to be ours."""
        relisting = evolve(FOLLOWING, must_list=True)
        suspicious, _ = after(relisting, Ending(How.NO_ANSWER), 1.0)
        self.assertEqual(suspicious.attempt, PROBE)
        self.assertEqual(attempt_after(Ending(How.PROBED, version="100"), suspicious), RELIST)

    def test_backs_off(self) -> None:
        """What costs a list is never fresh, or a server could make us list every second."""
        for how in (How.EXPIRED, How.NO_EVENT, How.WENT_BACK):
            cursor = evolve(FOLLOWING, failures=4)
            self.assertEqual(delay_after(moved(how), cursor), backoff(4), how)
            listed, _ = after(cursor, Ending(How.LISTED, version="100"), 1.0)
            self.assertEqual(listed.failures, 4)


class ForeignHistoryTests(SynchronousTestCase):
    def test_no_answer(self) -> None:
        """After an attempt that brought no answer, a consistent list of one is read first."""
        self.assertEqual(attempt_after(Ending(How.NO_ANSWER)), PROBE)

    def test_server_error(self) -> None:
        """So it is after a 5xx, also one that came as an ERROR event after others."""
        for status in (500, 502, 503, 504):
            self.assertEqual(attempt_after(Ending(How.REFUSED, status=status)), PROBE)
        late = Ending(How.REFUSED, version="109", moved=True, status=500)
        cursor, _ = after(FOLLOWING, late, 1.0)
        self.assertEqual(cursor.attempt, PROBE)
        self.assertEqual(
            attempt_after(Ending(How.PROBED, version="109"), cursor), Attempt(Step.WATCH, "109")
        )

    def test_strangers(self) -> None:
        """So it is after a 401 or 403: a store that is made anew knows nobody at first."""
        for status in (401, 403):
            ending = Ending(How.REFUSED, version="100", status=status)
            self.assertEqual(attempt_after(ending), PROBE)
            self.assertEqual(delay_after(ending, evolve(FOLLOWING, failures=3)), backoff(3))

    def test_silent_watch(self) -> None:
        """So it is after a watch that ended, in whatever way, without one event or bookmark."""
        for how in (How.ENDED, How.BROKE_OFF):
            self.assertEqual(attempt_after(silent(how)), PROBE, how)

    def test_below_ours(self) -> None:
        """A version below ours, as numbers, means at once to list without a version."""
        cursor = evolve(FOLLOWING, suspicious=True)
        for version in ("99", "9", "0"):
            ending = Ending(How.PROBED, version=version)
            self.assertEqual(attempt_after(ending, cursor), ANEW)
            self.assertEqual(delay_after(ending, cursor), 0.0)

    def test_not_below_ours(self) -> None:
        """Any other version means at once to resume."""
        cursor = evolve(FOLLOWING, suspicious=True)
        for version in ("100", "101", "1000"):
            ending = Ending(How.PROBED, version=version)
            self.assertEqual(attempt_after(ending, cursor), RESUME)
            self.assertEqual(delay_after(ending, cursor), 0.0)

    def test_no_number(self) -> None:
        """A version that is no number cannot be below ours, so the watch resumes."""
        cursor = evolve(FOLLOWING, suspicious=True)
        self.assertEqual(attempt_after(Ending(How.PROBED, version="abc"), cursor), RESUME)

    def test_probes_do_not_forgive(self) -> None:
        """A probe that succeeds between watches that fail does not begin the back-off anew."""
        cursor = FOLLOWING
        delays = []
        for _ in range(4):
            cursor, delay = after(cursor, silent(How.BROKE_OFF), 1.0)
            delays.append(delay.seconds(backoff))
            cursor, _ = after(cursor, Ending(How.PROBED, version="100"), 0.1)
        self.assertEqual(delays, [backoff(n) for n in range(4)])


class DelayTests(SynchronousTestCase):
    def test_grows(self) -> None:
        """Failures in a row wait longer and longer."""
        cursor, delays = FOLLOWING, []
        for _ in range(4):
            cursor, delay = after(cursor, Ending(How.NO_ANSWER), 1.0)
            delays.append(delay.seconds(backoff))
        self.assertEqual(delays, [backoff(n) for n in range(4)])

    def test_event_forgives(self) -> None:
        """A watch that brought something ends a series of failures."""
        cursor = evolve(FOLLOWING, failures=9)
        self.assertEqual(delay_after(moved(How.BROKE_OFF), cursor), backoff(0))

    def test_time_forgives(self) -> None:
        """So does an attempt that lasted: a quiet cluster's watch is not a failing one."""
        cursor = evolve(FOLLOWING, failures=9)
        self.assertEqual(delay_after(silent(How.ENDED), cursor, lasted=CALM), backoff(0))
        self.assertEqual(delay_after(silent(How.ENDED), cursor, lasted=CALM - 1), backoff(9))

    def test_retry_after(self) -> None:
        """429 and 503 obey Retry-After, and never come sooner than the back-off."""
        for status, attempt in ((429, RESUME), (503, PROBE)):
            ending = Ending(How.REFUSED, status=status, retry_after=20.0)
            self.assertEqual(attempt_after(ending), attempt)
            self.assertEqual(delay_after(ending), 20.0)
            self.assertEqual(delay_after(ending, evolve(FOLLOWING, failures=40)), backoff(40))

    def test_absurd_retry_after(self) -> None:
        """A server that asks for a year is asked again much earlier."""
        ending = Ending(How.REFUSED, status=429, retry_after=3e7)
        self.assertEqual(delay_after(ending), LONGEST_RETRY_AFTER)

    def test_none(self) -> None:
        """No delay is none at all, whatever the back-off's first step."""
        self.assertEqual(Delay().seconds(lambda n: 5.0), 0.0)


class VersionTests(SynchronousTestCase):
    def test_numbers(self) -> None:
        """Versions compare as numbers, not as text."""
        self.assertTrue(is_below("9", "10"))
        self.assertFalse(is_below("10", "9"))
        self.assertFalse(is_below("10", "10"))
        self.assertTrue(is_below("99999999999999999998", "99999999999999999999"))

    def test_not_numbers(self) -> None:
        """What is no decimal number is below nothing, and nothing is below it."""
        for text in ("", "x", "-1", "1.0", " 1", "1\n", "\u0661", "9" * 5000):
            self.assertFalse(is_below(text, "100"), text[:9])
            self.assertFalse(is_below("1", text), text[:9])
