"""Tunnel changes as the steps that WireGuard takes, however they are sent to it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from attrs import field, frozen

from overlayd.model.changes import (
    DropPresharedKey,
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
from overlayd.model.node import Endpoint, IPNetwork

KEEPALIVE = 25
"""Seconds; any would do. WireGuard sends a packet at once when a keepalive is turned on."""

OF_DEVICE = GiveKey | SetListenPort
NO_REQUEST = MakeDevice | EndDevice


@frozen
class DeviceStep:
    """What is set of the device itself; None is left as it is."""

    key: PrivateKey | None = None
    port: int | None = None


@frozen
class PeerStep:
    """What happens to one peer; it is made unless it is there, or is to be `existing`.

    Prefixes are added to those it has, and taken from whoever has them. They come before the
    endpoint, where WireGuard lets us choose: one that is refused then costs itself alone.
    """

    key: PublicKey
    existing: bool = False
    remove: bool = False
    prefixes: Iterable[IPNetwork] = ()
    endpoint: Endpoint | None = None
    keepalive: int | None = None
    no_preshared_key: bool = False


Step = DeviceStep | PeerStep


@frozen
class Encoder:
    """Makes steps of changes. It knows what the changes themselves do not say.

    `key` is what `GiveKey` gives. `spare` is the key of the throw-away peer that takes what is
    trimmed. `owners` tells whose a prefix is, as far as it is known: what another peer has by now
    is not trimmed from it. It learns from the grants that pass through here.
    """

    key: PrivateKey
    spare: PublicKey
    owners: dict[IPNetwork, PublicKey] = field(factory=dict)

    def steps(self, changes: Sequence[TunnelChange]) -> list[Step]:
        """The steps of changes that fit into one request (`split`), in their order."""
        steps: list[Step] = []
        for trims, group in groupby(changes, key=lambda c: isinstance(c, TrimPeer)):
            if trims:
                steps += self._trim(group)
            else:
                for change in group:
                    steps += self._steps(change)
        return steps

    def _steps(self, change: TunnelChange) -> list[Step]:
        match change:
            case GiveKey():
                return [DeviceStep(key=self.key)]
            case SetListenPort(port):
                return [DeviceStep(port=port)]
            case GrantPeer(_, key, endpoint, prefixes, new):
                self.owners.update(dict.fromkeys(prefixes, key))
                return [PeerStep(key, not new, prefixes=prefixes, endpoint=endpoint)]
            case MoveEndpoint(_, key, endpoint):
                return [PeerStep(key, existing=True, endpoint=endpoint)]
            case RemovePeer(_, key):
                return [PeerStep(key, remove=True)]
            case DropPresharedKey(_, key):
                return [PeerStep(key, existing=True, no_preshared_key=True)]
            case StartHandshake(_, key, former):
                # Turned off first, or nothing is turned on where there was a keepalive already.
                # Each is a step, for WireGuard acts at the end of one.
                return [PeerStep(key, True, keepalive=k) for k in (0, KEEPALIVE, former)]
        raise TypeError(f"no step: {change!r}")

    def _trim(self, group: Iterable[TunnelChange]) -> list[Step]:
        taken = [
            prefix
            for change in group
            if isinstance(change, TrimPeer)
            for prefix in change.prefixes
            if self.owners.get(prefix, change.key) == change.key
        ]
        if not taken:
            return []
        return [PeerStep(self.spare, prefixes=taken), PeerStep(self.spare, remove=True)]


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
