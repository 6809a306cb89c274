"""One attempt at reading the Nodes, with the real client and a scripted server."""

import json
from ipaddress import IPv4Address

from overlayd.kube.nodes import Heard
from overlayd.kube.own_node import write_annotations
from overlayd.model.node import Inventory
from overlayd.plan.resume import Attempt, Ending, How, Step
from tests.services.scripted import (
    ScriptedCase,
    ScriptedServer,
    Streamed,
    Whole,
    bookmark,
    client,
    event,
    node,
    page,
    refusal,
    status,
)
from tests.services.session_case import LOOPBACK, SessionCase, inventory

LIST = Attempt(Step.LIST)
PROBE = Attempt(Step.PROBE)


class ListTests(SessionCase):
    def test_pages(self) -> None:
        """The pages of a list make one inventory, in which every name is new."""
        server = self.serve(
            page([node("a"), node("b")], 7, "t1"), page([node("c")], 7, "t2"), page([], 7)
        )
        ending = self.attempt(server, LIST)
        self.assertEqual((ending.how, ending.version), (How.LISTED, "7"))
        (found,) = self.inventories
        self.assertEqual(set(found.nodes), {"a", "b", "c"})
        self.assertEqual(found.changed, {"a", "b", "c"})
        self.assertEqual((found.resource_version, found.servers), ("7", LOOPBACK))
        self.assertEqual(
            [asked.query for asked in server.asked],
            [
                {"limit": "250"},
                {"limit": "250", "continue": "t1"},
                {"limit": "250", "continue": "t2"},
            ],
        )

    def test_not_older(self) -> None:
        """A later list is not older than what was seen."""
        server = self.serve(page([], 99))
        self.attempt(server, Attempt(Step.LIST, "42"), inventory("a"))
        self.assertEqual(
            server.asked[0].query,
            {"limit": "250", "resourceVersion": "42", "resourceVersionMatch": "NotOlderThan"},
        )

    def test_changed(self) -> None:
        """After another list, what changed is what is new, gone, or of another value."""
        server = self.serve(page([node("a", 50), node("b", 51, "192.0.2.9"), node("new")], 60))
        known = inventory("a", "b", "gone")
        self.attempt(server, LIST, known)
        (found,) = self.inventories
        self.assertEqual(found.changed, {"b", "gone", "new"})
        self.assertIs(found.nodes["a"], known.nodes["a"])

    def test_unchanged(self) -> None:
        """A list that tells nothing new is no inventory; the first one always is, also empty."""
        self.attempt(self.serve(page([node("a", 50)], 60)), LIST, inventory("a"))
        self.assertEqual(self.inventories, [])
        self.attempt(self.serve(page([], 60)), LIST)
        self.assertEqual([len(found.nodes) for found in self.inventories], [0])

    def test_incomplete(self) -> None:
        """A list that does not come to its end makes no inventory, wherever it stops."""
        first = page([node("a")], 7, "t1")
        for second, how in (
            (refusal(410, "expired"), How.EXPIRED),
            (refusal(500), How.REFUSED),
            (page([node("b")], 8), How.NO_ANSWER),
            (Whole(body=page([node("b")], 7).body[:-5]), How.NO_ANSWER),
            (Whole(body=page([node("b")], 7).body, cut=True), How.NO_ANSWER),
            (Whole(body=b"<html>Welcome</html>"), How.NO_ANSWER),
            (Whole(body=b"{}"), How.NO_ANSWER),
        ):
            ending = self.attempt(self.serve(first, second), LIST)
            self.assertEqual(ending.how, how)
            self.assertEqual(self.inventories, [])

    def test_nameless(self) -> None:
        """An entry that is no Node is left out and counted; the others stay."""
        ending = self.attempt(self.serve(page([node("a"), {"metadata": {}}, 7], 7)), LIST)
        self.assertEqual(ending.skipped, 2)
        self.assertEqual(set(self.inventories[0].nodes), {"a"})

    def test_older(self) -> None:
        """A list that is older than what was asked for is of another history, and not taken."""
        server = self.serve(page([], 41))
        ending = self.attempt(server, Attempt(Step.LIST, "42"), inventory("a"))
        self.assertEqual(ending.how, How.WENT_BACK)
        self.assertEqual(self.inventories, [])

    def test_too_large(self) -> None:
        """A 504 with that cause says that our version is not of this history."""
        cause = "ResourceVersionTooLarge"
        server = self.serve(refusal(504, "Too large", cause), refusal(504, "slow"))
        attempt = Attempt(Step.LIST, "9000")
        self.assertEqual(self.attempt(server, attempt).how, How.TOO_LARGE)
        slow = self.attempt(server, attempt)
        self.assertEqual((slow.how, slow.status), (How.REFUSED, 504))


class ProbeTests(SessionCase):
    def test_probe(self) -> None:
        """A probe asks consistently for one Node and brings the version, and no inventory."""
        server = self.serve(page([node("a")], 77, "more"))
        ending = self.attempt(server, PROBE, inventory("a"))
        self.assertEqual((ending.how, ending.version), (How.PROBED, "77"))
        self.assertEqual([asked.query for asked in server.asked], [{"limit": "1"}])
        self.assertEqual(self.reports, [])

    def test_refused(self) -> None:
        """A probe can be refused, and can find nobody."""
        server = self.serve(refusal(503, retry_after="7"))
        ending = self.attempt(server, PROBE)
        self.assertEqual((ending.how, ending.status, ending.retry_after), (How.REFUSED, 503, 7.0))
        gone = ScriptedServer()
        gone.close()
        self.assertEqual(self.attempt(gone, PROBE).how, How.NO_ANSWER)


class WatchTests(SessionCase):
    def watch(self, answer: Whole | Streamed) -> Ending:
        self.server = self.serve(answer)
        return self.attempt(self.server, Attempt(Step.WATCH, "10"), inventory("a", "b"))

    def test_query(self) -> None:
        """A watch goes on from a version, for a time, with bookmarks."""
        self.watch(Streamed())
        self.assertEqual(
            self.server.asked[0].query,
            {
                "watch": "true",
                "allowWatchBookmarks": "true",
                "resourceVersion": "10",
                "timeoutSeconds": "321",
            },
        )

    def test_events(self) -> None:
        """Events change the inventory, and each one names what changed since the one before."""
        ending = self.watch(
            Streamed(
                [
                    event("ADDED", node("c", 11)),
                    event("MODIFIED", node("a", 12, "192.0.2.7")),
                    event("DELETED", node("b", 13)),
                    bookmark(20),
                ]
            )
        )
        self.assertEqual((ending.how, ending.version, ending.moved), (How.ENDED, "20", True))
        changed = [found.changed for found in self.inventories]
        self.assertEqual(frozenset().union(*changed), {"a", "b", "c"})
        last = self.inventories[-1]
        self.assertEqual(set(last.nodes), {"a", "c"})
        self.assertEqual(last.nodes["a"].address, IPv4Address("192.0.2.7"))

    def test_inventories_are_frozen(self) -> None:
        """An inventory that was given away never changes."""
        both = page([node("a"), node("b")], 10)
        gone = event("DELETED", node("a", 11)), event("DELETED", node("b", 12))
        server = self.serve(both, Streamed(gone))  # a piece each, and so an inventory each
        self.attempt(server, LIST)
        listed = self.inventories[0]
        self.attempt(server, Attempt(Step.WATCH, "10"), listed)
        self.assertEqual([set(i.nodes) for i in self.inventories], [{"a", "b"}, {"b"}, set()])
        with self.assertRaises(TypeError):
            listed.nodes["c"] = listed.nodes["a"]  # type: ignore[index]

    def test_heartbeat(self) -> None:
        """A heartbeat moves the version and makes no inventory."""
        ending = self.watch(Streamed([event("MODIFIED", node("a", 11, conditions=["alive"]))]))
        self.assertEqual(self.inventories, [])
        self.assertEqual(self.reports, [Heard("10", False), Heard("11", True)])
        self.assertEqual((ending.version, ending.moved), ("11", True))

    def test_nothing(self) -> None:
        """A watch that brought nothing says so, however it ended."""
        for end, how in (("clean", How.ENDED), ("broken", How.BROKE_OFF)):
            ending = self.watch(Streamed([b"\n\n"], end))
            self.assertEqual((ending.how, ending.version, ending.moved), (how, "10", False))
            self.assertEqual(self.reports, [Heard("10", False)])
            self.reports.clear()

    def test_bookmark_of_the_same_version(self) -> None:
        """A bookmark counts also where nothing happened since."""
        self.assertTrue(self.watch(Streamed([bookmark(10)])).moved)

    def test_broken(self) -> None:
        """A line that was cut is dropped, and the version is that of the last whole event."""
        cut = event("DELETED", node("b", 12))[:-1]
        for end, how in (("clean", How.ENDED), ("broken", How.BROKE_OFF)):
            ending = self.watch(Streamed([event("ADDED", node("c", 11)), cut], end))
            self.assertEqual((ending.how, ending.version), (how, "11"))
            self.assertEqual(set(self.inventories[-1].nodes), {"a", "b", "c"})

    def test_error_events(self) -> None:
        """An ERROR event ends the watch with its code, after what came before it."""
        for code, cause, how in (
            (410, "", How.EXPIRED),
            (500, "", How.REFUSED),
            (504, "ResourceVersionTooLarge", How.TOO_LARGE),
        ):
            error = event("ERROR", status(code, "no", cause))
            ending = self.watch(Streamed([event("ADDED", node("c", 11)) + error], "broken"))
            self.assertEqual((ending.how, ending.status, ending.version), (how, code, "11"))
            self.assertIn("c", self.inventories[-1].nodes)

    def test_no_event(self) -> None:
        """A whole line that is no event ends it, after what came before it in the same piece."""
        for line in (b"<html>\n", event("ADDED", {}), b'{"type":"ADDED"}\n'):
            ending = self.watch(Streamed([event("ADDED", node("c", 11)) + line]))
            self.assertEqual((ending.how, ending.version), (How.NO_EVENT, "11"))
            self.assertIn("c", self.inventories[-1].nodes)

    def test_went_back(self) -> None:
        """An event or bookmark below the version reached is of another history, and not applied."""
        for line in (event("DELETED", node("a", 9)), bookmark(9)):
            ending = self.watch(Streamed([line]))
            self.assertEqual(ending.how, How.WENT_BACK)
            self.assertEqual(self.inventories, [])

    def test_refused(self) -> None:
        """A refusal has its status, what Retry-After says, and words for a person."""
        ending = self.watch(refusal(429, "slow \x1b[2Jdown", retry_after="9"))
        self.assertEqual((ending.how, ending.status, ending.retry_after), (How.REFUSED, 429, 9.0))
        self.assertIn("slow \\x1b[2Jdown", ending.reason)
        self.assertEqual(self.watch(refusal(410)).how, How.EXPIRED)
        self.assertIn("allow get, list and watch", self.watch(refusal(403)).reason)

    def test_moved_server(self) -> None:
        """An API server that is dialled elsewhere makes an inventory in which no Node changed."""
        known = inventory("a")
        elsewhere = Inventory(known.nodes, known.changed, "10", frozenset())
        server = self.serve(Streamed())
        self.attempt(server, Attempt(Step.WATCH, "10"), elsewhere)
        self.assertEqual(
            [(found.changed, found.servers) for found in self.inventories],
            [(frozenset(), LOOPBACK)],
        )


class AnnotationTests(ScriptedCase):
    def test_merge_patch(self) -> None:
        """Only the named annotations are patched; None removes one; the name is quoted."""
        server = self.serve(Whole(body=b"{}"))
        answer = write_annotations(client(server.url), "a/b?", {"one": "1", "two": None})
        self.assertEqual(answer.status, 200)
        (asked,) = server.asked
        self.assertEqual((asked.method, asked.path), ("PATCH", "/api/v1/nodes/a%2Fb%3F"))
        self.assertEqual(asked.headers["Content-Type"], "application/merge-patch+json")
        self.assertEqual(
            json.loads(asked.body), {"metadata": {"annotations": {"one": "1", "two": None}}}
        )
