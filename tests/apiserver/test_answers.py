"""What tests can make go wrong with single answers, and what is counted of all of them."""

import time

from tests.apiserver.client import NODES
from tests.apiserver.faulty import FaultCase


class AnswerFaultTests(FaultCase):
    def test_paused(self) -> None:
        """A paused server takes connections and answers nothing until it is resumed."""
        self.process.pause()
        self.addCleanup(self.process.resume)
        connection = self.api.server.connect(patience=0.3)
        self.addCleanup(connection.close)
        connection.request("GET", NODES)
        with self.assertRaises(TimeoutError):
            connection.getresponse()
        self.process.resume()
        self.assertEqual(self.api.list().status, 200)

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
        crowded = self.api.list(watch="true")
        self.assertEqual(crowded.status, 429)
        self.assertEqual(crowded.body, b"Too many requests, please try again later.\n")

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
