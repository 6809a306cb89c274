"""The words of tests that drive a tunnel, and what such a test needs of the machine."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import (
    GiveKey,
    GrantPeer,
    MakeDevice,
    SetListenPort,
    TrimPeer,
    TunnelChange,
)
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.machine import Device
from overlayd.model.node import Endpoint, IPNetwork
from overlayd.testing.memory import any_key, described
from overlayd.tunnel.interface import ITunnel

WHY = "the test says so"
PORT = 51820
A, B, C, D = (any_key() for _ in "ABCD")
NAMES = {A: "a", B: "b", C: "c", D: "d"}
HOME = Endpoint(IPv4Address("192.0.2.1"), PORT)
AWAY = Endpoint(IPv4Address("192.0.2.2"), 4500)
REFUSED = Endpoint(IPv6Address("fe80::1%nosuchlink"), PORT)
"""A zone that is no link: what an annotation can say and no device can dial."""


def nets(*texts: str) -> frozenset[IPNetwork]:
    return frozenset(IPv6Network(t) if ":" in t else IPv4Network(t) for t in texts)


def add(key: PublicKey, *prefixes: str, endpoint: Endpoint | None = None) -> GrantPeer:
    return GrantPeer(NAMES[key], key, endpoint, nets(*prefixes), True, WHY)


def grant(key: PublicKey, *prefixes: str, endpoint: Endpoint | None = None) -> GrantPeer:
    return GrantPeer(NAMES[key], key, endpoint, nets(*prefixes), False, WHY)


def trim(key: PublicKey, *prefixes: str) -> TrimPeer:
    return TrimPeer(NAMES[key], key, nets(*prefixes), WHY)


class TunnelCase(SynchronousTestCase):
    """A test of a tunnel, on a machine that has no device yet."""

    link = "wg0"

    # --- what a subclass provides ---

    def make_tunnel(self) -> ITunnel:
        """A tunnel as a daemon makes one at its start; all of one test share a machine."""
        raise NotImplementedError

    def take_device_away(self) -> None:
        """As `ip link del` does."""
        raise NotImplementedError

    def set_key_by_hand(self, key: PrivateKey | None) -> None:
        """As `wg set wg0 private-key` does; None takes it away."""
        raise NotImplementedError

    def add_peer_by_hand(self, key: PublicKey, prefix: str) -> None:
        """As `wg set wg0 peer KEY allowed-ips PREFIX` does."""
        raise NotImplementedError

    def preshare_by_hand(self, key: PublicKey) -> None:
        """As `wg set wg0 peer KEY preshared-key FILE` does."""
        raise NotImplementedError

    # --- words of the tests ---

    def made(self, *changes: TunnelChange) -> ITunnel:
        """A tunnel with a device that has a key, and these changes made."""
        tunnel = self.make_tunnel()
        self.done(
            tunnel, MakeDevice(self.link, WHY), GiveKey(WHY), SetListenPort(PORT, WHY), *changes
        )
        return tunnel

    def done(self, tunnel: ITunnel, *changes: TunnelChange) -> None:
        """Make changes, all of which must be made."""
        outcomes = tunnel.apply(changes)
        self.assertEqual([outcome.change for outcome in outcomes], list(changes))
        self.assertEqual([outcome.error for outcome in outcomes], [None] * len(changes))

    def device(self, tunnel: ITunnel) -> Device:
        device = tunnel.observe()
        assert device is not None, "there is no device"
        return device

    def key(self, tunnel: ITunnel) -> PublicKey:
        key = self.device(tunnel).public_key
        assert key is not None, "the device has no key"
        return key

    def assertPeers(self, tunnel: ITunnel, *expected: str) -> None:
        lines = described(tunnel.observe(), NAMES).splitlines()
        self.assertEqual(lines[1:], list(expected))
