"""Decides when a pass runs: one at a time, on the newest inventory, again until it succeeds."""

from collections.abc import Callable
from functools import partial

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from overlayd.model.errors import OverlaydError, Stopping
from overlayd.model.node import Inventory
from overlayd.model.status import ChangeReport, PassReport
from overlayd.model.text import rfc3339
from overlayd.passes import PassResult
from overlayd.plan.result import Memory, Now
from overlayd.services.drift import Drift
from overlayd.services.thread import Call

RunPass = Callable[[Inventory | None, Memory, Now], PassResult]

SHORTEST_PERIOD = 2.0  # seconds between two passes that nobody asked for
LONGEST_PERIOD = 15.0  # within which a peer or key that someone changed is repaired
SHARE = 0.01  # of one core that periodic passes may take
CHECK_AFTER = 0.2  # seconds after a pass that changed something
SHARE_OF_CHECKS = 0.1  # of one core while changes come without end


class PeerManager(Service):
    """Runs passes on the machine's thread.

    Its inputs only set "wanted"; what comes while a pass runs is one more pass. A pass that failed
    in part is run again with back-off: what could be done is done. `finished` hears of each pass.
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
        self._wanted: list[str] = []
        self._waiters: list[Deferred[PassReport]] = []
        self._announced = ""  # what the kernel announced while a pass ran
        self._complaints: frozenset[tuple[str, str]] = frozenset()  # of the last pass
        self._next: IDelayedCall | None = None
        self._busy: Deferred[None] | None = None
        self._passed: Inventory | None = None  # what the last successful pass brought about
        self._listeners: list[Callable[[PassResult], None]] = []
        self._readers: list[Callable[[], None]] = []
        self.result: PassResult | None = None
        self.report: PassReport | None = None
        self.attempts = 0  # passes that failed in a row
        self.passes = 0
        self.has_converged = False  # whether one pass on an inventory left nothing undone
        self.finished_at = 0.0  # when the last pass ended, by the clock
        self.drift = Drift()

    # --- what asks for a pass ---

    def on_pass(self, listener: Callable[[PassResult], None]) -> None:
        """Call `listener` after each pass that could read the machine."""
        self._listeners.append(listener)

    def on_report(self, reader: Callable[[], None]) -> None:
        """Call `reader` after each pass, also after one that could not read the machine."""
        self._readers.append(reader)

    def take(self, inventory: Inventory) -> None:
        """Take a new inventory; names that changed in those it replaces unseen are united."""
        if self.inventory is not None and self.inventory is not self._passed:
            inventory = evolve(inventory, changed=inventory.changed | self.inventory.changed)
        self.inventory = inventory
        self.inventory_at = self._clock.seconds()
        self.want(_named(inventory.changed))

    def want(self, reason: str) -> None:
        """Run a pass as soon as none is running."""
        self._wanted.append(reason)
        if self.running and self._busy is None:
            self._begin()

    def kernel_announced(self, reason: str) -> None:
        """Someone changed what is ours: repair it now, or later where someone keeps undoing it.

        A pass that fails may announce itself, so after a failure the retry comes when it comes.
        """
        if self._busy is not None:
            self._announced = reason
        elif self.drift.pause(self._clock.seconds()) == 0 and not self.attempts:
            self.want(reason)

    def resync(self) -> "Deferred[PassReport]":
        """Run a full pass; fire with its report. It begins after this call."""
        answered: Deferred[PassReport] = Deferred()
        self._waiters.append(answered)
        self.want("resync was asked for")
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

    def _begin(self) -> None:
        self._cancel()
        self._busy = Deferred()
        Deferred.fromCoroutine(self._work()).addErrback(
            lambda f: self._log.failure("the peer manager broke", f)
        ).addBoth(self._rest)

    async def _work(self) -> None:
        while self._wanted and self.running:
            reasons, self._wanted = tuple(dict.fromkeys(self._wanted)), []
            waiters, self._waiters = self._waiters, []
            await self._one_pass(reasons)
            for reader in self._readers:
                self._tell(reader)
            for waiter in waiters:
                assert self.report is not None  # _one_pass made it
                waiter.callback(self.report)

    def _rest(self, _: object) -> None:
        busy, self._busy = self._busy, None
        announced, self._announced = self._announced, ""
        if self.running:
            if self.attempts:
                self._schedule(self._retry(self.attempts - 1), "the last pass failed")
            else:
                pause = self.drift.pause(self._clock.seconds())
                delay = 0.0 if announced else self._period()
                self._schedule(max(delay, pause), announced or "it was time")
        if busy is not None:
            busy.callback(None)

    def _period(self) -> float:
        """Soon where the last pass changed something: to see that it is there. Else by its cost."""
        cpu = self.result.cpu if self.result is not None else 0.0
        if self.report is not None and any(c.error is None for c in self.report.changes):
            return max(CHECK_AFTER, cpu / SHARE_OF_CHECKS)
        return min(LONGEST_PERIOD, max(SHORTEST_PERIOD, cpu / SHARE))

    def _schedule(self, delay: float, reason: str) -> None:
        self._cancel()
        self._next = self._clock.callLater(delay, partial(self._due, reason))

    def _due(self, reason: str) -> None:
        self._next = None
        self.want(reason)

    def _cancel(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _refuse_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.errback(Stopping("the daemon is stopping"))

    # --- one pass ---

    async def _one_pass(self, reasons: tuple[str, ...]) -> None:
        inventory, now = self.inventory, Now(self._clock.seconds(), self.wall())
        self.passes += 1
        report = PassReport(
            number=self.passes, why="; ".join(reasons), began=rfc3339(now.wall), duration=0.0
        )
        try:
            result = await self._thread(self._run_pass, inventory, self._memory, now)
        except OverlaydError as error:
            complaint = frozenset({("", str(error))})
            if complaint != self._complaints:
                self._log.error("the pass failed: {error}", error=error)
            self._complaints = complaint
            self._finish(evolve(report, error=str(error)), now)
        except Exception as error:
            self._log.failure("the pass failed in a way nobody thought of")
            self._finish(evolve(report, error=f"an error in overlayd itself: {error!r}"), now)
        else:
            self._took(result, inventory, report, now)

    def _took(
        self, result: PassResult, inventory: Inventory | None, report: PassReport, now: Now
    ) -> None:
        if inventory is not None and inventory is self._passed:
            self.drift.count(result, report.began, now.monotonic)
        if not result.failures:
            self._passed = inventory
            self.has_converged |= inventory is not None and result.plan.state is None
        self._memory = result.plan.memory
        self.result = result
        self._log_changes(result)
        changes = (ChangeReport(str(o.change), o.change.why, o.error) for o in result.outcomes)
        self._finish(evolve(report, changes=tuple(changes)), now, bool(result.failures))
        for listener in self._listeners:
            self._tell(partial(listener, result))

    def _finish(self, report: PassReport, now: Now, failed: bool = True) -> None:
        self.attempts = self.attempts + 1 if failed else 0
        self.report = evolve(report, duration=self._clock.seconds() - now.monotonic)
        self.finished_at = self._clock.seconds()

    def _tell(self, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception:
            # One that breaks must cost neither the others nor who waits for this pass.
            self._log.failure("what follows a pass failed in a way nobody thought of")

    def _log_changes(self, result: PassResult) -> None:
        """One line for each change that was made, and for each failure that is a new one."""
        failures = frozenset((str(o.change), o.error or "") for o in result.failures)
        for outcome in result.outcomes:
            change = outcome.change
            if outcome.error is None:
                if str(change) not in self.drift.fights:
                    self._log.info("{change} ({why})", change=change, why=change.why)
            elif (str(change), outcome.error) in failures - self._complaints:
                self._log.error(
                    "could not {change} ({why}): {error}",
                    change=change,
                    why=change.why,
                    error=outcome.error,
                )
        self._complaints = failures


def _named(changed: frozenset[str], most: int = 3) -> str:
    names = sorted(changed)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"Nodes changed: {', '.join(names[:most])}{more}"
