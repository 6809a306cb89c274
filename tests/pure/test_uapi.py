"""Reading what userspace WireGuard answers."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import TunnelError
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.machine import Device, Peer
from overlayd.model.node import Endpoint
from overlayd.tunnel.reading import Refused
from overlayd.tunnel.uapi import check, parse

KEY = PrivateKey(bytes(range(8, 40)))
PEER = "11" * 32
SHARED = b"\x5e" * 32


def render(device: Device, key: PrivateKey | None) -> bytes:
    """The answer of a process that has this device, line for line as wireguard-go writes it."""
    lines = []
    if key is not None:
        lines.append(f"private_key={key.raw.hex()}")
    if device.listen_port:
        lines.append(f"listen_port={device.listen_port}")
    for peer in device.peers.values():
        preshared = SHARED if peer.preshared else bytes(32)
        lines += [f"public_key={peer.key.raw.hex()}", f"preshared_key={preshared.hex()}"]
        lines.append("protocol_version=1")
        if peer.endpoint is not None:
            lines.append(f"endpoint={peer.endpoint}")
        at = peer.last_handshake or 0.0
        lines += [
            f"last_handshake_time_sec={int(at)}",
            f"last_handshake_time_nsec={round(at % 1 * 1e9)}",
            f"tx_bytes={peer.sent}",
            f"rx_bytes={peer.received}",
            f"persistent_keepalive_interval={peer.keepalive}",
        ]
        lines += [f"allowed_ip={prefix}" for prefix in peer.allowed_ips]
    return "\n".join([*lines, "errno=0", "", ""]).encode()


def answer(*lines: str) -> bytes:
    return "\n".join([*lines, "errno=0", "", ""]).encode()


def network_of(address: IPv4Address | IPv6Address, length: int) -> IPv4Network | IPv6Network:
    if isinstance(address, IPv4Address):
        return IPv4Network((address, min(length, 32)), strict=False)
    return IPv6Network((int(address), length), strict=False)


addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6)
counters = st.integers(0, 2**64 - 1)
peers = st.builds(
    Peer,
    key=st.binary(min_size=32, max_size=32).filter(any).map(PublicKey),
    endpoint=st.none() | st.builds(Endpoint, addresses, st.integers(0, 65535)),
    allowed_ips=st.frozensets(st.builds(network_of, addresses, st.integers(0, 128)), max_size=5),
    # Whole 512ths of a second are whole nanoseconds, and exact as floats.
    last_handshake=st.none() | st.integers(1, 2**42).map(lambda n: n / 512),
    sent=counters,
    received=counters,
    keepalive=st.integers(0, 65535),
)
private_keys = st.none() | st.binary(min_size=32, max_size=32).filter(any).map(PrivateKey)

names = st.sampled_from(
    ("private_key", "public_key", "allowed_ip", "endpoint", "listen_port", "errno", "tx_bytes")
)
values = st.sampled_from(
    ("", "1", "9" * 30, "f" * 64, "0" * 64, "[::1]:1", "[fe80::1%]:1", "1.2.3.4:5", "1.2.3.4/8")
)
ascii_text = st.text(st.characters(max_codepoint=127), max_size=8)
lines = st.builds("{}={}".format, names, values | ascii_text) | st.just(f"public_key={PEER}")


class ParseTests(SynchronousTestCase):
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

    @settings(deadline=None)
    @given(private_keys, st.integers(0, 65535), st.lists(peers, max_size=5))
    def test_reads_what_was_written(
        self, key: PrivateKey | None, port: int, listed: list[Peer]
    ) -> None:
        """Every device is read from its rendering as it is."""
        device = Device(key.public() if key else None, port, {peer.key: peer for peer in listed})
        reading = parse(render(device, key))
        self.assertEqual(reading.device, device)
        self.assertEqual(reading.key, key)

    @settings(deadline=None)
    @given(
        st.binary(max_size=60)
        | st.binary(max_size=60).map(lambda received: received + b"\nerrno=0\n\n")
        | st.lists(lines).map(lambda made: answer(*made))
        | st.text(max_size=8).map(answer)
    )
    def test_any_bytes(self, received: bytes) -> None:
        """Whatever bytes come, a device is read or a `TunnelError` raised."""
        try:
            parse(received)
        except TunnelError:
            return

    def test_malformed(self) -> None:
        """A malformed value is named by its key and not shown, and nothing is read past it."""
        for line, name in (
            ("private_key=08090a", "private_key"),
            (f"private_key={'0 ' * 32}", "private_key"),
            (f"private_key={'zz' * 32}", "private_key"),
            ("listen_port=-1", "listen_port"),
            ("listen_port=1_0", "listen_port"),
            ("public_key=1111", "public_key"),
            (f"public_key={PEER}\nendpoint=192.0.2.1", "endpoint"),
            (f"public_key={PEER}\nendpoint=192.0.2.1:65536", "endpoint"),
            (f"public_key={PEER}\nendpoint=2001:db8::1:51820", "endpoint"),
            (f"public_key={PEER}\nendpoint=[192.0.2.1]:51820", "endpoint"),
            (f"public_key={PEER}\nendpoint=host:51820", "endpoint"),
            (f"public_key={PEER}\nallowed_ip=10.0.0.0", "allowed_ip"),
            (f"public_key={PEER}\nallowed_ip=10.0.0.1/8", "allowed_ip"),
            (f"public_key={PEER}\nallowed_ip=10.0.0.0/33", "allowed_ip"),
            (f"public_key={PEER}\nallowed_ip=10.0.0.0/255.0.0.0", "allowed_ip"),
            (f"public_key={PEER}\nrx_bytes=", "rx_bytes"),
            (f"public_key={PEER}\nlast_handshake_time_sec={'9' * 400}", "last_handshake_time_sec"),
        ):
            error = self.assertRaises(TunnelError, parse, answer(line))
            self.assertEqual(str(error), f"the tunnel's answer has a malformed {name}")

    def test_no_key_value(self) -> None:
        """A line that is no key=value is not shown: it could be a cut private key."""
        error = self.assertRaises(TunnelError, parse, answer(KEY.raw.hex()))
        self.assertNotIn(KEY.raw.hex(), str(error))

    def test_unknown_keys(self) -> None:
        """Keys that we do not know are ignored, of the device and of a peer."""
        reading = parse(
            answer("fwmark=7", "new=thing", f"public_key={PEER}", "newer=", "tx_bytes=5")
        )
        self.assertEqual([p.sent for p in reading.device.peers.values()], [5])

    def test_endpoint_forms(self) -> None:
        """Endpoints are values: however an address is written, it is the same one."""
        for text, address in (
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8:0::1]", "2001:db8::1"),
            ("[::ffff:192.0.2.1]", "::ffff:c000:201"),
            ("[fe80::1%eth0]", "fe80::1%eth0"),
        ):
            reading = parse(answer(f"public_key={PEER}", f"endpoint={text}:51820"))
            (peer,) = reading.device.peers.values()
            kind = IPv6Address if ":" in address else IPv4Address
            self.assertEqual(peer.endpoint, Endpoint(kind(address), 51820))

    def test_zero_keys(self) -> None:
        """An all-zero private key is none, and a peer under the all-zero key is left out."""
        zero = "00" * 32
        reading = parse(answer(f"private_key={zero}", f"public_key={zero}", f"public_key={PEER}"))
        self.assertIsNone(reading.key)
        self.assertIsNone(reading.device.public_key)
        self.assertEqual(list(reading.device.peers), [PublicKey(bytes.fromhex(PEER))])

    def test_secret(self) -> None:
        """A reading can be printed without the private key in it."""
        printed = repr(parse(answer(f"private_key={KEY.raw.hex()}")))
        self.assertIn(str(KEY.public()), printed)
        self.assertNotIn(KEY.raw.hex(), printed)
        self.assertNotIn(repr(KEY.raw)[2:-1], printed)


class CheckTests(SynchronousTestCase):
    def test_refusal(self) -> None:
        """An errno is told in words, with the sign that wireguard-go gives it or without."""
        for text in (b"errno=-98\n\n", b"errno=98\n\n"):
            error = self.assertRaises(Refused, check, text)
            self.assertEqual(str(error), "the device refuses: Address already in use")

    def test_cut(self) -> None:
        """An answer that ends early is an error, wherever it was cut."""
        whole = answer("listen_port=51820", f"public_key={PEER}")
        parse(whole)
        for length in range(len(whole)):
            self.assertRaises(TunnelError, parse, whole[:length])
