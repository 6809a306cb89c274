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
from overlayd.model.status import PassReport, StateName
from overlayd.passes import PassResult, Reads, Work
from overlayd.plan.result import Now, Plan
from overlayd.services.ledger import Ledger
from overlayd.services.thread import Call

RunPass = Callable[[Work], PassResult]
Preview = Callable[[Work], Plan]

CHECK_AFTER = 0.2  # seconds after a pass that changed something
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
        self.ledger = Ledger(self._log)
        self.inventory: Inventory | None = None  # the newest
        self.inventory_at = 0.0  # when it came, by the clock
        self._wanted: list[str] = []
        self._reads = Reads.NOTHING  # how much the next pass reads
        self._waiters: list[Deferred[PassReport]] = []
        self._announced = ""  # what the kernel announced while a pass ran
        self._next: IDelayedCall | None = None
        self._busy: Deferred[None] | None = None
        self._listeners: list[Callable[[PassResult], None]] = []
        self._readers: list[Callable[[PassReport], None]] = []
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
        if self.inventory is not None and self.inventory is not self.ledger.passed:
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
        elif self.ledger.may_repair(self._clock.seconds()):
            self.want(reason, Reads.NETWORK)

    def resync(self) -> "Deferred[PassReport]":
        """Run a pass over everything; fire with its report. It begins after this call."""
        return self._answered("resync was asked for")

    def confirm(self, keys: Iterable[PublicKey]) -> "Deferred[PassReport]":
        """Let held peers go; fire with the report of a pass that began afterwards.

        :raises NotNow: (asynchronously) our own Node is missing, and so nothing may go.
        """
        result = self.ledger.result
        state = result.plan.state if result else None
        if state is not None and state.name is StateName.NODE_MISSING:
            return fail(NotNow(f"no peer goes, and none is confirmed: {state.message}"))
        self.ledger.confirm(keys)
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
        return await self._thread(preview, self.ledger.preview(self.inventory, self._now()))

    def _now(self) -> Now:
        return Now(self._clock.seconds(), self.wall())

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
        self.ledger.took_down(report, self._clock.seconds())
        self._tell_readers(report)

    def _begin(self) -> None:
        self._cancel()
        self._busy = Deferred()
        Deferred.fromCoroutine(self._work()).addErrback(
            lambda f: self._log.failure("the peer manager broke", f)
        ).addBoth(self._rest)

    async def _work(self) -> None:
        while self._wanted and self.running:
            if self._announced and self.ledger.may_repair(self._clock.seconds()):
                self.want(self._announced, Reads.NETWORK)  # not only after the last of many passes
                self._announced = ""
            reasons, self._wanted = tuple(dict.fromkeys(self._wanted)), []
            reads, self._reads = self._reads, Reads.NOTHING
            waiters, self._waiters = self._waiters, []
            work = self.ledger.work(self.inventory, reads, bool(waiters), self._now())
            await self._one_pass(reasons, work)
            report = self.ledger.report
            assert report is not None  # _one_pass made it
            self._tell_readers(report)
            for waiter in waiters:
                waiter.callback(report)

    def _rest(self, _: object) -> None:
        busy, self._busy = self._busy, None
        announced, self._announced = self._announced, ""
        if self.running:
            attempts = self.ledger.attempts
            if attempts and not (announced and not self.ledger.changes_failed):
                self._schedule(self._retry(attempts - 1), "the last pass failed")
            else:
                self._schedule_next(announced)
        if busy is not None:
            busy.callback(None)

    def _schedule_next(self, announced: str) -> None:
        """Soon where something was changed: to see that it is there. Else when it is time."""
        ledger, now = self.ledger, self._clock.seconds()
        pause, due_in = ledger.drift.pause(now), ledger.readings.due_in(now)
        if announced:
            self._schedule(pause, announced, Reads.NETWORK)
        elif ledger.report is not None and any(c.error is None for c in ledger.report.changes):
            seconds = ledger.result.seconds if ledger.result is not None else 0.0
            delay = max(CHECK_AFTER, min(seconds / SHARE_OF_CHECKS, due_in), pause)
            self._schedule(delay, "the last pass changed something", Reads.NOTHING)
        else:
            self._schedule(max(due_in, pause), "it was time")

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

    async def _one_pass(self, reasons: tuple[str, ...], work: Work) -> None:
        report = self.ledger.begin(reasons, work)
        try:
            result = await self._thread(self._run_pass, work)
        except OverlaydError as error:
            self.ledger.could_not_read(str(error), report, work, self._clock.seconds())
        except Exception as error:
            self.ledger.broke(error, report, work, self._clock.seconds())
        else:
            self.ledger.took(result, report, work, self._clock.seconds())
            for listener in self._listeners:
                self._tell(partial(listener, result))

    def _tell_readers(self, report: PassReport) -> None:
        for reader in self._readers:
            self._tell(partial(reader, report))

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
