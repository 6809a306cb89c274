"""The ways in which a cluster loses many Nodes at once, and what the device has after each pass."""

from attrs import evolve
from immutables import Map
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Peer
from overlayd.model.node import Inventory, IPNetwork, Node
from overlayd.plan.result import Memory, Now
from tests.pure.cluster import (
    NODE_B,
    OUR_NODE,
    WALL,
    B,
    inventory,
    nets,
    node,
    planned,
    working,
)
from tests.pure.crowds import staying
from tests.pure.daemon import Daemon
from tests.pure.machine_in_memory import Machine
from tests.pure.universes import SETTINGS

SIX = 6


class WaysTests(SynchronousTestCase):
    """Our node has six peers; passes are made until the last word of the cluster is carried out."""

    def setUp(self) -> None:
        self.peers, self.nodes = staying(SIX)
        self.seconds = 1000.0
        self.begin(*self.peers)
        self.see(*self.nodes)

    def begin(self, *peers: Peer) -> None:
        """A daemon that was just started, on a machine that works."""
        self.machine, self.memory = Machine(working(*peers)), Memory()

    def restart(self) -> None:
        self.memory = Memory()

    def see(self, *nodes: Node) -> None:
        """A second later, make a pass on our Node and these."""
        self.see_all(inventory(*nodes))

    def see_all(self, cluster: Inventory) -> None:
        self.seconds += 1
        now = Now(self.seconds, WALL + self.seconds)
        decided = planned(self.machine.observe(), cluster, self.memory, now)
        self.machine.apply_all(decided.changes)
        self.memory = decided.memory
        self.held = {h.key for h in decided.held}

    def has(self) -> dict[PublicKey, frozenset[IPNetwork]]:
        device = self.machine.observe().device
        assert device is not None
        return {key: peer.allowed_ips for key, peer in device.peers.items()}

    def all_are_there(self, *but: int) -> None:
        """Every peer has what it had, but for those by number."""
        for number, peer in enumerate(self.peers):
            if number not in but:
                self.assertEqual(self.has().get(peer.key), peer.allowed_ips)

    def test_by_events(self) -> None:
        """One after the other, each in a pass of its own: three go, the rest is held."""
        for gone in range(1, SIX + 1):
            self.see(*self.nodes[gone:])
        self.assertEqual(set(self.has()), {p.key for p in self.peers[3:]})
        self.assertEqual(self.held, set(self.has()))

    def test_by_a_new_list(self) -> None:
        """All in one pass: nobody goes."""
        self.see()
        self.all_are_there()
        self.assertEqual(len(self.held), SIX)

    def test_by_wiped_annotations(self) -> None:
        """Nodes that are there and announce no key have no peer either: those are held."""
        self.see(*(evolve(n, key=None, overlay_addresses=()) for n in self.nodes))
        self.all_are_there()
        self.assertEqual(len(self.held), SIX)

    def test_by_an_empty_store(self) -> None:
        """Without any Node everything is held; so it is when Nodes register again, ours first."""
        self.see_all(Inventory(Map(), frozenset(), "1"))
        self.all_are_there()
        self.seconds += 3600
        self.see_all(Inventory(Map(), frozenset(), "1"))
        self.see()
        self.all_are_there()
        self.assertEqual(len(self.held), SIX)
        self.see(*self.nodes[:2])
        self.assertEqual(self.held, {p.key for p in self.peers[2:]})
        self.see(*self.nodes)
        self.all_are_there()
        self.assertEqual(self.held, set())

    def test_by_another_store(self) -> None:
        """Other Nodes, ours not among them: everything is held, and none of those gets a peer."""
        self.see_all(Inventory(Map({"b": NODE_B}), frozenset(), "1"))
        self.all_are_there()
        self.assertNotIn(B, self.has())
        self.assertEqual(len(self.held), SIX)

    def test_newcomers(self) -> None:
        """In the pass that holds, a newcomer gets what it claims, and the held lose only that."""
        address = self.nodes[0].overlay_addresses[0]
        peer = node("new", "10.0.9.9", B, str(address), "10.244.9.0/24")
        self.see(peer)
        self.assertEqual(self.has()[B], nets(f"{address} 10.244.9.0/24"))
        self.assertEqual(self.has()[self.peers[0].key], frozenset())
        self.all_are_there(0)
        self.assertEqual(len(self.held), SIX)

    def test_a_part_of_what_is_held(self) -> None:
        """A held peer keeps its other prefixes; of one that overlaps a claim it keeps nothing."""
        wide = evolve(self.peers[0], allowed_ips=nets("100.64.7.0 10.244.8.0/22 10.244.64.0/24"))
        self.begin(wide, *self.peers[1:])
        self.see(node("new", "10.0.9.9", B, "100.64.9.9", "10.244.9.0/24"))
        self.assertEqual(self.has()[wide.key], nets("100.64.7.0 10.244.64.0/24"))
        self.assertEqual(self.has()[B], nets("100.64.9.9 10.244.9.0/24"))

    def test_our_own_claim(self) -> None:
        """What our own Node claims is taken from a held peer too."""
        wide = evolve(self.peers[0], allowed_ips=nets("100.64.7.0 10.244.0.0/20"))
        self.begin(wide, *self.peers[1:])
        self.see_all(Inventory(Map({"a": OUR_NODE}), frozenset(), "1"))
        self.assertEqual(self.has()[wide.key], nets("100.64.7.0"))

    def test_after_a_restart(self) -> None:
        """A daemon that knows nothing of those before it holds them as well."""
        self.see()
        self.restart()
        self.see()
        self.all_are_there()
        self.assertEqual(len(self.held), SIX)

    def test_one_that_comes_back(self) -> None:
        """A Node that is announced again is no longer held, and the others still are."""
        self.see()
        self.see(self.nodes[0])
        self.all_are_there()
        self.assertEqual(self.held, {p.key for p in self.peers[1:]})


class ScopedWaysTests(WaysTests):
    """The same, where a pass looks at what changed alone, if it can."""

    def begin(self, *peers: Peer) -> None:
        self.machine = Machine(working(*peers, settings=SETTINGS))
        self.daemon = Daemon(self.machine, Inventory(Map(), frozenset(), "1"))

    def restart(self) -> None:
        self.daemon.restart()

    def see_all(self, cluster: Inventory) -> None:
        self.seconds += 1
        there, after = self.daemon.inventory.nodes, cluster.nodes
        names = (n for n in {*there, *after} if there.get(n) != after.get(n))
        self.daemon.take(**{name: after.get(name) for name in names})
        self.daemon.now = Now(self.seconds, WALL + self.seconds)
        decided = self.daemon.one_pass(reads=True)
        self.held = {h.key for h in decided.held}

    def test_by_events(self) -> None:
        """One after the other, each in a pass that looks at nothing else."""
        super().test_by_events()
        self.assertNotIn(None, self.daemon.about[-SIX:])

    def test_the_share_is_of_all_peers(self) -> None:
        """Passes that look at few peers count the others too: four of twenty may go."""
        peers, nodes = staying(20)
        self.begin(*peers)
        self.see(*nodes)
        for number in range(3):
            self.seconds += 61
            self.see(*nodes[:-1], evolve(nodes[-1], pod_cidrs_text=str(number)))
        self.see(*nodes[:-4])
        self.assertNotIn(None, self.daemon.about[1:])
        self.assertEqual((len(self.has()), self.held), (16, set()))
