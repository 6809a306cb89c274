"""The bytes of a streamed list, up to its end."""

import tracemalloc
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.streaming import Gathering
from tests.services.scripted import event, initial_end, node

LIST = b"".join(
    [
        event("ADDED", node("größe", 11)),
        event("ADDED", node("a", 3)),
        b"\n",
        event("MODIFIED", node("a", 12, "192.0.2.7")),
        initial_end(12),
    ]
)
AFTER = event("DELETED", node("a", 13)) + b'{"type":'


class GatheringTests(SynchronousTestCase):
    @given(st.lists(st.integers(0, len(LIST + AFTER)), max_size=6))
    def test_pieces(self, cuts: list[int]) -> None:
        """Where the pieces are cut, also inside a character, changes neither list nor rest."""
        gathering, places = Gathering(), [0, *sorted(cuts), len(LIST + AFTER)]
        pieces = [(LIST + AFTER)[i:j] for i, j in pairwise(places)]
        while not gathering.take(pieces.pop(0)):
            pass
        self.assertEqual((set(gathering.nodes), gathering.version), ({"größe", "a"}, "12"))
        self.assertEqual(str(gathering.nodes["a"].address), "192.0.2.7")
        self.assertEqual(gathering.rest + b"".join(pieces), AFTER)

    def test_cut_anywhere(self) -> None:
        """One byte less than all is not all."""
        for cut in range(len(LIST)):
            gathering = Gathering()
            self.assertFalse(gathering.take(LIST[:cut]))
            self.assertEqual((gathering.version, gathering.ending), ("", None))

    def test_memory(self) -> None:
        """No document is kept: the memory is that of the values."""
        count, filler = 500, "x" * 20_000
        gathering = Gathering()
        tracemalloc.start()
        try:
            for number in range(count):
                gathering.take(event("ADDED", node(f"n{number}", images=filler)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertEqual(len(gathering.nodes), count)
        self.assertLess(peak, count * len(filler) / 4)
