"""From the peers that the device has to those it should have, without a gap.

A prefix is taken from a peer by giving it to another. So everything is granted first; what nobody
inherited is trimmed then, and only then peers are removed.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from overlayd.model.changes import DropPresharedKey, GrantPeer, MoveEndpoint, RemovePeer, TrimPeer
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Device
from overlayd.model.node import IPNetwork
from overlayd.model.prefix_index import PrefixIndex
from overlayd.plan.desired import Desired, WantedPeer
from overlayd.plan.endpoints import why_move
from overlayd.plan.result import Memory, Now


def grant_peers(
    device: Device, wanted: Desired, why_new: Callable[[WantedPeer], str]
) -> Iterator[GrantPeer]:
    """New peers, and what known ones lack."""
    for key, peer in wanted.peers.items():
        found = device.peers.get(key)
        if found is None:
            yield GrantPeer(peer.node, key, peer.endpoint, peer.prefixes, True, why_new(peer))
        elif lacking := peer.prefixes - found.allowed_ips:
            yield GrantPeer(peer.node, key, None, lacking, False, "missing")


def move_endpoints(
    device: Device, wanted: Desired, memory: Memory, now: Now
) -> Iterator[MoveEndpoint]:
    for key, peer in wanted.peers.items():
        found = device.peers.get(key)
        if found is None or peer.endpoint is None:
            continue
        if why := why_move(found, peer.endpoint, memory, now):
            yield MoveEndpoint(peer.node, key, peer.endpoint, why)


def drop_preshared_keys(
    device: Device, staying: Container[PublicKey], names: Mapping[PublicKey, str]
) -> Iterator[DropPresharedKey]:
    """Someone gave them by hand; where the other side has none, the next handshake would fail."""
    for key, found in device.peers.items():
        if found.preshared and key in staying:
            yield DropPresharedKey(names.get(key, ""), key, "no Node announces one")


def trim_peers(device: Device, wanted: Desired, held: Iterable[PublicKey]) -> Iterator[TrimPeer]:
    """What peers have that they should not, once everything is granted.

    A peer that the brake holds keeps all of which no other node gets a part.
    """
    kept = _of_held(device, wanted, held)
    surplus = {}
    for key, found in device.peers.items():
        peer = wanted.peers.get(key)
        prefixes = peer.prefixes if peer is not None else kept.get(key, found.allowed_ips)
        if not found.allowed_ips <= prefixes:
            surplus[key] = found.allowed_ips - prefixes
    if not surplus:
        return
    inherited = frozenset().union(*(peer.prefixes for peer in wanted.peers.values()))
    for key, left in surplus.items():
        if left - inherited:
            name = wanted.owners.behind.get(key, "")
            yield TrimPeer(name, key, left - inherited, _why_trim(key in wanted.peers))


def _of_held(
    device: Device, wanted: Desired, held: Iterable[PublicKey]
) -> Mapping[PublicKey, frozenset[IPNetwork]]:
    peers = {key: device.peers[key].allowed_ips for key in held}
    if not peers:
        return {}
    given = PrefixIndex.of((p, name) for name, found in wanted.given.items() for p in found)
    return {
        key: frozenset(p for p in prefixes if next(given.overlapping(p), None) is None)
        for key, prefixes in peers.items()
    }


def _why_trim(is_wanted: bool) -> str:
    return "not its Node's" if is_wanted else "another node has it, and this peer is only held"


def remove_peers(
    going: Iterable[PublicKey], wanted: Desired, memory: Memory, names: Mapping[PublicKey, str]
) -> Iterator[RemovePeer]:
    for key in sorted(going):
        name = names.get(key, "")
        if name and name in wanted.owners.keys:
            why = f"the key of {name} changed"
        else:
            why = "no Node announces its key"
        if key in memory.confirmed:
            why += "; it was held until confirmed"
        elif key in memory.held:
            why += "; it was held"
        yield RemovePeer(name, key, why)
