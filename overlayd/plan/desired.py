"""From an inventory to the peers that the device should have."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from attrs import frozen

from overlayd.model.keys import PublicKey
from overlayd.model.machine import PROTOCOL
from overlayd.model.node import Endpoint, IPNetwork, Node
from overlayd.model.settings import Settings
from overlayd.model.status import Quarantine
from overlayd.plan.claims import settle
from overlayd.plan.endpoints import configured
from overlayd.plan.ground import Ground
from overlayd.plan.holding import Holding, held_by_peers, held_by_us, own_prefixes
from overlayd.plan.overlay import computed_address, host_prefix, inside, overlay_prefix
from overlayd.plan.owners import Owners, find_owners


@frozen
class WantedPeer:
    """A peer as it should be. Without an `endpoint` the one that it has, if any, is right."""

    node: str
    key: PublicKey
    endpoint: Endpoint | None
    prefixes: frozenset[IPNetwork]


@frozen
class Desired:
    """What an inventory wants of the device. `given` also has what our own node keeps."""

    peers: Mapping[PublicKey, WantedPeer]
    given: Holding
    owners: Owners
    quarantines: tuple[Quarantine, ...]


def desired(
    settings: Settings, nodes: Mapping[str, Node], there: Ground, own_key: PublicKey | None
) -> Desired:
    """Judge what the Nodes claim. Our own Node may be missing among them."""
    ordered = [nodes[name] for name in sorted(nodes)]
    others = [node for node in ordered if node.name != settings.node_name]
    owners = find_owners(settings, others, there.device, own_key)
    held = held_by_peers(there.device, owners)
    claimants = [node for node in others if node.name in owners.keys]
    own = nodes.get(settings.node_name)
    if own is not None:
        claimants.append(own)
        held[own.name] = _own_holding(settings, own, there)
    settled = settle(settings, claimants, owners, held)
    dialled = {name: configured(settings, nodes[name]) for name in owners.keys}
    peers = {
        key: WantedPeer(name, key, dialled[name].endpoint, settled.prefixes.get(name, frozenset()))
        for name, key in sorted(owners.keys.items())
    }
    return Desired(
        peers=peers,
        given=settled.prefixes,
        owners=owners,
        quarantines=_in_order(
            [
                *(Quarantine(n.name, f.claim, f.text, f.reason) for n in ordered for f in n.faults),
                *owners.quarantines,
                *settled.quarantines,
                *(d.quarantine for d in dialled.values() if d.quarantine is not None),
            ]
        ),
    )


def _own_holding(settings: Settings, own: Node, there: Ground) -> frozenset[IPNetwork]:
    """What our own node has already: nothing before a pass has set its addresses.

    Where another node holds its overlay address, that has left a source out of its podCIDRs.
    """
    wanted = own_prefixes(settings, own)
    if computed_address(settings, own) not in {i.ip for i in there.addresses}:
        wanted -= {overlay_prefix(settings, own)}
        sources = (r.source for r in there.routes if r.protocol == PROTOCOL)
        if not any(isinstance(s, IPv4Address) and inside(host_prefix(s), wanted) for s in sources):
            return frozenset()
    return held_by_us(wanted, there.device)


def _in_order(quarantines: Sequence[Quarantine]) -> tuple[Quarantine, ...]:
    """Each once, by Node and claim."""
    return tuple(sorted(set(quarantines), key=lambda q: (q.node, q.claim.value, q.text, q.reason)))
