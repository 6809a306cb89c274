"""The MTU follows the way to the peers."""

from ipaddress import ip_address, ip_network

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.machine import Link, Observed, Route
from overlayd.model.settings import Settings
from overlayd.plan.mtu import wanted_mtu
from tests.pure.cluster import (
    NODE_B,
    PEER_B,
    SETTINGS,
    bare,
    inventory,
    planned,
    texts,
    with_link,
    with_routes,
    without_route,
    working,
)

JUMBO = Link(5, "eth1", mtu=9000, up=True)
NARROW = Link(6, "ppp0", mtu=1400, up=True)


def wanted(there: Observed, *endpoints: str, settings: Settings = SETTINGS) -> int | None:
    return wanted_mtu(settings, there, map(ip_address, endpoints))


class MtuTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.there = with_routes(
            with_link(with_link(bare(), JUMBO), NARROW),
            Route(ip_network("10.8.0.0/16"), "eth1"),
            Route(ip_network("10.8.7.0/24"), "ppp0"),
            Route(ip_network("fd00::/16"), "eth1"),
        )

    def test_the_link_to_the_peers(self) -> None:
        """The longest matching route tells the link; 80 bytes are WireGuard's."""
        for address, mtu in (
            ("192.0.2.1", 1420),
            ("10.8.0.1", 8920),
            ("10.8.7.1", 1320),
            ("fd00::1", 8920),
        ):
            self.assertEqual(wanted(self.there, address), mtu, address)

    def test_the_narrowest_way_counts(self) -> None:
        """With peers behind several links, packets must fit on each."""
        self.assertEqual(wanted(self.there, "10.8.0.1", "10.8.7.1", "192.0.2.1"), 1320)

    def test_a_route_may_be_narrower_than_its_link(self) -> None:
        """A route's own MTU counts where it is the smaller."""
        there = with_routes(self.there, Route(ip_network("10.8.9.0/24"), "eth1", mtu=1500))
        self.assertEqual(wanted(there, "10.8.9.1"), 1420)

    def test_the_preferred_route_counts(self) -> None:
        """Of two routes to one destination the one with the smaller metric is taken."""
        there = with_routes(self.there, Route(ip_network("10.8.0.0/16"), "ppp0", metric=50))
        self.assertEqual(wanted(there, "10.8.0.1"), 8920)
        there = with_routes(self.there, Route(ip_network("10.6.0.0/16"), "eth1", metric=50))
        there = with_routes(there, Route(ip_network("10.6.0.0/16"), "ppp0", metric=10))
        self.assertEqual(wanted(there, "10.6.0.1"), 1320)

    def test_without_a_peer_the_default_route_counts(self) -> None:
        """A node alone uses the link of its default route; without one nothing is known."""
        self.assertEqual(wanted(self.there), 1420)
        self.assertIsNone(wanted(without_route(self.there, "0.0.0.0/0")))

    def test_never_loopback_and_never_the_tunnel(self) -> None:
        """Routes over lo, or into the tunnel itself, lead to no peer."""
        there = with_routes(
            working(),
            Route(ip_network("10.8.0.0/16"), "lo"),
            Route(ip_network("10.9.0.0/16"), "wg0"),
            Route(ip_network("10.10.0.0/16"), ""),
        )
        for address in ("10.8.0.1", "10.9.0.1", "10.10.0.1"):
            self.assertEqual(wanted(there, address), 1420, address)

    def test_the_option_wins(self) -> None:
        """--mtu is taken as it is."""
        self.assertEqual(wanted(self.there, "10.8.7.1", settings=evolve(SETTINGS, mtu=1280)), 1280)

    def test_never_less_than_a_datagram(self) -> None:
        """A link that is absurdly narrow does not make the device unusable."""
        there = with_link(self.there, evolve(NARROW, mtu=600))
        self.assertEqual(wanted(there, "10.8.7.1"), 576)

    def test_it_is_followed(self) -> None:
        """When the underlay's MTU changes, the device's does, and nothing else."""
        there = with_link(working(PEER_B), Link(2, "eth0", mtu=1450, up=True))
        self.assertEqual(texts(planned(there, inventory(NODE_B))), ["set MTU of wg0 to 1370"])

    def test_unknown_is_left_alone(self) -> None:
        """Where no route tells, the device keeps the MTU that it has."""
        there = without_route(without_route(working(), "0.0.0.0/0"), "10.0.0.0/24")
        self.assertEqual(planned(there, inventory()).changes, ())

    def test_a_peers_roamed_endpoint_stands_in(self) -> None:
        """Of a Node that says no endpoint, the one that the device knows is looked up."""
        there = with_link(working(PEER_B), Link(7, "eth7", mtu=1300, up=True))
        there = with_routes(there, Route(ip_network("10.0.0.2/32"), "eth7"))
        decided = planned(there, inventory(evolve(NODE_B, address=None)))
        self.assertIn("set MTU of wg0 to 1220", texts(decided))
