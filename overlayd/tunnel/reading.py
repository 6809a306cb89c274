"""A reading of a WireGuard device, in which what has not changed is compared as bytes. Pure."""

from collections.abc import Callable, Iterable

from attrs import field, frozen
from immutables import Map

from overlayd.model.errors import TunnelError
from overlayd.model.keys import PrivateKey
from overlayd.model.machine import Device, Peer


class Refused(TunnelError):
    """The device answered a request with an error, and may have done a part of it."""


Peers = dict[bytes, Peer | None]
"""The peers of an answer by the bytes that told of each, None for one that is left out."""


@frozen
class Reading:
    """A device as it answered, its private key, for the tunnel's memory alone, and its bytes."""

    device: Device
    key: PrivateKey | None
    peers: Peers = field(factory=dict, repr=False)


def read(
    key: PrivateKey | None,
    listen_port: int,
    told: Iterable[bytes],
    parse: Callable[[bytes], Peer | None],
    before: Reading | None,
) -> Reading:
    """Make a reading of what was `told` of each peer.

    Of the reading before those peers are kept whose bytes are the same: almost all of them, and
    with none changed the very same peers.
    """
    known = before.peers if before else {}
    peers = {block: known[block] if block in known else parse(block) for block in told}
    device = Device(
        public_key=key.public() if key else None,
        listen_port=listen_port,
        peers=before.device.peers
        if before is not None and peers.keys() == known.keys()
        else Map((peer.key, peer) for peer in peers.values() if peer is not None),
    )
    return Reading(device, key, peers)
