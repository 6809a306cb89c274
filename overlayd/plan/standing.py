"""Where a pass left the machine: its last reading, and the changes it has acknowledged since."""

from collections.abc import Iterable, Sequence

from attrs import evolve, frozen
from immutables import Map

from overlayd.model.changes import (
    Change,
    DropPresharedKey,
    GrantPeer,
    MoveEndpoint,
    NetworkChange,
    Outcome,
    RemoveLink,
    RemovePeer,
    TrimPeer,
)
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Device, Observed, Peer
from overlayd.model.node import Inventory
from overlayd.model.prefix_index import PrefixIndex
from overlayd.plan.result import Plan

OfPeers = GrantPeer | MoveEndpoint | TrimPeer | RemovePeer | DropPresharedKey
Peers = Map[PublicKey, Peer]
Holders = PrefixIndex[PublicKey]
"""The peers by the prefixes that they have."""

NOBODY: Peers = Map()


@frozen
class Standing:
    """What the next plan may build on, so that it need not look at everything.

    `unsettled` are the Nodes that this pass changed something for: what they claim is looked at
    once more. `network_changed` tells that it changed links, addresses, routes or rules: they are
    to be read again.
    """

    inventory: Inventory
    observed: Observed
    holders: Holders
    plan: Plan
    unsettled: frozenset[str] = frozenset()
    network_changed: bool = False


def holders_in(device: Device | None, before: Standing | None) -> Holders:
    """Who has which prefixes in a device: from scratch, or from what differs from before."""
    peers = device.peers if device is not None else NOBODY
    if before is None:
        return PrefixIndex.of((p, key) for key, peer in peers.items() for p in peer.allowed_ips)
    holders, old = before.holders, _peers(before)
    if peers is old:
        return holders
    for key in differing(old, peers):
        for prefix in old[key].allowed_ips if key in old else ():
            holders = holders.discard(prefix, key)
        for prefix in peers[key].allowed_ips if key in peers else ():
            holders = holders.add(prefix, key)
    return holders


def differing(old: Peers, new: Peers) -> list[PublicKey]:
    """The peers that came, went, or are not the same."""
    if old is new:
        return []
    changed = [key for key, peer in new.items() if old.get(key) is not peer]
    return [*changed, *(key for key in old if key not in new)]


def stand(
    inventory: Inventory | None,
    observed: Observed,
    holders: Holders,
    plan: Plan,
    outcomes: Sequence[Outcome],
) -> Standing | None:
    """Where a pass leaves things; None where the machine has to be read to know."""
    acknowledged = all(outcome.error is None for outcome in outcomes)
    if inventory is None or observed.device is None or plan.own.overlay_address is None:
        return None
    changes = [outcome.change for outcome in outcomes]
    of_network = [change for change in changes if isinstance(change, NetworkChange)]
    if not acknowledged or (plan.about is None and len(of_network) < len(changes)):
        return None
    followed = _follow(observed.device.peers, holders, changes)
    if followed is None:
        return None
    peers, holders = followed
    return Standing(
        inventory,
        evolve(observed, device=evolve(observed.device, peers=peers)),
        holders,
        plan,
        frozenset(map(_node, changes)) - {""},
        bool(of_network),
    )


def _node(change: Change) -> str:
    return change.node if isinstance(change, OfPeers) else ""


def _follow(
    peers: Peers, holders: Holders, changes: Iterable[Change]
) -> tuple[Peers, Holders] | None:
    """What a device has after changes to its peers; None where there was another change."""
    for change in changes:
        match change:
            case GrantPeer():
                if change.key not in peers and not change.new:
                    return None
                peers, holders = _grant(peers, holders, change)
            case MoveEndpoint(_, key, endpoint) if key in peers:
                peers = peers.set(key, evolve(peers[key], endpoint=endpoint))
            case DropPresharedKey(_, key) if key in peers:
                peers = peers.set(key, evolve(peers[key], preshared=False))
            case TrimPeer(_, key, prefixes) if key in peers:
                peers = _take(peers, key, prefixes)
                for prefix in prefixes:
                    holders = holders.discard(prefix, key)
            case RemovePeer(_, key) if key in peers:
                for prefix in peers[key].allowed_ips:
                    holders = holders.discard(prefix, key)
                peers = peers.delete(key)
            case RemoveLink():
                return None  # and with it the device
            case _ if isinstance(change, NetworkChange):
                continue
            case _:
                return None
    return peers, holders


def _grant(peers: Peers, holders: Holders, change: GrantPeer) -> tuple[Peers, Holders]:
    for prefix in change.prefixes:
        for key in holders.owners(prefix):
            peers = _take(peers, key, change.prefixes)
            holders = holders.discard(prefix, key)
        holders = holders.add(prefix, change.key)
    peer = peers.get(change.key, Peer(change.key))
    granted = evolve(
        peer,
        allowed_ips=peer.allowed_ips | change.prefixes,
        endpoint=change.endpoint or peer.endpoint,
    )
    return peers.set(change.key, granted), holders


def _take(peers: Peers, key: PublicKey, prefixes: frozenset) -> Peers:  # type: ignore[type-arg]
    return peers.set(key, evolve(peers[key], allowed_ips=peers[key].allowed_ips - prefixes))


def _peers(standing: Standing) -> Peers:
    device = standing.observed.device
    return device.peers if device is not None else NOBODY
