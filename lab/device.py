"""A node's WireGuard device, of the kernel or of wireguard-go, as an operator with wg(8) has it."""

import base64
import os
import subprocess
from ipaddress import IPv4Network

from attrs import field, frozen

from lab.eventually import patience
from lab.namespaces import Namespace
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.settings import TunnelKind

TUNNEL = "OVERLAYD_LAB_TUNNEL"
"""The variable that says which WireGuard the lab's nodes have: `kernel` or `userspace`."""

KIND = TunnelKind(os.environ.get(TUNNEL, TunnelKind.USERSPACE.value))

_LIMIT = patience(5.0)  # seconds for an answer
_NONE = "(none)"


@frozen
class Reading:
    """What the device says of itself, by the keys of its peers: their allowed IPs and endpoints.

    `preshared` are the keys of those that have a preshared key.
    """

    key: PublicKey | None
    port: int
    peers: dict[PublicKey, frozenset[str]] = field(factory=dict)
    endpoints: dict[PublicKey, str] = field(factory=dict)
    preshared: frozenset[PublicKey] = frozenset()


class Device:
    """One device of one machine, which may not be there."""

    def __init__(self, machine: Namespace, link: str = "wg0") -> None:
        self._machine = machine
        self._link = link

    def make(self, kind: TunnelKind = KIND) -> None:
        """Make it, as another program than overlayd does: without a key, down."""
        if kind is TunnelKind.KERNEL:
            self._machine.run("ip", "link", "add", self._link, "type", "wireguard")
        else:
            self._machine.run("wireguard-go", self._link)

    def read(self) -> Reading | None:
        """Read the device; None where none answers."""
        try:
            shown = self._machine.attempt("wg", "show", self._link, "dump", limit=_LIMIT)
        except subprocess.TimeoutExpired:
            return None
        if shown.returncode != 0:
            return None
        own, *others = (line.split("\t") for line in shown.stdout.splitlines())
        _, key, port, _ = own
        peers = {PublicKey.parse(peer[0]): peer for peer in others}
        return Reading(
            None if key == _NONE else PublicKey.parse(key),
            int(port),
            {key: _prefixes(peer[3]) for key, peer in peers.items()},
            {key: peer[2] for key, peer in peers.items() if peer[2] != _NONE},
            frozenset(key for key, peer in peers.items() if peer[1] != _NONE),
        )

    def rotate(self, key: PrivateKey) -> None:
        """Give the device another private key."""
        self._set("private-key", "/dev/stdin", given=base64.b64encode(key.raw).decode())

    def take_key_away(self) -> None:
        self._set("private-key", "/dev/null")

    def listen(self, port: int) -> None:
        self._set("listen-port", str(port))

    def add_peer(self, key: PublicKey, endpoint: str, *prefixes: IPv4Network) -> None:
        """Add a peer, or change one, with prefixes that are taken from whoever has them."""
        reading = self.read()
        has = reading.peers.get(key, frozenset()) if reading else frozenset()
        allowed = ",".join(has | set(map(str, prefixes)))
        self._set("peer", str(key), "endpoint", endpoint, "allowed-ips", allowed)

    def dial(self, key: PublicKey, endpoint: str) -> None:
        """Give a peer another endpoint."""
        self._set("peer", str(key), "endpoint", endpoint)

    def preshare(self, key: PublicKey) -> None:
        """Give a peer a preshared key that nobody else has."""
        secret = base64.b64encode(os.urandom(32)).decode()
        self._set("peer", str(key), "preshared-key", "/dev/stdin", given=secret)

    def remove_peer(self, key: PublicKey) -> None:
        self._set("peer", str(key), "remove")

    def _set(self, *words: str, given: str = "") -> None:
        self._machine.run("wg", "set", self._link, *words, given=given)


def _prefixes(text: str) -> frozenset[str]:
    return frozenset() if text == _NONE else frozenset(text.split(","))
