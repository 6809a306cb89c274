"""Keeps the index of an inventory: which Nodes claim a key, or addresses of a prefix."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from immutables import Map

from overlayd.model.keys import PublicKey
from overlayd.model.node import ClaimIndex, IPNetwork, Node
from overlayd.model.prefix_index import PrefixIndex
from overlayd.model.settings import Settings
from overlayd.plan.overlay import host_prefix, inside, overlay_prefix, unmapped


def index_of(settings: Settings, nodes: Iterable[Node]) -> ClaimIndex:
    """The index of all the Nodes, from scratch."""
    keys: dict[PublicKey, tuple[str, ...]] = {}
    overlay, pods = [], []
    for node in nodes:
        if node.key is not None:
            keys[node.key] = _with(keys.get(node.key, ()), node.name)
        overlay += [(prefix, node.name) for prefix in overlay_claims(settings, node)]
        pods += [(prefix, node.name) for prefix in pod_claims(settings, node)]
    return ClaimIndex(Map(keys), PrefixIndex.of(overlay), PrefixIndex.of(pods))


def follow(settings: Settings, index: ClaimIndex, old: Node | None, new: Node | None) -> ClaimIndex:
    """The index after one Node changed; None where it was not there, or is not any more."""
    keys, overlay, pods = index.keys, index.overlay, index.pods
    if old is not None:
        if old.key is not None:
            rest = tuple(name for name in keys.get(old.key, ()) if name != old.name)
            keys = keys.set(old.key, rest) if rest else keys.delete(old.key)
        for prefix in overlay_claims(settings, old):
            overlay = overlay.discard(prefix, old.name)
        for prefix in pod_claims(settings, old):
            pods = pods.discard(prefix, old.name)
    if new is not None:
        if new.key is not None:
            keys = keys.set(new.key, _with(keys.get(new.key, ()), new.name))
        for prefix in overlay_claims(settings, new):
            overlay = overlay.add(prefix, new.name)
        for prefix in pod_claims(settings, new):
            pods = pods.add(prefix, new.name)
    return ClaimIndex(keys, overlay, pods)


def overlay_claims(settings: Settings, node: Node) -> Iterator[IPNetwork]:
    """The overlay addresses that may be a Node's: as it announces them, and as computed."""
    if (computed := overlay_prefix(settings, node)) is not None:
        yield computed
    for address in node.overlay_addresses:
        plain = unmapped(address)
        if isinstance(plain, IPv4Address) and plain in settings.overlay:
            yield host_prefix(plain)


def pod_claims(settings: Settings, node: Node) -> Iterator[IPNetwork]:
    return (prefix for prefix in node.pod_cidrs if inside(prefix, settings.pods))


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else tuple(sorted((*names, name)))
