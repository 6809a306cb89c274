"""Tunnel changes as requests to userspace WireGuard, line by line."""

from ipaddress import IPv4Address, IPv4Network
from itertools import chain

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import (
    DropPresharedKey,
    GiveKey,
    GrantPeer,
    MakeDevice,
    MoveEndpoint,
    RemovePeer,
    SetListenPort,
    StartHandshake,
    TrimPeer,
    TunnelChange,
)
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.node import Endpoint, IPNetwork
from overlayd.tunnel.requests import Encoder, split
from overlayd.tunnel.uapi import request

A, B, SPARE = (PublicKey(bytes([n]) * 32) for n in (0xAA, 0xBB, 0xEE))
KEY = PrivateKey(bytes(range(32)))
HOME = Endpoint(IPv4Address("192.0.2.1"), 51820)
ONE, TWO = IPv4Network("10.244.1.0/24"), IPv4Network("10.244.2.0/24")

A_LINE, B_LINE, SPARE_LINE = (f"public_key={k.raw.hex()}" for k in (A, B, SPARE))


def granted(key: PublicKey, prefix: IPNetwork, new: bool = False) -> GrantPeer:
    return GrantPeer("n", key, HOME, frozenset({prefix}), new, "")


def trimmed(key: PublicKey, prefix: IPNetwork) -> TrimPeer:
    return TrimPeer("n", key, frozenset({prefix}), "")


class EncodeTests(SynchronousTestCase):
    def assertLines(self, changes: list[TunnelChange], *expected: str) -> None:
        self.assertEqual(self._encoded(Encoder(KEY, SPARE), changes), list(expected))

    def _encoded(self, encoder: Encoder, changes: list[TunnelChange]) -> list[str]:
        first, *lines, empty, end = request(encoder.steps(changes)).decode().split("\n")
        self.assertEqual((first, empty, end), ("set=1", "", ""))
        return lines

    def test_device(self) -> None:
        """The key is hex, the port a number."""
        self.assertLines(
            [GiveKey(""), SetListenPort(51820, "")],
            f"private_key={KEY.raw.hex()}",
            "listen_port=51820",
        )

    def test_grant(self) -> None:
        """Prefixes are added and never replaced; only a new peer may come to be."""
        rest = ["allowed_ip=10.244.1.0/24", "endpoint=192.0.2.1:51820"]
        self.assertLines([granted(A, ONE, new=True)], A_LINE, *rest)
        self.assertLines([granted(A, ONE)], A_LINE, "update_only=true", *rest)

    def test_move_and_remove(self) -> None:
        """An endpoint is moved for a peer that is there; a peer is removed."""
        self.assertLines(
            [MoveEndpoint("a", A, HOME, ""), RemovePeer("b", B, "")],
            *(A_LINE, "update_only=true", "endpoint=192.0.2.1:51820"),
            *(B_LINE, "remove=true"),
        )

    def test_preshared_key(self) -> None:
        """WireGuard's word for none is a key of zeros."""
        self.assertLines(
            [DropPresharedKey("a", A, "")],
            *(A_LINE, "update_only=true", f"preshared_key={'00' * 32}"),
        )

    def test_trims_share_a_peer(self) -> None:
        """What is trimmed in a row goes to one throw-away peer, and that is removed."""
        self.assertLines(
            [trimmed(A, ONE), trimmed(B, TWO)],
            *(SPARE_LINE, "allowed_ip=10.244.1.0/24", "allowed_ip=10.244.2.0/24"),
            *(SPARE_LINE, "remove=true"),
        )

    def test_nothing_left_to_trim(self) -> None:
        """A prefix that was granted to another peer, now or in a request before, is not taken."""
        grant = granted(B, ONE)
        encoder = Encoder(KEY, SPARE)
        lines = self._encoded(encoder, [grant, trimmed(A, ONE)])
        self.assertNotIn(SPARE_LINE, lines)
        self.assertEqual(self._encoded(encoder, [trimmed(A, ONE)]), [])
        self.assertEqual(self._encoded(Encoder(KEY, SPARE, {ONE: B}), [trimmed(A, ONE)]), [])

    def test_handshake(self) -> None:
        """The keepalive is turned off, on, and to its former value, each in its own section."""
        values = ("0", "25", "7")
        lines = [(A_LINE, "update_only=true", f"persistent_keepalive_interval={v}") for v in values]
        self.assertLines([StartHandshake("a", A, 7, "")], *chain.from_iterable(lines))


class SplitTests(SynchronousTestCase):
    def test_one_request(self) -> None:
        """What concerns the device and then peers is one request."""
        changes: list[TunnelChange] = [
            GiveKey(""),
            SetListenPort(1, ""),
            granted(A, ONE),
            trimmed(A, TWO),
        ]
        self.assertEqual(list(split(changes)), [changes])

    def test_several(self) -> None:
        """Making the device stands alone, and what concerns it comes before peers."""
        make = MakeDevice("wg0", "")
        changes: list[TunnelChange] = [
            *(granted(A, ONE), GiveKey(""), granted(B, TWO), make, GiveKey(""))
        ]
        self.assertEqual(
            list(split(changes)), [changes[:1], changes[1:3], changes[3:4], changes[4:]]
        )

    def test_nothing(self) -> None:
        """No changes are no requests."""
        self.assertEqual(list(split([])), [])
