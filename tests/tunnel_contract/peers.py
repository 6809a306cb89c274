"""What a tunnel promises about peers."""

from ipaddress import IPv6Address

from overlayd.model.changes import (
    DropPresharedKey,
    MoveEndpoint,
    RemovePeer,
    StartHandshake,
)
from overlayd.model.node import Endpoint
from tests.tunnel_contract import case
from tests.tunnel_contract.case import (
    AWAY,
    HOME,
    PORT,
    WHY,
    A,
    B,
    C,
    D,
    add,
    grant,
    trim,
)


class PeerPromises(case.TunnelCase):
    """Each kind of change, alone."""

    def test_nothing_to_do(self) -> None:
        """No changes give no outcomes."""
        self.assertEqual(self.made().apply([]), [])

    def test_add_peer(self) -> None:
        """A new peer has its endpoint and its prefixes, of both families."""
        tunnel = self.made(
            add(A, "10.244.1.0/24", "100.64.0.1/32", "fd00:1::/64", endpoint=HOME), add(B)
        )
        self.assertPeers(
            tunnel,
            "a at 192.0.2.1:51820: 10.244.1.0/24, 100.64.0.1/32, fd00:1::/64",
            "b: no prefix",
        )

    def test_endpoint_over_ipv6(self) -> None:
        """An endpoint is read back as the value it was given, however it is printed."""
        for text in ("2001:db8::1", "::ffff:192.0.2.7", "::192.0.2.7"):
            endpoint = Endpoint(IPv6Address(text), PORT)
            tunnel = self.made(add(A, endpoint=endpoint))
            self.assertEqual(self.device(tunnel).peers[A].endpoint, endpoint)

    def test_widest_prefixes(self) -> None:
        """A prefix of length 0 and one that holds another are each a peer's own."""
        tunnel = self.made(add(A, "0.0.0.0/0", "::/0"), add(B, "10.0.0.0/8"), add(C, "10.1.0.0/16"))
        self.assertPeers(tunnel, "a: 0.0.0.0/0, ::/0", "b: 10.0.0.0/8", "c: 10.1.0.0/16")

    def test_grant_adds(self) -> None:
        """A grant leaves what the peer has, its endpoint too where it names none."""
        tunnel = self.made(add(A, "10.244.1.0/24", endpoint=HOME))
        self.done(tunnel, grant(A, "10.244.2.0/24"))
        self.assertPeers(tunnel, "a at 192.0.2.1:51820: 10.244.1.0/24, 10.244.2.0/24")
        self.done(tunnel, grant(A, endpoint=AWAY))
        self.assertPeers(tunnel, "a at 192.0.2.2:4500: 10.244.1.0/24, 10.244.2.0/24")

    def test_grant_takes(self) -> None:
        """A prefix that is granted leaves the peer that had it, and nothing else does."""
        tunnel = self.made(add(A, "10.244.1.0/24", "10.244.2.0/24"), add(B))
        self.done(tunnel, grant(B, "10.244.2.0/24"))
        self.assertPeers(tunnel, "a: 10.244.1.0/24", "b: 10.244.2.0/24")

    def test_grant_makes_no_peer(self) -> None:
        """A grant or an endpoint for a peer that is gone by now does not bring it back."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        tunnel.apply([grant(B, "10.244.1.0/24"), MoveEndpoint("b", B, HOME, WHY)])
        self.assertPeers(tunnel, "a: 10.244.1.0/24")

    def test_move_endpoint(self) -> None:
        """An endpoint is moved alone."""
        tunnel = self.made(add(A, "10.244.1.0/24", endpoint=HOME))
        self.done(tunnel, MoveEndpoint("a", A, AWAY, WHY))
        self.assertPeers(tunnel, "a at 192.0.2.2:4500: 10.244.1.0/24")

    def test_trim(self) -> None:
        """What is trimmed is nobody's; the rest stays, and no other peer remains of it."""
        tunnel = self.made(
            add(A, "10.244.1.0/24", "10.244.2.0/24", endpoint=HOME), add(B, "10.244.3.0/24")
        )
        self.done(tunnel, trim(A, "10.244.2.0/24"), trim(B, "10.244.3.0/24"))
        self.assertPeers(tunnel, "a at 192.0.2.1:51820: 10.244.1.0/24", "b: no prefix")

    def test_trim_takes_from_its_peer_only(self) -> None:
        """What another peer was granted before in the list is not trimmed from it."""
        tunnel = self.made(add(A, "10.244.1.0/24", "10.244.2.0/24"))
        self.done(tunnel, add(B, "10.244.1.0/24"), trim(A, "10.244.1.0/24", "10.244.2.0/24"))
        self.assertPeers(tunnel, "a: no prefix", "b: 10.244.1.0/24")

    def test_trim_and_grant_in_their_order(self) -> None:
        """What is granted after it was trimmed belongs to whom it was granted."""
        tunnel = self.made(add(A, "10.244.1.0/24", "10.244.2.0/24"))
        self.done(
            tunnel,
            trim(A, "10.244.1.0/24", "10.244.2.0/24"),
            add(B, "10.244.1.0/24"),
            grant(A, "10.244.2.0/24"),
        )
        self.assertPeers(tunnel, "a: 10.244.2.0/24", "b: 10.244.1.0/24")

    def test_remove(self) -> None:
        """A removed peer is gone with its prefixes; one that is not there is removed already."""
        tunnel = self.made(add(A, "10.244.1.0/24"), add(B, "10.244.2.0/24"))
        self.done(tunnel, RemovePeer("a", A, WHY), RemovePeer("c", C, WHY))
        self.assertPeers(tunnel, "b: 10.244.2.0/24")

    def test_stray_peer(self) -> None:
        """A peer that someone else added is seen, with what it took."""
        tunnel = self.made(add(A, "10.244.1.0/24"))
        self.add_peer_by_hand(D, "10.244.1.0/24")
        self.assertPeers(tunnel, "a: no prefix", "d: 10.244.1.0/24")

    def test_preshared_key(self) -> None:
        """One that someone else set is seen, and taken away alone; of a gone peer nothing is."""
        tunnel = self.made(
            add(A, "10.244.1.0/24", endpoint=HOME), add(B, "10.244.2.0/24"), add(C, "10.244.3.0/24")
        )
        for key in (A, B):
            self.preshare_by_hand(key)
        self.assertPeers(
            tunnel,
            "a at 192.0.2.1:51820: 10.244.1.0/24, preshared key",
            "b: 10.244.2.0/24, preshared key",
            "c: 10.244.3.0/24",
        )
        self.done(tunnel, DropPresharedKey("a", A, WHY), DropPresharedKey("c", C, WHY))
        tunnel.apply([DropPresharedKey("d", D, WHY)])
        self.assertPeers(
            tunnel,
            "a at 192.0.2.1:51820: 10.244.1.0/24",
            "b: 10.244.2.0/24, preshared key",
            "c: 10.244.3.0/24",
        )

    def test_start_handshake(self) -> None:
        """A handshake leaves the peer as it was; for a peer that is gone it makes none."""
        tunnel = self.made(add(A, "10.244.1.0/24", endpoint=HOME))
        before = self.device(tunnel).peers[A]
        tunnel.apply([StartHandshake("a", A, 0, WHY), StartHandshake("b", B, 0, WHY)])
        after = self.device(tunnel)
        self.assertEqual(after.peers[A].keepalive, before.keepalive)
        self.assertEqual(after.peers[A].endpoint, before.endpoint)
        self.assertEqual(set(after.peers), {A})

    def test_keepalive_after_a_handshake(self) -> None:
        """A peer has the keepalive that the change names, also where another was set meanwhile."""
        tunnel = self.made(add(A, endpoint=HOME))
        for keepalive in (7, 0):
            self.done(tunnel, StartHandshake("a", A, keepalive, WHY))
            self.assertEqual(self.device(tunnel).peers[A].keepalive, keepalive)
