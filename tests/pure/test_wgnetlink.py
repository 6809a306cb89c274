"""The bytes of the kernel's WireGuard: what is asked, and what is read of an answer."""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice
from socket import AF_INET, AF_INET6

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import TunnelError
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.machine import Device, Peer
from overlayd.model.node import Endpoint, IPNetwork
from overlayd.netlink.rtnetlink import attribute, attributes
from overlayd.tunnel.requests import DeviceStep, PeerStep, Step
from overlayd.tunnel.wgnetlink import FULL, can_dial, family_in, get, parse, requests
from tests.pure.test_uapi import KEY, SHARED, peers, private_keys

A, B = (PublicKey(bytes([n]) * 32) for n in (0xAA, 0xBB))
HOME = Endpoint(IPv4Address("192.0.2.1"), 51820)

# linux/wireguard.h, written down apart from the code under test
REMOVE_ME, REPLACE_ALLOWEDIPS, UPDATE_ONLY = 1, 2, 4
NESTED = 0x8000
HEADER = b"\x00\x01\x00\x00"


def render(device: Device, key: PrivateKey | None, cut: int = 1000) -> list[bytes]:
    """The answer of a kernel that has this device, with at most `cut` prefixes in a message.

    A peer whose prefixes go on in the next message is told there by its key and prefixes alone.
    """
    head = b""
    if key is not None:
        head += attribute(3, key.raw) + attribute(4, key.public().raw)
    head += attribute(6, struct.pack("=H", device.listen_port)) + attribute(7, bytes(4))
    messages = []
    told: list[bytes] = []
    room = cut
    for peer in device.peers.values():
        rest = sorted(peer.allowed_ips, key=str)
        first = True
        while first or rest:
            if not room:
                messages.append(HEADER + head + attribute(8 | NESTED, b"".join(told)))
                head, told, room = b"", [], cut
            some, rest = rest[:room], rest[room:]
            room -= max(len(some), 1)
            listed = b"".join(map(prefix_attribute, some))
            known = of_peer(peer) if first else attribute(1, peer.key.raw)
            told.append(attribute(NESTED, known + attribute(9 | NESTED, listed)))
            first = False
    messages.append(HEADER + head + attribute(8 | NESTED, b"".join(told)))
    return messages


def of_peer(peer: Peer) -> bytes:
    at = peer.last_handshake or 0.0
    told = attribute(1, peer.key.raw) + attribute(2, SHARED if peer.preshared else bytes(32))
    told += attribute(6, struct.pack("=qq", int(at), round(at % 1 * 1e9)))
    told += attribute(5, struct.pack("=H", peer.keepalive))
    told += attribute(8, struct.pack("=Q", peer.sent)) + attribute(
        7, struct.pack("=Q", peer.received)
    )
    told += attribute(10, struct.pack("=I", 1))
    if peer.endpoint is not None:
        told += attribute(4, socket_address(peer.endpoint))
    return told


def prefix_attribute(prefix: IPNetwork) -> bytes:
    """In the order in which the kernel tells it, which is not ours."""
    family = AF_INET if prefix.version == 4 else AF_INET6
    return attribute(
        NESTED,
        attribute(3, bytes((prefix.prefixlen,)))
        + attribute(1, struct.pack("=H", family))
        + attribute(2, prefix.network_address.packed),
    )


def socket_address(endpoint: Endpoint) -> bytes:
    port, address = endpoint.port.to_bytes(2, "big"), endpoint.address
    if isinstance(address, IPv4Address):
        return struct.pack("=H", AF_INET) + port + address.packed + bytes(8)
    zone = struct.pack("=I", int(address.scope_id or 0))
    return struct.pack("=H", AF_INET6) + port + bytes(4) + address.packed + zone


def peers_in(message: bytes) -> list[dict[int, bytes]]:
    (told,) = (value for kind, value in attributes(message, 4) if kind == 8)
    return [dict(attributes(peer, 0)) for _, peer in attributes(told, 0)]


def prefixes_in(peer: dict[int, bytes]) -> list[IPNetwork]:
    found: list[IPNetwork] = []
    for _, told in attributes(peer.get(9, b""), 0):
        values = dict(attributes(told, 0))
        family, length = struct.unpack("=H", values[1])[0], values[3][0]
        kind = IPv4Network if family == AF_INET else IPv6Network
        found.append(kind((values[2], length)))
    return found


def many(count: int) -> list[IPv4Network]:
    return [*islice(IPv4Network("10.0.0.0/8").subnets(new_prefix=24), count)]


class ParseTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(private_keys, st.integers(0, 65535), st.lists(peers, max_size=5), st.integers(1, 4))
    def test_reads_what_was_written(
        self, key: PrivateKey | None, port: int, listed: list[Peer], cut: int
    ) -> None:
        """Every device is read as it is, however its answer is cut into messages."""
        device = Device(key.public() if key else None, port, {peer.key: peer for peer in listed})
        reading = parse(render(device, key, cut))
        self.assertEqual(reading.device, device)
        self.assertEqual(reading.key, key)

    @settings(deadline=None)
    @given(st.lists(peers, max_size=4), st.lists(peers, max_size=4), st.sampled_from((0, 7)))
    def test_after_another(self, old: list[Peer], new: list[Peer], port: int) -> None:
        """What was read before changes nothing in what is read; peers that are the same stay."""
        before = parse(render(Device(None, 7, {p.key: p for p in old}), KEY))
        device = Device(KEY.public(), port, {p.key: p for p in [*old[:2], *new]})
        told = render(device, KEY)
        after = parse(told, before)
        self.assertEqual(after, parse(told))
        for key, peer in before.device.peers.items():
            if after.device.peers.get(key) == peer:
                self.assertIs(after.device.peers[key], peer)
        self.assertIs(parse(told, after).device.peers, after.device.peers)

    def test_cut_peer(self) -> None:
        """A peer that goes on in another message is one, with all its prefixes and its endpoint."""
        peer = Peer(A, HOME, frozenset(many(3000)), keepalive=5)
        messages = render(Device(None, 0, {A: peer, B: Peer(B)}), None, cut=700)
        self.assertEqual(len(messages), 5)
        self.assertTrue(dict(parse(messages).device.peers) == {A: peer, B: Peer(B)})

    def test_malformed(self) -> None:
        """A malformed value is named and not shown."""
        of_peer = attribute(1, A.raw)
        for told, name in (
            (attribute(3, KEY.raw[:-1]), "private key"),
            (attribute(6, b"\x01"), "port"),
            (attribute(8, attribute(0, attribute(1, A.raw[:-1]))), "public key"),
            (attribute(8, attribute(0, attribute(5, bytes(2)))), "public key"),
            (attribute(8, attribute(0, of_peer + attribute(2, bytes(31)))), "preshared key"),
            (attribute(8, attribute(0, of_peer + attribute(4, bytes(15)))), "endpoint"),
            (attribute(8, attribute(0, of_peer + attribute(5, bytes(3)))), "keepalive"),
            (attribute(8, attribute(0, of_peer + attribute(6, bytes(15)))), "handshake"),
            (attribute(8, attribute(0, of_peer + attribute(7, bytes(4)))), "counter"),
            (attribute(8, attribute(0, of_peer + allowed(bytes((10, 0, 0, 1)), 8))), "allowed IP"),
            (attribute(8, attribute(0, of_peer + allowed(bytes(4), 33))), "allowed IP"),
            (attribute(8, attribute(0, of_peer + allowed(bytes(5), 8))), "allowed IP"),
        ):
            error = self.assertRaises(TunnelError, parse, [HEADER + told])
            self.assertEqual(str(error), f"the kernel's answer has a malformed {name}")

    def test_zero_keys(self) -> None:
        """An all-zero private key is none, and a peer under the all-zero key is left out."""
        blocks = attribute(0, attribute(1, bytes(32))) + attribute(0, attribute(1, A.raw))
        reading = parse([HEADER + attribute(3, bytes(32)) + attribute(8, blocks)])
        self.assertIsNone(reading.key)
        self.assertEqual(list(reading.device.peers), [A])

    def test_unknown_attributes(self) -> None:
        """Attributes that we do not know are ignored, of the device and of a peer."""
        block = attribute(1, A.raw) + attribute(99, b"new") + attribute(8, struct.pack("=Q", 5))
        reading = parse([HEADER + attribute(77, b"x") + attribute(8, attribute(0, block))])
        self.assertEqual([p.sent for p in reading.device.peers.values()], [5])

    def test_zone(self) -> None:
        """An endpoint in a zone has the number of the link, and can be told as it was read."""
        endpoint = Endpoint(IPv6Address("fe80::1%7"), 51820)
        peer = Peer(A, endpoint)
        (found,) = parse(render(Device(None, 0, {A: peer}), None)).device.peers.values()
        self.assertEqual(found.endpoint, endpoint)
        (message,) = requests("wg0", [PeerStep(A, endpoint=endpoint)])
        self.assertEqual(peers_in(message)[0][4], socket_address(endpoint))
        self.assertTrue(can_dial(endpoint))
        self.assertFalse(can_dial(Endpoint(IPv6Address("fe80::1%eth0"), 51820)))

    def test_secret(self) -> None:
        """A reading and a step can be printed without a private or preshared key in them."""
        device = Device(KEY.public(), 0, {A: Peer(A, preshared=True)})
        printed = repr((parse(render(device, KEY)), DeviceStep(KEY)))
        self.assertNotIn(repr(SHARED)[2:-1], printed)
        self.assertIn(str(KEY.public()), printed)
        self.assertNotIn(KEY.raw.hex(), printed)
        self.assertNotIn(repr(KEY.raw)[2:-1], printed)

    def test_family(self) -> None:
        """The number of the family is read, and an answer without one is an error."""
        self.assertEqual(family_in(HEADER + attribute(1, struct.pack("=H", 35))), 35)
        self.assertRaises(TunnelError, family_in, HEADER)


class RequestTests(SynchronousTestCase):
    def test_get(self) -> None:
        """What asks for a device names it."""
        self.assertEqual(get("wg0"), HEADER + attribute(2, b"wg0\0"))

    def test_device(self) -> None:
        """What is set of the device goes before peers, in messages of its own."""
        steps: list[Step] = [DeviceStep(key=KEY), DeviceStep(port=51820), PeerStep(A)]
        key, port, peer = (dict(attributes(m, 4)) for m in requests("wg0", steps))
        self.assertEqual(key, {2: b"wg0\0", 3: KEY.raw})
        self.assertEqual(port, {2: b"wg0\0", 6: struct.pack("=H", 51820)})
        self.assertEqual(peer.keys(), {2, 8})

    def test_peers(self) -> None:
        """Steps of peers are one message, in their order, with the flags that they need."""
        one = IPv4Network("10.244.1.0/24")
        steps = [
            PeerStep(A, prefixes=(one,), endpoint=HOME),
            PeerStep(B, existing=True, keepalive=25),
            PeerStep(A, remove=True),
            PeerStep(B, existing=True, no_preshared_key=True),
        ]
        (message,) = requests("wg0", steps)
        first, second, third, fourth = peers_in(message)
        self.assertEqual((first[1], first[4]), (A.raw, socket_address(HOME)))
        self.assertEqual(prefixes_in(first), [one])
        self.assertNotIn(3, first)
        self.assertEqual(second, {1: B.raw, 3: number(UPDATE_ONLY), 5: b"\x19\0"})
        self.assertEqual(third, {1: A.raw, 3: number(REMOVE_ME)})
        self.assertEqual(fourth, {1: B.raw, 2: bytes(32), 3: number(UPDATE_ONLY)})

    def test_thousands_of_prefixes(self) -> None:
        """A peer with more than an attribute holds is told in parts, which do not empty it."""
        prefixes: list[IPNetwork] = [*many(5000), *_six(2000)]
        messages = [*requests("wg0", [PeerStep(A, prefixes=prefixes, endpoint=HOME)])]
        told = [peer for message in messages for peer in peers_in(message)]
        self.assertGreater(len(messages), 1)
        self.assertTrue([p for peer in told for p in prefixes_in(peer)] == prefixes)
        self.assertEqual([peer.get(3) for peer in told], [None, *[number(UPDATE_ONLY)] * 6])
        self.assertEqual([4 in peer for peer in told], [True, *[False] * 6])

    @settings(deadline=None, max_examples=20)
    @given(st.lists(st.sampled_from((0, 1, 999, 1000, 1001, 2000)), max_size=8))
    def test_messages_are_full_and_no_fuller(self, sizes: list[int]) -> None:
        """Every message fits, all the prefixes are in them in their order, and few are needed."""
        prefixes = many(2000)
        steps: list[Step] = [PeerStep(A, prefixes=prefixes[:size]) for size in sizes]
        messages = [*requests("wg0", steps)]
        for message in messages:
            self.assertLessEqual(len(message), FULL + 50)
        told = [p for m in messages for peer in peers_in(m) for p in prefixes_in(peer)]
        self.assertTrue(told == [p for size in sizes for p in prefixes[:size]])
        self.assertLessEqual(len(messages), 1 + 2 * sum(map(len, messages)) // FULL)

    @settings(deadline=None)
    @given(st.lists(peers, max_size=5, unique_by=lambda peer: peer.key))
    def test_never_replaces(self, listed: list[Peer]) -> None:
        """A peer is told what was meant, and never the flag that empties its list."""
        steps: list[Step] = [
            PeerStep(p.key, prefixes=p.allowed_ips, endpoint=p.endpoint, keepalive=p.keepalive)
            for p in listed
        ]
        told = [peer for message in requests("wg0", steps) for peer in peers_in(message)]
        for peer, found in zip(listed, told, strict=True):
            self.assertEqual(found[1], peer.key.raw)
            self.assertEqual(frozenset(prefixes_in(found)), peer.allowed_ips)
            self.assertEqual(found[5], struct.pack("=H", peer.keepalive))
            flags = int.from_bytes(found.get(3, b""), "little")
            self.assertFalse(flags & REPLACE_ALLOWEDIPS)
            if peer.endpoint is not None:
                self.assertEqual(found[4], socket_address(peer.endpoint))


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def allowed(address: bytes, length: int) -> bytes:
    return attribute(9, attribute(0, attribute(2, address) + attribute(3, bytes((length,)))))


def _six(count: int) -> Iterator[IPv6Network]:
    return islice(IPv6Network("fd00::/32").subnets(new_prefix=64), count)
