"""A node watch in this thread, asking a scripted server by a clock of the test."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher

from overlayd.kube.nodes import NodeSession
from overlayd.model.node import Inventory
from overlayd.services.watch import NodeWatch, Pace
from tests.services.scripted import (
    SETTINGS,
    ScriptedCase,
    Streamed,
    Whole,
    client,
)


class ThreadlessReactor(Clock):
    """A clock whose threads are this one."""

    woken = 0

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        self.woken += 1
        function(*args)


def immediately(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Deferred[Any]:
    """A thread that is this one."""
    return maybeDeferred(function, *args, **kwargs)


def backoff(number: int) -> float:
    return number + 1.0


PACE = Pace(backoff, lambda: 0.5)


class WatchCase(ScriptedCase):
    """A watch with the real client in this thread. It runs until it waits for the clock."""

    def setUp(self) -> None:
        self.clock = ThreadlessReactor()
        self.inventories: list[Inventory] = []
        self.observer = EventLoggingObserver.createWithCleanup(
            self,  # type: ignore[arg-type]
            globalLogPublisher,
        )

    def start(self, *script: Whole | Streamed, streams: bool = False) -> None:
        self.server = self.serve(*script, streams=streams)
        self.begin(NodeSession(client(self.server.url), SETTINGS))

    def begin(self, session: NodeSession, pace: Pace = PACE) -> None:
        self.watch = NodeWatch(self.clock, immediately, session, self.inventories.append, pace)
        self.watch.startService()
        self.addCleanup(self.watch.stopService)

    def asked(self) -> list[str]:
        """The requests so far, in short: how far back each one looks."""
        return [_short(asked.query) for asked in self.server.asked]

    def log(self) -> list[str]:
        return [
            formatEvent(logged)
            for logged in self.observer
            if logged["log_namespace"].endswith(".NodeWatch")
        ]

    def waits(self) -> float:
        """Seconds until the next attempt."""
        (call,) = self.clock.getDelayedCalls()
        return float(call.getTime() - self.clock.seconds())


def _short(query: dict[str, str]) -> str:
    if "sendInitialEvents" in query:
        return f"stream {query.get('resourceVersion', 'anew')}"
    if "watch" in query:
        return f"watch {query['resourceVersion']}"
    if query["limit"] == "1":
        return "probe"
    return f"list {query.get('resourceVersion', 'anew')}"
