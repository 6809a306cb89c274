"""The tunnel in memory keeps the contract of the real ones, and can be disturbed like them."""

from ipaddress import IPv4Network

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import GiveKey, SetListenPort, StartHandshake
from overlayd.model.errors import TunnelError
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.testing.memory import MemoryDevice, MemoryTunnel, described
from overlayd.tunnel.interface import ITunnel
from tests import tunnel_contract
from tests.tunnel_contract.case import HOME, NAMES, PORT, WHY, A, B, add


class MemoryTunnelContract(tunnel_contract.TunnelContract):
    """The contract, on a device in memory."""

    _latest: MemoryTunnel | None = None

    def make_tunnel(self) -> ITunnel:
        self._latest = MemoryTunnel(self._latest.device if self._latest else None)
        return self._latest

    @property
    def _machine(self) -> MemoryDevice:
        assert self._latest is not None
        assert self._latest.device is not None
        return self._latest.device

    def take_device_away(self) -> None:
        assert self._latest is not None
        self._latest.device = None

    def set_key_by_hand(self, key: PrivateKey | None) -> None:
        self._machine.set_key(key)

    def add_peer_by_hand(self, key: PublicKey, prefix: str) -> None:
        self._machine.add_peer(key)
        self._machine.give(key, [IPv4Network(prefix)])

    def preshare_by_hand(self, key: PublicKey) -> None:
        self._machine.preshare(key)


class MemoryTunnelTests(SynchronousTestCase):
    """What a test can do to it and learn from it."""

    def setUp(self) -> None:
        self.device = MemoryDevice()
        self.tunnel = MemoryTunnel(self.device)

    def test_refuses_what_it_was_told_to(self) -> None:
        """A key, an endpoint and a port can be made such that the device refuses them."""
        self.device.refused.update({A, HOME, PORT})
        outcomes = self.tunnel.apply(
            [
                add(A, "10.244.1.0/24"),
                add(B, "10.244.2.0/24", endpoint=HOME),
                SetListenPort(PORT, WHY),
                GiveKey(WHY),
            ]
        )
        self.assertEqual([bool(o.error) for o in outcomes], [True, True, True, False])
        self.assertEqual(
            described(self.tunnel.observe(), NAMES), "key, port 0\nb: 10.244.2.0/24"
        )  # half made
        self.assertEqual(self.tunnel.made, [GiveKey(WHY)])

    def test_does_not_answer(self) -> None:
        """A device that hangs cannot be read, and no change to it is made."""
        self.tunnel.answers = False
        self.assertRaises(TunnelError, self.tunnel.observe)
        (outcome,) = self.tunnel.apply([add(A, "10.244.1.0/24")])
        self.assertIn("does not answer", outcome.error or "")
        self.assertEqual(self.device.peers, {})

    def test_handshakes_need_key_and_endpoint(self) -> None:
        """A handshake starts with a peer that can be dialled, by a device that has a key."""
        start = [StartHandshake("a", A, 0, WHY), StartHandshake("b", B, 0, WHY)]
        self.tunnel.apply([add(A, endpoint=HOME), add(B), *start])
        self.assertEqual(self.device.handshakes, [])
        self.tunnel.apply([GiveKey(WHY), *start])
        self.assertEqual(self.device.handshakes, [A])

    def test_no_device(self) -> None:
        """No device is described as such."""
        self.assertEqual(described(MemoryTunnel().observe(), {}), "no device")
