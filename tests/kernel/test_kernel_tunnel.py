"""The kernel's WireGuard under the tunnel contract, and what only the kernel does."""

import base64
import subprocess

from lab import private
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.tunnel.by_request import link_exists
from overlayd.tunnel.interface import ITunnel
from overlayd.tunnel.kernel import KernelTunnel
from overlayd.tunnel.kernel_device import kernel_has_wireguard
from tests import tunnel_contract
from tests.tunnel_contract import case

NO_WIREGUARD = "needs WireGuard in the kernel: modprobe wireguard, or run it in lab.guest"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def by_hand(*words: str, given: str = "") -> None:
    """Change the device as another program does."""
    subprocess.run(["wg", "set", "wg0", *words], check=True, input=given.encode())


class RealCase(case.TunnelCase):
    """A test on a real device, in this process's own private network."""

    skip = private.missing() or (None if kernel_has_wireguard() else NO_WIREGUARD)

    def setUp(self) -> None:
        self.addCleanup(self._end)

    def _end(self) -> None:
        if link_exists("wg0"):
            ip("link", "del", "wg0")

    def make_tunnel(self) -> ITunnel:
        return KernelTunnel("wg0")

    def take_device_away(self) -> None:
        ip("link", "del", "wg0")

    def set_key_by_hand(self, key: PrivateKey | None) -> None:
        if key is None:
            by_hand("private-key", "/dev/null")
        else:
            by_hand("private-key", "/dev/stdin", given=base64.b64encode(key.raw).decode())

    def add_peer_by_hand(self, key: PublicKey, prefix: str) -> None:
        by_hand("peer", str(key), "allowed-ips", prefix)


class KernelTunnelContract(RealCase, tunnel_contract.TunnelContract):
    """The contract, on the kernel's WireGuard."""
