"""Whatever the API server's bytes are, they are read, or are no document; and one bad claim costs
that claim."""

import json
from collections.abc import Callable
from typing import Any

from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import NotADocument
from overlayd.model.node import Claim, Node
from overlayd.plan.answers import event_from, page_from, status_from
from overlayd.plan.documents import node_from
from tests.pure.hostile import fuzz, spoilt, texts
from tests.pure.node_documents import DOCUMENT, changed, read

GOOD = read(DOCUMENT)
EVENT = json.dumps({"type": "MODIFIED", "object": DOCUMENT}).encode()
NODE = json.dumps(DOCUMENT).encode()
STATUS = json.dumps(
    {
        "kind": "Status",
        "code": 410,
        "message": "too old",
        "details": {"retryAfterSeconds": 3, "causes": [{"reason": "ResourceVersionTooLarge"}]},
    }
).encode()

# What may stand in a JSON document where a value is expected, also what no one's reader takes.
fragments = (
    st.sampled_from(
        (
            *(b"null", b"true", b"7", b"-0.0", b"1e999", b"-1e999", b"9" * 5000, b'""'),
            *(
                b"[]",
                b"{}",
                b"[[]]",
                b'[""]',
                b"[null]",
                b"[1e999]",
                b'{"":{}}',
                b"[" * 9 + b"]" * 9,
            ),
            *(
                b'"\\u0000"',
                b'"\\u202e\\u001b[2J"',
                b'"\xff"',
                b'"\xc3"',
                b'["\xff"]',
                b'{"a":"\xff"}',
            ),
            *(
                b'"%s"' % (b"x" * 70_000),
                b'{"a":1,"a":2}',
                b'{"type":"InternalIP","address":1e999}',
            ),
        )
    )
    | texts.map(lambda text: json.dumps(text.encode("utf-8", "replace").decode()).encode())
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda n: json.dumps(n).encode())
)

# A place in a Node, the claims that it may cost, and the fields of the value that they are.
PLACES: tuple[tuple[str, tuple[Claim, ...], tuple[str, ...]], ...] = (
    ("metadata|annotations|wireguard-publickey", (Claim.KEY,), ("key",)),
    ("metadata|annotations|wireguard-ip", (Claim.OVERLAY_ADDRESS,), ("overlay_addresses",)),
    ("metadata|annotations|overlayd/overlay-ips", (Claim.OVERLAY_ADDRESS,), ("overlay_addresses",)),
    ("metadata|annotations|overlayd/endpoint", (Claim.ENDPOINT,), ("endpoint",)),
    ("metadata|annotations|overlayd/pod-cidrs", (), ()),
    ("metadata|annotations|somebody.else/key", (), ()),
    ("metadata|uid", (Claim.NODE,), ("uid",)),
    ("metadata|creationTimestamp", (Claim.NODE,), ("created",)),
    ("metadata|labels", (), ()),
    ("spec|podCIDRs", (Claim.POD_CIDR,), ("pod_cidrs", "pod_cidrs_text")),
    ("spec|podCIDR", (), ()),
    ("status|addresses", (Claim.INTERNAL_IP,), ("address",)),
    ("status|images", (), ()),
)


def with_fragment(path: str, fragment: bytes) -> bytes:
    """The good document with these bytes as the value in one place."""
    return json.dumps(changed(path, "@@")).encode().replace(b'"@@"', fragment)


def tried(reader: Callable[[bytes], Any], raw: bytes) -> Any:
    """What a reader makes of bytes; for what is no document the error's text, which is short."""
    try:
        return reader(raw)
    except NotADocument as error:
        return str(error)


class DocumentsFuzz(SynchronousTestCase):
    @fuzz
    @given(
        st.sampled_from((EVENT, NODE, STATUS)).flatmap(spoilt),
        st.sampled_from((node_from, page_from, event_from, status_from)),
    )
    @example(b'{"kind":"Status","code":' + b"9" * 5000 + b"}", status_from)
    @example(NODE.decode().encode("utf-16"), node_from)
    @example(b"\xef\xbb\xbf" + NODE, node_from)
    @example(b'{"metadata":{"name":"\\ud800"}}', node_from)
    @example(b'{"type":"ADDED","object":' * 5000, event_from)
    @example(b'{"type":"' + b"\x1b" * 5000 + b'","object":{}}', event_from)
    def test_any_bytes(self, raw: bytes, reader: Callable[[bytes], Any]) -> None:
        """Any wrongs in any bytes: no other error, one short line, and twice the same."""
        result = tried(reader, raw)
        self.assertEqual(result, tried(reader, raw))
        if isinstance(result, str):
            self.assertTrue(result.isprintable(), repr(result))
            self.assertLess(len(result), 500)

    @fuzz
    @given(st.sampled_from(PLACES), fragments)
    @example(PLACES[0], b"1e999")
    @example(PLACES[5], b"9" * 5000)
    @example(PLACES[9], b"[1e999]")
    @example(PLACES[11], b'["\xff"]')
    def test_bad_neighbour(
        self, place: tuple[str, tuple[Claim, ...], tuple[str, ...]], fragment: bytes
    ) -> None:
        """Whatever stands in one place costs what that place says, and nothing else."""
        path, claims, fields = place
        node = node_from(with_fragment(path, fragment))
        # Our own annotations are kept as written, and so differ with what is in them.
        same = {name: getattr(GOOD, name) for name in fields}
        self.assertEqual(evolve(node, faults=(), annotations=GOOD.annotations, **same), GOOD)
        for fault in node.faults:
            self.assertIn(fault.claim, claims)
            self.assertTrue(fault.text.isprintable() and fault.reason.isprintable())
            self.assertLess(len(fault.text) + len(fault.reason), 2500)

    @fuzz
    @given(st.lists(fragments | spoilt(NODE), max_size=3))
    def test_bad_neighbours_in_a_page(self, others: list[bytes]) -> None:
        """Whatever else is in a page, the good Nodes in it are read, or there is no page at all."""
        items = b",".join([NODE, *others, NODE])
        page = tried(
            page_from,
            b'{"kind":"NodeList","metadata":{"resourceVersion":"7"},"items":[' + items + b"]}",
        )
        if isinstance(page, str):  # a bracket more or less, and the whole is no JSON
            return
        nodes = [tried(node_from, bytes(item)) for item in page.items]
        for node in nodes:
            self.assertIsInstance(node, Node | str)
        self.assertEqual((nodes[0], nodes[-1]), (GOOD, GOOD))

    def test_every_fragment_in_a_page(self) -> None:
        """A value that is JSON and out of all bounds does not cost the page it stands in."""
        for path, _, _ in PLACES:
            for fragment in (b"1e999", b"9" * 5000, b'"\xff"', b"[1e999]"):
                raw = b'{"kind":"NodeList","metadata":{"resourceVersion":"7"},"items":[%s,%s]}'
                bad = with_fragment(path, fragment)
                one, other = page_from(raw % (bad, NODE)).items
                self.assertEqual(node_from(one).name, GOOD.name)
                self.assertEqual(node_from(other), GOOD)

    @fuzz
    @given(fragments, st.sampled_from(("ADDED", "DELETED", "BOOKMARK", "ERROR", "x")))
    def test_any_event(self, fragment: bytes, kind: str) -> None:
        """Any object in a watch event, and any annotation of a Node that is deleted."""
        tried(event_from, b'{"type":"%s","object":%s}' % (kind.encode(), fragment))
        node = with_fragment("metadata|annotations|somebody.else/key", fragment)
        self.assertNotIsInstance(tried(event_from, b'{"type":"DELETED","object":%s}' % node), str)
