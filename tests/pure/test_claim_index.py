"""The index of an inventory, kept up to date event by event."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.node import ClaimIndex, Node
from overlayd.plan.claim_index import follow, index_of
from tests.pure.cluster import NODE_B, NODE_C, B, net, node
from tests.pure.universes import SETTINGS, nodes


class ClaimIndexTests(SynchronousTestCase):
    @settings(deadline=None, derandomize=True, max_examples=200)
    @given(st.lists(st.tuples(st.sampled_from("bcd"), st.none() | nodes())))
    def test_event_by_event(self, events: list[tuple[str, Node | None]]) -> None:
        """After any events the index equals one made from scratch."""
        index, there = ClaimIndex(), dict[str, Node]()
        for name, new in events:
            if new is not None:
                new = evolve(new, name=name)
            index = follow(SETTINGS, index, there.get(name), new)
            if new is None:
                there.pop(name, None)
            else:
                there[name] = new
        self.assertEqual(index, index_of(SETTINGS, there.values()))

    def test_who_claims(self) -> None:
        """It finds who announces a key, an overlay address (or computes one), and a podCIDR."""
        spoofer = node("d", "10.0.0.4", B, "100.64.0.3 10.9.9.9", "10.244.0.0/16 10.0.0.0/8")
        index = index_of(SETTINGS, [NODE_B, NODE_C, spoofer])
        self.assertEqual(index.keys[B], ("b", "d"))
        self.assertEqual(index.overlay.owners(net("100.64.0.3/32")), ("c", "d"))
        self.assertEqual(index.overlay.owners(net("100.64.0.4/32")), ("d",), "computed")
        self.assertEqual(set(index.pods.overlapping(net("10.244.3.7/32"))), {"c", "d"})
        self.assertFalse(index.overlay.owners(net("10.9.9.9/32")), "outside the network")
        self.assertFalse(index.pods.owners(net("10.0.0.0/8")), "outside the network")
