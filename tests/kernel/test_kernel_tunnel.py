"""The kernel's WireGuard under the tunnel contract, and what only the kernel does."""

import select
import socket
import subprocess
import threading
import time
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice

from overlayd.linux.network import Network
from overlayd.model.changes import (
    BringUp,
    GiveKey,
    GrantPeer,
    SetListenPort,
    StartHandshake,
    TrimPeer,
)
from overlayd.model.node import Endpoint
from overlayd.tunnel.kernel_device import KernelDevice
from tests import tunnel_contract
from tests.kernel.case import END, RealCase, by_hand, ip, new_peers
from tests.tunnel_contract.case import HOME, PORT, REFUSED, WHY, A, B, C, D, add, grant, nets, trim

INITIATION = b"\x01\0\0\0"
"""What a handshake initiation begins with (WireGuard's paper, section 5.4.2); it has 148 bytes."""


class KernelTunnelContract(RealCase, tunnel_contract.TunnelContract):
    """The contract, on the kernel's WireGuard."""


class DeviceTests(RealCase):
    """What the kernel does with requests that are large, refused in part, or start something."""

    def test_many_peers(self) -> None:
        """1,000 peers are made by one list and read back; read again, they are the very same."""
        changes = [*islice(new_peers(), 1000)]
        tunnel = self.made(*changes)
        peers = self.device(tunnel).peers
        self.assertEqual(
            {key: (peer.endpoint, peer.allowed_ips) for key, peer in peers.items()},
            {change.key: (change.endpoint, change.prefixes) for change in changes},
        )
        self.assertIs(self.device(tunnel).peers, peers)
        self.done(tunnel, grant(A), add(B, "10.250.0.0/16"))
        after = self.device(tunnel).peers
        self.assertEqual(len(after), 1001)
        self.assertTrue(all(after[key] is peer for key, peer in peers.items()))

    def test_split_dump(self) -> None:
        """A peer with thousands of prefixes comes in several messages, and is one peer."""
        prefixes = frozenset(islice(IPv4Network("10.0.0.0/8").subnets(new_prefix=24), 3000))
        six = frozenset(islice(IPv6Network("fd00::/32").subnets(new_prefix=64), 3000))
        many = GrantPeer("a", A, HOME, prefixes | six, True, WHY)
        tunnel = self.made(add(B, "192.168.1.0/24"), many, add(C, "192.168.2.0/24"))
        messages = KernelDevice("wg0").read()
        assert messages is not None
        self.assertGreater(len(messages), 2)
        peers = self.device(tunnel).peers
        self.assertEqual(peers[A].allowed_ips, prefixes | six)
        self.assertEqual(peers[A].endpoint, HOME)
        self.assertEqual(peers[B].allowed_ips, nets("192.168.1.0/24"))
        self.assertEqual(peers[C].allowed_ips, nets("192.168.2.0/24"))
        self.assertIs(self.device(tunnel).peers, peers)
        half = frozenset(islice(prefixes, 1500))
        self.done(tunnel, TrimPeer("a", A, half | six, WHY))
        self.assertEqual(self.device(tunnel).peers[A].allowed_ips, prefixes - half)

    def test_bad_change_before_many(self) -> None:
        """A list that is refused at its first change is made all the same, but for that one."""
        good = [*islice(new_peers(), 300)]
        tunnel = self.made()
        outcomes = tunnel.apply([add(D, endpoint=REFUSED), *good])
        self.assertEqual([o.error for o in outcomes[1:]], [None] * len(good))
        self.assertIn("Invalid argument", outcomes[0].error or "")
        self.assertTrue({change.key for change in good} <= set(self.device(tunnel).peers))

    def test_what_no_change_names_has_no_gap(self) -> None:
        """Packets for what a peer keeps go to it without a pause while its list is changed."""
        tunnel = self.made(add(A, "10.244.1.0/24", "10.244.2.0/24", endpoint=HOME))
        ip("addr", "add", "10.244.9.9/32", "dev", "wg0")
        ip("link", "set", "wg0", "up")
        ip("route", "add", "10.244.0.0/16", "dev", "wg0")
        with Sending("10.244.1.5") as sending:
            for _ in range(50):
                self.done(tunnel, trim(A, "10.244.2.0/24"), grant(A, "10.244.3.0/24"))
                self.done(tunnel, trim(A, "10.244.3.0/24"), grant(A, "10.244.2.0/24"))
        self.assertGreater(sending.tried, 50)
        self.assertEqual(sending.refused, 0)

    def test_replacing_a_list_has_a_gap(self) -> None:
        """What we never do is seen by the same test: replaced as a whole, a list is empty once."""
        prefixes = ",".join(
            map(str, islice(IPv4Network("10.0.0.0/8").subnets(new_prefix=24), 3000))
        )
        self.made(add(A, "10.244.1.0/24", endpoint=HOME))
        ip("addr", "add", "10.244.9.9/32", "dev", "wg0")
        ip("link", "set", "wg0", "up")
        ip("route", "add", "10.244.0.0/16", "dev", "wg0")
        with Sending("10.244.1.5") as sending:
            for _ in range(100):
                by_hand("peer", str(A), "allowed-ips", prefixes)
                if sending.refused:
                    break
        self.assertGreater(sending.refused, 0)

    def test_port_in_use(self) -> None:
        """A port that another process has costs itself alone, of a device that is up or down."""
        for state in ("down", "up"):
            tunnel = self.made(SetListenPort(4500, WHY))
            ip("link", "set", "wg0", state)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("0.0.0.0", PORT))
                outcomes = tunnel.apply([GiveKey(WHY), SetListenPort(PORT, WHY), add(A)])
            self.assertEqual([bool(o.error) for o in outcomes], [False, True, False])
            self.assertIn(f"UDP port {PORT} is in use", outcomes[1].error or "")
            self.assertEqual(self.device(tunnel).listen_port, 4500)
            self.assertPeers(tunnel, "a: no prefix")
            self.done(tunnel, SetListenPort(PORT, WHY))
            self.assertEqual(self.device(tunnel).listen_port, PORT)
            self.done(tunnel, END)

    def test_port_taken_while_down(self) -> None:
        """A port that someone took while the device was down keeps it down, and is named."""
        tunnel = self.made(SetListenPort(PORT, WHY))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("0.0.0.0", PORT))
            outcome = Network().apply(BringUp("wg0", WHY))
            self.assertIn("the UDP port that it listens on is in use", outcome.error or "")
        self.assertIsNone(Network().apply(BringUp("wg0", WHY)).error)
        self.assertEqual(self.device(tunnel).listen_port, PORT)

    def test_handshake_starts(self) -> None:
        """Starting a handshake sends the packet that begins one, and leaves the keepalive be."""
        ip("link", "set", "lo", "up")
        for former in (0, 7):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.bind(("127.0.0.1", 0))
                peer.settimeout(10)
                endpoint = Endpoint(IPv4Address("127.0.0.1"), peer.getsockname()[1])
                tunnel = self.made(add(A, endpoint=endpoint))
                by_hand("peer", str(A), "persistent-keepalive", str(former))
                ip("link", "set", "wg0", "up")
                packets = [peer.recv(2048)] if former else []
                time.sleep(6 if former else 0)  # one more is sent after 5 s at the earliest
                while select.select([peer], [], [], 0)[0]:
                    packets.append(peer.recv(2048))
                self.done(tunnel, StartHandshake("a", A, former, WHY))
                packet = peer.recv(2048)
            self.assertEqual((packet[:4], len(packet)), (INITIATION, 148))
            self.assertEqual(self.device(tunnel).peers[A].keepalive, former)
            self.done(tunnel, END)

    def test_zero_key(self) -> None:
        """A peer under the all-zero key does no harm to a reading."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        by_hand("peer", "A" * 43 + "=", "allowed-ips", "10.244.1.0/24")
        self.assertPeers(tunnel, "a: no prefix")
        self.done(tunnel, grant(A, "10.244.1.0/24"))
        self.assertPeers(tunnel, "a: 10.244.1.0/24")

    def test_what_others_read(self) -> None:
        """wg(8) shows what was made as it was meant: port, endpoints, prefixes, keepalive."""
        six = Endpoint(IPv6Address("2001:db8::1"), 4500)
        tunnel = self.made(
            add(A, "10.244.1.0/24", "fd00:1::/64", endpoint=HOME), add(B, endpoint=six)
        )
        told = subprocess.run(
            ["wg", "show", "wg0", "dump"], check=True, capture_output=True, text=True
        ).stdout
        head, *peers = [line.split("\t") for line in told.splitlines()]
        self.assertEqual((head[1], head[2]), (str(self.key(tunnel)), str(PORT)))
        listed = {peer[0]: (peer[2], set(peer[3].split(",")), peer[7]) for peer in peers}
        self.assertEqual(
            listed,
            {
                str(A): ("192.0.2.1:51820", {"10.244.1.0/24", "fd00:1::/64"}, "off"),
                str(B): ("[2001:db8::1]:4500", {"(none)"}, "off"),
            },
        )


class Sending:
    """A thread that sends packets to an address all the time, and counts those nobody took.

    WireGuard refuses a packet for which no peer has a prefix (ENOKEY); for one that a peer has it
    keeps the packet until there is a session.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.tried = self.refused = 0

    def __enter__(self) -> "Sending":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not self._stop.is_set():
                self.tried += 1
                try:
                    sock.sendto(b"x", (self._address, 9))
                except OSError:
                    self.refused += 1
