"""The node watch: when it asks again, and for what."""

from collections.abc import Callable

from overlayd.kube.nodes import NodeSession, Report
from overlayd.model.node import Inventory
from overlayd.plan.resume import Attempt, Ending
from overlayd.services.watch import AFTER_A_BUG, Pace
from tests.services.node_watch_case import WatchCase, backoff
from tests.services.scripted import (
    NO_STREAMS,
    SETTINGS,
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
