"""The overlay address of a node, as wg-overlay computes it."""

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from overlayd.plan.overlay import overlay_address
from tests.pure.cluster import net


class OverlayAddressTests(SynchronousTestCase):
    def test_low_bits_of_the_node(self) -> None:
        """The node's low bits follow the network's high bits, for any prefix length."""
        table = (
            ("10.1.2.3", "100.64.0.0/16", "100.64.2.3"),
            ("192.168.255.254", "100.64.0.0/16", "100.64.255.254"),
            ("10.1.2.3", "100.64.0.0/10", "100.65.2.3"),
            ("10.1.2.200", "100.64.7.128/25", "100.64.7.200"),
            ("10.1.2.3", "100.64.7.8/31", "100.64.7.9"),
            ("10.1.2.3", "100.64.7.7/32", "100.64.7.7"),
            ("10.1.0.0", "100.64.0.0/16", "100.64.0.0"),
            ("10.1.255.255", "100.64.0.0/16", "100.64.255.255"),
            ("::ffff:10.1.2.3", "100.64.0.0/16", "100.64.2.3"),
        )
        for node, network, expected in table:
            computed = overlay_address(ip_address(node), net(network))
            self.assertEqual(str(computed), expected, f"{node} in {network}")

    def test_needs_an_ipv4_address(self) -> None:
        """A node that has no IPv4 address has no overlay address."""
        self.assertIsNone(overlay_address(ip_address("fd00::1"), net("100.64.0.0/16")))
        self.assertIsNone(overlay_address(None, net("100.64.0.0/16")))
