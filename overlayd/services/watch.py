"""Follows the Nodes of the cluster on a thread of its own, and gives inventories to the reactor."""

import random
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from overlayd.kube.nodes import Heard, NodeSession, Report
from overlayd.model.node import Inventory
from overlayd.model.status import ApiStatus
from overlayd.plan.resume import Attempt, Cursor, Ending, How, after
from overlayd.services.retries import back_off
from overlayd.services.thread import Call
from overlayd.services.watch_state import WatchState

SHORTEST_WATCH = 300  # seconds; 5,000 daemons must not all come back at once
LONGEST_WATCH = 600
ALIVE_APART = 1.0  # seconds; a heartbeat of each of 5,000 Nodes would cost twice as much otherwise

AFTER_A_BUG = (15.0, 30.0)
"""Seconds, at random between these: what gives the back-off may itself be what is broken."""


@frozen
class Pace:
    """How long to wait and to watch.

    `retry` gives the seconds before the attempt of a number, from 0: jittered, at most 30.
    `random` gives a number from 0 up to 1.
    """

    retry: Callable[[int], float]
    random: Callable[[], float]

    @classmethod
    def jittered(cls) -> "Pace":
        return cls(back_off(), random.random)

    def watch_seconds(self) -> int:
        return SHORTEST_WATCH + int((LONGEST_WATCH - SHORTEST_WATCH) * self.random())


class NodeWatch(Service):
    """Makes one attempt after the other on `thread`, and decides when the next one comes.

    `took` is called in the reactor's thread with each inventory that differs from the one before.
    `reactor` provides IReactorTime and IReactorFromThreads.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        thread: Call,
        session: NodeSession,
        took: Callable[[Inventory], None],
        pace: Pace,
    ) -> None:
        self._reactor = reactor
        self._thread = thread
        self._session = session
        self._took = took
        self._pace = pace
        self._cursor = Cursor()
        self._inventory: Inventory | None = None
        self._state = WatchState(self._log)
        self._alive_at: float | None = None  # the thread's: when it last said so of this watch
        self._waiting: Deferred[None] | None = None
        self._done: Deferred[None] | None = None

    def startService(self) -> None:
        super().startService()
        self._done = Deferred.fromCoroutine(self._follow()).addErrback(
            lambda failure: self._log.failure("no longer following the Nodes", failure)
        )

    def stopService(self) -> Deferred[None] | None:
        """Fire when nothing runs in the thread any more. A server that hangs delays nothing."""
        super().stopService()
        self._session.abort()
        if self._waiting is not None:
            self._waiting.cancel()
        return self._done

    def status(self) -> ApiStatus:
        return self._state.status(self._reactor.seconds())

    async def _follow(self) -> None:
        while self.running:
            try:
                delay = await self._once()
            except Exception:
                self._log.failure("following the Nodes failed in a way nobody thought of")
                delay = random.uniform(*AFTER_A_BUG)
            await self._wait(delay)

    async def _once(self) -> float:
        """Make an attempt, and return how long to wait then."""
        began = self._reactor.seconds()
        attempt = self._cursor.attempt
        self._state.begin(attempt)
        ending = await self._attempt(attempt)
        if not self.running:
            return 0.0
        now = self._reactor.seconds()
        before = self._cursor
        self._cursor, delay = after(before, ending, now - began)
        self._state.end(ending, now)
        if ending.how is How.PROBED and self._cursor.version is None:
            self._log.warn(
                "the API server's history is not ours: it stands at {theirs}, and {ours} was "
                "seen; listing anew",
                theirs=ending.version,
                ours=before.version,
            )
        return delay.seconds(self._pace.retry)

    async def _attempt(self, attempt: Attempt) -> Ending:
        seconds = self._pace.watch_seconds()
        try:
            return await self._thread(
                self._session.run, attempt, self._inventory, seconds, self._from_thread
            )
        except Exception:
            # Whatever it is, the next attempt may do without it; the daemon goes on.
            self._log.failure("reading the Nodes failed in a way nobody thought of")
            return Ending(How.NO_ANSWER, reason="an error in overlayd itself, see its log")

    async def _wait(self, seconds: float) -> None:
        if seconds <= 0:
            return
        self._waiting = deferLater(self._reactor, seconds)
        try:
            await self._waiting
        except CancelledError:
            pass  # the service stops
        finally:
            self._waiting = None

    def _from_thread(self, report: Report) -> None:
        """Wake the reactor, but not to say again within a second that the watch is alive."""
        if isinstance(report, Heard):
            now = self._reactor.seconds()
            if not report.moved:
                self._alive_at = None
            elif self._alive_at is not None and now - self._alive_at < ALIVE_APART:
                return
            else:
                self._alive_at = now
        self._reactor.callFromThread(self._reported, report)

    def _reported(self, report: Report) -> None:
        if not self.running:
            return
        if isinstance(report, Heard):
            self._state.hear(report, self._reactor.seconds())
            return
        if self._inventory is None:
            self._log.info(
                "read {count} Nodes at version {version}",
                count=len(report.nodes),
                version=report.resource_version,
            )
        self._inventory = report
        self._took(report)
