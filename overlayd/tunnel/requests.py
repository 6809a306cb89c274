"""Tunnel changes as requests to userspace WireGuard's socket. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from attrs import field, frozen

from overlayd.model.changes import (
    EndDevice,
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
from overlayd.model.node import IPNetwork

KEEPALIVE = 25
"""Seconds; any would do. wireguard-go sends a packet at once when a keepalive is turned on."""

OF_DEVICE = GiveKey | SetListenPort
NO_REQUEST = MakeDevice | EndDevice


@frozen
class Encoder:
    """Makes requests. It knows what the changes themselves do not say.

    `key` is what `GiveKey` gives. `spare` is the key of the throw-away peer that takes what is
    trimmed. `owners` tells whose a prefix is, as far as it is known: what another peer has by now
    is not trimmed from it. It learns from the grants that pass through here.
    """

    key: PrivateKey
    spare: PublicKey
    owners: dict[IPNetwork, PublicKey] = field(factory=dict)

    def encode(self, changes: Sequence[TunnelChange]) -> bytes:
        """One request for changes that fit into one (`split`), in their order."""
        lines = ["set=1"]
        for trims, group in groupby(changes, key=lambda c: isinstance(c, TrimPeer)):
            if trims:
                lines += self._trim(group)
            else:
                for change in group:
                    lines += self._lines(change)
        return "\n".join([*lines, "", ""]).encode("ascii")

    def _lines(self, change: TunnelChange) -> list[str]:
        match change:
            case GiveKey():
                return [f"private_key={self.key.raw.hex()}"]
            case SetListenPort(port):
                return [f"listen_port={port}"]
            case GrantPeer():
                return self._grant(change)
            case MoveEndpoint(_, key, endpoint):
                return [_peer(key), _EXISTING, f"endpoint={endpoint}"]
            case RemovePeer(_, key):
                return [_peer(key), "remove=true"]
            case StartHandshake(_, key, former):
                # Turned off first, or nothing is turned on where there was a keepalive already.
                # The former value needs a section of its own: only the end of one acts.
                turn_on = [_peer(key), _EXISTING, _keepalive(0), _keepalive(KEEPALIVE)]
                return [*turn_on, _peer(key), _EXISTING, _keepalive(former)]
        raise TypeError(f"no line of a request: {change!r}")

    def _grant(self, change: GrantPeer) -> list[str]:
        """The endpoint comes last: one that is refused then costs itself alone."""
        self.owners.update(dict.fromkeys(change.prefixes, change.key))
        lines = [_peer(change.key)]
        if not change.new:
            lines.append(_EXISTING)
        lines += [f"allowed_ip={prefix}" for prefix in change.prefixes]
        if change.endpoint is not None:
            lines.append(f"endpoint={change.endpoint}")
        return lines

    def _trim(self, group: Iterable[TunnelChange]) -> list[str]:
        taken = [
            prefix
            for change in group
            if isinstance(change, TrimPeer)
            for prefix in change.prefixes
            if self.owners.get(prefix, change.key) == change.key
        ]
        if not taken:
            return []
        throw_away = _peer(self.spare)
        return [throw_away, *(f"allowed_ip={p}" for p in taken), throw_away, "remove=true"]


def split(changes: Sequence[TunnelChange]) -> Iterator[list[TunnelChange]]:
    """Cut a list into what can be one request each: lines of the device come before all peers.

    Making and ending the device are no requests; each comes alone.
    """
    run: list[TunnelChange] = []
    for change in changes:
        alone = isinstance(change, NO_REQUEST)
        late = isinstance(change, OF_DEVICE) and run and not isinstance(run[-1], OF_DEVICE)
        if run and (alone or late):
            yield run
            run = []
        if alone:
            yield [change]
        else:
            run.append(change)
    if run:
        yield run


_EXISTING = "update_only=true"


def _peer(key: PublicKey) -> str:
    return f"public_key={key.raw.hex()}"


def _keepalive(seconds: int) -> str:
    return f"persistent_keepalive_interval={seconds}"
