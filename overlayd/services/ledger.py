"""What the passes so far have left: for the next one to build on, and for people to read."""

from collections.abc import Iterable

from attrs import evolve
from twisted.logger import Logger

from overlayd.model.keys import PublicKey
from overlayd.model.node import Inventory
from overlayd.model.status import ChangeReport, PassReport
from overlayd.model.text import rfc3339
from overlayd.passes import PassResult, Reads, Work
from overlayd.plan.result import Memory, Now
from overlayd.plan.standing import Standing
from overlayd.services.drift import Drift
from overlayd.services.pass_log import PassLog
from overlayd.services.readings import Readings

ECHO = 1.0  # seconds after a pass that failed, in which announcements may be its own


class Ledger:
    """Makes the work of a pass from what those before it learned, and takes what came of it.

    It knows neither timers nor threads. Times are those of the monotonic clock, in seconds.
    """

    def __init__(self, log: Logger) -> None:
        self._memory = Memory()
        self._standing: Standing | None = None
        self._confirmed: frozenset[PublicKey] = frozenset()  # since the last pass began
        self._pass_log = PassLog(log)
        self.readings = Readings()
        self.drift = Drift(log)
        self.passed: Inventory | None = None  # what the last successful pass brought about
        self.result: PassResult | None = None  # of the last pass that could read the machine
        self.report: PassReport | None = None
        self.trouble: PassReport | None = None  # the last pass that failed, until one succeeds
        self.attempts = 0  # passes that failed in a row
        self.passes = 0
        self.has_converged = False  # whether one pass on an inventory left nothing undone
        self.finished_at = 0.0

    @property
    def changes_failed(self) -> bool:
        """Whether the last pass failed at something else than reading the tunnel."""
        return self.attempts > 0 and not self.readings.tunnel_is_silent

    def may_repair(self, now: float) -> bool:
        """Whether to act at once on what the kernel announces.

        Not where somebody keeps undoing it, nor where it may be the echo of a pass that failed.
        """
        is_echo = self.changes_failed and now - self.finished_at < ECHO
        return self.drift.pause(now) == 0 and not is_echo

    def confirm(self, keys: Iterable[PublicKey]) -> None:
        """Let held peers go with the next pass."""
        self._confirmed |= frozenset(keys)

    # --- the next pass ---

    def work(self, inventory: Inventory | None, reads: Reads, whole: bool, now: Now) -> Work:
        """What the next pass is to do, at the least with these readings."""
        if self.readings.due_in(now.monotonic) <= 0:
            reads = Reads.EVERYTHING  # Node events that never end do not put it off
        whole |= reads is Reads.EVERYTHING and self.readings.whole_is_due(now.monotonic)
        standing = None if whole else self._standing
        # Kept also where this pass fails; the one before knew nothing of what was confirmed.
        self._memory, self._confirmed = self._remembered(), frozenset()
        return Work(inventory, self._memory, now, standing, reads)

    def preview(self, inventory: Inventory | None, now: Now) -> Work:
        """What a pass over everything would be about. It leaves no trace."""
        return Work(inventory, self._remembered(), now, None, Reads.EVERYTHING)

    def begin(self, reasons: Iterable[str], work: Work) -> PassReport:
        self.passes += 1
        began = rfc3339(work.now.wall)
        return PassReport(number=self.passes, why="; ".join(reasons), began=began, duration=0.0)

    def _remembered(self) -> Memory:
        """What the next plan has to know: of the plan before it, and of the operator."""
        if not self._confirmed:
            return self._memory
        return evolve(self._memory, confirmed=self._memory.confirmed | self._confirmed)

    # --- what came of it ---

    def could_not_read(self, error: str, report: PassReport, work: Work, now: float) -> None:
        self._pass_log.could_not_read(error)
        self._failed(error, report, work, now)

    def broke(self, error: Exception, report: PassReport, work: Work, now: float) -> None:
        """Take an exception that nobody thought of, and that is being handled."""
        self._pass_log.broke()
        self._failed(f"an error in overlayd itself: {error!r}", report, work, now)

    def took(self, result: PassResult, report: PassReport, work: Work, now: float) -> None:
        self.readings.took(work, result)
        if result.error is None:
            self._memory, self._standing = result.plan.memory, result.standing
        if self.result is not None and work.inventory is self.passed:
            self.drift.count(result, report.began, work.now.monotonic)
        failed = bool(result.failures) or self.readings.tunnel_is_silent
        if not failed:
            self.passed = work.inventory
            self.has_converged |= work.inventory is not None and result.plan.state is None
        self.result = result
        self._pass_log.changes(result, self.drift.fights)
        changes = (ChangeReport(str(o.change), o.change.why, o.error) for o in result.outcomes)
        report = evolve(report, changes=tuple(changes), error=result.error)
        self._finish(report, work, now, failed)

    def took_down(self, report: PassReport, now: float) -> None:
        """Take for the last pass what removed all that passes made."""
        self.passes, self.report, self.finished_at = report.number, report, now

    def _failed(self, error: str, report: PassReport, work: Work, now: float) -> None:
        self._standing = None
        self._finish(evolve(report, error=error), work, now, failed=True)

    def _finish(self, report: PassReport, work: Work, now: float, failed: bool) -> None:
        self.attempts = self.attempts + 1 if failed else 0
        self.report = evolve(report, duration=now - work.now.monotonic)
        if report.failed or not failed:
            self.trouble = self.report if failed else None
        self.finished_at = now
