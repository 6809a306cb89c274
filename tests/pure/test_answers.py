"""Pages of a list, lines of a watch, and Status objects."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import NotADocument
from overlayd.plan.answers import (
    Bookmark,
    Deleted,
    Failed,
    Written,
    event_from,
    page_from,
    status_from,
)
from overlayd.plan.documents import node_from
from tests.pure.node_documents import DOCUMENT, changed, read


def line(kind: str, thing: Any) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode()


class PageTests(SynchronousTestCase):
    def test_page(self) -> None:
        """A page has items, a version, and the token for the rest."""
        page = page_from(
            json.dumps(
                {
                    "kind": "NodeList",
                    "metadata": {"resourceVersion": "7", "continue": "more"},
                    "items": [DOCUMENT, 7],
                }
            ).encode()
        )
        self.assertEqual((page.version, page.rest, len(page.items)), ("7", "more", 2))
        self.assertEqual(node_from(page.items[0]), read(DOCUMENT))
        self.assertRaises(NotADocument, node_from, page.items[1])

    def test_empty(self) -> None:
        """A cluster without Nodes is an empty list, however Go writes it."""
        nothing: tuple[list[Any] | None, ...] = ([], None)
        for items in nothing:
            raw = json.dumps(
                {"kind": "NodeList", "metadata": {"resourceVersion": "7"}, "items": items}
            )
            self.assertEqual(page_from(raw.encode()).items, ())

    def test_not_a_list(self) -> None:
        """What is no list is never an empty one, so it can take no peer away."""
        documents: tuple[Any, ...] = (
            {},
            {"items": []},
            {"kind": "NodeList", "metadata": {"resourceVersion": "7"}},
            {"kind": "NodeList", "metadata": {"resourceVersion": ""}, "items": []},
            {"kind": "NodeList", "metadata": {}, "items": []},
            {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": []},
            {"kind": "Status", "code": 200},
        )
        for document in documents:
            self.assertRaises(NotADocument, page_from, json.dumps(document).encode())

    def test_cut_anywhere(self) -> None:
        """A page that is cut at any byte is no page."""
        raw = json.dumps(
            {"kind": "NodeList", "items": [DOCUMENT], "metadata": {"resourceVersion": "7"}}
        ).encode()
        for cut in range(len(raw)):
            self.assertRaises(NotADocument, page_from, raw[:cut])


class EventTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """Each type of event is read, with its version."""
        node = read(DOCUMENT)
        self.assertEqual(event_from(line("ADDED", DOCUMENT)), Written(node, "41"))
        self.assertEqual(event_from(line("MODIFIED", DOCUMENT)), Written(node, "41"))
        self.assertEqual(event_from(line("DELETED", DOCUMENT)), Deleted("one", "41"))
        bookmark = {"kind": "Node", "metadata": {"resourceVersion": "50"}, "spec": {}}
        self.assertEqual(event_from(line("BOOKMARK", bookmark)), Bookmark("50"))

    def test_error(self) -> None:
        """An ERROR event carries the server's status."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old\n"}
        event = event_from(line("ERROR", status))
        assert isinstance(event, Failed)
        self.assertEqual((event.status.code, event.status.message), (410, "too old\\n"))

    def test_none(self) -> None:
        """Anything else is no event, also one without a version to go on from."""
        for raw in (
            b"",
            b"x",
            b"<html>",
            line("GREETING", DOCUMENT),
            line("ADDED", {}),
            line("ADDED", changed("metadata|resourceVersion", None)),
            line("ADDED", changed("metadata|resourceVersion", 41)),
            line("DELETED", {"metadata": {"resourceVersion": "41"}}),
            line("BOOKMARK", {"metadata": {}}),
            line("ERROR", {}),
            b'{"type":"ADDED"}',
        ):
            self.assertRaises(NotADocument, event_from, raw)


class StatusTests(SynchronousTestCase):
    def test_too_large(self) -> None:
        """The cause tells a version that the server has not reached from any other 504."""
        status = {
            "kind": "Status",
            "code": 504,
            "reason": "Timeout",
            "message": "Timeout: Too large resource version: 900, current: 5",
            "details": {
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "..."}],
                "retryAfterSeconds": 1,
            },
        }
        read = status_from(json.dumps(status).encode())
        assert read is not None
        self.assertEqual((read.too_large, read.retry_after), (True, 1.0))
        del status["details"]
        plain = status_from(json.dumps(status).encode())
        assert plain is not None
        self.assertFalse(plain.too_large)

    def test_not_a_status(self) -> None:
        """A proxy's page is no Status."""
        for raw in (b"<html>Bad Gateway</html>", b"", b"{}", b'{"kind":"NodeList"}'):
            self.assertIsNone(status_from(raw))
