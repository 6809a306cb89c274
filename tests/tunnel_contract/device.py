"""What a tunnel promises about its device and the key of it."""

from overlayd.model.changes import (
    EndDevice,
    GiveKey,
    GrantPeer,
    MakeDevice,
    RemovePeer,
    SetListenPort,
    TunnelChange,
)
from overlayd.model.keys import PrivateKey
from tests.tunnel_contract import case
from tests.tunnel_contract.case import HOME, PORT, WHY, A, add, nets


class DevicePromises(case.TunnelCase):
    """Making, finding, losing."""

    def test_nothing_there(self) -> None:
        """Where there is no device, none is observed, no key remembered, and no change is made."""
        tunnel = self.make_tunnel()
        self.assertIsNone(tunnel.observe())
        tunnel.remember()
        self.assertIsNone(tunnel.remembered())
        changes: list[TunnelChange] = [
            GiveKey(WHY),
            add(A, "10.244.1.0/24"),
            RemovePeer("a", A, WHY),
        ]
        outcomes = tunnel.apply(changes)
        self.assertEqual([o.change for o in outcomes], changes)
        self.assertTrue(all(o.error for o in outcomes), outcomes)
        self.assertIsNone(tunnel.remembered())

    def test_new_device(self) -> None:
        """A device that was just made has no key and no peers."""
        tunnel = self.make_tunnel()
        self.done(tunnel, MakeDevice(self.link, WHY))
        device = self.device(tunnel)
        self.assertIsNone(device.public_key)
        self.assertFalse(device.peers)

    def test_made_again(self) -> None:
        """Making a device that is there leaves it as it is."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        before = tunnel.observe()
        self.done(tunnel, MakeDevice(self.link, WHY))
        self.assertEqual(tunnel.observe(), before)

    def test_key_is_made_once(self) -> None:
        """The first key is made and remembered; the device has it, and giving it again keeps it."""
        tunnel = self.made()
        key = self.key(tunnel)
        self.assertEqual(tunnel.remembered(), key)
        self.done(tunnel, GiveKey(WHY))
        self.assertEqual(self.key(tunnel), key)

    def test_keys_differ(self) -> None:
        """Two devices that were made do not share a key."""
        first = self.key(self.made())
        self.take_device_away()
        self.assertNotEqual(self.key(self.made()), first)

    def test_vanished_device(self) -> None:
        """A device that was taken away is seen to be gone; made again it has its key back."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        key = self.key(tunnel)
        self.take_device_away()
        self.assertIsNone(tunnel.observe())
        tunnel.remember()
        self.assertEqual(tunnel.remembered(), key)
        self.done(tunnel, MakeDevice(self.link, WHY), GiveKey(WHY))
        self.assertEqual(self.key(tunnel), key)
        self.assertPeers(tunnel)

    def test_ended_device(self) -> None:
        """A device that was ended is gone with its peers; made again it has its key back."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        key = self.key(tunnel)
        self.done(tunnel, RemovePeer("a", A, WHY), EndDevice(self.link, WHY))
        self.assertIsNone(tunnel.observe())
        self.done(tunnel, MakeDevice(self.link, WHY), GiveKey(WHY))
        self.assertEqual(self.key(tunnel), key)
        self.assertPeers(tunnel)

    def test_ended_already(self) -> None:
        """Ending what is not there, or what was ended, is no fault."""
        self.done(self.make_tunnel(), EndDevice(self.link, WHY))
        tunnel = self.made()
        self.done(tunnel, EndDevice(self.link, WHY), EndDevice(self.link, WHY))
        self.assertIsNone(tunnel.observe())

    def test_lost_key(self) -> None:
        """A device whose key was taken away gets the same one back, and keeps its peers."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        key = self.key(tunnel)
        self.set_key_by_hand(None)
        self.assertIsNone(self.device(tunnel).public_key)
        tunnel.remember()
        self.assertEqual(tunnel.remembered(), key)
        self.done(tunnel, GiveKey(WHY))
        self.assertEqual(self.key(tunnel), key)
        self.assertPeers(tunnel, "a: 10.244.1.0/24")

    def test_rotated_key(self) -> None:
        """A key that the operator set is what is given from then on, once it is remembered."""
        tunnel = self.made()
        ours, rotated = self.key(tunnel), PrivateKey.generate()
        self.set_key_by_hand(rotated)
        self.assertEqual(self.key(tunnel), rotated.public())
        self.assertEqual(tunnel.remembered(), ours)
        tunnel.remember()
        self.assertEqual(tunnel.remembered(), rotated.public())
        self.take_device_away()
        self.done(tunnel, MakeDevice(self.link, WHY), GiveKey(WHY))
        self.assertEqual(self.key(tunnel), rotated.public())

    def test_foreign_key(self) -> None:
        """A key that was read and not remembered is replaced by what is given."""
        tunnel = self.made()
        ours = self.key(tunnel)
        self.set_key_by_hand(PrivateKey.generate())
        self.assertNotEqual(self.key(tunnel), ours)
        self.done(tunnel, GiveKey(WHY))
        tunnel.remember()
        self.assertEqual(tunnel.remembered(), ours)
        self.assertEqual(self.key(tunnel), ours)

    def test_restarted_daemon(self) -> None:
        """A tunnel that knows nothing finds the device as it is, and goes on with its key."""
        before = self.made(add(A, "10.244.1.0/24", endpoint=HOME))
        seen = self.device(before)
        before.close()
        after = self.make_tunnel()
        self.assertEqual(after.observe(), seen)
        self.assertIsNone(after.remembered())
        after.remember()
        self.assertEqual(after.remembered(), seen.public_key)

    def test_listen_port(self) -> None:
        """The port is the one that was set last."""
        tunnel = self.made()
        self.assertEqual(self.device(tunnel).listen_port, PORT)
        self.done(tunnel, SetListenPort(4500, WHY))
        self.assertEqual(self.device(tunnel).listen_port, 4500)

    def test_own_key_is_no_peer(self) -> None:
        """A peer with the device's own key does not come to be."""
        tunnel = self.made()
        key = self.key(tunnel)
        tunnel.apply([GrantPeer("self", key, HOME, nets("10.244.1.0/24"), True, WHY)])
        self.assertPeers(tunnel)
