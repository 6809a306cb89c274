"""Taking over the device that wg-overlay made: what is kept, in what order, what is refused."""

from collections.abc import Mapping
from ipaddress import ip_network

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Link, Observed, Peer, Route
from overlayd.model.node import Inventory, IPNetwork
from overlayd.model.status import StateName
from overlayd.plan.ground import NO_DEVICE
from overlayd.testing.memory import MemoryTunnel
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
    bare,
    device,
    inventory,
    peer,
    planned,
    texts,
    with_address,
    with_link,
    with_routes,
    working,
)
from tests.pure.machine_in_memory import OUR_KEY, Machine

ADOPT = evolve(SETTINGS, adopt=True)
NODES = (NODE_B, NODE_C)
BOOT = 3  # rtm_protocol of a route that nobody claims


def made_by_wg_overlay(*peers: Peer, prefix: int = 32) -> Observed:
    """A machine as `wg-init` and `wnc` leave it; `prefix` is that of the overlay address."""
    there = with_link(bare(), Link(3, "wg0", "tun", "", 1420, up=True))
    there = with_address(there, "wg0", f"100.64.0.1/{prefix}")
    routes = (Route(ip_network(str(n)), "wg0", protocol=BOOT) for n in ADOPT.networks)
    return evolve(with_routes(there, *routes), device=device(*peers))


def unknown(observed: Observed) -> Machine:
    """A machine whose daemon has just started: it remembers no key."""
    there = Machine(observed)
    there.tunnel = MemoryTunnel(there.tunnel.device)
    return there


class AdoptTests(SynchronousTestCase):
    """With `--adopt`, a WireGuard device with a key is ours once all is checked."""

    def test_what_is_right_stays(self) -> None:
        """Key, peers and address stay: the device is marked, the rules come first, routes last."""
        there = made_by_wg_overlay(PEER_B)
        decided = planned(there, inventory(NODE_B), settings=ADOPT)
        self.assertIsNone(decided.state)
        self.assertTrue(decided.ours)
        self.assertEqual(
            texts(decided),
            [
                "add rule to 100.64.0.0/16 lookup main suppress_prefixlength",
                "add rule to 10.244.0.0/16 lookup main suppress_prefixlength",
                "add rule to 100.64.0.0/16 unreachable",
                "add rule to 10.244.0.0/16 unreachable",
                "mark link wg0 as ours",
                "route 100.64.0.0/16 through wg0 from 100.64.0.1",
                "route 10.244.0.0/16 through wg0 from 100.64.0.1",
            ],
        )
        self.assertEqual(decided.changes[4].why, "--adopt says so")

    def test_peers_are_granted_before_stray_ones_go(self) -> None:
        """What wg-overlay left behind goes: a stale peer, and a podCIDR of long ago."""
        stale = peer(OLD, "100.64.0.9 10.244.3.0/24")
        known = evolve(PEER_B, allowed_ips=PEER_B.allowed_ips | {ip_network("10.244.9.0/24")})
        decided = planned(
            made_by_wg_overlay(known, stale), inventory(NODE_B, NODE_C), settings=ADOPT
        )
        of_peers = [text for text in texts(decided) if " peer " in text]
        self.assertEqual(
            of_peers,
            [
                "add peer c C at 10.0.0.3:51820 with 10.244.3.0/24, 100.64.0.3/32",
                "take 10.244.9.0/24 from peer b B",
                "remove peer (no node) OLD",
            ],
        )

    def test_an_address_with_its_network_is_replaced(self) -> None:
        """Ours is added first, the routes follow, and only then the other one goes."""
        there = made_by_wg_overlay(PEER_B, prefix=16)
        changes = texts(planned(there, inventory(NODE_B), settings=ADOPT))
        ours, theirs = "add address 100.64.0.1/32 to wg0", "remove address 100.64.0.1/16 from wg0"
        last_route = "route 10.244.0.0/16 through wg0 from 100.64.0.1"
        order = [changes.index(text) for text in (ours, last_route, theirs)]
        self.assertEqual(order, sorted(order))

    def test_made_by_half(self) -> None:
        """It may have no address yet, or besides ours one that the kernel gave it."""
        there = with_address(made_by_wg_overlay(PEER_B), "wg0", "fe80::1/64")
        for found in (there, evolve(there, addresses=bare().addresses)):
            self.assertTrue(planned(found, inventory(NODE_B), settings=ADOPT).ours)

    def test_we_hold_what_the_device_has(self) -> None:
        """The address that the device has is ours, against an older Node; and so is our podCIDR."""
        older = evolve(NODE_B, overlay_addresses=(), pod_cidrs=OUR_NODE.pod_cidrs, created="2020")
        for prefix in (32, 16):
            decided = planned(made_by_wg_overlay(prefix=prefix), inventory(older), settings=ADOPT)
            self.assertEqual([q.node for q in decided.quarantines], ["b"])

    def test_nothing_before_all_is_checked(self) -> None:
        """Without an inventory or our Node, or where we would cut it off, nothing is done."""
        there = made_by_wg_overlay(PEER_B)
        missing = Inventory({"b": NODE_B}, frozenset(), "1")
        inside = evolve(inventory(NODE_B), servers=frozenset({ip_network("100.64.7.7")[0]}))
        for cluster, state in (
            (None, StateName.STARTING),
            (missing, StateName.NODE_MISSING),
            (inside, StateName.CUTS_OFF_NODE),
            (inventory(evolve(OUR_NODE, address=None)), StateName.NO_INTERNAL_IP),
        ):
            decided = planned(there, cluster, settings=ADOPT)
            assert decided.state is not None
            self.assertEqual((decided.state.name, decided.changes), (state, ()))
            self.assertFalse(decided.ours, "its key must not be remembered")

    def test_rules_of_ours_do_not_make_it_ours(self) -> None:
        """Rules that outlived a device of ours say nothing about the one that came after it."""
        there = evolve(made_by_wg_overlay(PEER_B), rules=working().rules)
        decided = planned(there, None, settings=ADOPT)
        self.assertEqual((decided.changes, decided.ours), ((), False))

    def test_once_is_enough(self) -> None:
        """After one pass nothing is left to do, with `--adopt` or without."""
        there = unknown(made_by_wg_overlay(PEER_B, prefix=16))
        there.apply_all(planned(there.observe(), inventory(NODE_B), settings=ADOPT).changes)
        for choice in (ADOPT, SETTINGS):
            decided = planned(there.observe(), inventory(NODE_B), settings=choice)
            self.assertEqual((decided.changes, decided.state), ((), None))

    def test_harmless_where_there_is_nothing_to_adopt(self) -> None:
        """With a device of ours, a half-made one or none, the plan is the same as without it."""
        half = with_link(bare(), Link(3, "wg0", "tun"))
        for there in (working(PEER_B), bare(), evolve(half, device=NO_DEVICE)):
            for cluster in (inventory(NODE_B), None):
                self.assertEqual(planned(there, cluster, settings=ADOPT), planned(there, cluster))


class RefusedTests(SynchronousTestCase):
    """What cannot be taken over is left alone, and the message says why."""

    def message(self, there: Observed, adopt: bool) -> str:
        chosen = ADOPT if adopt else SETTINGS
        decided = planned(there, inventory(NODE_B), settings=chosen)
        assert decided.state is not None
        self.assertEqual((decided.state.name, decided.changes), (StateName.FOREIGN_DEVICE, ()))
        self.assertFalse(decided.ours)
        self.assertIn("another --wg-dev", decided.state.message)
        return decided.state.message

    def test_what_wg_overlay_did_not_make(self) -> None:
        """Another kind of link, one that is silent or has no key, and somebody's own VPN."""
        there = made_by_wg_overlay(PEER_B)
        keyless = evolve(NO_DEVICE, peers={PEER_B.key: PEER_B})
        for found, why in (
            (with_link(there, Link(3, "wg0", "bridge")), "it is no WireGuard device"),
            (evolve(there, device=None), "no WireGuard that we can drive answers"),
            (evolve(there, device=keyless), "it has no key"),
            (with_address(there, "wg0", "10.8.0.2/24"), "its address 10.8.0.2/24 lies outside"),
            (with_address(there, "wg0", "fd00::1/64"), "its address fd00::1/64 lies outside"),
        ):
            self.assertIn(f"--adopt cannot take it over, for {why}", self.message(found, True))
            self.assertNotIn("--adopt", self.message(found, False))

    def test_the_way_out_is_named_where_it_is_one(self) -> None:
        """Without the option, the message names it for a device that it would take over."""
        there = made_by_wg_overlay(PEER_B)
        self.assertIn("--adopt", self.message(there, False))
        self.assertIn("--adopt", self.message(with_link(there, Link(3, "wg0", "tun", "x")), False))


law = settings(deadline=None, max_examples=100, derandomize=True)
_STRAY = peer(OLD, "100.64.0.2 10.244.7.0/24")
_DEVICES: list[list[Peer]] = [
    [],
    [PEER_B],
    [PEER_B, PEER_C],
    [PEER_C, _STRAY],
    [peer(B, "10.244.2.0/24", "10.0.0.9:51820"), PEER_C, _STRAY],
]


class AdoptLaws(SynchronousTestCase):
    """Whatever wg-overlay left behind, and wherever the daemon is stopped."""

    @law
    @given(st.sampled_from(_DEVICES), st.sampled_from([32, 24, 16]), st.integers(0, 20))
    def test_no_gap(self, peers: list[Peer], prefix: int, end: int) -> None:
        """After every change everything that worked still does; the next daemon does the rest."""
        there, cluster = unknown(made_by_wg_overlay(*peers, prefix=prefix)), inventory(*NODES)
        keeping = {p: q.key for q in peers if q.key != OLD for p in q.allowed_ips}
        first = planned(there.observe(), cluster, settings=ADOPT)
        for change in first.changes[:end]:
            there.apply(change)
            self.assert_working(there, keeping, str(change))
        for change in planned(there.observe(), cluster, settings=ADOPT).changes:
            there.apply(change)
            self.assert_working(there, keeping, str(change))
        self.assertEqual(planned(there.observe(), cluster, settings=ADOPT).changes, ())
        device = there.observe().device
        assert device is not None
        self.assertEqual(device.public_key, OUR_KEY.public())
        self.assertEqual(
            {key: found.allowed_ips for key, found in device.peers.items()},
            {B: PEER_B.allowed_ips, C: PEER_C.allowed_ips},
        )

    def assert_working(
        self, there: Machine, keeping: Mapping[IPNetwork, PublicKey], change: str
    ) -> None:
        self.assertEqual({p: there.holder(p) for p in keeping}, keeping, change)
        routed = {r.destination for r in there.observed.routes if r.link == "wg0"}
        self.assertLessEqual(set(ADOPT.networks), routed, change)
        addresses = {str(i.ip) for i in there.observed.addresses_of("wg0")}
        self.assertIn("100.64.0.1", addresses, change)
        assert there.tunnel.device is not None
        self.assertEqual(there.tunnel.device.private_key, OUR_KEY, change)
