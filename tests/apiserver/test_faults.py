"""What tests can make go wrong at the development API server, seen from a client."""

import atexit
import http.client
import json
import time
from contextlib import ExitStack
from functools import cache

from overlayd.testing.apiserver.process import ServerProcess, development_server
from tests.apiserver.client import NODES, ServerUnderTest
from tests.apiserver.suite.case import NodeApiCase

SILENCE = 0.3
"""Seconds in which a server that is silent on purpose says nothing."""


@cache
def shared_server() -> ServerProcess:
    """One server for all tests of this module; it ends with the process that runs them."""
    stack = ExitStack()
    server = stack.enter_context(development_server("--bookmark-interval", "0.2"))
    atexit.register(stack.close)
    return server


class FaultCase(NodeApiCase):
    """A server that works again after each test."""

    def server(self) -> ServerUnderTest:
        return ServerUnderTest(shared_server().url)

    def setUp(self) -> None:
        super().setUp()
        self.process = shared_server()
        self.addCleanup(self.process.fault, "clear")

    def version(self) -> str:
        return self.api.list(limit="1").version


class HistoryTests(FaultCase):
    def test_forget(self) -> None:
        """After a compaction the present version goes on, and any before it is 410."""
        before = self.version()
        self.created()
        self.process.fault("forget-history")
        present = self.watching(resourceVersion=self.version())
        self.annotate(self.name(), "a", "1")
        event = present.next()
        self.assertEqual(event and event["type"], "MODIFIED")
        [error] = self.watching(resourceVersion=before).rest()
        self.assertStatus(error["object"], 410, "Expired")
        query = {"resourceVersion": before, "resourceVersionMatch": "Exact"}
        self.assertRefused(self.api.list(**query), 410, "Expired")

    def test_replace(self) -> None:
        """An older history has the same Nodes under new uids, and its versions start again."""
        created = self.created(metadata={"annotations": {"a": "1"}})
        for number in range(5):
            self.annotate(self.name(), "b", str(number))
        watch = self.watching(resourceVersion=self.version())
        self.process.fault("replace-history", version=3)
        with self.assertRaises(ConnectionResetError):
            watch.next()
        self.assertEqual(self.version(), "3")
        node = self.api.get(self.name()).document
        self.assertEqual(node["metadata"]["annotations"], {"a": "1", "b": "4"})
        self.assertNotEqual(node["metadata"]["uid"], created["metadata"]["uid"])
        self.assertEqual(self.annotate(self.name(), "b", "5"), "4")

    def test_replace_with_other_nodes(self) -> None:
        """An older history can hold any Nodes, but none that a server would not take."""
        self.created("old")
        document = {"metadata": {"name": self.name("new")}}
        self.addCleanup(self.api.delete, self.name("new"))
        self.process.fault("replace-history", version=1, nodes=[document])
        names = [item["metadata"]["name"] for item in self.api.list().document["items"]]
        self.assertEqual(names, [self.name("new")])
        with self.assertRaises(ValueError):
            self.process.fault("replace-history", nodes=[{"metadata": {"name": "No"}}])


class WatchFaultTests(FaultCase):
    def test_bookmark_interval(self) -> None:
        """Bookmarks come at the interval that was chosen."""
        version = self.version()
        watch = self.watching(resourceVersion=version, allowWatchBookmarks="true")
        for _ in range(2):
            event = watch.next()
            self.assertEqual(event and event["type"], "BOOKMARK")

    def test_reset(self) -> None:
        """A reset reaches the client as one, in every open watch."""
        watches = [self.watching(resourceVersion=self.version()) for _ in range(3)]
        self.process.fault("reset-watches")
        for watch in watches:
            with self.assertRaises(ConnectionResetError):
                watch.next()
        self.process.await_watches(0)

    def test_clean_end(self) -> None:
        """A clean end comes at the end of a line, without an error."""
        watch = self.watching(resourceVersion=self.version())
        self.process.fault("end-watches")
        self.assertEqual(watch.rest(), [])

    def test_cut_line(self) -> None:
        """A watch that is cut ends in the middle of a line, and of the body."""
        watch = self.watching(resourceVersion=self.version())
        self.process.fault("cut-next-line", length=17)
        self.created()
        with self.assertRaises(http.client.IncompleteRead):
            watch.line()
        self.assertEqual(watch.unread, b'{"type":"ADDED","')

    def test_cut_line_with_a_clean_end(self) -> None:
        """A watch can end in the middle of a line and yet be a whole body."""
        watch = self.watching(resourceVersion=self.version())
        self.process.fault("cut-next-line", length=8, clean=True)
        self.created()
        self.assertEqual(watch.line(), b'{"type":')

    def test_injected_line(self) -> None:
        """A line that is no event arrives as it is, and events go on after it."""
        watch = self.watching(resourceVersion=self.version())
        self.process.fault("inject-line", line="no event at all")
        self.assertEqual(watch.line(), b"no event at all\n")
        self.created()
        event = watch.next()
        self.assertEqual(event and event["type"], "ADDED")

    def test_hang(self) -> None:
        """While it hangs it takes requests and says nothing; afterwards nothing was lost."""
        self.created()
        watch = self.watching(
            resourceVersion=self.version(), allowWatchBookmarks="true", timeoutSeconds="1"
        )
        self.process.fault("hang")
        connection = self.api.server.connect(SILENCE)
        self.addCleanup(connection.close)
        connection.request("DELETE", f"{NODES}/{self.name()}")
        with self.assertRaises(TimeoutError):
            connection.getresponse()
        connection.close()
        watch.connection.sock.settimeout(1.5)  # longer than its timeoutSeconds
        with self.assertRaises(TimeoutError):
            watch.next()
        self.assertTrue(self.process.state()["hung"])
        self.process.fault("resume")
        self.assertEqual(self.api.get(self.name()).status, 200)  # who gave up is not served
        self.process.await_watches(0)

    def test_hang_for_a_time(self) -> None:
        """A hang with a time ends by itself, and held events arrive."""
        watch = self.watching(resourceVersion=self.version())
        self.process.fault("hang", seconds=0.2)
        self.created()
        event = watch.next()
        self.assertEqual(event and event["type"], "ADDED")


class AnswerFaultTests(FaultCase):
    def test_planned_answers(self) -> None:
        """So many requests of the named verbs get the planned status; others do not."""
        self.process.fault("answer-next", count=2, status=503, retry_after=7, verbs=["list"])
        self.process.fault("answer-next", count=1, status=429, verbs=["watch"])
        self.created()
        for _ in range(2):
            reply = self.api.list()
            status = self.assertRefused(reply, 503, "ServiceUnavailable")
            self.assertEqual(reply.headers["Retry-After"], "7")
            self.assertEqual(status["details"]["retryAfterSeconds"], 7)
        self.assertEqual(self.api.list().status, 200)
        self.assertRefused(self.api.list(watch="true"), 429, "TooManyRequests")

    def test_tokens(self) -> None:
        """Tokens can be asked for, and changed, while a watch that is open goes on."""
        watch = self.watching(resourceVersion=self.version())
        self.process.fault("set-tokens", tokens=["new"])
        self.addCleanup(self.process.fault, "set-tokens")
        self.assertRefused(self.api.list(), 401, "Unauthorized")
        new = {"Authorization": "Bearer new"}
        self.assertEqual(self.api.ask("GET", NODES, headers=new).status, 200)
        document = {"metadata": {"name": self.name()}}
        self.assertEqual(self.api.ask("POST", NODES, document, headers=new).status, 201)
        event = watch.next()
        self.assertEqual(event and event["type"], "ADDED")

    def test_delay(self) -> None:
        """A delay holds up every answer by its time."""
        self.process.fault("delay", seconds=0.25)
        began = time.monotonic()
        self.assertEqual(self.api.list().status, 200)
        self.assertGreaterEqual(time.monotonic() - began, 0.25)

    def test_wrong_fault(self) -> None:
        """A fault with the wrong arguments, or an unknown one, is said to be wrong."""
        with self.assertRaises(ValueError):
            self.process.fault("hang", minutes=3)
        with self.assertRaises(ValueError):
            self.process.fault("explode")


class CounterTests(FaultCase):
    def test_counters(self) -> None:
        """Lists are counted by what they cost, other requests by what they do, for each client."""
        for suffix in "abc":
            self.created(suffix)
        agent = {"User-Agent": self.name("agent")}
        queries: list[dict[str, str]] = [{}, {"limit": "2"}, {"limit": "1"}]
        replies = [self.api.ask("GET", NODES, query=query, headers=agent) for query in queries]
        token = replies[1].document["metadata"]["continue"]
        self.api.ask("GET", NODES, query={"limit": "2", "continue": token}, headers=agent)
        self.api.ask("GET", f"{NODES}/{self.name('a')}", headers=agent)
        counted = {"full_lists": 2, "single_lists": 1, "list_pages": 1, "gets": 1}
        self.assertEqual(self.process.counters(self.name("agent")), counted)

    def test_log(self) -> None:
        """Every answer is in the log with what was asked and the status it got."""
        self.api.get(self.name())
        last = self.process.requests()[-1]
        shown = (last["method"], last["path"], last["query"], last["status"])
        self.assertEqual(shown, ("GET", f"{NODES}/{self.name()}", {}, 404))

    def test_open_watches(self) -> None:
        """Watches that clients left are no longer counted as open."""
        watch = self.watching(resourceVersion=self.version())
        self.process.await_watches(1)
        watch.close()
        self.process.await_watches(0)


class LineTests(FaultCase):
    def test_lines(self) -> None:
        """A watch is one JSON document a line, whatever the values have in them."""
        watch = self.watching(resourceVersion=self.version())
        self.created(metadata={"annotations": {"a": "two\nlines\u2028"}})
        line = watch.line()
        self.assertTrue(line.endswith(b"}\n"))
        self.assertEqual(json.loads(line)["type"], "ADDED")
