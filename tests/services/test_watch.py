"""The node watch: when it asks again and for what, what it tells people, and how it stops."""

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from overlayd.kube.nodes import NodeSession, Report
from overlayd.model.node import Inventory
from overlayd.plan.resume import Attempt, Ending
from overlayd.services.thread import OneThread
from overlayd.services.watch import AFTER_A_BUG, NodeWatch, Pace
from tests.services.scripted import (
    NO_STREAMS,
    SETTINGS,
    ScriptedCase,
    ScriptedServer,
    Streamed,
    Whole,
    bookmark,
    client,
    event,
    initial_end,
    node,
    page,
    refusal,
    status,
)

reactor: Any = installed  # its type is a module to mypy


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


class FollowTests(WatchCase):
    def test_list_then_watch(self) -> None:
        """It lists once and watches from there; a clean end goes on where it was."""
        self.start(
            page([node("a")], 10),
            Streamed([event("ADDED", node("b", 11))]),
            Streamed([bookmark(20)]),
        )
        self.assertEqual(self.asked(), ["list anew", "watch 10"])
        self.assertEqual([set(i.nodes) for i in self.inventories], [{"a"}, {"a", "b"}])
        self.clock.advance(self.waits())
        self.clock.advance(self.waits())
        self.assertEqual(self.asked()[2:], ["watch 11", "watch 20"])

    def test_heartbeats(self) -> None:
        """However many heartbeats come in a second, the reactor is woken for none but the first."""
        self.start(page([node("a")], 10), Streamed([event("ADDED", node("a", 11))]))
        woken = self.clock.woken
        beats = Streamed([event("MODIFIED", node("a", 12 + n)) for n in range(1_000)])
        self.server.then = beats
        self.clock.advance(self.waits())
        self.assertEqual(self.clock.woken - woken, 2)  # it is open; it brought something
        self.assertEqual(self.watch.status().heard, 0)
        self.assertEqual(self.asked()[-1], "watch 11")

    def test_a_hundred_resets(self) -> None:
        """A hundred resets, with an event before or not, cause no second list at the server."""
        script: list[Whole | Streamed] = [page([node("a")], 10)]
        for n in range(50):
            script += [Streamed([bookmark(11 + n)], "broken"), Streamed([], "broken"), page([], 99)]
        self.start(*script)
        while len(self.server.asked) < len(script):
            self.clock.advance(self.waits())
        asked = self.asked()[: len(script)]
        self.assertEqual(sum(each.startswith("watch") for each in asked), 100)
        self.assertEqual([each for each in asked if each.startswith("list")], ["list anew"])
        self.assertEqual(self.watch.status().lists, 1)

    def test_relist(self) -> None:
        """After a 410 it lists again, not older than what it saw, and tells what differs."""
        gone = event("ERROR", status(410, "too old"))
        self.start(
            page([node("a"), node("b")], 10),
            Streamed([bookmark(12) + gone]),
            page([node("a", 13), node("c", 14)], 15),
        )
        self.clock.advance(self.waits())
        self.assertEqual(self.asked(), ["list anew", "watch 10", "list 12", "watch 15"])
        self.assertEqual(self.inventories[-1].changed, {"b", "c"})

    def test_another_history(self) -> None:
        """A silent watch and a history below ours lead to a list without a version, and a line."""
        self.start(
            page([node("a")], 1000), Streamed(), page([], 5), page([node("z")], 5), Streamed()
        )
        self.clock.advance(self.waits())
        self.assertEqual(self.asked(), ["list anew", "watch 1000", "probe", "list anew", "watch 5"])
        self.assertEqual(set(self.inventories[-1].nodes), {"z"})
        self.assertTrue(any("not ours: it stands at 5, and 1000" in line for line in self.log()))

    def test_watch_seconds(self) -> None:
        """A watch lasts between five and ten minutes, as chance has it."""
        self.start(page([], 10), Streamed())
        self.assertEqual(self.server.asked[1].query["timeoutSeconds"], "450")
        self.assertEqual(Pace(backoff, lambda: 0.0).watch_seconds(), 300)
        self.assertLessEqual(Pace(backoff, lambda: 0.9999).watch_seconds(), 600)


class StreamTests(WatchCase):
    def test_one_request(self) -> None:
        """Where lists are streamed, the list and the watch after it are one request."""
        self.start(
            Streamed([event("ADDED", node("a")), initial_end(10), event("ADDED", node("b", 11))]),
            Streamed([bookmark(20)]),
            streams=True,
        )
        self.assertEqual(self.asked(), ["stream anew"])
        self.assertEqual([set(i.nodes) for i in self.inventories], [{"a"}, {"a", "b"}])
        self.clock.advance(self.waits())
        self.assertEqual(self.asked(), ["stream anew", "watch 11"])
        self.assertEqual(self.watch.status().lists, 1)
        self.assertEqual(self.log(), ["read 1 Nodes at version 10"])

    def test_remembered(self) -> None:
        """A server that refuses is asked for pages at once, and never for a stream again."""
        gone = event("ERROR", status(410, "too old"))
        self.start(
            NO_STREAMS,
            page([node("a")], 10),
            Streamed([bookmark(12) + gone]),
            page([node("a")], 15),
            Streamed([bookmark(16)]),
            streams=True,
        )
        self.assertEqual(self.asked(), ["stream anew", "list anew", "watch 10"])
        self.clock.advance(self.waits())
        self.assertEqual(self.asked()[3:], ["list 12", "watch 15"])
        self.assertEqual(sum("does not stream" in line for line in self.log()), 1)
        self.assertEqual(self.watch.status().lists, 2)

    def test_unfinished(self) -> None:
        """Streams that never come to their end back off, are no inventory, and end in pages."""
        cut = Streamed([event("ADDED", node("a"))], "broken")
        self.start(cut, cut, page([node("a"), node("b")], 10), streams=True)
        for number in range(2):
            self.assertEqual((self.waits(), self.inventories), (backoff(number), []))
            self.clock.advance(self.waits())
        self.assertEqual(self.asked()[:3], ["stream anew", "stream anew", "list anew"])
        self.assertEqual([set(i.nodes) for i in self.inventories], [{"a", "b"}])
        self.assertEqual(sum("did not come to its end" in line for line in self.log()), 1)


class DelayTests(WatchCase):
    def test_backs_off(self) -> None:
        """A server that refuses is asked again later and later, and not one moment earlier."""
        self.start(*[refusal(500)] * 4)
        for number in range(4):
            self.assertEqual(self.waits(), backoff(number))
            self.clock.advance(self.waits() - 0.01)
            self.assertEqual(len(self.server.asked), number + 1)
            self.clock.advance(0.01)
            self.assertEqual(len(self.server.asked), number + 2)

    def test_retry_after(self) -> None:
        """Retry-After is obeyed."""
        self.start(refusal(429, retry_after="17"))
        self.assertEqual(self.waits(), 17.0)

    def test_nobody_there(self) -> None:
        """A server that is away is looked for until it is there."""
        away = ScriptedServer()
        away.close()
        self.begin(NodeSession(client(away.url), SETTINGS))
        self.assertEqual(self.waits(), backoff(0))
        self.clock.advance(self.waits())
        self.assertEqual(self.waits(), backoff(1))
        self.assertEqual(self.inventories, [])


class BugTests(WatchCase):
    def test_bug_in_the_thread(self) -> None:
        """An exception that nobody thought of is logged whole, and does not end the watch."""
        session = BrokenSession()
        self.begin(session)
        self.clock.advance(self.waits())
        self.clock.advance(self.waits())
        self.assertEqual(session.attempts, 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        self.assertIn("overlayd itself", self.watch.status().error or "")

    def test_bug_outside_an_attempt(self) -> None:
        """One that comes between attempts is logged, and after a while the watch goes on."""
        broken = [True, True, False]

        def retry(number: int) -> float:
            if broken.pop(0):
                raise ZeroDivisionError
            return backoff(number)

        self.server = self.serve(refusal(500), refusal(500), page([node("a")], 10), Streamed())
        session = NodeSession(client(self.server.url), SETTINGS)
        self.begin(session, Pace(retry, lambda: 0.5))
        for _ in range(2):
            self.assertGreaterEqual(self.waits(), AFTER_A_BUG[0])
            self.assertLessEqual(self.waits(), AFTER_A_BUG[1])
            self.clock.advance(self.waits())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual([set(i.nodes) for i in self.inventories], [{"a"}])

    def test_bug_in_the_pace(self) -> None:
        """So it is with one that keeps an attempt from beginning."""
        lengths = [0.5, 0.5]  # for the refused stream and the list
        self.server = self.serve(page([node("a")], 10), Streamed())
        session = NodeSession(client(self.server.url), SETTINGS)
        self.begin(session, Pace(backoff, lambda: lengths.pop()))
        self.assertEqual(self.asked(), ["list anew"])
        lengths += [0.5, 0.5]
        self.clock.advance(self.waits())
        self.assertEqual(self.asked()[1:], ["watch 10"])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)


class BrokenSession(NodeSession):
    def __init__(self) -> None:
        self.attempts = 0

    def run(
        self,
        attempt: Attempt,
        known: Inventory | None,
        seconds: int,
        report: Callable[[Report], None],
    ) -> Ending:
        self.attempts += 1
        raise ZeroDivisionError

    def abort(self) -> None:
        pass


class TellingTests(WatchCase):
    def test_one_line_for_each_change(self) -> None:
        """A line tells what is wrong once, another one that it is over."""
        self.start(
            *[refusal(403, "no")] * 5,
            page([node("a")], 10),
            Streamed([bookmark(11)]),
            *[refusal(403, "no")] * 3,
            page([], 11),  # where its history stands
            Streamed([bookmark(12)]),
            Streamed([bookmark(13)]),
        )
        while len(self.server.asked) < 13:
            self.clock.advance(self.waits())
        refused = (
            "not following the Nodes: we may not list and watch nodes (403); "
            "allow get, list and watch: no"
        )
        self.assertEqual(
            self.log()[1:],
            [
                refused,
                "read 1 Nodes at version 10",
                "following the Nodes again, from version 11",
                refused,
                "following the Nodes again, from version 12",
            ],
        )

    def test_another_reason(self) -> None:
        """Another reason is another line."""
        self.start(refusal(403), refusal(403), refusal(401), refusal(401))
        for _ in range(3):
            self.clock.advance(self.waits())
        self.assertEqual(len(self.log()), 3)  # the first one is that lists come in pages

    def test_another_reason_for_no_answer(self) -> None:
        """So it is where no answer comes: what to look at is another thing."""
        cut, garbage = Whole(200, b"{", cut=True), Whole(200, b"<html>")
        self.start(cut, cut, garbage, garbage)
        for _ in range(3):
            self.clock.advance(self.waits())
        _, first, second = self.log()
        self.assertIn("the answer broke off", first)
        self.assertIn("not a list of Nodes", second)

    def test_flapping(self) -> None:
        """A watch that opens again and again and brings nothing is not told as one that works."""
        broken = Streamed([], "broken")
        self.start(page([], 10), broken, *(page([], 10), broken) * 5)
        while len(self.server.asked) < 12:
            self.clock.advance(self.waits())
        self.assertEqual(len(self.log()), 3)  # pages, the list, and the first break

    def test_nameless(self) -> None:
        """Entries that are no Node are said."""
        self.start(page([{"metadata": {}}], 10))
        self.assertIn("left out 1 Nodes without a name", self.log())

    def test_status(self) -> None:
        """The status tells since when it is up, what keeps it from that, and its counts."""
        self.start(refusal(503, "not yet\n"), page([], 10), Streamed([bookmark(11)]), refusal(401))
        before = self.watch.status()
        self.assertIsNone(before.connected)
        self.assertIn("503: not yet\\n", before.error or "")
        self.clock.advance(self.waits())
        up = self.watch.status()
        self.assertEqual((up.connected, up.heard, up.error), (0.0, 0.0, None))
        self.assertEqual((up.lists, up.watches), (2, 1))
        self.clock.advance(self.waits())
        down = self.watch.status()
        self.assertEqual((down.connected, down.heard), (None, backoff(0)))
        self.assertIn("401", down.error or "")


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
