"""What tests can make go wrong with history and watches, seen from a client."""

import http.client
import json
import re

from tests.apiserver.client import NODES, PATIENCE
from tests.apiserver.faulty import SILENCE, FaultCase
from tests.apiserver.suite.case import annotated


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

    def test_lines(self) -> None:
        """A watch is one JSON document a line, whatever the values have in them."""
        watch = self.watching(resourceVersion=self.version())
        self.created(metadata={"annotations": {"a": "two\nlines\u2028"}})
        line = watch.line()
        self.assertTrue(line.endswith(b"}\n"))
        self.assertEqual(json.loads(line)["type"], "ADDED")

    def patched(self, count: int) -> None:
        """Write more than what a connection that nobody reads can take."""
        for number in range(count):
            filler = {"number": str(number), "filler": "x" * 250_000}
            self.assertEqual(self.api.patch(self.name(), annotated(filler)).status, 200)

    def test_end_of_a_stuck_watch(self) -> None:
        """A watch that nobody reads is dropped at its end, not waited for."""
        self.created()
        watch = self.watching(resourceVersion=self.version(), timeoutSeconds="1")
        self.patched(60)
        self.process.await_watches(0)
        with self.assertRaises(ConnectionResetError):
            watch.rest()

    def test_hang_with_a_backlog(self) -> None:
        """A watch that has much to send sends nothing while it hangs, and all of it later."""
        self.created()
        watch = self.watching(resourceVersion=self.version())
        self.patched(60)
        self.process.fault("hang")
        wire = watch.connection.sock
        wire.settimeout(SILENCE)
        came = bytearray()
        with self.assertRaises(TimeoutError):
            while True:
                came += wire.recv(1_000_000)
        self.assertNotIn(b'"number":"59"', came)
        self.process.fault("resume")
        wire.settimeout(PATIENCE)
        while b'"number":"59"' not in came[-1_000_000:]:
            came += wire.recv(1_000_000)
        numbers = [int(number) for number in re.findall(rb'"number":"(\d+)"', came)]
        self.assertEqual(numbers, list(range(numbers[0], 60)))
