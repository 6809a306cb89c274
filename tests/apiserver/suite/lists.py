"""Lists: pages of one version, versions asked for, selectors."""

import gzip
import json
import time

from tests.apiserver.client import NODES, Reply
from tests.apiserver.suite.case import NodeApiCase, annotated


class Lists(NodeApiCase):
    """GET /api/v1/nodes and /api/v1/nodes/NAME."""

    def names(self, reply: Reply) -> list[str]:
        """The names in a list of those Nodes that are this test's."""
        self.assertEqual(reply.status, 200, reply.body)
        names = [item["metadata"]["name"] for item in reply.document["items"]]
        return [name for name in names if name.startswith(self.name(""))]

    def pages(self, first: Reply, limit: str) -> list[Reply]:
        """The first page and all that follow it."""
        pages = [first]
        while token := pages[-1].document["metadata"].get("continue"):
            pages.append(self.api.list(**{"limit": limit, "continue": token}))
        return pages

    def test_list(self) -> None:
        """A list is a NodeList of whole Nodes by name, with the version it was read at."""
        status = {"addresses": [{"type": "InternalIP", "address": "192.0.2.7"}]}
        second = self.created("b", spec={"podCIDRs": ["10.9.0.0/24"]}, status=status)
        first = self.created("a")
        reply = self.api.list()
        listed = reply.document
        self.assertEqual((listed["kind"], listed["apiVersion"]), ("NodeList", "v1"))
        self.assertEqual(self.names(reply), [self.name("a"), self.name("b")])
        self.assertGreaterEqual(int(reply.version), int(first["metadata"]["resourceVersion"]))
        [item] = [i for i in listed["items"] if i["metadata"]["name"] == self.name("b")]
        for part in ("metadata", "spec", "status"):
            self.assertEqual(item[part], second[part])

    def test_get(self) -> None:
        """A Node read by its name is what its creation answered."""
        created = self.created()
        self.assertEqual(self.api.get(self.name()).document, created)

    def test_pages(self) -> None:
        """Pages have one version, count what remains, and together hold every Node once."""
        for suffix in "abcde":
            self.created(suffix)
        whole = self.api.list()
        total = len(whole.document["items"])
        pages = self.pages(self.api.list(limit="2"), "2")
        self.assertEqual({page.version for page in pages}, {pages[0].version})
        self.assertEqual([n for page in pages for n in self.names(page)], self.names(whole))
        remaining = [p.document["metadata"].get("remainingItemCount") for p in pages]
        self.assertEqual(remaining[:-1], [total - 2 * n for n in range(1, len(pages))])
        self.assertIn(remaining[-1], (None, 0))

    def test_consistent_pages(self) -> None:
        """What is written between two pages is not in the second: they show one version."""
        for suffix in "abc":
            self.created(suffix)
        first = self.api.list(limit="1")
        self.created("d")
        self.annotate(self.name("c"), "seen", "later")
        self.api.delete(self.name("b"))
        pages = self.pages(first, "500")
        names = [name for page in pages for name in self.names(page)]
        self.assertEqual(names, [self.name("a"), self.name("b"), self.name("c")])
        items = [item for page in pages for item in page.document["items"]]
        [changed] = [i for i in items if i["metadata"]["name"] == self.name("c")]
        self.assertNotIn("annotations", changed["metadata"])

    def test_expired_pages(self) -> None:
        """A continue token older than the history is 410 Expired, with one to go on anyway."""
        self.created("a")
        self.created("b")
        token = self.api.list(limit="1").document["metadata"]["continue"]
        self.annotate(self.name("b"), "seen", "later")
        self.forget_history()
        reply = self.api.list(**{"limit": "500", "continue": token})
        status = self.assertRefused(reply, 410, "Expired")
        onward = self.api.list(**{"limit": "500", "continue": status["metadata"]["continue"]})
        self.assertIn(self.name("b"), self.names(onward))

    def test_probe(self) -> None:
        """A list of one tells the newest version, at the price of one Node."""
        self.created("a")
        newest = self.created("b")
        reply = self.api.list(limit="1")
        self.assertEqual(len(reply.document["items"]), 1)
        self.assertGreaterEqual(int(reply.version), int(newest["metadata"]["resourceVersion"]))

    def test_not_older_than(self) -> None:
        """A list not older than a version has what that version had."""
        created = self.created()
        version = created["metadata"]["resourceVersion"]
        reply = self.api.list(resourceVersion=version, resourceVersionMatch="NotOlderThan")
        self.assertEqual(self.names(reply), [self.name()])
        self.assertGreaterEqual(int(reply.version), int(version))

    def test_exact(self) -> None:
        """A list at exactly a version shows the Nodes as they were then."""
        created = self.created()
        version = created["metadata"]["resourceVersion"]
        self.annotate(self.name(), "seen", "later")
        reply = self.api.list(resourceVersion=version, resourceVersionMatch="Exact")
        self.assertEqual(reply.version, version)
        [item] = [i for i in reply.document["items"] if i["metadata"]["name"] == self.name()]
        self.assertNotIn("annotations", item["metadata"])

    def test_any_version(self) -> None:
        """A list of version "0" is answered with whatever version there is."""
        self.created()
        self.assertGreater(int(self.api.list(resourceVersion="0").version), 0)

    def test_version_from_the_future(self) -> None:
        """A version not reached yet is waited for, then 504 with a cause of its own."""
        future = str(int(self.api.list(limit="1").version) + 1_000_000)
        began = time.monotonic()
        reply = self.api.list(resourceVersion=future, resourceVersionMatch="NotOlderThan")
        status = self.assertRefused(reply, 504, "Timeout")
        causes = [cause["reason"] for cause in status["details"]["causes"]]
        self.assertEqual(causes, ["ResourceVersionTooLarge"])
        self.assertEqual(reply.headers["Retry-After"], "1")
        self.assertEqual(status["details"]["retryAfterSeconds"], 1)
        self.assertGreater(time.monotonic() - began, 2)

    def test_selected_by_name(self) -> None:
        """A field selector on the name leaves only that Node."""
        self.created("a")
        self.created("b")
        reply = self.api.list(fieldSelector=f"metadata.name={self.name('b')}")
        names = [item["metadata"]["name"] for item in reply.document["items"]]
        self.assertEqual(names, [self.name("b")])

    def test_selected_by_label(self) -> None:
        """A label selector leaves only Nodes with that label and value."""
        for suffix, value in (("a", "x"), ("b", "y")):
            self.created(suffix, metadata={"labels": {self.name(): value}})
        self.assertEqual(
            self.names(self.api.list(labelSelector=f"{self.name()}=y")), [self.name("b")]
        )

    def test_impossible_options(self) -> None:
        """Options that cannot be meant together are refused, not guessed at."""
        without_version = self.api.list(resourceVersionMatch="Exact")
        self.assertRefused(without_version, 422, "Invalid")
        any_exactly = self.api.list(resourceVersionMatch="Exact", resourceVersion="0")
        self.assertRefused(any_exactly, 422, "Invalid")
        self.assertRefused(self.api.list(**{"continue": "nonsense"}), 400, "BadRequest")

    def test_packed(self) -> None:
        """A list beyond 128 KiB is packed for who takes that, and a small answer for nobody."""
        self.created("a", **annotated({"filler": "x" * 200_000}))
        taking = {"Accept-Encoding": "gzip"}
        packed = self.api.ask("GET", NODES, headers=taking)
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertLess(len(packed.body), 100_000)
        listed = json.loads(gzip.decompress(packed.body))
        self.assertIn(self.name("a"), [item["metadata"]["name"] for item in listed["items"]])
        self.created("b")
        small = self.api.ask("GET", f"{NODES}/{self.name('b')}", headers=taking)
        self.assertIsNone(small.headers["Content-Encoding"])
        self.assertIsNone(self.api.list().headers["Content-Encoding"])

    def test_heavy_nodes(self) -> None:
        """A list larger than any buffer arrives whole."""
        filler = annotated({"filler": "x" * 250_000})
        for number in range(8):
            self.created(str(number), **filler)
        reply = self.api.list()
        self.assertEqual(len(self.names(reply)), 8)
        self.assertGreater(len(reply.body), 8 * 250_000)
