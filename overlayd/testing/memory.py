"""A WireGuard device in memory, for tests: it behaves like a real one where that hurts."""

import os
from collections.abc import Iterable, Mapping, Sequence

from attrs import define, evolve, field
from zope.interface import implementer

from overlayd.model.changes import (
    DropPresharedKey,
    EndDevice,
    GiveKey,
    GrantPeer,
    MakeDevice,
    MoveEndpoint,
    Outcome,
    RemovePeer,
    SetListenPort,
    StartHandshake,
    TrimPeer,
    TunnelChange,
    listed,
)
from overlayd.model.errors import TunnelError
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.machine import Device, Peer
from overlayd.model.node import Endpoint, IPNetwork
from overlayd.tunnel.interface import ITunnel

NO_DEVICE = "there is no device"


@define
class MemoryDevice:
    """What the machine has: it outlives the tunnel object, as a real device outlives a daemon.

    It takes a prefix from the peer that had it, does nothing for its own key, and refuses what is
    in `refused`, and an endpoint in a zone, since no link has its name here. A peer that is
    refused its endpoint has its prefixes already. `handshakes` are those that were started.
    """

    private_key: PrivateKey | None = None
    listen_port: int = 0
    peers: dict[PublicKey, Peer] = field(factory=dict)
    refused: set[PublicKey | Endpoint | int] = field(factory=set)
    handshakes: list[PublicKey] = field(factory=list)

    def set_key(self, key: PrivateKey | None) -> None:
        self.private_key = key
        if key is not None:
            self.peers.pop(key.public(), None)

    def set_listen_port(self, port: int) -> None:
        if port in self.refused:
            raise TunnelError(f"UDP port {port} is in use by another process")
        self.listen_port = port

    def add_peer(self, key: PublicKey) -> None:
        """Make a peer unless there is one."""
        if key in self.refused:
            raise TunnelError("the device refuses: Invalid argument")
        if self.private_key is None or key != self.private_key.public():
            self.peers.setdefault(key, Peer(key))

    def give(self, key: PublicKey, prefixes: Iterable[IPNetwork]) -> None:
        """Give prefixes to a peer, whoever had them."""
        wanted = frozenset(prefixes)
        for other in list(self.peers):
            self.take(other, wanted)
        peer = self.peers[key]
        self.peers[key] = evolve(peer, allowed_ips=peer.allowed_ips | wanted)

    def take(self, key: PublicKey, prefixes: frozenset[IPNetwork]) -> None:
        if key in self.peers and not self.peers[key].allowed_ips.isdisjoint(prefixes):
            peer = self.peers[key]
            self.peers[key] = evolve(peer, allowed_ips=peer.allowed_ips - prefixes)

    def dial(self, key: PublicKey, endpoint: Endpoint) -> None:
        zone = endpoint.address.version == 6 and endpoint.address.scope_id
        if zone or endpoint in self.refused:
            raise TunnelError("the device refuses: Invalid argument")
        self.peers[key] = evolve(self.peers[key], endpoint=endpoint)

    def preshare(self, key: PublicKey, preshared: bool = True) -> None:
        self.peers[key] = evolve(self.peers[key], preshared=preshared)

    def start_handshake(self, key: PublicKey, keepalive: int) -> None:
        self.peers[key] = evolve(self.peers[key], keepalive=keepalive)
        if self.private_key is not None and self.peers[key].endpoint is not None:
            self.handshakes.append(key)


@implementer(ITunnel)
class MemoryTunnel:
    """A tunnel over a device in memory. What others do to the machine is done to `device`.

    `device` is None where there is none; tests set it to None to take it away. With `answers` set
    to False it is like a process that was stopped. `made` holds the changes that were made, so
    that a test can tell a pass that wrote nothing.
    """

    name = "memory"

    def __init__(self, device: MemoryDevice | None = None) -> None:
        self.device = device
        self.answers = True
        self.made: list[TunnelChange] = []
        self._read: PrivateKey | None = None
        self._kept: PrivateKey | None = None

    def observe(self) -> Device | None:
        self._answer()
        device = self.device
        self._read = device.private_key if device else None
        if device is None:
            return None
        key = device.private_key
        return Device(key.public() if key else None, device.listen_port, dict(device.peers))

    def remember(self) -> None:
        self._kept = self._read or self._kept

    def remembered(self) -> PublicKey | None:
        return self._kept.public() if self._kept else None

    def apply(self, changes: Sequence[TunnelChange]) -> list[Outcome]:
        return [self._outcome(change) for change in changes]

    def close(self) -> None:
        """There is nothing to let go of."""

    def _answer(self) -> None:
        if not self.answers:
            raise TunnelError("the device does not answer")

    def _outcome(self, change: TunnelChange) -> Outcome:
        try:
            self._answer()
            if isinstance(change, MakeDevice):
                self.device = self.device or MemoryDevice()
            elif isinstance(change, EndDevice):
                self.device = None
            elif self.device is None:
                raise TunnelError(NO_DEVICE)
            else:
                self._make(self.device, change)
        except TunnelError as error:
            return Outcome(change, str(error))
        self.made.append(change)
        return Outcome(change)

    def _make(self, device: MemoryDevice, change: TunnelChange) -> None:
        match change:
            case GiveKey():
                self._kept, self._read = self._kept or PrivateKey.generate(), None
                device.set_key(self._kept)
            case SetListenPort(port):
                device.set_listen_port(port)
            case GrantPeer(_, key, endpoint, prefixes, new):
                if new:
                    device.add_peer(key)
                if key in device.peers:
                    device.give(key, prefixes)
                    if endpoint is not None:
                        device.dial(key, endpoint)
            case MoveEndpoint(_, key, endpoint) if key in device.peers:
                device.dial(key, endpoint)
            case TrimPeer(_, key, prefixes):
                device.take(key, prefixes)
            case RemovePeer(_, key):
                device.peers.pop(key, None)
            case DropPresharedKey(_, key) if key in device.peers:
                device.preshare(key, False)
            case StartHandshake(_, key, keepalive) if key in device.peers:
                device.start_handshake(key, keepalive)


def described(device: Device | None, names: Mapping[PublicKey, str]) -> str:
    """A device as text, a line for each peer in the order of `names`, for assertions.

    Peers that have no name come last, by key.
    """
    if device is None:
        return "no device"
    order = {key: place for place, key in enumerate(names)}
    peers = sorted(device.peers.values(), key=lambda p: (order.get(p.key, len(order)), p.key))
    lines = [f"{'key' if device.public_key else 'no key'}, port {device.listen_port}"]
    for peer in peers:
        dialled = f" at {peer.endpoint}" if peer.endpoint else ""
        preshared = ", preshared key" if peer.preshared else ""
        kept_alive = f", keepalive {peer.keepalive}" if peer.keepalive else ""
        prefixes = listed(peer.allowed_ips) or "no prefix"
        lines.append(f"{names.get(peer.key, peer.key)}{dialled}: {prefixes}{preshared}{kept_alive}")
    return "\n".join(lines)


def any_key() -> PublicKey:
    """A public key to which nobody has the private one."""
    return PublicKey(os.urandom(32))
