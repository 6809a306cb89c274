"""wireguard-go under the tunnel contract, and what only a real process can do to us."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from itertools import islice

from lab import private
from overlayd.model.changes import (
    EndDevice,
    GiveKey,
    GrantPeer,
    MakeDevice,
    SetListenPort,
    StartHandshake,
    TunnelChange,
)
from overlayd.model.errors import TunnelError
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.node import Endpoint
from overlayd.testing.memory import any_key
from overlayd.tunnel import uapi
from overlayd.tunnel.interface import ITunnel
from overlayd.tunnel.uapi_socket import UapiSocket
from overlayd.tunnel.userspace import UserspaceTunnel
from tests import tunnel_contract
from tests.machine.processes import LIMIT, Ending, kill, stop, tunnel_process
from tests.tunnel_contract import case
from tests.tunnel_contract.case import PORT, REFUSED, WHY, A, B, C, D, add

MAKE = MakeDevice("wg0", WHY)
END = EndDevice("wg0", WHY)

INITIATION = b"\x01\0\0\0"
"""What a handshake initiation begins with (WireGuard's paper, section 5.4.2); it has 148 bytes."""

DAEMON = """
import os, sys, time
from overlayd.model.changes import GiveKey, MakeDevice
from overlayd.tunnel.userspace import UserspaceTunnel
os.set_inheritable(int(sys.argv[1]), True)
print(UserspaceTunnel("wg0").apply([MakeDevice("wg0", ""), GiveKey("")]), flush=True)
time.sleep(3600)
"""
"""A process that makes a device and then waits, with an open file that children inherit."""

START = """
from overlayd.tunnel.wireguard_go import start
start("wg0")
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def by_hand(*lines: str) -> None:
    """Change the device as another program does."""
    text = "\n".join(["set=1", *lines, "", ""])
    answer = UapiSocket("wg0").ask(text.encode())
    assert answer is not None, "no device"
    uapi.check(answer)


class RealCase(case.TunnelCase):
    """A test on a real device, in this process's own private network."""

    skip = private.missing()

    def setUp(self) -> None:
        self.addCleanup(self._end)

    def _end(self) -> None:
        try:
            pid = tunnel_process("wg0")
        except LookupError:
            return
        kill(pid)

    def make_tunnel(self) -> ITunnel:
        return UserspaceTunnel("wg0")

    def take_device_away(self) -> None:
        with Ending(tunnel_process("wg0")):
            ip("link", "del", "wg0")

    def set_key_by_hand(self, key: PrivateKey | None) -> None:
        by_hand(f"private_key={key.raw.hex() if key else '00' * 32}")

    def add_peer_by_hand(self, key: PublicKey, prefix: str) -> None:
        by_hand(f"public_key={key.raw.hex()}", f"allowed_ip={prefix}")

    def preshare_by_hand(self, key: PublicKey) -> None:
        by_hand(f"public_key={key.raw.hex()}", f"preshared_key={os.urandom(32).hex()}")


class UserspaceTunnelContract(RealCase, tunnel_contract.TunnelContract):
    """The contract, on wireguard-go."""


class ProcessTests(RealCase):
    """The process behind the device: found, started, lost and stopped."""

    def test_killed_process(self) -> None:
        """A process that was killed leaves no device; the next one has the same key."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        key = self.key(tunnel)
        kill(tunnel_process("wg0"))
        self.assertIsNone(tunnel.observe())
        self.done(tunnel, MAKE, GiveKey(WHY))
        self.assertEqual(self.key(tunnel), key)

    def test_stopped_process(self) -> None:
        """A process that does not answer is an error and no hang, and no change is made."""
        tunnel = self.made()
        pid = tunnel_process("wg0")
        stop(pid)
        self.assertIn("does not answer", str(self.assertRaises(TunnelError, tunnel.observe)))
        for outcome in tunnel.apply([add(A), add(B)]):
            self.assertIn("does not answer", outcome.error or "")
        os.kill(pid, signal.SIGCONT)
        self.done(tunnel, add(C))

    def test_outlives_its_daemon(self) -> None:
        """The device stays when the process that made it is killed with its whole group."""
        reader, writer = os.pipe()
        daemon = subprocess.Popen(
            [sys.executable, "-c", DAEMON, str(writer)],
            stdout=subprocess.PIPE,
            pass_fds=[writer],
            start_new_session=True,
        )
        os.close(writer)
        assert daemon.stdout is not None
        self.assertEqual(daemon.stdout.readline().count(b"error=None"), 2)
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()
        daemon.stdout.close()
        tunnel = self.make_tunnel()
        self.assertIsNotNone(self.key(tunnel))
        # The end of the file is read only if the device's process does not hold it open.
        self.assertEqual(select.select([reader], [], [], LIMIT)[0], [reader])
        self.assertEqual(os.read(reader, 1), b"")
        os.close(reader)
        self.assertEqual(os.readlink(f"/proc/{tunnel_process('wg0')}/cwd"), "/")

    def test_link_gone_from_a_living_process(self) -> None:
        """A process of ours whose link is gone is ended and replaced, with the same key."""
        tunnel = self.made()
        key = self.key(tunnel)
        with Ending(tunnel_process("wg0")):
            ip("link", "set", "wg0", "name", "renamed")
            self.done(tunnel, MAKE, GiveKey(WHY), SetListenPort(PORT, WHY))
        self.assertEqual(self.key(tunnel), key)
        socket.if_nametoindex("wg0")

    def test_process_of_somebody_else(self) -> None:
        """A process whose link is not here and whose key is not ours is left alone, and named."""
        key = self.key(self.made())
        ip("link", "set", "wg0", "name", "theirs")
        tunnel = self.make_tunnel()
        (outcome,) = tunnel.apply([MAKE])
        self.assertIn("another --wg-dev", outcome.error or "")
        self.assertEqual(self.key(tunnel), key)

    def test_ended(self) -> None:
        """Ending the device ends its process, link and socket, and no other wireguard-go."""
        subprocess.run(["wireguard-go", "wg1"], check=True, capture_output=True)
        other = tunnel_process("wg1")
        self.addCleanup(kill, other)
        tunnel = self.made(add(A, "10.244.1.0/24"))
        with Ending(tunnel_process("wg0")):
            self.done(tunnel, END)
        self.assertRaises(OSError, socket.if_nametoindex, "wg0")
        self.assertFalse(os.path.exists(UapiSocket("wg0").path))
        self.assertEqual(tunnel_process("wg1"), other)
        socket.if_nametoindex("wg1")
        self.assertIsNotNone(UapiSocket("wg1").ask(uapi.GET))

    def test_ended_without_its_link(self) -> None:
        """A process of ours whose link was renamed is ended; one of somebody else is not."""
        tunnel = self.made()
        key = self.key(tunnel)
        ip("link", "set", "wg0", "name", "renamed")
        (outcome,) = self.make_tunnel().apply([END])
        self.assertIn("another network namespace", outcome.error or "")
        self.assertEqual(self.key(tunnel), key)
        with Ending(tunnel_process("wg0")):
            self.done(tunnel, END)

    def test_ended_while_stopped(self) -> None:
        """A process that does not answer does not end either, and is named."""
        tunnel = self.made()
        pid = tunnel_process("wg0")
        stop(pid)
        (outcome,) = tunnel.apply([END])
        self.assertIn("does not end", outcome.error or "")
        os.kill(pid, signal.SIGCONT)

    def test_no_tun_device(self) -> None:
        """Without /dev/net/tun the error says what to do."""
        script = 'mount -t tmpfs none /dev && mknod /dev/null c 1 3 && exec "$@"'
        said = self._start_within("unshare", "--mount", "sh", "-c", script, "sh")
        self.assertIn("modprobe tun", said)

    def test_no_permission(self) -> None:
        """Without the capability the error names it."""
        drop = ("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
        self.assertIn("CAP_NET_ADMIN", self._start_within(*drop))

    def test_link_in_the_way(self) -> None:
        """A link of that name and another kind is named as what is in the way."""
        ip("link", "add", "wg0", "type", "veth", "peer", "name", "other")
        self.addCleanup(ip, "link", "del", "wg0")
        (outcome,) = self.make_tunnel().apply([MAKE])
        self.assertIn("another kind is in the way", outcome.error or "")

    def _start_within(self, *command: str) -> str:
        """The last line that starting wireguard-go under a command ends with."""
        done = subprocess.run(
            [*command, sys.executable, "-c", START], capture_output=True, text=True, timeout=30
        )
        self.assertNotEqual(done.returncode, 0)
        return done.stderr.splitlines()[-1]


class DeviceTests(RealCase):
    """What the device does with requests that are large, refused in part, or start something."""

    def test_many_peers(self) -> None:
        """5,000 peers are made by one list, and read back."""
        changes = list(islice(_peers(), 5000))
        tunnel = self.made(*changes)
        peers = self.device(tunnel).peers
        self.assertEqual(
            {key: (peer.endpoint, peer.allowed_ips) for key, peer in peers.items()},
            {change.key: (change.endpoint, change.prefixes) for change in changes},
        )

    def test_bad_change_before_many(self) -> None:
        """A list that is refused at its first line is made all the same, but for that one."""
        good = list(islice(_peers(), 2000))
        tunnel = self.made()
        outcomes = tunnel.apply([add(D, endpoint=REFUSED), *good])
        self.assertEqual([o.error for o in outcomes[1:]], [None] * len(good))
        self.assertIn("Invalid argument", outcomes[0].error or "")
        self.assertTrue({change.key for change in good} <= set(self.device(tunnel).peers))

    def test_port_in_use(self) -> None:
        """A port that another process has costs itself alone, and the device keeps its own."""
        for family, anywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            tunnel = self.made(SetListenPort(4500, WHY))
            ip("link", "set", "wg0", "up")
            with socket.socket(family, socket.SOCK_DGRAM) as other:
                if family is socket.AF_INET6:
                    other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                other.bind((anywhere, PORT))
                outcomes = tunnel.apply([GiveKey(WHY), SetListenPort(PORT, WHY), add(A)])
                self.assertEqual([bool(o.error) for o in outcomes], [False, True, False])
                self.assertIn(f"UDP port {PORT} is in use", outcomes[1].error or "")
            self.assertEqual(self.device(tunnel).listen_port, 4500)
            self.assertPeers(tunnel, "a: no prefix")
            self.done(tunnel, SetListenPort(PORT, WHY))
            self.assertEqual(self.device(tunnel).listen_port, PORT)
            self.done(tunnel, END)

    def test_handshake_starts(self) -> None:
        """Starting a handshake sends the packet that begins one, and leaves no keepalive on."""
        ip("link", "set", "lo", "up")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(10)
            endpoint = Endpoint(IPv4Address("127.0.0.1"), peer.getsockname()[1])
            tunnel = self.made(add(A, endpoint=endpoint))
            ip("link", "set", "wg0", "up")
            self.done(tunnel, StartHandshake("a", A, 0, WHY))
            packet = peer.recv(2048)
        self.assertEqual((packet[:4], len(packet)), (INITIATION, 148))
        self.assertEqual(self.device(tunnel).peers[A].keepalive, 0)

    def test_handshake_keeps_the_keepalive(self) -> None:
        """A peer that someone gave a keepalive has it after a handshake was started."""
        tunnel = self.made(add(A))
        by_hand(f"public_key={A.raw.hex()}", "persistent_keepalive_interval=7")
        self.done(tunnel, StartHandshake("a", A, 7, WHY))
        self.assertEqual(self.device(tunnel).peers[A].keepalive, 7)

    def test_zero_key(self) -> None:
        """A peer under the all-zero key, which wireguard-go accepts, does no harm to a reading."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        by_hand(f"public_key={'00' * 32}", "allowed_ip=10.244.1.0/24")
        self.assertPeers(tunnel, "a: no prefix")
        again: TunnelChange = case.grant(A, "10.244.1.0/24")
        self.done(tunnel, again)
        self.assertPeers(tunnel, "a: 10.244.1.0/24")


def _peers() -> Iterator[GrantPeer]:
    """New peers, each with a pod network and an overlay address of its own."""
    pods, overlay = IPv4Network("10.0.0.0/8"), IPv4Network("100.64.0.0/16")
    for pod_cidr, address in zip(pods.subnets(new_prefix=24), overlay.hosts(), strict=False):
        prefixes = frozenset({pod_cidr, IPv4Network(address)})
        yield GrantPeer(str(address), any_key(), Endpoint(address, PORT), prefixes, True, WHY)
