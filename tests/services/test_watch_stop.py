"""The node watch: how it stops, also while the server hangs."""

from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from overlayd.kube.nodes import NodeSession
from overlayd.services.thread import OneThread
from overlayd.services.watch import NodeWatch
from tests.services.node_watch_case import PACE, WatchCase
from tests.services.scripted import (
    SETTINGS,
    ScriptedServer,
    Streamed,
    Whole,
    bookmark,
    client,
    page,
    refusal,
)

reactor: Any = installed  # its type is a module to mypy


class StopTests(WatchCase):
    def test_while_waiting(self) -> None:
        """Stopping while it waits leaves nothing behind, and nothing is asked any more."""
        self.start(refusal(500))
        stopped = self.watch.stopService()
        assert stopped is not None
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(1000)
        self.assertEqual(len(self.server.asked), 1)


class HangTests(TestCase):
    """With a real thread."""

    timeout = 30

    async def stop_while(self, *script: Whole | Streamed) -> None:
        server = ScriptedServer(*script)
        self.addCleanup(server.close)
        session = NodeSession(client(server.url), SETTINGS)
        thread = OneThread(reactor, "watch", interrupt=session.abort)
        watch = NodeWatch(reactor, thread.call, session, lambda inventory: None, PACE)
        thread.startService()
        self.addCleanup(thread.stopService)
        watch.startService()
        await deferToThread(server.hanging.wait)
        stopping = watch.stopService()
        assert stopping is not None
        await stopping  # the server hangs until the test is over

    def test_hanging_watch(self) -> None:
        """Stopping ends a watch in which nothing comes."""
        return Deferred.fromCoroutine(  # type: ignore[return-value]
            self.stop_while(page([], 10), Streamed([bookmark(11)], "hang"))
        )

    def test_hanging_list(self) -> None:
        """Stopping ends a list that hangs in the middle."""
        return Deferred.fromCoroutine(  # type: ignore[return-value]
            self.stop_while(Streamed([b'{"kind":'], "hang"))
        )
