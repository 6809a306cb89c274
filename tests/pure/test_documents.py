"""Node documents, read into values; what is malformed costs itself alone."""

import base64
import contextlib
import json
import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import NotADocument
from overlayd.model.keys import PublicKey
from overlayd.model.node import Claim, Endpoint, Node
from overlayd.plan.answers import event_from, page_from, status_from
from overlayd.plan.documents import node_from
from tests.pure.node_documents import DOCUMENT, KEY, annotated, changed, read


class WholeNodeTests(SynchronousTestCase):
    def test_everything(self) -> None:
        """Every claim of a well-formed Node is read."""
        annotations = dict(DOCUMENT["metadata"]["annotations"])
        del annotations["somebody.else/key"]
        self.assertEqual(
            read(DOCUMENT),
            Node(
                name="one",
                uid="7f9c",
                created="2026-10-01T01:02:03Z",
                address=IPv4Address("192.0.2.1"),
                key=PublicKey(bytes(range(32))),
                overlay_addresses=(IPv4Address("100.64.0.1"), IPv6Address("fd00::1")),
                pod_cidrs=(IPv4Network("10.244.1.0/24"), IPv6Network("fd00:10::/64")),
                pod_cidrs_text="10.244.1.0/24,fd00:10:0:0::/64",
                endpoint=Endpoint(IPv4Address("192.0.2.1"), 4500),
                faults=(),
                annotations=annotations,
            ),
        )

    def test_bare(self) -> None:
        """A Node that says nothing claims nothing, and that is no fault."""
        for document in (
            {"metadata": {"name": "one"}},
            {"metadata": {"name": "one", "annotations": None}, "spec": None, "status": None},
            {"metadata": {"name": "one", "annotations": {}}, "spec": {}, "status": {}},
        ):
            self.assertEqual(read(document), Node(name="one"))

    def test_heartbeat(self) -> None:
        """What others write into a Node does not change its value."""
        for path, value in (
            ("metadata|resourceVersion", "42"),
            ("metadata|labels", {"c": "d"}),
            ("metadata|annotations|somebody.else/key", [1, {"x": None}]),
            ("status|images", None),
            ("status|conditions", [{"lastHeartbeatTime": "now"}]),
            ("spec|taints", [{"key": "x"}]),
        ):
            self.assertEqual(read(changed(path, value)), read(DOCUMENT), path)

    def test_empty_annotations(self) -> None:
        """An annotation that was emptied is one that is not there: Go reads both as the same."""
        for name in ("wireguard-publickey", "wireguard-ip", "overlayd/endpoint"):
            self.assertEqual(annotated(name, "").faults, ())

    def test_document_is_let_go(self) -> None:
        """A Node keeps nothing of the page that it was read from."""
        page = {"kind": "NodeList", "metadata": {"resourceVersion": "7"}, "items": [DOCUMENT]}
        raw = json.dumps(page).encode()
        before = sys.getrefcount(raw)
        node = node_from(page_from(raw).items[0])
        self.assertEqual(sys.getrefcount(raw), before)
        self.assertEqual(node.name, "one")


class KeyTests(SynchronousTestCase):
    def test_unreadable(self) -> None:
        """A key that is no canonical base64 of 32 bytes, or zero, costs the key and has a fault."""
        zero = base64.b64encode(bytes(32)).decode()
        for text in (zero, KEY[:-1], f"{KEY}\n", f" {KEY}", KEY[:-2] + "9=", "kéy", "\x00"):
            node = annotated("wireguard-publickey", text)
            self.assertIsNone(node.key)
            self.assertEqual([f.claim for f in node.faults], [Claim.KEY], text)
            self.assertEqual(node.endpoint, read(DOCUMENT).endpoint)

    def test_shown_escaped(self) -> None:
        """The text of a fault cannot move a terminal's cursor, and is short."""
        fault = annotated("wireguard-publickey", "\x1b[2J" + "x" * 5000).faults[0]
        self.assertTrue(fault.text.isprintable())
        self.assertLess(len(fault.text), 300)


class MisshapenTests(SynchronousTestCase):
    def test_one_part(self) -> None:
        """A part that is not of the right shape costs what it would have said, and no more."""
        for path, value, claims in (
            ("metadata|annotations", [], {Claim.KEY, Claim.OVERLAY_ADDRESS, Claim.ENDPOINT}),
            ("metadata|annotations|wireguard-publickey", 7, {Claim.KEY}),
            ("metadata|annotations|overlayd/endpoint", {}, {Claim.ENDPOINT}),
            ("metadata|uid", 7, {Claim.NODE}),
            ("metadata|creationTimestamp", [], {Claim.NODE}),
            ("spec", "x", {Claim.POD_CIDR}),
            ("spec|podCIDRs", "10.0.0.0/8", {Claim.POD_CIDR}),
            ("spec|podCIDRs", ["10.0.0.0/8"] * 1000, {Claim.POD_CIDR}),
            ("status", [], {Claim.INTERNAL_IP}),
            ("status|addresses", {}, {Claim.INTERNAL_IP}),
            ("status|addresses", ["x"], {Claim.INTERNAL_IP}),
            ("status|addresses", [{"type": "InternalIP"}], {Claim.INTERNAL_IP}),
        ):
            node = read(changed(path, value))
            self.assertEqual({f.claim for f in node.faults}, claims, path)
            self.assertEqual(node.name, "one")

    def test_no_name(self) -> None:
        """Without a name it is no Node."""
        documents: tuple[Any, ...] = (
            changed("metadata|name", None),
            changed("metadata|name", ""),
            changed("metadata|name", 7),
            changed("metadata", []),
            changed("metadata", None),
            {},
            [],
            None,
        )
        for document in documents:
            self.assertRaises(NotADocument, read, document)

    def test_deep(self) -> None:
        """Nesting without end is no Node, and no crash."""
        deep = b"[" * 100_000 + b"]" * 100_000
        self.assertRaises(NotADocument, node_from, deep)
        for part in (b'"spec":', b'"status":', b'"x":'):
            raw = b'{"metadata":{"name":"one"},' + part + deep + b"}"
            self.assertRaises(NotADocument, node_from, raw)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
PATHS = st.sampled_from(
    [
        "metadata",
        "metadata|name",
        "metadata|uid",
        "metadata|resourceVersion",
        "metadata|annotations",
        "metadata|annotations|wireguard-publickey",
        "metadata|annotations|wireguard-ip",
        "metadata|annotations|overlayd/overlay-ips",
        "metadata|annotations|overlayd/endpoint",
        "metadata|annotations|somebody.else/key",
        "spec",
        "spec|podCIDR",
        "spec|podCIDRs",
        "status",
        "status|addresses",
    ]
)
HOSTILE = st.text(alphabet="0123456789abcdef.:/,[]% \n\x00\u0661-+", max_size=40)


class LawTests(SynchronousTestCase):
    @given(PATHS, JSON | HOSTILE | st.lists(HOSTILE, max_size=4))
    def test_any_value_anywhere(self, path: str, value: Any) -> None:
        """Whatever stands in a field, a Node is read, or it is none; twice gives equal values."""
        document = changed(path, value)
        try:
            node = read(document)
        except NotADocument:
            self.assertTrue(path.startswith("metadata"))
            return
        self.assertEqual(node, read(document))
        for fault in node.faults:
            self.assertTrue(fault.text.isprintable())

    @given(JSON)
    def test_any_document(self, document: Any) -> None:
        """Whatever the JSON, reading it gives a value or the one error."""
        raw = json.dumps(document).encode()
        for reader in (node_from, page_from, event_from, status_from):
            with contextlib.suppress(NotADocument):
                reader(raw)

    @given(st.binary(max_size=40), st.integers(0, 700), st.integers(0, 700))
    def test_any_bytes(self, junk: bytes, start: int, length: int) -> None:
        """So it is with junk in place of any part of a document."""
        event = json.dumps({"type": "ADDED", "object": DOCUMENT}).encode()
        raw = event[:start] + junk + event[start + length :]
        for reader in (node_from, page_from, event_from, status_from):
            with contextlib.suppress(NotADocument):
                reader(raw)
