"""Addresses and prefixes as the API server lets them through and as other software writes them.

The API server parses a podCIDR as Go did before 1.17: leading zeros, host bits and IPv4 within
IPv6 pass, and what was stored once passes for ever. Addresses in a Node's status and annotations
it does not look at. What has one meaning to everybody is that value, however it is written; what
another program may read as something else is refused, with the reason.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.node import Claim, Endpoint, IPAddress, Node
from overlayd.plan.notation import read_address, read_network
from overlayd.testing.apiserver.validation import parsed_cidr
from tests.pure.cluster import B, C, having, judged, left_out
from tests.pure.hostile import fuzz
from tests.pure.node_documents import annotated, changed, read

AMBIGUOUS = "not an IP address"
HOST_BITS = "a network with host bits"
NO_CIDR = "not in CIDR notation"
NOT_DIALLED = "not an address that other machines can dial"
ZONE = "an address with a zone, which only means something on its own machine"

# The text, who writes it, and what it becomes: a network, or the reason why it is none.
POD_CIDRS: tuple[tuple[str, str, str], ...] = (
    ("10.244.1.0/24", "the node IPAM controller", "10.244.1.0/24"),
    ("fd00:10:244:1::/64", "the node IPAM controller", "fd00:10:244:1::/64"),
    ("fd00:10:244:1:0:0:0:0/64", "allowed: not compressed", "fd00:10:244:1::/64"),
    ("FD00:10:244:0001::/64", "allowed: upper case, zeros", "fd00:10:244:1::/64"),
    ("::/0", "allowed: everything", "::/0"),
    ("0.0.0.0/0", "allowed: everything", "0.0.0.0/0"),
    ("0.0.0.0/32", "allowed: unspecified", "0.0.0.0/32"),
    ("224.0.0.0/4", "allowed: multicast", "224.0.0.0/4"),
    ("127.0.0.0/8", "allowed: loopback", "127.0.0.0/8"),
    ("10.244.1.1/32", "allowed: one address", "10.244.1.1/32"),
    ("::ffff:10.244.1.0/120", "allowed: IPv4 within IPv6", "10.244.1.0/24"),
    ("::FFFF:0AF4:0100/120", "allowed: the same in hex", "10.244.1.0/24"),
    ("::ffff:0:0/96", "allowed: all of IPv4 within IPv6", "0.0.0.0/0"),
    ("::10.244.1.0/120", "allowed: IPv4-compatible IPv6", "::af4:100/120"),
    ("64:ff9b::10.244.1.0/120", "allowed: NAT64", "64:ff9b::af4:100/120"),
    ("::ffff:10.244.1.1/120", "allowed: host bits within IPv6", HOST_BITS),
    ("10.244.1.1/24", "allowed: host bits", HOST_BITS),
    ("fd00::1/64", "allowed: host bits", HOST_BITS),
    ("010.244.001.000/24", "allowed: leading zeros, decimal or octal", AMBIGUOUS),
    ("10.244.1.00/24", "allowed: leading zeros", AMBIGUOUS),
    ("::ffff:010.244.1.0/120", "allowed: leading zeros within IPv6", AMBIGUOUS),
    ("10.244.1.0/024", "allowed: leading zeros in the length", NO_CIDR),
    ("10.244.1.0/+24", "a parser that takes signs", NO_CIDR),
    ("10.244.1.0/24 ", "a person", NO_CIDR),
    ("10.244.1.0", "a person", NO_CIDR),
    ("10.244.1.0/255.255.255.0", "a person", NO_CIDR),
    ("10.244.1/24", "BSD tools", AMBIGUOUS),
    ("0xaf4.1.0/24", "C's inet_aton", AMBIGUOUS),
    ("fd00::%eth0/64", "a link's own notation", ZONE),
)
ADDRESSES: tuple[tuple[str, str, str], ...] = (
    ("192.0.2.1", "kubelet", "192.0.2.1"),
    ("fd00::a", "kubelet", "fd00::a"),
    ("FD00::000A", "a cloud provider", "fd00::a"),
    ("fd00:0:0:0:0:0:0:a", "a cloud provider", "fd00::a"),
    ("fd00::0.0.0.10", "a dotted tail", "fd00::a"),
    ("::ffff:192.0.2.1", "a dual-stack socket", "192.0.2.1"),
    ("::FFFF:C000:0201", "the same in hex", "192.0.2.1"),
    ("0:0:0:0:0:ffff:192.0.2.1", "the same not compressed", "192.0.2.1"),
    ("169.254.10.10", "a machine without DHCP", "169.254.10.10"),
    ("", "a cloud provider that does not know it yet", "an empty entry"),
    ("192.0.2.1 ", "a person", AMBIGUOUS),
    (" 192.0.2.1", "a person", AMBIGUOUS),
    ("192.0.2.1\n", "a shell script", AMBIGUOUS),
    ("192.0.2.1/24", "`ip address`", AMBIGUOUS),
    ("192.0.2.1:6443", "an endpoint's notation", AMBIGUOUS),
    ("[fd00::a]", "a URL's notation", AMBIGUOUS),
    ("192.000.002.001", "an address of fixed width", AMBIGUOUS),
    ("3221225985", "C's inet_aton", AMBIGUOUS),
    ("fe80::1%eth0", "Go's net.Interface", ZONE),
    ("fe80::1", "a node without a global address", NOT_DIALLED),
    ("0.0.0.0", "--node-ip of a kubelet that shall choose", NOT_DIALLED),
    ("::", "--node-ip of a kubelet that shall choose", NOT_DIALLED),
    ("::ffff:0.0.0.0", "the same within IPv6", NOT_DIALLED),
    ("127.0.0.1", "minikube with no driver", NOT_DIALLED),
    ("::1", "the same over IPv6", NOT_DIALLED),
    ("224.0.0.251", "nobody", NOT_DIALLED),
    ("255.255.255.255", "nobody", NOT_DIALLED),
    ("node-1.example", "a provider whose addresses are names", AMBIGUOUS),
)
LEGACY = [text for text, writer, _ in POD_CIDRS if writer.startswith("allowed")]


def internal(text: str) -> Node:
    return read(changed("status|addresses", [{"type": "InternalIP", "address": text}]))


class TablesTests(SynchronousTestCase):
    def test_pod_cidrs(self) -> None:
        """Each text is the network of the table, or is left out with the reason."""
        for text, _, expected in POD_CIDRS:
            node = read(changed("spec", {"podCIDRs": [text]}))
            if "/" in expected:
                self.assertEqual((node.pod_cidrs, node.faults), ((ip_network(expected),), ()), text)
            else:
                self.assertEqual(node.pod_cidrs, (), text)
                self.assertEqual(
                    [(f.claim, f.reason) for f in node.faults], [(Claim.POD_CIDR, expected)], text
                )
            self.assertEqual(node.pod_cidrs_text, text)

    def test_let_through(self) -> None:
        """The development API server lets through what the table says a real one does."""
        for text in LEGACY:
            self.assertIsNotNone(parsed_cidr(text), text)

    def test_internal_addresses(self) -> None:
        """So it is with InternalIPs."""
        for text, _, expected in ADDRESSES:
            node = internal(text)
            try:
                address: IPAddress | None = ip_address(expected)
            except ValueError:
                address = None
            self.assertEqual(node.address, address, text)
            reasons = [] if address else [(Claim.INTERNAL_IP, expected)]
            self.assertEqual([(f.claim, f.reason) for f in node.faults], reasons, text)

    def test_annotations(self) -> None:
        """The same texts in the annotations are the same addresses; an empty one is no claim."""
        for text, _, expected in ADDRESSES:
            node = annotated("overlayd/endpoint", f"[{text}]:7" if ":" in text else f"{text}:7")
            try:
                endpoint: Endpoint | None = Endpoint(ip_address(expected), 7)
            except ValueError:
                endpoint = None
            self.assertEqual(node.endpoint, endpoint, text)
            if endpoint is None and expected != NOT_DIALLED and text:
                single = annotated("wireguard-ip", text)
                self.assertTrue(single.unreadable(Claim.OVERLAY_ADDRESS), text)


class ContestTests(SynchronousTestCase):
    def test_two_spellings_are_one_claim(self) -> None:
        """Who spells it otherwise claims the same, and gets nothing that another Node holds."""
        for claim, one, other in (
            ("pods", "10.244.2.0/24", "::FFFF:0AF4:0200/120"),
            ("pods", "::ffff:10.244.2.0/120", "10.244.2.0/24"),
            ("pods", "10.244.2.0/24", "::ffff:10.244.2.64/122"),
            ("overlay", "100.64.0.9", "::ffff:100.64.0.9"),
            ("overlay", "0:0:0:0:0:FFFF:6440:9", "100.64.0.9"),
        ):
            path = (
                "spec|podCIDRs" if claim == "pods" else "metadata|annotations|overlayd/overlay-ips"
            )
            older, newer = (
                evolve(
                    read(changed(path, [text] if claim == "pods" else text)),
                    name=name,
                    key=key,
                    created=created,
                )
                for text, name, key, created in ((one, "b", B, "2024"), (other, "c", C, "2025"))
            )
            wanted = judged(newer, older)
            begins = "10.244.2." if claim == "pods" else "100.64.0.9"
            lost = [(q[0], q[2][:7]) for q in left_out(wanted) if q[1].startswith(begins)]
            self.assertEqual(lost, [("c", "b holds")], (one, other))
            self.assertTrue(having(wanted)["b"].isdisjoint(having(wanted)["c"]))


def spelled(address: IPAddress) -> list[str]:
    """Ways to write an address that have one meaning to everybody."""
    if isinstance(address, IPv4Address):
        mapped = IPv6Address(f"::ffff:{address}")
        return [str(address), f"::ffff:{address}", f"::FFFF:{address}", *spelled(mapped)]
    return [str(address), address.exploded, address.exploded.upper(), str(address).upper()]


addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6)


class SpellingsTests(SynchronousTestCase):
    @fuzz
    @given(addresses)
    def test_one_address(self, address: IPAddress) -> None:
        """However an address is written, it is the same value; and it is printed as it is read."""
        value = getattr(address, "ipv4_mapped", None) or address
        for text in spelled(address):
            self.assertEqual(read_address(text), value, text)
        self.assertEqual(read_address(str(value)), value)

    @fuzz
    @given(addresses, st.integers(0, 128))
    def test_one_network(self, address: IPAddress, length: int) -> None:
        """So it is with networks."""
        network: IPv4Network | IPv6Network
        if isinstance(address, IPv4Address):
            network = IPv4Network((address, length % 33), strict=False)
            texts = [
                f"{t}/{network.prefixlen + (96 if ':' in t else 0)}"
                for t in spelled(network.network_address)
            ]
        else:
            network = IPv6Network((int(address), length), strict=False)
            if network.network_address.ipv4_mapped is not None:
                return  # one of IPv4, or that and more
            texts = [f"{t}/{length}" for t in spelled(network.network_address)]
        for text in texts:
            self.assertEqual(read_network(text), network, text)

    @fuzz
    @given(st.text(alphabet="0123456789abcdefx.:/% ", max_size=24))
    def test_never_more_than_the_standard_library(self, text: str) -> None:
        """What is read is what Python reads, or within IPv6 that IPv4 address: never another."""
        try:
            address = read_address(text)
        except ValueError:
            pass
        else:
            plain = ip_address(text)
            self.assertIn(address, (plain, getattr(plain, "ipv4_mapped", None)))
        try:
            network = read_network(text)
        except ValueError:
            return
        self.assertEqual(
            int(network.network_address) & 0xFFFFFFFF, int(ip_network(text)[0]) & 0xFFFFFFFF
        )
