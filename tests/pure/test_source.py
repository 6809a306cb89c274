"""The address that this node itself sends from, also where its overlay address is another's."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.machine import Link, Observed
from overlayd.model.node import Node
from overlayd.plan.result import Memory, Plan
from tests.pure.cluster import (
    NODE_B,
    OUR_NODE,
    SETTINGS,
    D,
    bare,
    inventory,
    nets,
    node,
    peer,
    planned,
    reasons,
    texts,
    with_address,
    with_link,
    without_route,
    working,
)
from tests.pure.machine_in_memory import Machine

OURS = evolve(OUR_NODE, created="2025")
OLDER = node("m", "10.9.0.1", D, "100.64.0.1", "10.244.9.0/24")
"""One whose own address computes to our overlay address."""

FROM_BRIDGE = [f"route {network} through wg0 from 10.244.1.1" for network in SETTINGS.networks]
FROM_OVERLAY = [f"route {network} through wg0 from 100.64.0.1" for network in SETTINGS.networks]


def with_bridge(there: Observed) -> Observed:
    """The machine with the bridge of our pods on it."""
    return with_address(with_link(there, Link(7, "cni0", up=True)), "cni0", "10.244.1.1/24")


class SourceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.machine = Machine(with_bridge(bare()))
        self.memory = Memory()

    def run_pass(self, *nodes: Node) -> Plan:
        decided = planned(self.machine.observe(), inventory(OURS, *nodes), self.memory)
        self.machine.apply_all(decided.changes)
        self.memory = decided.memory
        self.assertIsNone(decided.state)
        return decided

    def addresses(self) -> set[str]:
        return {str(a) for a in self.machine.observe().addresses_of("wg0")}

    def test_uncontested(self) -> None:
        """It is our overlay address, whatever else this machine has."""
        decided = self.run_pass(NODE_B)
        self.assertLessEqual(set(FROM_OVERLAY), set(texts(decided)))
        self.assertEqual(self.addresses(), {"100.64.0.1/32"})

    def test_held_by_another(self) -> None:
        """It is the bridge's address then; our overlay address is announced, and not on the link.

        A packet that the holder itself sends would be dropped, were its source an address here.
        """
        decided = self.run_pass(NODE_B, OLDER)
        self.assertLessEqual(set(FROM_BRIDGE), set(texts(decided)))
        self.assertEqual(self.addresses(), set())
        self.assertEqual(reasons(decided), {"a overlay address 100.64.0.1": "m holds it"})
        self.assertEqual(str(decided.own.overlay_address), "100.64.0.1")
        self.assertEqual(self.run_pass(NODE_B, OLDER).changes, ())

    def test_free_again(self) -> None:
        """In the pass in which the holder's claim goes, it is our overlay address again."""
        for after in ((NODE_B,), (NODE_B, evolve(OLDER, overlay_addresses=()))):
            self.setUp()
            self.run_pass(NODE_B, OLDER)
            changes = texts(self.run_pass(*after))
            self.assertEqual(changes[0], "add address 100.64.0.1/32 to wg0")
            self.assertEqual([c for c in changes if c.startswith("route")], FROM_OVERLAY)
            self.assertEqual(self.addresses(), {"100.64.0.1/32"})
            self.assertEqual(self.run_pass(*after).changes, ())

    def test_lost_while_it_was_the_source(self) -> None:
        """The routes are given the other source before the address goes, and are not lost with it.

        This is a machine whose device was taken apart, and gave our address to the other.
        """
        there = working(peer(D, "100.64.0.1 10.244.9.0/24", "10.9.0.1:51820"))
        self.machine = Machine(with_bridge(there))
        changes = texts(self.run_pass(OLDER))
        self.assertEqual(changes, [*FROM_BRIDGE, "remove address 100.64.0.1/32 from wg0"])
        routed = {r.destination for r in self.machine.observe().routes if r.link == "wg0"}
        self.assertEqual(routed, set(SETTINGS.networks))

    def test_without_another_address(self) -> None:
        """Where no link has an address in a podCIDR that we hold, the overlay address stays."""
        of_bridge = evolve(OLDER, pod_cidrs=OURS.pod_cidrs)
        for there, older in ((bare(), OLDER), (with_bridge(bare()), of_bridge)):
            self.machine, self.memory = Machine(there), Memory()
            self.assertLessEqual(set(FROM_OVERLAY), set(texts(self.run_pass(older))))
            self.assertEqual(self.run_pass(older).changes, ())

    def test_the_pods_are_held_nevertheless(self) -> None:
        """An older Node that claims our podCIDR later does not get it, after a restart either."""
        self.run_pass(OLDER)
        thief = evolve(NODE_B, pod_cidrs=OURS.pod_cidrs, created="2020")
        for memory in (self.memory, Memory()):
            self.memory = memory
            decided = self.run_pass(OLDER, thief)
            self.assertEqual(reasons(decided)["b podCIDR 10.244.1.0/24"], "a holds it")

    def test_the_address_is_the_holders_nevertheless(self) -> None:
        """If its peer is removed by hand, that makes us no holder: it gets its address back."""
        self.run_pass(OLDER)
        assert self.machine.tunnel.device is not None
        self.machine.tunnel.device.peers.clear()
        decided = self.run_pass(OLDER)
        self.assertEqual(self.machine.holder(*nets("100.64.0.1")), D)
        self.assertEqual(self.addresses(), set())
        self.assertEqual(len(decided.changes), 1)

    def test_without_an_inventory(self) -> None:
        """A route that was removed comes back with the source that the others have."""
        self.run_pass(OLDER)
        there = without_route(self.machine.observe(), "10.244.0.0/16")
        self.assertEqual(texts(planned(there, None)), FROM_BRIDGE[1:])
