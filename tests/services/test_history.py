"""What the history of passes keeps, counts, and leaves out."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.status import ChangeReport, PassReport
from overlayd.services.history import CHANGES, CHANGES_OF_ONE, PASSES, History


def a_pass(number: int, *changes: ChangeReport, error: str | None = None) -> PassReport:
    return PassReport(
        number=number,
        why="it was time",
        began=f"at {number}",
        duration=0.1,
        changes=changes,
        error=error,
    )


def made(text: str) -> ChangeReport:
    return ChangeReport(text, "missing")


def failed(text: str, error: str = "No such device") -> ChangeReport:
    return ChangeReport(text, "missing", error)


class HistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.history = History()

    def note(self, *reports: PassReport) -> None:
        for report in reports:
            self.history.note(report)

    def numbers(self) -> list[int]:
        return [past.report.number for past in self.history.passes]

    def test_what_changed_something_or_failed(self) -> None:
        """Passes with nothing to do are none of history; the newest comes last."""
        self.note(a_pass(1), a_pass(2, made("a")), a_pass(3), a_pass(4, error="cannot read wg0"))
        self.note(a_pass(5, failed("b")), a_pass(6, made("b")))
        self.assertEqual(self.numbers(), [2, 4, 5, 6])
        self.assertEqual([past.failed for past in self.history.passes], [False, True, True, False])
        self.assertEqual(self.history.passes[0].report, a_pass(2, made("a")))

    def test_the_last_hundred(self) -> None:
        """Older passes are forgotten."""
        self.note(*(a_pass(n, made(f"change {n}")) for n in range(250)))
        self.assertEqual(self.numbers(), list(range(250 - PASSES, 250)))

    def test_failures_that_repeat_are_counted(self) -> None:
        """A pass that fails again and again is one entry, and pushes nothing out."""
        self.note(a_pass(1, made("a")), *(a_pass(n, failed("b")) for n in range(2, 1002)))
        first, second = self.history.passes
        self.assertEqual((first.repeated, first.repeated_at), (0, None))
        self.assertEqual((second.report.number, second.repeated), (2, 999))
        self.assertEqual(second.repeated_at, "at 1001")

    def test_an_unreadable_machine_is_counted(self) -> None:
        """So is one that cannot read the machine; another error is another entry."""
        self.note(*(a_pass(n, error="no answer") for n in range(3)), a_pass(3, error="no link"))
        self.assertEqual(
            [(p.report.number, p.repeated) for p in self.history.passes], [(0, 2), (3, 0)]
        )

    def test_failures_between_which_something_was_done(self) -> None:
        """What goes on failing while Nodes come and go is still one entry."""
        for n in range(0, 100, 2):
            self.note(a_pass(n, failed("b")), a_pass(n + 1, failed("b"), made(f"peer {n}")))
        self.assertEqual(self.numbers(), [0, *range(1, 100, 2)])
        self.assertEqual(self.history.passes[0].repeated, 49)

    def test_a_failure_that_comes_back(self) -> None:
        """After a pass that failed in nothing the same failure is a new entry."""
        self.note(a_pass(1, failed("b")), a_pass(2, made("b")), a_pass(3, failed("b")))
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_the_same_repair_over_and_over(self) -> None:
        """Somebody who undoes the same thing each time is counted too."""
        self.note(a_pass(1, made("a")), a_pass(2, made("b")), a_pass(3, made("b")))
        self.note(a_pass(4, made("a")))
        self.assertEqual(self.numbers(), [1, 2, 4])

    def test_another_outcome_is_another_entry(self) -> None:
        """The same change that fails otherwise, or succeeds, is something else."""
        self.note(a_pass(1, failed("b")), a_pass(2, failed("b", "busy")), a_pass(3, made("b")))
        self.assertEqual(self.numbers(), [1, 2, 3])

    def test_a_large_pass(self) -> None:
        """Of a pass over a whole cluster a part is kept, first what failed, and all is counted."""
        changes = [made(f"peer {n}") for n in range(4_998)]
        self.note(a_pass(1, *changes, failed("x"), failed("y")))
        (past,) = self.history.passes
        self.assertEqual((past.change_count, past.failure_count), (5_000, 2))
        self.assertEqual(past.report.changes[:2], (failed("x"), failed("y")))
        self.assertEqual(past.report.changes[2:], tuple(changes[: CHANGES_OF_ONE - 2]))

    def test_a_large_pass_repeats(self) -> None:
        """Two large passes that differ only in what is not kept are two entries."""
        changes = [made(f"peer {n}") for n in range(5_000)]
        self.note(a_pass(1, *changes), a_pass(2, *changes), a_pass(3, *changes, made("one more")))
        self.assertEqual(
            [(p.report.number, p.repeated) for p in self.history.passes], [(1, 1), (3, 0)]
        )

    def test_bounded_as_a_whole(self) -> None:
        """All passes together keep a bounded number of changes; the oldest lose theirs first."""
        for n in range(PASSES):
            self.note(a_pass(n, *(made(f"{n}: {i}") for i in range(1_000))))
        kept = [len(past.report.changes) for past in self.history.passes]
        self.assertEqual((len(kept), sum(kept)), (PASSES, CHANGES))
        self.assertEqual(kept[-4:], [CHANGES_OF_ONE] * 4)
        self.assertEqual({past.change_count for past in self.history.passes}, {1_000})

    def test_a_failed_pass_that_lost_its_changes(self) -> None:
        """It is still a failed one."""
        self.note(a_pass(0, failed("b")))
        for n in range(1, 5):
            self.note(a_pass(n, *(made(f"{n}: {i}") for i in range(CHANGES_OF_ONE))))
        first = self.history.passes[0]
        self.assertEqual((first.report.changes, first.failed), ((), True))

    def test_long_text(self) -> None:
        """A Node with a thousand addresses does not fill the memory."""
        long = ChangeReport("x" * 100_000, "y" * 100_000, "z" * 100_000)
        self.note(evolve(a_pass(1, long, error="e" * 100_000), why="w" * 100_000))
        (past,) = self.history.passes
        (change,) = past.report.changes
        for text in (change.text, change.why, change.error, past.report.why, past.report.error):
            assert text is not None
            self.assertLess(len(text), 1_000)
            self.assertIn("(100000 characters)", text)
