"""What is ours, and the states in which nothing on the machine is changed."""

from ipaddress import ip_address, ip_network

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.machine import ALIAS, Link, Observed, Route
from overlayd.model.node import Inventory, Node
from overlayd.model.settings import Settings
from overlayd.model.status import State, StateName
from overlayd.plan.ground import NO_DEVICE
from tests.pure.cluster import (
    NODE_B,
    OUR_NODE,
    PEER_B,
    SETTINGS,
    B,
    device,
    inventory,
    net,
    node,
    peer,
    planned,
    texts,
    with_address,
    with_link,
    with_routes,
    working,
)
from tests.pure.cluster import bare as bare_machine
from tests.pure.machine_in_memory import OUR_KEY

WG0 = Link(3, "wg0", "tun", mtu=1420)


class OwnershipTests(SynchronousTestCase):
    """A link under our name is ours by its alias or by the key in our memory."""

    def assert_foreign(self, there: Observed) -> None:
        decided = planned(there, inventory(NODE_B))
        assert decided.state is not None
        self.assertEqual((decided.state.name, decided.changes), (StateName.FOREIGN_DEVICE, ()))
        self.assertIn("--wg-dev", decided.state.message)
        self.assertFalse(decided.ours)

    def assert_ours(self, there: Observed, *changes: str) -> None:
        decided = planned(there, inventory(NODE_B))
        self.assertIsNone(decided.state)
        for change in changes:
            self.assertIn(change, texts(decided))

    def test_by_alias(self) -> None:
        """A link with our alias is ours, whatever key it shows: its operator rotated it."""
        there = evolve(working(PEER_B), remembered=B)
        self.assert_ours(there)
        self.assertEqual(planned(there, inventory(NODE_B)).changes, ())

    def test_by_key(self) -> None:
        """A link that lost its alias is ours by its key, and is marked again."""
        there = with_link(working(PEER_B), evolve(WG0, up=True))
        self.assert_ours(there)
        self.assertEqual(texts(planned(there, inventory(NODE_B))), ["mark link wg0 as ours"])

    def test_another_key_is_foreign(self) -> None:
        """Without alias, a device with a key that we do not remember is somebody's."""
        for remembered in (None, B):
            there = with_link(working(), evolve(WG0, up=True))
            self.assert_foreign(evolve(there, remembered=remembered))

    def test_half_made_is_finished(self) -> None:
        """One without alias, key, peer and address is what we had no time to mark."""
        there = evolve(with_link(bare_machine(), WG0), device=NO_DEVICE)
        self.assert_ours(there, "mark link wg0 as ours", "set private key")
        self.assert_ours(with_address(there, "wg0", "fe80::1/64"), "mark link wg0 as ours")
        self.assertNotIn("make device wg0", texts(planned(there, inventory())))

    def test_a_bare_link_is_no_work_of_ours(self) -> None:
        """That of a wireguard-go which another pod runs is there before all has been checked."""
        there = evolve(with_link(bare_machine(), WG0), device=NO_DEVICE)
        self.assertEqual(planned(there, None).changes, ())

    def test_anything_on_it_makes_it_foreign(self) -> None:
        """A peer, an address, a key, another alias or kind: somebody uses it."""
        there = evolve(with_link(bare_machine(), WG0), device=NO_DEVICE)
        self.assert_foreign(evolve(there, device=evolve(NO_DEVICE, peers={B: peer(B)})))
        self.assert_foreign(with_address(there, "wg0", "100.64.0.1/16"))
        self.assert_foreign(evolve(there, device=device()))
        self.assert_foreign(with_link(there, evolve(WG0, alias="vpn")))
        self.assert_foreign(with_link(there, evolve(WG0, kind="veth")))

    def test_a_link_that_is_no_tunnel_of_this_kind_is_foreign(self) -> None:
        """Where no tunnel answers, key and peers are unseen: a device of the kernel looks so."""
        for kind in ("wireguard", "tun"):
            self.assert_foreign(with_link(bare_machine(), evolve(WG0, kind=kind)))

    def test_a_link_of_ours_without_a_process_is_made_anew(self) -> None:
        """It is removed first, and everything on it is made again."""
        dead = evolve(working(), device=None)
        changes = texts(planned(dead, inventory(NODE_B)))
        self.assertEqual(
            changes[:3], ["remove link wg0", "make device wg0", "mark link wg0 as ours"]
        )
        self.assertIn("add address 100.64.0.1/32 to wg0", changes)
        self.assertIn("route 10.244.0.0/16 through wg0 from 100.64.0.1", changes)

    def test_a_process_without_a_link_is_made_anew(self) -> None:
        """What such a process still has counts for nothing."""
        there = evolve(bare_machine(), device=device(PEER_B), remembered=OUR_KEY.public())
        changes = texts(planned(there, inventory(NODE_B)))
        self.assertIn("make device wg0", changes)
        self.assertTrue(any(c.startswith("add peer b") for c in changes))


class CutsOffTests(SynchronousTestCase):
    """Where we would cut off our own node, nothing is changed, and the message says why."""

    def state(
        self,
        there: Observed | None = None,
        cluster: Inventory | None = None,
        settings: Settings = SETTINGS,
    ) -> State | None:
        decided = planned(there or bare_machine(), cluster or inventory(NODE_B), settings=settings)
        self.assertTrue(decided.state is None or not decided.changes)
        return decided.state

    def assert_cut_off(self, state: State | None, *words: str) -> None:
        assert state is not None
        self.assertEqual(state.name, StateName.CUTS_OFF_NODE)
        for word in words:
            self.assertIn(word, state.message)

    def test_a_usual_machine_is_not_cut_off(self) -> None:
        """Nothing that a node needs lies in the networks by default."""
        self.assertIsNone(self.state())

    def test_the_nodes_address(self) -> None:
        """The node's own address inside the overlay or a pod network."""
        own = node("a", "100.64.3.1", pods="10.244.1.0/24")
        self.assert_cut_off(self.state(cluster=inventory(own)), "100.64.3.1", "--overlay-cidr")
        own = node("a", "10.244.3.1", pods="10.244.1.0/24")
        self.assert_cut_off(self.state(cluster=inventory(own)), "10.244.3.1", "--pod-cidr")

    def test_our_pod_cidr_outside(self) -> None:
        """Our own podCIDR outside the pod networks; an IPv6 one is only not carried."""
        own = evolve(OUR_NODE, pod_cidrs=(net("10.245.1.0/24"),))
        self.assert_cut_off(self.state(cluster=inventory(own)), "10.245.1.0/24", "--pod-cidr")
        own = evolve(OUR_NODE, pod_cidrs=(*OUR_NODE.pod_cidrs, ip_network("fd00::/64")))
        self.assertIsNone(self.state(cluster=inventory(own)))

    def test_the_api_server(self) -> None:
        """Any address at which the API server is dialled."""
        servers = frozenset(map(ip_address, ("10.0.0.10", "100.64.0.1", "fd00::1")))
        cluster = evolve(inventory(), servers=servers)
        self.assert_cut_off(self.state(cluster=cluster), "API server", "100.64.0.1")

    def test_a_gateway(self) -> None:
        """The gateway of any route that is not ours."""
        way = Route(ip_network("172.16.0.0/12"), "eth0", ip_address("100.64.9.9"))
        self.assert_cut_off(self.state(with_routes(bare_machine(), way)), "gateway 100.64.9.9")

    def test_a_resolver(self) -> None:
        """A resolver; one on the node itself is fine."""
        for resolver, bad in (("100.64.9.9", True), ("127.0.0.53", False), ("10.0.0.9", False)):
            there = evolve(bare_machine(), resolvers=frozenset({ip_address(resolver)}))
            state = self.state(there)
            self.assertEqual(state is not None, bad, resolver)

    def test_a_connected_network(self) -> None:
        """A network of another link that overlaps one of ours in either direction."""
        for connected in ("10.244.9.1/24", "100.64.9.9/32", "100.0.0.1/8"):
            there = with_address(bare_machine(), "eth0", connected)
            self.assert_cut_off(self.state(there), "eth0", "overlaps")

    def test_our_own_pods_bridge_is_fine(self) -> None:
        """The bridge of our own pods, its routes and a resolver behind it cut off nothing.

        Nor does it on a Node made anew, which has no podCIDRs yet while its pods run on.
        """
        there = with_link(bare_machine(), Link(9, "cni0", "bridge", mtu=1500, up=True))
        there = with_address(with_address(there, "cni0", "10.244.1.1/24"), "cni0", "fe80::1/64")
        there = with_routes(
            there,
            Route(ip_network("10.244.1.0/24"), "cni0", protocol=2),
            Route(ip_network("192.0.2.0/24"), "cni0", ip_address("10.244.1.9")),
        )
        there = evolve(there, resolvers=frozenset({ip_address("10.244.1.10")}))
        self.assertIsNone(self.state(there))
        elsewhere = evolve(OUR_NODE, pod_cidrs=(net("10.244.5.0/24"),))
        self.assert_cut_off(self.state(there, inventory(elsewhere)), "cni0")
        anew = planned(there, inventory(evolve(OUR_NODE, pod_cidrs=()))).state
        assert anew is not None
        self.assertEqual(anew.name, StateName.WAITING_FOR_POD_CIDRS)

    def test_link_local_and_loopback_are_irrelevant(self) -> None:
        """What is on the loopback link, or link-local, is never routed by us."""
        there = with_address(bare_machine(), "lo", "100.64.9.9/32")
        wide = evolve(SETTINGS, overlay=net("169.0.0.0/8"))
        there = with_address(there, "eth0", "169.254.1.1/16")
        self.assertIsNone(self.state(there, settings=wide))

    def test_our_own_device_is_not_in_our_way(self) -> None:
        """Addresses and routes of wg0 itself do not count."""
        there = with_routes(
            working(), Route(ip_network("192.0.2.0/24"), "wg0", ip_address("100.64.0.9"))
        )
        self.assertIsNone(self.state(there))

    def test_a_working_device_is_left_as_it_is(self) -> None:
        """Found later, it stops all changes and takes nothing down."""
        there = with_address(working(peer(B, "10.244.99.0/24")), "eth0", "100.64.0.77/24")
        self.assert_cut_off(self.state(there), "100.64.0.0/24")

    def test_without_inventory_what_can_be_seen_counts(self) -> None:
        """Gateways and links are checked before the first list; own pods are given the benefit."""
        there = with_address(working(), "eth0", "100.64.0.77/24")
        decided = planned(there, None)
        self.assert_cut_off(decided.state, "100.64.0.0/24")
        there = with_address(working(), "eth0", "10.244.1.1/24")
        found = planned(there, None).state
        assert found is not None
        self.assertEqual(found.name, StateName.STARTING)

    def test_no_more_than_three_are_named(self) -> None:
        """A message stays short, and says how many more there are."""
        there = bare_machine()
        for n in range(5):
            there = with_address(there, "eth0", f"100.64.{n}.1/32")
        self.assert_cut_off(self.state(there), "100.64.0.1", "and 2 more")


class NoAddressTests(SynchronousTestCase):
    def state(self, own: Node, settings: Settings = SETTINGS) -> State | None:
        decided = planned(bare_machine(), inventory(own), settings=settings)
        self.assertTrue(decided.state is None or not decided.changes)
        return decided.state

    def test_no_internal_ip(self) -> None:
        """A Node without a usable InternalIP stops everything; --node-ip is the way out."""
        own = node("a", pods="10.244.1.0/24")
        state = self.state(own)
        assert state is not None
        self.assertEqual(state.name, StateName.NO_INTERNAL_IP)
        self.assertIn("--node-ip", state.message)
        given = evolve(SETTINGS, node_ip=ip_address("10.0.0.1"))
        self.assertIsNone(self.state(own, given))

    def test_an_ipv6_address_is_not_usable_yet(self) -> None:
        """The message says that it is for IPv6."""
        state = self.state(node("a", "fd00::1", pods="10.244.1.0/24"))
        assert state is not None
        self.assertEqual(state.name, StateName.NO_INTERNAL_IP)
        self.assertIn("IPv6", state.message)

    def test_the_address_is_ours_alone(self) -> None:
        """--node-ip says nothing about other Nodes."""
        given = evolve(SETTINGS, node_ip=ip_address("10.0.0.99"))
        decided = planned(bare_machine(), inventory(NODE_B), settings=given)
        self.assertIn("add address 100.64.0.99/32 to wg0", texts(decided))
        self.assertTrue(any("at 10.0.0.2:51820" in c for c in texts(decided)))
        self.assertEqual(str(decided.own.overlay_address), "100.64.0.99")
        self.assertNotIn(ALIAS, str(decided.own))
