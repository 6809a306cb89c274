"""Which Node a peer belongs to: keys that are copied, changed, or cannot be read."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.keys import PublicKey
from overlayd.model.node import Claim
from overlayd.plan.desired import Desired
from overlayd.plan.result import Memory
from tests.pure.cluster import (
    NODE_B,
    NODE_C,
    OLD,
    PEER_B,
    PEER_C,
    B,
    C,
    D,
    having,
    inventory,
    judged,
    left_out,
    nets,
    node,
    peer,
    planned,
    working,
)
from tests.pure.machine_in_memory import OUR_KEY, Machine

KEY, OVERLAY, POD = Claim.KEY, Claim.OVERLAY_ADDRESS, Claim.POD_CIDR


class Keys(SynchronousTestCase):
    """A key belongs to one Node, and losing it costs a Node everything."""

    def test_a_copied_key_stays_with_the_node_it_works_for(self) -> None:
        """An older Node that announces another's key gets nothing, whatever else it claims."""
        thief = node("m", "10.9.0.2", B, "100.64.0.2 100.64.0.7", "10.244.7.0/24", day=1)
        victim = evolve(NODE_B, created="2025")
        wanted = judged(thief, victim, peers=(PEER_B,))
        self.assertEqual(having(wanted), {"b": PEER_B.allowed_ips})
        self.assertEqual(left_out(wanted), [("m", str(B), "b announces it too, and holds it")])

    def test_without_a_peer_the_older_node_has_the_key(self) -> None:
        """Nothing else tells them apart then."""
        wanted = judged(NODE_B, evolve(NODE_C, key=B, created="2025"))
        self.assertEqual(list(having(wanted)), ["b"])

    def test_a_free_key_goes_to_the_next(self) -> None:
        """In the pass in which its holder goes, the next Node gets the peer, with its prefixes."""
        other = evolve(NODE_C, key=B)
        machine = Machine(working(PEER_B))
        machine.apply_all(planned(machine.observe(), inventory(other)).changes)
        self.assertEqual(machine.holder(*nets("10.244.3.0/24")), B)
        self.assertIsNone(machine.holder(*nets("10.244.2.0/24")))
        self.assertEqual(planned(machine.observe(), inventory(other)).changes, ())

    def test_a_node_that_changes_its_key_stays_the_holder(self) -> None:
        """What its old peer has goes to its new one, though an older Node claims it too."""
        older = node("m", "10.9.0.2", D, "100.64.0.2", "10.244.2.0/24", day=1)
        rotated = evolve(NODE_B, created="2025")
        old = evolve(PEER_B, key=OLD)
        wanted = judged(older, rotated, peers=(old, peer(D)))
        self.assertEqual(having(wanted), {"b": PEER_B.allowed_ips, "m": frozenset()})
        self.assertEqual(wanted.owners.behind[OLD], "b")

    def test_our_own_key_is_nobody_elses(self) -> None:
        """A Node that announces the key of our device gets nothing."""
        wanted = judged(evolve(NODE_B, key=OUR_KEY.public()))
        self.assertEqual(having(wanted), {})
        self.assertEqual(
            left_out(wanted), [("b", str(OUR_KEY.public()), "it is the key of our own device")]
        )

    def test_a_quarrel_comes_to_rest(self) -> None:
        """Of two Nodes with one key and the same claims one has it, and goes on having it."""
        b = node("b", "10.0.0.2", B, "", "10.244.2.0/24", day=2)
        c = node("c", "10.0.0.3", B, "100.64.0.2", "10.244.2.0/24", day=1)
        machine, memory = Machine(working(evolve(PEER_B, key=D))), Memory()
        for _ in range(3):
            decided = planned(machine.observe(), inventory(b, c), memory)
            machine.apply_all(decided.changes)
            memory = decided.memory
        self.assertEqual(planned(machine.observe(), inventory(b, c), memory).changes, ())


class UnreadableClaims(SynchronousTestCase):
    """What works goes on working until the claim is readable, withdrawn, or the Node gone."""

    def names(self, wanted: Desired) -> dict[PublicKey, str]:
        return {key: p.node for key, p in wanted.peers.items()}

    def test_a_working_peer_keeps_its_key(self) -> None:
        """The peer that has the Node's computed address stays, with all it has."""
        broken = node("b", "10.0.0.2", pods="10.244.2.0/24", unreadable=[KEY])
        old = peer(B, "100.64.0.2 10.244.2.0/24 10.244.9.0/24")
        wanted = judged(broken, peers=(old,))
        self.assertEqual(self.names(wanted), {B: "b"})
        self.assertEqual(having(wanted), {"b": old.allowed_ips})
        self.assertEqual(left_out(wanted), [("b", "?", "it cannot be read")])

    def test_it_yields_what_others_claim(self) -> None:
        """What it has and does not claim readably goes to a Node that does."""
        broken = node("b", "10.0.0.2", unreadable=[KEY], day=1)
        wanted = judged(broken, NODE_C, peers=(peer(B, "100.64.0.2 10.244.3.0/25"),))
        self.assertEqual(
            having(wanted), {"b": nets("100.64.0.2"), "c": nets("100.64.0.3 10.244.3.0/24")}
        )

    def test_it_gets_nothing_new(self) -> None:
        """A new podCIDR waits until the key can be read."""
        broken = node("b", "10.0.0.2", pods="10.244.2.0/24", unreadable=[KEY])
        wanted = judged(broken, peers=(peer(B, "100.64.0.2"),))
        self.assertEqual(having(wanted), {"b": nets("100.64.0.2")})

    def test_without_a_working_peer_it_has_none(self) -> None:
        """It claims nothing either: a younger Node gets what it wants."""
        broken = node("b", "10.0.0.2", pods="10.244.3.0/24", unreadable=[KEY], day=1)
        wanted = judged(broken, evolve(NODE_C, created="2025"))
        self.assertEqual(having(wanted), {"c": PEER_C.allowed_ips})

    def test_unreadable_prefixes_stay(self) -> None:
        """Each kind of prefix stays as the device has it while it cannot be read."""
        for claim, expected in (
            (OVERLAY, "100.64.0.2"),
            (POD, "10.244.2.0/24"),
        ):
            broken = node("b", "10.0.0.2", B, unreadable=[claim])
            self.assertEqual(having(judged(broken, peers=(PEER_B,))), {"b": nets(expected)})

    def test_unreadable_prefixes_are_held(self) -> None:
        """An older Node that claims them meanwhile does not get them."""
        older = node("m", "10.0.0.9", D, "100.64.0.2", "10.244.2.0/24", day=1)
        broken = node("b", "10.0.0.2", B, unreadable=[OVERLAY, POD], day=2)
        wanted = judged(older, broken, peers=(PEER_B,))
        self.assertEqual(having(wanted), {"b": PEER_B.allowed_ips, "m": frozenset()})

    def test_what_was_put_there_by_hand_is_no_unreadable_claim(self) -> None:
        """Only what could be such a claim stays: addresses, and prefixes inside the networks."""
        broken = node("b", "10.0.0.2", B, unreadable=[OVERLAY, POD])
        odd = peer(B, "100.64.0.0/24 10.0.0.0/8 192.168.1.0/24 100.64.0.2")
        self.assertEqual(having(judged(broken, peers=(odd,))), {"b": nets("100.64.0.2")})

    def test_withdrawn_is_not_unreadable(self) -> None:
        """A claim that is absent without a fault goes."""
        bare = node("b", "10.0.0.2", B, "100.64.0.2")
        self.assertEqual(having(judged(bare, peers=(PEER_B,))), {"b": nets("100.64.0.2")})

    def test_it_keeps_what_it_is_known_by(self) -> None:
        """Its computed address stays if another Node claims it, or the peer would be nobody's."""
        broken = node("b", "10.0.0.2", pods="10.244.2.0/24", unreadable=[KEY], day=9)
        same = node("c", "10.9.0.2", C, "100.64.0.2", day=1)
        wanted = judged(broken, same, peers=(PEER_B,))
        self.assertEqual(having(wanted), {"b": PEER_B.allowed_ips, "c": frozenset()})
