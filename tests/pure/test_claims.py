"""Who holds what, and what is left out with which reason."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.keys import PublicKey
from overlayd.model.node import Claim, IPNetwork, Node
from overlayd.plan.claims import not_carried
from overlayd.plan.desired import desired
from overlayd.plan.ground import ground
from overlayd.plan.owners import not_announced
from overlayd.plan.result import Memory
from tests.pure.cluster import (
    NODE_B,
    NODE_C,
    OLD,
    OUR_NODE,
    PEER_B,
    PEER_C,
    SETTINGS,
    B,
    C,
    D,
    having,
    inventory,
    judged,
    left_out,
    net,
    nets,
    node,
    peer,
    planned,
    working,
)
from tests.pure.machine_in_memory import Machine


class PlainClaims(SynchronousTestCase):
    """Nobody contests anything."""

    def test_a_peer_gets_what_its_node_claims(self) -> None:
        """A peer has its Node's overlay addresses and podCIDRs, and our own Node is no peer."""
        wanted = judged(NODE_B, NODE_C)
        self.assertEqual(
            having(wanted),
            {"b": nets("100.64.0.2 10.244.2.0/24"), "c": nets("100.64.0.3 10.244.3.0/24")},
        )
        self.assertEqual(left_out(wanted), [])

    def test_a_node_without_a_key_is_no_fault(self) -> None:
        """It has no peer, no quarantine, and takes nothing from anybody."""
        silent = node("w", "10.0.0.2", None, "100.64.0.2", "10.244.2.0/24", day=1)
        wanted = judged(silent, evolve(NODE_B, created="2025"))
        self.assertEqual(having(wanted), {"b": nets("100.64.0.2 10.244.2.0/24")})
        self.assertEqual(left_out(wanted), [])
        self.assertEqual(not_announced(SETTINGS, [OUR_NODE, silent, NODE_B]), ("w",))

    def test_what_lies_outside_is_left_out(self) -> None:
        """A prefix outside our networks costs itself, also one that contains a network of ours."""
        wanted = judged(node("b", "10.0.0.2", B, "100.65.0.2 10.0.0.9", "10.0.0.0/8 10.245.0.0/24"))
        self.assertEqual(having(wanted), {"b": frozenset()})
        overlay = "it lies outside the overlay network 100.64.0.0/16"
        pods = "it lies outside the pod network 10.244.0.0/16"
        self.assertEqual(
            left_out(wanted),
            [
                ("b", "10.0.0.9", overlay),
                ("b", "100.65.0.2", overlay),
                ("b", "10.0.0.0/8", pods),
                ("b", "10.245.0.0/24", pods),
            ],
        )

    def test_a_whole_pod_network_may_be_claimed(self) -> None:
        """A podCIDR may be as large as the pod network, and no larger."""
        own = evolve(OUR_NODE, pod_cidrs=())
        there = ground(SETTINGS, working())
        assert there is not None
        both = {"a": own, "b": node("b", "10.0.0.2", B, pods="10.244.0.0/16")}
        self.assertEqual(having(desired(SETTINGS, both, there, None)), {"b": nets("10.244.0.0/16")})

    def test_ipv6_is_not_carried(self) -> None:
        """IPv6 is said once however many Nodes have it, and is no quarantine."""
        nodes = (
            node("b", "10.0.0.2", B, "100.64.0.2 fd00::2", "fd00:b::/64 10.244.2.0/24"),
            node("c", "10.0.0.3", C, "", "fd00:c::/64"),
        )
        wanted = judged(*nodes)
        self.assertEqual(having(wanted)["b"], nets("100.64.0.2 10.244.2.0/24"))
        self.assertEqual(left_out(wanted), [])
        self.assertEqual(
            not_carried(nodes),
            ("IPv6 overlay address fd00::2 of b", "IPv6 podCIDR fd00:b::/64 of b and 1 more"),
        )

    def test_the_ipv6_form_of_an_ipv4_address_is_that_address(self) -> None:
        """Claims are compared as values, not as text."""
        wanted = judged(node("b", "10.0.0.2", B, "::ffff:100.64.0.2 100.64.0.2"))
        self.assertEqual(having(wanted), {"b": nets("100.64.0.2")})

    def test_a_node_does_not_contest_itself(self) -> None:
        """Of overlapping podCIDRs of one Node both are its own."""
        wanted = judged(node("b", "10.0.0.2", B, "", "10.244.2.0/24 10.244.2.0/25 10.244.2.0/24"))
        self.assertEqual(having(wanted), {"b": nets("10.244.2.0/24 10.244.2.0/25")})
        self.assertEqual(left_out(wanted), [])

    def test_faults_become_quarantines(self) -> None:
        """Whatever a Node says unreadably is named with its reason."""
        wanted = judged(node("b", "10.0.0.2", B, unreadable=[Claim.NODE, Claim.INTERNAL_IP]))
        self.assertEqual(left_out(wanted), [("b", "?", "it cannot be read")] * 2)
        self.assertIn(B, wanted.peers)


class ContestedPrefixes(SynchronousTestCase):
    """The holder of a prefix keeps it, and the other loses that prefix only."""

    def test_the_device_decides_first(self) -> None:
        """Who has it already keeps it, against an older Node and against who computes it."""
        older = node("m", "10.9.0.2", D, "100.64.0.2 100.64.0.7", "10.244.2.0/24", day=1)
        younger = evolve(NODE_B, address=None, created="2025")
        wanted = judged(older, younger, peers=(PEER_B,))
        self.assertEqual(having(wanted)["b"], nets("100.64.0.2 10.244.2.0/24"))
        self.assertEqual(having(wanted)["m"], nets("100.64.0.7"))
        self.assertEqual(
            left_out(wanted),
            [("m", "100.64.0.2", "b holds it"), ("m", "10.244.2.0/24", "b holds it")],
        )

    def test_the_own_address_decides_next(self) -> None:
        """With no peer yet, an overlay address is the Node's whose own address computes to it."""
        older = node("m", "10.0.0.9", D, "100.64.0.2", day=1)
        younger = node("b", "10.0.0.2", B, "100.64.0.2", day=2)
        self.assertEqual(
            having(judged(older, younger)), {"b": nets("100.64.0.2"), "m": frozenset()}
        )

    def test_age_decides_last(self) -> None:
        """Otherwise the older Node has it; of equally old ones the one with the smaller uid."""
        cases = (((1, 2), "b"), ((2, 1), "c"), ((1, 1), "b"))
        for (day_b, day_c), holder in cases:
            b = node("b", "10.0.0.2", B, "", "10.244.7.0/24", day=day_b)
            c = node("c", "10.0.0.3", C, "", "10.244.7.0/24", day=day_c)
            wanted = judged(c, b)
            self.assertEqual([n for n, has in having(wanted).items() if has], [holder])

    def test_overlap_counts_not_equality(self) -> None:
        """A wide claim overlaps narrow ones inside it, and the other way round."""
        narrow = node("b", "10.0.0.2", B, "", "10.244.7.128/25")
        wide = node("c", "10.0.0.3", C, "", "10.244.7.0/24")
        for held, loser, text, other in (
            (peer(B, "10.244.7.128/25"), "c", "10.244.7.0/24", "b holds 10.244.7.128/25"),
            (peer(C, "10.244.7.0/24"), "b", "10.244.7.128/25", "c holds 10.244.7.0/24"),
        ):
            wanted = judged(narrow, wide, peers=(held,))
            self.assertEqual(left_out(wanted), [(loser, text, f"{other}, which overlaps it")])

    def test_a_wide_claim_does_not_evict_many(self) -> None:
        """An older Node that claims the whole pod network takes nothing that peers have."""
        greedy = node("m", "10.0.0.9", D, "", "10.244.0.0/16", day=1)
        own = evolve(OUR_NODE, created="2025")
        wanted = judged(greedy, own, NODE_B, NODE_C, peers=(PEER_B, PEER_C))
        self.assertEqual(having(wanted)["m"], frozenset())
        self.assertEqual(having(wanted)["b"], PEER_B.allowed_ips)
        self.assertIn(net("10.244.1.0/24"), wanted.given["a"])

    def test_a_prefix_given_to_a_stray_peer_goes_back(self) -> None:
        """A peer that no Node is behind holds nothing."""
        wanted = judged(NODE_B, peers=(peer(OLD, "10.244.2.0/24"), peer(B, "100.64.0.2")))
        self.assertEqual(having(wanted)["b"], nets("100.64.0.2 10.244.2.0/24"))


class ClaimsThatChangeHands(SynchronousTestCase):
    """Who holds what over time, on a machine with a daemon that may be started anew."""

    def setUp(self) -> None:
        self.first = node("b", "10.0.0.2", B, "100.64.0.7", "10.244.7.0/24", day=3)
        self.next = node("c", "10.0.0.3", C, "100.64.0.7", "10.244.7.0/25", day=2)
        self.last = node("d", "10.0.0.4", D, "100.64.0.7", "10.244.0.0/21", day=1)
        self.machine = Machine(working(peer(B, "100.64.0.7 10.244.7.0/24")))
        self.memory = Memory()

    def follow(self, *nodes: Node) -> dict[str, frozenset[IPNetwork]]:
        """One pass; what each Node's peer has then."""
        decided = planned(self.machine.observe(), inventory(*nodes), self.memory)
        self.machine.apply_all(decided.changes)
        self.memory = decided.memory
        device = self.machine.tunnel.device
        assert device is not None
        return {decided.names.get(key, ""): p.allowed_ips for key, p in device.peers.items()}

    def restart(self) -> None:
        self.memory = Memory()

    def test_a_free_claim_goes_to_the_next_in_the_same_pass(self) -> None:
        """Whether its holder goes, withdraws it, or is held by the brake: of two, to the older."""
        wide = evolve(self.last, pod_cidrs=self.next.pod_cidrs)
        nobody = evolve(self.first, overlay_addresses=(), pod_cidrs=())
        for rest in ((), (nobody,)):
            self.setUp()
            self.assertEqual(self.follow(self.first, self.next, wide)["d"], frozenset())
            has = self.follow(*rest, self.next, wide)
            self.assertEqual(has["d"], nets("100.64.0.7 10.244.7.0/25"))
            self.assertEqual(has["c"], frozenset())
            has = self.follow(*rest, self.next)
            self.assertEqual(has["c"], nets("100.64.0.7 10.244.7.0/25"))

    def test_a_held_peer_yields_what_becomes_free(self) -> None:
        """Its Node gone among many, the peer stays without what the next one claims."""
        others = [
            node(f"n{n}", f"10.0.1.{n}", PublicKey(bytes([50 + n]) * 32), f"100.64.1.{n}")
            for n in range(4)
        ]
        self.follow(self.first, self.next, *others)
        has = self.follow(self.next)
        self.assertEqual(has["c"], nets("100.64.0.7 10.244.7.0/25"))
        assert self.machine.tunnel.device is not None
        self.assertEqual(len(self.machine.tunnel.device.peers), 1 + 5)
        self.assertEqual(self.machine.holder(net("10.244.7.0/24")), None)

    def test_over_a_restart(self) -> None:
        """Who holds a prefix still does for a daemon that knows nothing but the device."""
        before = self.follow(self.first, self.next, self.last)
        self.assertEqual(before["b"], nets("100.64.0.7 10.244.7.0/24"))
        self.restart()
        self.assertEqual(self.follow(self.first, self.next, self.last), before)

    def test_over_a_change_of_key(self) -> None:
        """The new key gets all that the old one had, also if the change was not seen happen."""
        here = evolve(self.first, overlay_addresses=NODE_B.overlay_addresses)
        older = evolve(self.last, overlay_addresses=here.overlay_addresses)
        for restarts in (False, True):
            self.setUp()
            self.machine = Machine(working(peer(B, "100.64.0.2 10.244.7.0/24")))
            self.follow(here, self.next, older)
            if restarts:
                self.restart()
            has = self.follow(evolve(here, key=OLD), self.next, older)
            self.assertEqual(has["b"], nets("100.64.0.2 10.244.7.0/24"))
            self.assertEqual((has["c"], has["d"]), (nets("100.64.0.7"), frozenset()))
            self.assertEqual(self.machine.holder(net("10.244.7.0/24")), OLD)


class OurOwnClaims(SynchronousTestCase):
    """Our own Node is a claimant like every other, and its loss is said."""

    def test_we_hold_what_we_have(self) -> None:
        """With our address in place, an older Node cannot take our podCIDR or address."""
        older = node("m", "10.9.0.1", D, "100.64.0.1", "10.244.1.0/24")
        own = evolve(OUR_NODE, created="2025")
        self.assertEqual(having(judged(own, older)), {"m": frozenset()})

    def test_we_lose_what_a_peer_has(self) -> None:
        """What a peer of a claiming Node has is not ours, and we are quarantined for it."""
        other = node("m", "10.0.0.9", D, "", "10.244.1.0/25", day=9)
        wanted = judged(other, peers=(peer(D, "10.244.1.0/25"),))
        self.assertEqual(having(wanted), {"m": nets("10.244.1.0/25")})
        self.assertEqual(
            left_out(wanted),
            [("a", "10.244.1.0/24", "m holds 10.244.1.0/25, which overlaps it")],
        )

    def test_what_our_annotations_say_is_no_claim(self) -> None:
        """Our claim is the address we compute, not what somebody wrote into our annotation."""
        own = evolve(OUR_NODE, overlay_addresses=NODE_B.overlay_addresses, created="2020")
        self.assertEqual(having(judged(own, NODE_B))["b"], PEER_B.allowed_ips)
