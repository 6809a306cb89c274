"""A node watch on a development API server, with a real thread, and with time for the taking."""

from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import EventLoggingObserver
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from overlayd.kube.nodes import NodeSession
from overlayd.kube.own_node import write_annotations
from overlayd.kube.silence import Silence
from overlayd.kube.transport.api import ApiServer
from overlayd.model.node import ENDPOINT_ANNOTATION, Inventory
from overlayd.services.thread import OneThread
from overlayd.services.watch import NodeWatch, Pace
from overlayd.testing.apiserver.process import development_server
from tests.services.scripted import SETTINGS, client

reactor: Any = installed  # its type is a module to mypy

SHORT = Silence(probe=2.0, listing=6.0, first=2.0, watch=2.0)
"""Longer than a server that sends bookmarks all the time is silent, also on a busy machine. A list
from the future is answered after 3 s."""


def coroutine(
    test: Callable[[Any], Coroutine[Deferred[Any], Any, None]],
) -> Callable[[Any], Deferred[None]]:
    @wraps(test)
    def run(self: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(self))

    return run


def backoff(number: int) -> float:
    return number + 1.0


class ClockedReactor(Clock):
    """The reactor, with a time that stands still until a test advances it."""

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        reactor.callFromThread(function, *args)


class FaultCase(TestCase):
    """A watch of a few Nodes. None of them is ever deleted, so none may be seen to disappear."""

    timeout = 60
    silence = SHORT
    options: tuple[str, ...] = ("--nodes", "3", "--bookmark-interval", "0.1")

    def setUp(self) -> None:
        context = development_server(*self.options)
        self.server = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.clock = ClockedReactor()
        self.inventories: list[Inventory] = []
        self.observer = EventLoggingObserver.createWithCleanup(
            self,
            globalLogPublisher,
        )
        self._ports = iter(range(4500, 65536))

    def api(self) -> ApiServer:
        return client(self.server.url)

    async def follow(self) -> None:
        """Start, and wait until the watch has brought something."""
        self.begin()
        await self.until(lambda: self.watch.status().heard is not None)
        self.names = sorted(self.inventories[0].nodes)

    def begin(self) -> None:
        session = NodeSession(self.api(), SETTINGS, self.silence)
        thread = OneThread(reactor, "watch", interrupt=session.abort)
        pace = Pace(backoff, lambda: 0.5)
        self.watch = NodeWatch(self.clock, thread.call, session, self.inventories.append, pace)
        thread.startService()
        self.watch.startService()
        self.addCleanup(thread.stopService)
        self.addCleanup(self.watch.stopService)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for an outcome; what does not come is ended by the test's timeout."""
        while not condition():
            await deferLater(reactor, 0.01)

    async def waits(self, seconds: float) -> None:
        """Wait until an attempt has failed, and see that the next one comes after that long."""
        await self.until(lambda: bool(self.clock.getDelayedCalls()))
        (call,) = self.clock.getDelayedCalls()
        self.assertEqual(call.getTime() - self.clock.seconds(), seconds)

    async def backs_off(self, *delays: float) -> None:
        """See so many attempts fail, and wait that long after each."""
        for seconds in delays:
            await self.waits(seconds)
            self.clock.advance(seconds)

    async def change(self) -> int:
        """Change a Node; return the port by which it is known again."""
        port = next(self._ports)
        await self.annotate(self.names[1], {ENDPOINT_ANNOTATION: f"192.0.2.7:{port}"})
        return port

    async def annotate(self, name: str, values: Mapping[str, str | None]) -> None:
        answer = await deferToThread(write_annotations, self.api(), name, values)
        self.assertEqual(answer.status, 200)

    async def sees(self, port: int) -> None:
        """Wait until the change is seen; see that no name has ever disappeared."""
        await self.until(lambda: self._port() == port)
        for inventory in self.inventories:
            self.assertEqual(sorted(inventory.nodes), self.names)

    async def goes_on(self) -> None:
        """See that changes are seen, and that no name has ever disappeared."""
        await self.sees(await self.change())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def _port(self) -> int | None:
        endpoint = self.inventories[-1].nodes[self.names[1]].endpoint
        return None if endpoint is None else endpoint.port

    def asked(self) -> dict[str, int]:
        """How many lists, probes and watches the server was asked for."""
        counters = self.server.counters()
        return {
            "lists": counters.get("full_lists", 0) + counters.get("streamed_lists", 0),
            "probes": counters.get("single_lists", 0),
            "watches": counters.get("watches", 0),
        }

    def log(self) -> list[str]:
        """What people are told of the watch after its first list."""
        return [
            formatEvent(logged)
            for logged in self.observer
            if logged["log_namespace"].endswith(".NodeWatch")
            and not formatEvent(logged).startswith("read ")
        ]

    async def told(self, *beginnings: str) -> None:
        """See that so many lines come into the log, no more, and that they begin so."""
        await self.until(lambda: len(self.log()) >= len(beginnings))
        told = self.log()
        self.assertEqual(len(told), len(beginnings), told)
        for line, beginning in zip(told, beginnings, strict=True):
            self.assertTrue(line.startswith(beginning), told)
