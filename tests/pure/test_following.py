"""A watch's bytes applied to known Nodes, cut in any place."""

import json

from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.watching import Following
from overlayd.model.node import Inventory
from overlayd.model.settings import Settings
from overlayd.plan.claim_index import index_of
from overlayd.plan.documents import node_from
from tests.services.scripted import bookmark, event, node

SETTINGS = Settings(node_name="a")


def known(*names: str) -> Inventory:
    nodes = {name: node_from(json.dumps(node(name)).encode()) for name in names}
    index = index_of(SETTINGS, nodes.values())
    return Inventory(nodes, frozenset(names), "10", index=index)


EVENTS = b"".join(
    [
        event("ADDED", node("größe", 11)),
        b"\n",
        event("MODIFIED", node("a", 12, "192.0.2.7")),
        bookmark(15),
    ]
)


class CutTests(SynchronousTestCase):
    def followed(self, *pieces: bytes) -> Following:
        following = Following(SETTINGS, known("a", "b"), "10")
        for piece in pieces:
            following.take(piece)
        return following

    def test_cut_anywhere(self) -> None:
        """A watch that is cut at any byte loses no name, and keeps what came whole."""
        for cut in range(len(EVENTS) + 1):
            following = self.followed(EVENTS[:cut])
            self.assertIsNone(following.ending)
            self.assertLessEqual({"a", "b"}, set(following.nodes))
            self.assertEqual("größe" in following.nodes, following.version != "10")

    def test_pieces(self) -> None:
        """Where the pieces of a stream are cut changes nothing, not even inside a character."""
        whole = self.followed(EVENTS)
        for cut in range(len(EVENTS) + 1):
            pieces = self.followed(EVENTS[:cut], EVENTS[cut:])
            self.assertEqual((pieces.nodes, pieces.version), (whole.nodes, "15"))

    def test_shared(self) -> None:
        """A heartbeat keeps the value that is there, with all that shares it."""
        before = known("a")
        following = Following(SETTINGS, before, "10")
        following.take(event("MODIFIED", node("a", 11, conditions=["alive"])))
        self.assertIs(following.nodes["a"], before.nodes["a"])
        self.assertIs(following.index, before.index)

    def test_one_piece(self) -> None:
        """What comes in one piece is one change, and what is undone within it is none."""
        following = Following(SETTINGS, known("a", "b"), "10")
        changed = following.take(
            event("ADDED", node("c", 11))
            + event("DELETED", node("b", 12))
            + event("DELETED", node("a", 13))
            + event("ADDED", node("a", 14))
        )
        self.assertEqual(changed, {"b", "c"})
