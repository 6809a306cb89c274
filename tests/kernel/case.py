"""The words of tests on the kernel's WireGuard."""

import base64
import os
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Network

from lab import private
from overlayd.model.changes import (
    EndDevice,
    GrantPeer,
    MakeDevice,
)
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.node import Endpoint
from overlayd.testing.memory import any_key
from overlayd.tunnel.by_request import link_exists
from overlayd.tunnel.interface import ITunnel
from overlayd.tunnel.kernel import KernelTunnel
from overlayd.tunnel.kernel_device import kernel_has_wireguard
from tests.tunnel_contract import case
from tests.tunnel_contract.case import PORT, WHY

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

    def preshare_by_hand(self, key: PublicKey) -> None:
        secret = base64.b64encode(os.urandom(32)).decode()
        by_hand("peer", str(key), "preshared-key", "/dev/stdin", given=secret)


MAKE = MakeDevice("wg0", WHY)
END = EndDevice("wg0", WHY)


def shown(*words: str) -> str:
    return subprocess.run(["ip", "-d", *words], check=True, capture_output=True, text=True).stdout


def new_peers() -> Iterator[GrantPeer]:
    """New peers, each with a pod network and an overlay address of its own."""
    pods, overlay = IPv4Network("10.0.0.0/8"), IPv4Network("100.64.0.0/16")
    for pod_cidr, address in zip(pods.subnets(new_prefix=24), overlay.hosts(), strict=False):
        prefixes = frozenset({pod_cidr, IPv4Network(address)})
        yield GrantPeer(str(address), any_key(), Endpoint(address, PORT), prefixes, True, WHY)
