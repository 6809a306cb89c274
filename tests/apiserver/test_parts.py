"""The pure parts of the development API server: merging, snapshots, pod networks."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.testing.apiserver.allocator import PodNetwork
from overlayd.testing.apiserver.documents import merged
from overlayd.testing.apiserver.refusals import Refusal
from overlayd.testing.apiserver.selectors import everything, selector
from overlayd.testing.apiserver.store import NodeStore

RFC_7386: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

WRITES = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=20)


def store_after(writes: list[tuple[str, bool]], history: int) -> tuple[NodeStore, list[list[str]]]:
    """A store in which Nodes were put (or removed), and its texts after each write."""
    store = NodeStore(history)
    texts = [[item.item.decode() for item in store.snapshot()]]
    for name, wanted in writes:
        if wanted:
            store.put({"metadata": {"name": name}, "spec": {}, "status": {}})
        elif any(node.name == name for node in store.snapshot()):
            store.remove(name)
        else:
            continue
        texts.append([item.item.decode() for item in store.snapshot()])
    return store, texts


class PartTests(SynchronousTestCase):
    def test_merge(self) -> None:
        """Merge patches do what the examples of RFC 7386 say, and leave their target alone."""
        for target, patch, result in RFC_7386:
            before = copy.deepcopy(target)
            self.assertEqual(merged(target, patch), result)
            self.assertEqual(target, before)

    @given(WRITES)
    def test_snapshots(self, writes: list[tuple[str, bool]]) -> None:
        """Every version in the history can be read as it was; older ones and later ones cannot."""
        store, texts = store_after(writes, history=5)
        first = store.version - len(texts) + 1
        for version, expected in enumerate(texts, start=first):
            if version < store.oldest:
                with self.assertRaises(Refusal):
                    store.snapshot(version)
            else:
                shown = [node.item.decode() for node in store.snapshot(version)]
                self.assertEqual(shown, expected)
        with self.assertRaises(Refusal):
            store.snapshot(store.version + 1)

    @given(WRITES)
    def test_events(self, writes: list[tuple[str, bool]]) -> None:
        """The events after a version, one after the other, are all writes since."""
        store, texts = store_after(writes, history=100)
        version, seen = store.version - len(texts) + 1, []
        while (event := store.after(version)) is not None:
            version = event.version
            seen.append(version)
        self.assertEqual(len(seen), len(texts) - 1)
        self.assertEqual(version, store.version)

    def test_selected_events(self) -> None:
        """A Node that begins to match is ADDED to who selects it, one that stops is DELETED."""
        store = NodeStore(10)
        for value in ("x", "y", "y", "x", "x"):
            store.put({"metadata": {"name": "a", "labels": {"k": value}}, "spec": {}, "status": {}})
        store.remove("a")
        types: dict[str, list[str]] = {"everything": [], "k=y": []}
        for selected, kinds in zip((everything, selector("k=y", "")), types.values(), strict=True):
            for version in range(1, store.version):
                event = store.after(version)
                line = event.line(selected) if event else None
                kinds.append(line.split(b'"')[3].decode() if line else "")
        self.assertEqual(types["everything"], ["ADDED", *["MODIFIED"] * 4, "DELETED"])
        self.assertEqual(types["k=y"], ["", "ADDED", "MODIFIED", "DELETED", "", ""])

    def test_free_parts(self) -> None:
        """The first part that overlaps nothing is free, whatever size the others have."""
        pods = PodNetwork.parse("10.9.0.0/22", 24)
        self.assertEqual(pods.free([]), "10.9.0.0/24")
        self.assertEqual(pods.free(["10.9.0.0/25", "10.9.1.0/24", "fd00::/64"]), "10.9.2.0/24")
        self.assertIsNone(pods.free(["10.0.0.0/8"]))
        with self.assertRaises(ValueError):
            PodNetwork.parse("10.9.0.0/22", 20)
