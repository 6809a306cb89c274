"""The node watch on the development API server, with a real thread and real time."""

from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from overlayd.kube.nodes import NodeSession
from overlayd.kube.own_node import write_annotations
from overlayd.model.node import Inventory
from overlayd.services.thread import OneThread
from overlayd.services.watch import NodeWatch, Pace
from overlayd.testing.apiserver.process import development_server
from tests.services.scripted import SETTINGS, client

reactor: Any = installed  # its type is a module to mypy

AT_ONCE = Pace(lambda number: 0.0, lambda: 0.0)


def coroutine(
    test: Callable[[Any], Coroutine[Deferred[Any], Any, None]],
) -> Callable[[Any], Deferred[None]]:
    @wraps(test)
    def run(self: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(test(self))

    return run


class ServerTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        context = development_server("--nodes", "300")
        self.server = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.inventories: list[Inventory] = []
        session = NodeSession(client(self.server.url), SETTINGS)
        self.thread = OneThread(reactor, "watch", interrupt=session.abort)
        self.watch = NodeWatch(reactor, self.thread.call, session, self.inventories.append, AT_ONCE)
        self.thread.startService()
        self.watch.startService()
        self.addCleanup(self.thread.stopService)
        self.addCleanup(self.watch.stopService)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for an outcome; what does not come is ended by the test's timeout."""
        while not condition():
            await deferLater(reactor, 0.01)

    async def until_watching(self, count: int) -> None:
        """Wait until so many watches were begun, the list was read, and the last one is open."""
        await self.until(lambda: bool(self.inventories) and self.watches() == count)
        await self.until(lambda: self.server.state()["open_watches"] == 1)

    def watches(self) -> int:
        """How many watches were begun; a streamed list begins one."""
        counters = self.server.counters()
        return counters.get("watches", 0) + counters.get("streamed_lists", 0)

    def lists(self) -> int:
        """How many lists of all Nodes were begun."""
        counters = self.server.counters()
        return counters.get("full_lists", 0) + counters.get("streamed_lists", 0)

    async def annotate(self, name: str, values: Mapping[str, str | None]) -> None:
        api = client(self.server.url)
        answer = await deferToThread(write_annotations, api, name, values)
        self.assertEqual(answer.status, 200)

    @coroutine
    async def test_follow(self) -> None:
        """Nodes come in pages, then one by one; what is not ours in them changes nothing."""
        await self.until_watching(1)
        names = sorted(self.inventories[0].nodes)
        self.assertEqual(len(names), 300)
        self.assertEqual(self.server.counters(), {"streamed_lists": 1})
        await self.annotate(names[0], {"somebody.else/key": "x"})
        await self.annotate(names[1], {"overlayd/endpoint": "192.0.2.7:4500"})
        await self.until(lambda: len(self.inventories) > 1)
        self.assertEqual(self.inventories[1].changed, {names[1]})

    @coroutine
    async def test_a_hundred_resets(self) -> None:
        """A hundred resets of the watch cause no second full list."""
        for count in range(1, 101):
            await self.until_watching(count)
            self.server.fault("reset-watches")
        await self.until_watching(101)
        self.assertEqual(self.lists(), 1)
        self.assertEqual(len(self.inventories), 1)

    @coroutine
    async def test_cut_line(self) -> None:
        """A line that was cut is told again by the watch that goes on, without a list."""
        await self.until_watching(1)
        names = sorted(self.inventories[0].nodes)
        self.server.fault("cut-next-line", length=200)
        await self.annotate(names[1], {"overlayd/endpoint": "192.0.2.7:4500"})
        await self.until(lambda: len(self.inventories) > 1)
        self.assertEqual(self.inventories[1].changed, {names[1]})
        self.assertEqual(self.lists(), 1)

    @coroutine
    async def test_older_history(self) -> None:
        """Data replaced by an older history is noticed, and listed without a version."""
        await self.until_watching(1)
        uids = {node.uid for node in self.inventories[0].nodes.values()}
        self.server.fault("replace-history", version=3)
        await self.until(lambda: len(self.inventories) > 1)
        self.assertEqual(self.inventories[1].resource_version, "3")
        self.assertFalse(uids & {node.uid for node in self.inventories[1].nodes.values()})

    @coroutine
    async def test_forgotten_history(self) -> None:
        """A version that the server forgot leads to a list, and what was missed is found by it."""
        await self.until_watching(1)
        names = sorted(self.inventories[0].nodes)
        self.server.fault("answer-next", count=1000, status=500, verbs=["watch"])
        self.server.fault("reset-watches")
        await self.annotate(names[1], {"overlayd/endpoint": "192.0.2.7:4500"})
        self.server.fault("forget-history")
        self.server.fault("clear")
        await self.until(lambda: len(self.inventories) > 1)
        self.assertEqual(self.inventories[1].changed, {names[1]})
        self.assertEqual(self.lists(), 2)

    @coroutine
    async def test_stop_while_paused(self) -> None:
        """A server that is stopped like a process (SIGSTOP) does not delay our stopping."""
        await self.until_watching(1)
        self.server.pause()
        try:
            stopping = self.watch.stopService()
            assert stopping is not None
            await stopping
        finally:
            self.server.resume()
