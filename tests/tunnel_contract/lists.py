"""What a tunnel promises about a list of changes."""

from overlayd.model.changes import (
    GiveKey,
    MakeDevice,
    MoveEndpoint,
    RemovePeer,
    SetListenPort,
    TunnelChange,
)
from overlayd.model.keys import PrivateKey
from tests.tunnel_contract import case
from tests.tunnel_contract.case import HOME, PORT, REFUSED, WHY, A, B, C, D, add, grant, trim


class ListPromises(case.TunnelCase):
    """Order, failure and repetition; and what is secret."""

    def test_one_bad_change(self) -> None:
        """One change that the device refuses costs itself alone, wherever it stands in the list."""
        good: list[TunnelChange] = [
            add(A, "10.244.1.0/24"),
            grant(B, "10.244.2.0/24"),
            trim(C, "10.244.4.0/24"),
        ]
        for place in range(4):
            tunnel = self.made(add(B), add(C, "10.244.3.0/24", "10.244.4.0/24"))
            changes = [*good[:place], add(D, endpoint=REFUSED), *good[place:]]
            outcomes = tunnel.apply(changes)
            self.assertEqual([o.change for o in outcomes], changes)
            self.assertEqual([bool(o.error) for o in outcomes], [i == place for i in range(4)])
            tunnel.apply([RemovePeer("d", D, WHY)])
            self.assertPeers(tunnel, "a: 10.244.1.0/24", "b: 10.244.2.0/24", "c: 10.244.3.0/24")
            self.take_device_away()

    def test_bad_change_with_the_key(self) -> None:
        """A list that fails in part still gives the device one key, the one that is remembered."""
        tunnel = self.make_tunnel()
        outcomes = tunnel.apply(
            [MakeDevice(self.link, WHY), GiveKey(WHY), add(A, endpoint=REFUSED), add(B)]
        )
        self.assertEqual([bool(o.error) for o in outcomes], [False, False, True, False])
        self.assertEqual(self.key(tunnel), tunnel.remembered())

    def test_refused_endpoint(self) -> None:
        """An endpoint that is refused costs the endpoint only: one that works stays."""
        tunnel = self.made(add(A, "10.244.1.0/24", endpoint=HOME))
        outcomes = tunnel.apply(
            [grant(A, "10.244.2.0/24", endpoint=REFUSED), MoveEndpoint("a", A, REFUSED, WHY)]
        )
        self.assertTrue(all(o.error for o in outcomes), outcomes)
        self.assertPeers(tunnel, "a at 192.0.2.1:51820: 10.244.1.0/24, 10.244.2.0/24")

    def test_any_order(self) -> None:
        """A list may have what concerns the device after peers, and a peer more than once."""
        tunnel = self.made()
        self.done(
            tunnel,
            add(A, "10.244.1.0/24"),
            SetListenPort(4500, WHY),
            RemovePeer("a", A, WHY),
            add(A, "10.244.2.0/24"),
            GiveKey(WHY),
        )
        self.assertEqual(self.device(tunnel).listen_port, 4500)
        self.assertPeers(tunnel, "a: 10.244.2.0/24")

    def test_twice_is_once(self) -> None:
        """A list that is made again is made without failure and leaves the same device."""
        tunnel = self.made(add(A, "10.244.1.0/24", "10.244.2.0/24"), add(C))
        changes: list[TunnelChange] = [
            GiveKey(WHY),
            SetListenPort(PORT, WHY),
            add(B, "10.244.1.0/24", endpoint=HOME),
            trim(A, "10.244.2.0/24"),
            RemovePeer("c", C, WHY),
        ]
        self.done(tunnel, *changes)
        once = tunnel.observe()
        self.done(tunnel, *changes)
        self.assertEqual(tunnel.observe(), once)

    def test_secret(self) -> None:
        """What can be printed of a tunnel, its device and its outcomes does not hold the key."""
        tunnel = self.make_tunnel()
        secret = PrivateKey(bytes([64, *range(1, 31), 64]))  # clamped: no bit of it is changed
        self.done(tunnel, MakeDevice(self.link, WHY))
        self.set_key_by_hand(secret)
        device = tunnel.observe()
        tunnel.remember()
        outcomes = tunnel.apply([GiveKey(WHY), add(A, endpoint=REFUSED)])
        printed = f"{tunnel!r} {vars(tunnel)!r} {device!r} {outcomes!r}"
        self.assertIn(str(secret.public()), printed)
        self.assertNotIn(secret.raw.hex(), printed)
        self.assertNotIn(repr(secret.raw)[2:-1], printed)
