"""Watches: where they begin, what they send, how they end."""

from itertools import islice

from tests.apiserver.client import Document, Stream
from tests.apiserver.suite.case import NodeApiCase, annotated

STREAMED = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
    "timeoutSeconds": "5",
}


class Watches(NodeApiCase):
    """GET /api/v1/nodes?watch=true."""

    def version(self) -> str:
        return self.api.list(limit="1").version

    def events(self, stream: Stream, count: int, suffix: str = "node") -> list[Document]:
        """The next events of one of this test's Nodes."""
        return list(islice(stream.of(self.name(suffix)), count))

    def test_from_a_version(self) -> None:
        """A watch sends what came after its version, in order, under rising versions."""
        created = self.created()
        stream = self.watching(resourceVersion=created["metadata"]["resourceVersion"])
        patched = self.api.patch(self.name(), annotated({"a": "1"})).document
        self.api.delete(self.name())
        changed, gone = self.events(stream, 2)
        self.assertEqual(changed, {"type": "MODIFIED", "object": patched})
        self.assertEqual(gone["type"], "DELETED")
        versions = [event["object"]["metadata"].pop("resourceVersion") for event in (changed, gone)]
        self.assertGreater(int(versions[1]), int(versions[0]))
        self.assertEqual(gone["object"], changed["object"])

    def test_missed_events(self) -> None:
        """A watch from an old version begins with all that was missed."""
        before = self.version()
        self.created()
        self.annotate(self.name(), "a", "1")
        types = [event["type"] for event in self.events(self.watching(resourceVersion=before), 2)]
        self.assertEqual(types, ["ADDED", "MODIFIED"])

    def test_without_a_version(self) -> None:
        """Without a version, or with "0", a watch begins with every Node as ADDED."""
        created = self.created()
        for query in ({}, {"resourceVersion": "0"}):
            stream = self.watching(**query)
            [event] = self.events(stream, 1)
            self.assertEqual(event, {"type": "ADDED", "object": created})
            self.annotate(self.name(), "a", query.get("resourceVersion", ""))
            [event] = self.events(stream, 1)
            self.assertEqual(event["type"], "MODIFIED")
            created = event["object"]

    def test_streamed_list(self) -> None:
        """A streamed list is every Node as ADDED, then a bookmark that says it was all."""
        self.created()
        stream = self.watching(**STREAMED)
        events: list[Document] = []
        while not events or events[-1]["type"] == "ADDED":
            event = stream.next()
            assert event is not None
            events.append(event)
        self.assertIn(self.name(), [e["object"]["metadata"].get("name") for e in events])
        end = events[-1]["object"]["metadata"]
        self.assertEqual(events[-1]["type"], "BOOKMARK")
        self.assertEqual(end["annotations"], {"k8s.io/initial-events-end": "true"})
        self.assertGreater(int(end["resourceVersion"]), 0)

    def test_streamed_list_not_older(self) -> None:
        """One that must not be older than a version ends at that version or a later one."""
        version = self.created()["metadata"]["resourceVersion"]
        stream = self.watching(resourceVersion=version, **STREAMED)
        ends = [e["object"] for e in stream.rest() if e["type"] == "BOOKMARK"]
        self.assertIn("annotations", ends[0]["metadata"])
        self.assertGreaterEqual(int(ends[0]["metadata"]["resourceVersion"]), int(version))

    def test_streamed_list_goes_on(self) -> None:
        """After the end of a streamed list the same answer goes on as a watch."""
        stream = self.watching(**STREAMED)
        while (event := stream.next()) and event["type"] != "BOOKMARK":
            pass
        created = self.created()
        self.assertEqual(self.events(stream, 1), [{"type": "ADDED", "object": created}])

    def test_streamed_list_from_the_future(self) -> None:
        """One of a version not reached yet is HTTP 200, and after a while one ERROR event 504."""
        future = str(int(self.version()) + 1_000_000)
        [error] = self.watching(resourceVersion=future, **STREAMED).rest()
        self.assertEqual((error["type"], error["object"]["code"]), ("ERROR", 504))
        causes = [cause["reason"] for cause in error["object"]["details"]["causes"]]
        self.assertEqual(causes, ["ResourceVersionTooLarge"])

    def test_one_node(self) -> None:
        """A watch of one name sends no event of another Node."""
        version = self.version()
        self.created("a")
        self.created("b")
        stream = self.watching(
            resourceVersion=version,
            fieldSelector=f"metadata.name={self.name('b')}",
            timeoutSeconds="1",
        )
        names = [event["object"]["metadata"]["name"] for event in stream.rest()]
        self.assertEqual(names, [self.name("b")])

    def test_bookmarks(self) -> None:
        """A watch that asked gets a bookmark before its end; one that did not gets none.

        It tells a version that the watch did not begin with: where nothing is written at all,
        there is none.
        """
        version = self.version()
        query = {"resourceVersion": version, "timeoutSeconds": "4"}
        with_bookmarks = self.watching(allowWatchBookmarks="true", **query)
        without = self.watching(**query)
        created = self.created()["metadata"]["resourceVersion"]
        bookmarks = [e["object"] for e in with_bookmarks.rest() if e["type"] == "BOOKMARK"]
        self.assertNotIn("BOOKMARK", [event["type"] for event in without.rest()])
        self.assertTrue(bookmarks)
        last = bookmarks[-1]["metadata"]
        self.assertEqual(bookmarks[-1]["kind"], "Node")
        self.assertNotIn("name", last)
        self.assertGreaterEqual(int(last["resourceVersion"]), int(created))
        for start in (version, last["resourceVersion"]):
            stream = self.watching(
                resourceVersion=start, allowWatchBookmarks="true", timeoutSeconds="3"
            )
            told = [int(e["object"]["metadata"]["resourceVersion"]) for e in stream.rest()]
            self.assertEqual(told, sorted({*told} - {int(start)}))
        resumed = self.watching(resourceVersion=last["resourceVersion"])
        self.annotate(self.name(), "a", "1")
        self.assertEqual(self.events(resumed, 1)[0]["type"], "MODIFIED")

    def test_forgotten_version(self) -> None:
        """A version older than the history is HTTP 200, one ERROR event 410 Expired, the end."""
        version = self.version()
        self.created()
        self.forget_history()
        events = self.watching(resourceVersion=version).rest()
        self.assertEqual([event["type"] for event in events], ["ERROR"])
        self.assertStatus(events[0]["object"], 410, "Expired")

    def test_version_from_the_future(self) -> None:
        """A watch from a version not reached yet sends no line at all, and ends cleanly."""
        stream = self.watching(
            resourceVersion=str(int(self.version()) + 1_000_000),
            allowWatchBookmarks="true",
            timeoutSeconds="3",
        )
        self.created()
        self.assertEqual(stream.rest(), [])

    def test_many_watches(self) -> None:
        """Every open watch gets every event."""
        version = self.version()
        streams = [self.watching(resourceVersion=version) for _ in range(5)]
        self.created()
        for stream in streams:
            self.assertEqual(self.events(stream, 1)[0]["type"], "ADDED")

    def test_reader_that_does_not_read(self) -> None:
        """A client that stops reading holds up neither writes nor other watches."""
        self.created()
        version = self.version()
        self.watching(resourceVersion=version)
        reader = self.watching(resourceVersion=version)
        for number in range(30):
            filler = {"number": str(number), "filler": "x" * 250_000}
            self.assertEqual(self.api.patch(self.name(), annotated(filler)).status, 200)
        numbers = [
            event["object"]["metadata"]["annotations"]["number"]
            for event in self.events(reader, 30)
        ]
        self.assertEqual(numbers, [str(number) for number in range(30)])

    def test_initial_events_without_match(self) -> None:
        """A streamed list has to say that any newer version will do."""
        reply = self.api.list(watch="true", sendInitialEvents="true")
        self.assertRefused(reply, 422, "Invalid")

    def test_match_without_initial_events(self) -> None:
        """A watch has no resourceVersionMatch of its own."""
        reply = self.api.list(
            watch="true", resourceVersion="1", resourceVersionMatch="NotOlderThan"
        )
        self.assertRefused(reply, 422, "Invalid")
