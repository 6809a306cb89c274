"""Addresses, networks and endpoints in a Node: hostile text, read strictly."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.node import Claim, Endpoint, Node
from tests.pure.node_documents import DOCUMENT, annotated, changed, read


def with_internal_ip(text: Any) -> Node:
    return read(changed("status|addresses", [{"type": "InternalIP", "address": text}]))


class AddressTests(SynchronousTestCase):
    def test_first_internal_ip(self) -> None:
        """The first InternalIP that cannot be read is a fault; no later one takes its place."""
        addresses = [
            {"type": "InternalIP", "address": "300.0.0.1"},
            {"type": "InternalIP", "address": "192.0.2.1"},
        ]
        node = read(changed("status|addresses", addresses))
        self.assertIsNone(node.address)
        self.assertTrue(node.unreadable(Claim.INTERNAL_IP))

    def test_none(self) -> None:
        """A Node without an InternalIP has no address, and that is no fault."""
        node = read(changed("status|addresses", [{"type": "ExternalIP", "address": "192.0.2.1"}]))
        self.assertEqual((node.address, node.faults), (None, ()))

    def test_refused(self) -> None:
        """What is not one address that other machines can dial, in its plain form, is a fault."""
        for text in (
            "192.0.2.01",
            "192.0.2",
            "3221225985",
            "0xc0.0.2.1",
            " 192.0.2.1",
            "192.0.2.1 ",
            "192.0.2.1\n",
            "192.0.2.1/32",
            "١٩٢.0.2.1",
            "fe80::1%eth0",
            "fe80::1",
            "[fd00::1]",
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "host.example",
            "1:" * 50000,
            "",
            5,
            ["192.0.2.1"],
        ):
            node = with_internal_ip(text)
            self.assertIsNone(node.address, text)
            self.assertTrue(node.unreadable(Claim.INTERNAL_IP), text)

    def test_forms_of_one_value(self) -> None:
        """Upper case, long forms and IPv4 within IPv6 are the same values."""
        self.assertEqual(with_internal_ip("FD00:A::0001").address, IPv6Address("fd00:a::1"))
        self.assertEqual(with_internal_ip("::ffff:192.0.2.1").address, IPv4Address("192.0.2.1"))


class OverlayAddressTests(SynchronousTestCase):
    def test_union(self) -> None:
        """The addresses of both annotations are united, each once."""
        node = annotated("overlayd/overlay-ips", "100.64.0.9,::ffff:100.64.0.1")
        self.assertEqual(
            node.overlay_addresses, (IPv4Address("100.64.0.1"), IPv4Address("100.64.0.9"))
        )

    def test_one_bad_entry(self) -> None:
        """An entry that cannot be read costs itself alone."""
        node = annotated("overlayd/overlay-ips", "100.64.0.9,,x,fd00::1")
        self.assertEqual(len(node.overlay_addresses), 3)
        self.assertEqual([f.claim for f in node.faults], [Claim.OVERLAY_ADDRESS] * 2)

    def test_blanks(self) -> None:
        """Spaces after a comma are allowed; other blanks are not."""
        self.assertEqual(annotated("overlayd/overlay-ips", "100.64.0.9,  fd00::1").faults, ())
        for text in (" 100.64.0.9", "100.64.0.9 ,fd00::1", "100.64.0.9,\tfd00::1", "fd00::1,"):
            self.assertEqual(len(annotated("overlayd/overlay-ips", text).faults), 1, text)

    def test_wg_overlay_knows_ipv4(self) -> None:
        """wg-overlay's annotation is one IPv4 address."""
        for text in ("fd00::1", "100.64.0.1,100.64.0.2", "100.64.0.1/32"):
            self.assertTrue(annotated("wireguard-ip", text).unreadable(Claim.OVERLAY_ADDRESS))

    def test_flood(self) -> None:
        """A list that is absurdly long is one fault, not thousands."""
        node = annotated("overlayd/overlay-ips", "x," * 100_000)
        self.assertEqual(len(node.faults), 1)
        self.assertEqual(node.overlay_addresses, (IPv4Address("100.64.0.1"),))


class PodCidrTests(SynchronousTestCase):
    def test_single(self) -> None:
        """podCIDR counts where there is no podCIDRs."""
        nothing: tuple[list[Any] | None, ...] = ([], None)
        for several in nothing:
            node = read(changed("spec", {"podCIDR": "10.0.0.0/8", "podCIDRs": several}))
            self.assertEqual(node.pod_cidrs, (IPv4Network("10.0.0.0/8"),))
            self.assertEqual(node.pod_cidrs_text, "10.0.0.0/8")

    def test_annotation_is_not_believed(self) -> None:
        """What overlayd/pod-cidrs says makes no podCIDR, and no fault."""
        node = read(changed("metadata|annotations|overlayd/pod-cidrs", "\x00junk"))
        self.assertEqual(node.pod_cidrs, read(DOCUMENT).pod_cidrs)
        self.assertEqual(node.faults, ())

    def test_refused(self) -> None:
        """Only a network in CIDR notation without host bits is one; the others stay."""
        for text in (
            "10.0.0.0",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/0.255.255.255",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/33",
            "10.0.0.0/8/8",
            "10.0.0.1/8",
            "010.0.0.0/8",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
            "10.0.0.0/8\n",
            "10.0.0.0/٨",
            "fd00::/129",
            "fd00::1/64",
            "fe80::%1/64",
            "",
            None,
            7,
        ):
            node = read(changed("spec|podCIDRs", [text, "10.9.0.0/16"]))
            self.assertEqual(node.pod_cidrs, (IPv4Network("10.9.0.0/16"),), text)
            self.assertEqual([f.claim for f in node.faults], [Claim.POD_CIDR], text)

    def test_mapped(self) -> None:
        """A network of IPv4 addresses in their IPv6 form is that IPv4 network."""
        node = read(changed("spec|podCIDRs", ["::ffff:10.0.0.0/104", "::/0"]))
        self.assertEqual(node.pod_cidrs, (IPv4Network("10.0.0.0/8"), IPv6Network("::/0")))


class EndpointTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """address:port, and brackets for IPv6."""
        self.assertEqual(
            annotated("overlayd/endpoint", "[fd00::1]:65535").endpoint,
            Endpoint(IPv6Address("fd00::1"), 65535),
        )
        self.assertEqual(
            annotated("overlayd/endpoint", "[::ffff:192.0.2.1]:1").endpoint,
            Endpoint(IPv4Address("192.0.2.1"), 1),
        )

    def test_refused(self) -> None:
        """Anything else costs the endpoint, and the endpoint only."""
        for text in (
            "192.0.2.1",
            "192.0.2.1:",
            ":51820",
            "192.0.2.1:0",
            "192.0.2.1:65536",
            "192.0.2.1:051820",
            "192.0.2.1:+1",
            "192.0.2.1: 1",
            "192.0.2.1:1 ",
            "192.0.2.1:1\n",
            "[192.0.2.1]:1",
            "fd00::1:51820",
            "[fd00::1]51820",
            "[fd00::1%eth0]:1",
            "[::]:1",
            "127.0.0.1:1",
            "224.0.0.1:1",
            "host.example:1",
        ):
            node = annotated("overlayd/endpoint", text)
            self.assertIsNone(node.endpoint, text)
            self.assertEqual([f.claim for f in node.faults], [Claim.ENDPOINT], text)
            self.assertEqual(node.key, read(DOCUMENT).key)
