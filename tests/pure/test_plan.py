"""The whole plan: its order, its states, and what it repairs without an inventory."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import RemovePeer
from overlayd.model.status import StateName
from overlayd.plan.result import Memory, Now, Plan
from tests.pure.cluster import (
    NODE_B,
    NODE_C,
    OLD,
    OUR_NODE,
    PEER_B,
    PEER_C,
    WALL,
    B,
    C,
    bare,
    inventory,
    node,
    peer,
    planned,
    state,
    texts,
    with_address,
    working,
)
from tests.pure.machine_in_memory import Machine


class OrderTests(SynchronousTestCase):
    """Granted before trimmed, added before removed."""

    def test_a_fresh_machine(self) -> None:
        """Rules first, so that nothing leaks; the link goes up before it takes routes."""
        there = evolve(bare(), forwarding=False)
        decided = planned(there, inventory(NODE_B, NODE_C))
        self.assertEqual(
            texts(decided),
            [
                "add rule to 100.64.0.0/16 lookup main suppress_prefixlength",
                "add rule to 10.244.0.0/16 lookup main suppress_prefixlength",
                "add rule to 100.64.0.0/16 unreachable",
                "add rule to 10.244.0.0/16 unreachable",
                "make device wg0",
                "mark link wg0 as ours",
                "set private key",
                "listen on UDP port 51820",
                "add address 100.64.0.1/32 to wg0",
                "add peer b B at 10.0.0.2:51820 with 10.244.2.0/24, 100.64.0.2/32",
                "add peer c C at 10.0.0.3:51820 with 10.244.3.0/24, 100.64.0.3/32",
                "set MTU of wg0 to 1420",
                "bring wg0 up",
                "route 100.64.0.0/16 through wg0 from 100.64.0.1",
                "route 10.244.0.0/16 through wg0 from 100.64.0.1",
                "set net.ipv4.ip_forward to 1",
            ],
        )
        self.assertIsNone(decided.state)

    def test_an_unchanged_cluster(self) -> None:
        """Nothing is planned where everything is right."""
        decided = planned(working(PEER_B, PEER_C), inventory(NODE_B, NODE_C))
        self.assertEqual((decided.changes, decided.state), ((), None))

    def test_a_new_key(self) -> None:
        """The new peer takes the prefixes from the old one, which is removed then."""
        old = evolve(PEER_B, key=OLD)
        decided = planned(working(old), inventory(NODE_B))
        self.assertEqual(
            texts(decided),
            [
                "add peer b B at 10.0.0.2:51820 with 10.244.2.0/24, 100.64.0.2/32",
                "remove peer b OLD",
            ],
        )
        self.assertEqual([c.why for c in decided.changes], ["the key of b changed"] * 2)

    def test_a_moved_prefix_is_not_trimmed(self) -> None:
        """What a peer loses by another's gain needs no step of its own; what nobody gains does."""
        wrong_b = peer(B, "100.64.0.2 100.64.0.3 10.244.9.0/24", "10.0.0.2:51820")
        right_c = peer(C, "10.244.3.0/24", "10.0.0.3:51820")
        decided = planned(working(wrong_b, right_c), inventory(NODE_B, NODE_C))
        self.assertEqual(
            texts(decided),
            [
                "grant peer b B with 10.244.2.0/24",
                "grant peer c C with 100.64.0.3/32",
                "take 10.244.9.0/24 from peer b B",
            ],
        )

    def test_a_new_node_address(self) -> None:
        """The new address and the routes from it come before the old address goes."""
        own = node("a", "10.0.0.7", pods="10.244.1.0/24")
        there = with_address(working(PEER_B), "eth0", "10.0.0.7/24")
        self.assertEqual(
            texts(planned(there, inventory(own, NODE_B))),
            [
                "add address 100.64.0.7/32 to wg0",
                "route 100.64.0.0/16 through wg0 from 100.64.0.7",
                "route 10.244.0.0/16 through wg0 from 100.64.0.7",
                "remove address 100.64.0.1/32 from wg0",
            ],
        )

    def test_an_operators_address_stays(self) -> None:
        """On our link, addresses outside the overlay network are none of ours; ours is a /32."""
        there = with_address(working(PEER_B), "wg0", "192.0.2.1/24")
        there = with_address(there, "wg0", "100.64.0.1/16")
        self.assertEqual(
            texts(planned(there, inventory(NODE_B))), ["remove address 100.64.0.1/16 from wg0"]
        )

    def test_key_and_port_are_given_back(self) -> None:
        """A device that lost its key or listens elsewhere is set right, with its peers in place."""
        there = working(PEER_B)
        assert there.device is not None
        lost = evolve(there.device, public_key=None, listen_port=1)
        self.assertEqual(
            texts(planned(evolve(there, device=lost), inventory(NODE_B))),
            ["set private key", "listen on UDP port 51820"],
        )

    def test_a_preshared_key(self) -> None:
        """It is taken from a peer that we want, and from no other."""
        stray = evolve(peer(OLD), preshared=True)
        decided = planned(working(evolve(PEER_B, preshared=True), stray), inventory(NODE_B))
        self.assertEqual(
            texts(decided), ["take the preshared key from peer b B", "remove peer (no node) OLD"]
        )

    def test_reasons(self) -> None:
        """A new peer's reason tells a Node that joined from a peer that somebody removed."""
        joined = planned(working(), inventory(NODE_B))
        removed = planned(working(), inventory(NODE_B), joined.memory)
        self.assertEqual([c.why for c in joined.changes], ["the node joined"])
        self.assertEqual([c.why for c in removed.changes], ["missing"])
        (change,) = planned(working(peer(OLD)), inventory()).changes
        self.assertEqual(change.why, "no Node announces its key")


class PodCidrTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = inventory(evolve(OUR_NODE, pod_cidrs=()), NODE_B)

    def at(self, seconds: float, memory: Memory | None = None) -> Plan:
        return planned(bare(), self.cluster, memory, Now(seconds, WALL))

    def test_everything_but_announcing_goes_on(self) -> None:
        """Without podCIDRs the machine is set up, and the plan says what is waited for."""
        decided = self.at(0)
        self.assertEqual(state(decided), StateName.WAITING_FOR_POD_CIDRS)
        self.assertIn("make device wg0", texts(decided))
        self.assertEqual(str(decided.own.overlay_address), "100.64.0.1")
        self.assertEqual(decided.own.pod_cidrs, ())

    def test_after_a_minute_the_usual_reason_is_named(self) -> None:
        """More than 60 s are a state of their own, counted from when they were first missed."""
        memory = self.at(0).memory
        self.assertEqual(state(self.at(60, memory)), StateName.WAITING_FOR_POD_CIDRS)
        decided = self.at(61, self.at(30, memory).memory)
        self.assertEqual(state(decided), StateName.NO_POD_CIDRS)
        assert decided.state is not None
        self.assertIn("--allocate-node-cidrs", decided.state.message)

    def test_it_ends(self) -> None:
        """Once there are podCIDRs, a later lack of them is counted anew."""
        memory = planned(bare(), inventory(), self.at(0).memory).memory
        self.assertIsNone(memory.no_pod_cidrs_since)
        self.assertEqual(state(self.at(500, memory)), StateName.WAITING_FOR_POD_CIDRS)


class ResultTests(SynchronousTestCase):
    def test_own(self) -> None:
        """What the announcer writes: address, overlay address, podCIDRs."""
        own = planned(bare(), inventory()).own
        self.assertEqual(str(own.address), "10.0.0.1")
        self.assertEqual(str(own.overlay_address), "100.64.0.1")
        self.assertEqual(own.pod_cidrs, OUR_NODE.pod_cidrs)

    def test_names(self) -> None:
        """The Nodes behind the keys, old ones too; nobody is behind a stray key."""
        there = working(evolve(PEER_B, key=OLD), peer(C))
        names = planned(there, inventory(NODE_B)).names
        self.assertEqual(dict(names), {OLD: "b", B: "b"})

    def test_the_next_plan_knows_what_went(self) -> None:
        """Removals, counters, configured endpoints and the population are remembered."""
        gone = evolve(peer(OLD), sent=5, received=7)
        decided = planned(working(PEER_B, gone), inventory(NODE_B))
        self.assertEqual([type(c) for c in decided.changes], [RemovePeer])
        memory = decided.memory
        self.assertEqual(memory.departed, {OLD: 1000.0})
        self.assertEqual((memory.before[OLD].sent, memory.before[OLD].received), (5, 7))
        self.assertEqual(dict(memory.endpoints), {B: PEER_B.endpoint})
        self.assertEqual(memory.populations, ((1000.0, 2),))

    def test_a_whole_life(self) -> None:
        """Planned and applied step by step: start, a Node joins, changes its key, leaves."""
        machine, memory = Machine(bare()), Memory()
        late = evolve(NODE_C, key=OLD)
        for nodes in ((NODE_B,), (NODE_B, NODE_C), (NODE_B, late), (NODE_B,)):
            decided = planned(machine.observe(), inventory(*nodes), memory)
            machine.apply_all(decided.changes)
            memory = decided.memory
            device = machine.observe().device
            assert device is not None
            self.assertEqual(
                {key: found.allowed_ips for key, found in device.peers.items()},
                {n.key: (PEER_B if n is NODE_B else PEER_C).allowed_ips for n in nodes},
            )
