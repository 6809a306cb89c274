"""Which Node is behind which key: of the peers that the device has, and of those it should have."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address

from attrs import frozen

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Device
from overlayd.model.node import Claim, IPNetwork, Node
from overlayd.model.settings import Settings
from overlayd.model.status import Quarantine
from overlayd.plan.overlay import host_prefix, overlay_prefix, unmapped

Age = tuple[str, str, str]


def age(node: Node) -> Age:
    """Sorts the older Node first; never equal for two Nodes."""
    return (node.created, node.uid, node.name)


@frozen
class Owners:
    """Who is behind which key.

    `behind` tells the Node of a key, announced or in the device. `keys` tells which key a Node's
    peer is to have; a Node whose key is contested and lost, or unreadable with no peer that works,
    has none. `keeping` are the Nodes whose key is unreadable and whose peer stays.
    """

    behind: Mapping[PublicKey, str]
    keys: Mapping[str, PublicKey]
    keeping: frozenset[str]
    quarantines: tuple[Quarantine, ...]


def find_owners(
    settings: Settings, others: Sequence[Node], device: Device, own_key: PublicKey | None
) -> Owners:
    """Tell who is behind each key. `others` are all Nodes but our own; their order is no matter.

    A key that several announce is the one's whose prefixes its peer has, else the oldest's. A peer
    whose key nobody announces is the Node's whose overlay address, as computed, it has: that Node
    announces another key by now, or one that cannot be read.
    """
    announced: dict[PublicKey, list[Node]] = {}
    unreadable, quarantines = [], []
    for node in others:
        if node.key is not None and node.key == own_key:
            quarantines.append(_key_of(node, node.key, "it is the key of our own device"))
        elif node.key is not None:
            announced.setdefault(node.key, []).append(node)
        elif node.unreadable(Claim.KEY):
            unreadable.append(node)
    behind: dict[PublicKey, str] = {}
    for key, nodes in announced.items():
        holder = nodes[0] if len(nodes) == 1 else _holder(settings, nodes, device, key)
        behind[key] = holder.name
        quarantines += [
            _key_of(node, key, f"{holder.name} announces it too, and holds it")
            for node in nodes
            if node is not holder
        ]
    keys = {name: key for key, name in behind.items()}
    orphans = [key for key in device.peers if key not in announced and key != own_key]
    former = _former(settings, others, device, orphans)
    behind.update({key: node.name for key, node in former.items()})
    waiting = {node.name for node in unreadable}
    kept = {node.name: key for key, node in former.items() if node.name in waiting}
    return Owners(
        behind=behind,
        keys={**keys, **kept},
        keeping=frozenset(kept),
        quarantines=tuple(quarantines),
    )


def not_announced(settings: Settings, nodes: Iterable[Node]) -> tuple[str, ...]:
    """The other Nodes that announce no key: Windows, virtual ones, or not yet started."""
    return tuple(
        sorted(
            node.name
            for node in nodes
            if node.key is None
            and not node.unreadable(Claim.KEY)
            and node.name != settings.node_name
        )
    )


def _former(
    settings: Settings,
    others: Sequence[Node],
    device: Device,
    orphans: Sequence[PublicKey],
) -> dict[PublicKey, Node]:
    """The peers whose key no Node announces, with the Nodes whose overlay addresses they have."""
    if not orphans:
        return {}
    computing: dict[IPNetwork, list[Node]] = {}
    for node in others:
        computed = overlay_prefix(settings, node)
        if computed is not None and (node.key is not None or node.unreadable(Claim.KEY)):
            computing.setdefault(computed, []).append(node)
    found = {}
    for key in orphans:
        nodes = [n for p in device.peers[key].allowed_ips for n in computing.get(p, ())]
        if nodes:
            found[key] = _holder(settings, nodes, device, key)
    return found


def _holder(settings: Settings, nodes: list[Node], device: Device, key: PublicKey) -> Node:
    """The Node to which the device already gives most of what this key's peer has.

    One that has another peer by now did not lose this one. Then what is hardest to claim falsely
    says most: podCIDRs cannot be changed once they are given. Only what a Node would keep counts,
    or two that quarrel would win in turns.
    """
    peer = device.peers.get(key)
    allowed: frozenset[IPNetwork] = peer.allowed_ips if peer else frozenset()

    def rank(node: Node) -> tuple[bool, bool, bool, bool, Age]:
        computed = overlay_prefix(settings, node)
        addresses = [unmapped(a) for a in node.overlay_addresses]
        claimed: set[IPNetwork | None] = {
            host_prefix(a) for a in addresses if isinstance(a, IPv4Address)
        }
        if node.unreadable(Claim.OVERLAY_ADDRESS):
            claimed.add(computed)
        return (
            node.key != key and node.key in device.peers,
            allowed.isdisjoint(node.pod_cidrs),
            computed not in allowed & claimed,
            allowed.isdisjoint(claimed),
            age(node),
        )

    return min(nodes, key=rank)


def _key_of(node: Node, key: PublicKey, reason: str) -> Quarantine:
    return Quarantine(node.name, Claim.KEY, str(key), reason)
