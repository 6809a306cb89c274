"""Decides when a pass runs: one at a time, on the newest inventory, again until it succeeds."""

from collections.abc import Callable, Iterable
from functools import partial

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from overlayd.model.errors import NotNow, OverlaydError, Stopping
from overlayd.model.keys import PublicKey
from overlayd.model.node import Inventory
from overlayd.model.status import ChangeReport, PassReport, StateName
from overlayd.model.text import rfc3339
from overlayd.passes import PassResult, Reads, Work
from overlayd.plan.result import Memory, Now, Plan
from overlayd.plan.standing import Standing
from overlayd.services.drift import Drift
from overlayd.services.pass_log import PassLog
from overlayd.services.readings import Readings
from overlayd.services.thread import Call

RunPass = Callable[[Work], PassResult]
Preview = Callable[[Work], Plan]

CHECK_AFTER = 0.2  # seconds after a pass that changed something
ECHO = 1.0  # seconds after a pass that failed, in which announcements may be its own
SHARE_OF_CHECKS = 0.1  # of one core while changes come without end


class PeerManager(Service):
    """Runs passes on the machine's thread.

    Its inputs only set what is wanted; what comes while a pass runs is one more pass. A pass that
    failed in part is run again with back-off: what could be done is done.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        wall: Callable[[], float],
        thread: Call,
        run_pass: RunPass,
        retry: Callable[[int], float],
    ) -> None:
        self._clock = clock
        self.wall = wall
        self._thread = thread
        self._run_pass = run_pass
        self._retry = retry
        self.inventory: Inventory | None = None  # the newest
        self.inventory_at = 0.0  # when it came, by the clock
        self._memory = Memory()
        self._standing: Standing | None = None
        self._readings = Readings()
        self._confirmed: frozenset[PublicKey] = frozenset()  # since the last pass began
        self._wanted: list[str] = []
        self._reads = Reads.NOTHING  # how much the next pass reads
        self._waiters: list[Deferred[PassReport]] = []
        self._announced = ""  # what the kernel announced while a pass ran
        self._pass_log = PassLog(self._log)
        self._next: IDelayedCall | None = None
        self._busy: Deferred[None] | None = None
        self._passed: Inventory | None = None  # what the last successful pass brought about
        self._listeners: list[Callable[[PassResult], None]] = []
        self._readers: list[Callable[[PassReport], None]] = []
        self.result: PassResult | None = None
        self.report: PassReport | None = None
        self.trouble: PassReport | None = None  # the last pass that failed, until one succeeds
        self.attempts = 0  # passes that failed in a row
        self.passes = 0
        self.has_converged = False  # whether one pass on an inventory left nothing undone
        self.finished_at = 0.0  # when the last pass ended, by the clock
        self.drift = Drift(self._log)
        self.why_stopped = "the daemon is stopping"  # who asks for a pass then is told

    # --- what asks for a pass ---

    def on_pass(self, listener: Callable[[PassResult], None]) -> None:
        """Call `listener` after each pass that could read the machine."""
        self._listeners.append(listener)

    def on_report(self, reader: Callable[[PassReport], None]) -> None:
        """Call `reader` after each pass, also after one that could not read the machine."""
        self._readers.append(reader)

    def take(self, inventory: Inventory) -> None:
        """Take a new inventory; names that changed in those it replaces unseen are united."""
        if self.inventory is not None and self.inventory is not self._passed:
            inventory = evolve(inventory, changed=inventory.changed | self.inventory.changed)
        self.inventory = inventory
        self.inventory_at = self._clock.seconds()
        self.want(_named(inventory.changed), Reads.NOTHING)

    def want(self, reason: str, reads: Reads = Reads.EVERYTHING) -> None:
        """Run a pass as soon as none is running."""
        self._wanted.append(reason)
        self._reads = max(self._reads, reads)
        if self.running and self._busy is None:
            self._begin()

    def kernel_announced(self, reason: str) -> None:
        """Someone changed what is ours: repair it now, or later where someone keeps undoing it.

        A pass whose changes fail may announce itself, and for that the retry comes when it comes.
        One that could not read the tunnel changes nothing that would.
        """
        if self._busy is not None:
            self._announced = reason
        elif self._may_repair:
            self.want(reason, Reads.NETWORK)

    def resync(self) -> "Deferred[PassReport]":
        """Run a pass over everything; fire with its report. It begins after this call."""
        return self._answered("resync was asked for")

    def confirm(self, keys: Iterable[PublicKey]) -> "Deferred[PassReport]":
        """Let held peers go; fire with the report of a pass that began afterwards.

        :raises NotNow: (asynchronously) our own Node is missing, and so nothing may go.
        """
        state = self.result.plan.state if self.result else None
        if state is not None and state.name is StateName.NODE_MISSING:
            return fail(NotNow(f"no peer goes, and none is confirmed: {state.message}"))
        self._confirmed |= frozenset(keys)
        return self._answered("the removal of held peers was confirmed")

    def preview(self, preview: Preview) -> "Deferred[Plan]":
        """Let `preview` tell what a pass would do now, once the one that runs is done."""
        return Deferred.fromCoroutine(self._previewed(preview))

    async def _previewed(self, preview: Preview) -> Plan:
        if self._busy is not None:
            done: Deferred[None] = Deferred()
            self._busy.addCallback(done.callback)
            await done
        if not self.running:
            raise Stopping(self.why_stopped)
        now = Now(self._clock.seconds(), self.wall())
        work = Work(self.inventory, self._remembered(), now, None, Reads.EVERYTHING)
        return await self._thread(preview, work)

    def _answered(self, reason: str) -> "Deferred[PassReport]":
        if not self.running:
            return fail(Stopping(self.why_stopped))
        answered: Deferred[PassReport] = Deferred()
        self._waiters.append(answered)
        self.want(reason)
        return answered

    @property
    def next_in(self) -> float | None:
        """Seconds until the next pass that nobody asked for; None while one runs."""
        return None if self._next is None else self._next.getTime() - self._clock.seconds()

    @property
    def _may_repair(self) -> bool:
        now = self._clock.seconds()
        is_echo = self._changes_failed and now - self.finished_at < ECHO
        return self.drift.pause(now) == 0 and not is_echo

    @property
    def _changes_failed(self) -> bool:
        return self.attempts > 0 and not self._readings.tunnel_is_silent

    # --- the service ---

    def startService(self) -> None:
        super().startService()
        self.want("the daemon started")

    def stopService(self) -> "Deferred[None] | None":
        """Fire when the pass that is running is done. The machine stays as it is."""
        super().stopService()
        self._cancel()
        self._refuse_waiters()
        return self._busy

    def took_down(self, report: PassReport) -> None:
        """Take for the last pass what removed all that passes made."""
        self.passes, self.report = report.number, report
        self.finished_at = self._clock.seconds()
        for reader in self._readers:
            self._tell(partial(reader, report))

    def _begin(self) -> None:
        self._cancel()
        self._busy = Deferred()
        Deferred.fromCoroutine(self._work()).addErrback(
            lambda f: self._log.failure("the peer manager broke", f)
        ).addBoth(self._rest)

    async def _work(self) -> None:
        while self._wanted and self.running:
            if self._announced and self._may_repair:  # it need not wait for the last of many passes
                self.want(self._announced, Reads.NETWORK)
                self._announced = ""
            reasons, self._wanted = tuple(dict.fromkeys(self._wanted)), []
            waiters, self._waiters = self._waiters, []
            await self._one_pass(reasons, self._take_work(whole=bool(waiters)))
            assert self.report is not None  # _one_pass made it
            for reader in self._readers:
                self._tell(partial(reader, self.report))
            for waiter in waiters:
                waiter.callback(self.report)

    def _rest(self, _: object) -> None:
        busy, self._busy = self._busy, None
        announced, self._announced = self._announced, ""
        if self.running:
            if self.attempts and not (announced and not self._changes_failed):
                self._schedule(self._retry(self.attempts - 1), "the last pass failed")
            else:
                self._schedule_next(announced)
        if busy is not None:
            busy.callback(None)

    def _schedule_next(self, announced: str) -> None:
        """Soon where something was changed: to see that it is there. Else when it is time."""
        now = self._clock.seconds()
        pause = self.drift.pause(now)
        if announced:
            self._schedule(pause, announced, Reads.NETWORK)
        elif self.report is not None and any(c.error is None for c in self.report.changes):
            seconds = self.result.seconds if self.result is not None else 0.0
            check = min(seconds / SHARE_OF_CHECKS, self._readings.due_in(now))
            delay = max(CHECK_AFTER, check, pause)
            self._schedule(delay, "the last pass changed something", Reads.NOTHING)
        else:
            self._schedule(max(self._readings.due_in(now), pause), "it was time")

    def _schedule(self, delay: float, reason: str, reads: Reads = Reads.EVERYTHING) -> None:
        self._cancel()
        self._next = self._clock.callLater(delay, partial(self._due, reason, reads))

    def _due(self, reason: str, reads: Reads) -> None:
        self._next = None
        self.want(reason, reads)

    def _cancel(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _refuse_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.errback(Stopping(self.why_stopped))

    # --- one pass ---

    def _take_work(self, whole: bool) -> Work:
        now = self._clock.seconds()
        reads, self._reads = self._reads, Reads.NOTHING
        if self._readings.due_in(now) <= 0:
            reads = Reads.EVERYTHING  # Node events that never end do not put it off
        whole |= reads is Reads.EVERYTHING and self._readings.whole_is_due(now)
        standing = None if whole else self._standing
        # Kept also where this pass fails; the one before knew nothing of what was confirmed.
        self._memory, self._confirmed = self._remembered(), frozenset()
        return Work(self.inventory, self._memory, Now(now, self.wall()), standing, reads)

    async def _one_pass(self, reasons: tuple[str, ...], work: Work) -> None:
        self.passes += 1
        report = PassReport(
            number=self.passes, why="; ".join(reasons), began=rfc3339(work.now.wall), duration=0.0
        )
        try:
            result = await self._thread(self._run_pass, work)
        except OverlaydError as error:
            self._pass_log.could_not_read(str(error))
            self._standing = None
            self._finish(evolve(report, error=str(error)), work)
        except Exception as error:
            self._pass_log.broke()
            self._standing = None
            self._finish(evolve(report, error=f"an error in overlayd itself: {error!r}"), work)
        else:
            self._took(result, report, work)

    def _remembered(self) -> Memory:
        """What the next plan has to know: of the plan before it, and of the operator."""
        if not self._confirmed:
            return self._memory
        return evolve(self._memory, confirmed=self._memory.confirmed | self._confirmed)

    def _took(self, result: PassResult, report: PassReport, work: Work) -> None:
        self._readings.took(work, result)
        if result.error is None:
            self._memory, self._standing = result.plan.memory, result.standing
        if self.result is not None and work.inventory is self._passed:
            self.drift.count(result, report.began, work.now.monotonic)
        failed = bool(result.failures) or self._readings.tunnel_is_silent
        if not failed:
            self._passed = work.inventory
            self.has_converged |= work.inventory is not None and result.plan.state is None
        self.result = result
        self._pass_log.changes(result, self.drift.fights)
        changes = (ChangeReport(str(o.change), o.change.why, o.error) for o in result.outcomes)
        self._finish(evolve(report, changes=tuple(changes), error=result.error), work, failed)
        for listener in self._listeners:
            self._tell(partial(listener, result))

    def _finish(self, report: PassReport, work: Work, failed: bool = True) -> None:
        self.attempts = self.attempts + 1 if failed else 0
        self.report = evolve(report, duration=self._clock.seconds() - work.now.monotonic)
        if report.failed or not failed:
            self.trouble = self.report if failed else None
        self.finished_at = self._clock.seconds()

    def _tell(self, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception:
            # One that breaks must cost neither the others nor who waits for this pass.
            self._log.failure("what follows a pass failed in a way nobody thought of")


def _named(changed: frozenset[str], most: int = 3) -> str:
    names = sorted(changed)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"Nodes changed: {', '.join(names[:most])}{more}"
