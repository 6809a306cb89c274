"""What each node has already: through its peers in the device, or, ours, on its own link."""

from ipaddress import IPv4Network

from overlayd.model.machine import Device
from overlayd.model.node import IPNetwork, Node
from overlayd.model.settings import Settings
from overlayd.plan.overlay import overlay_prefix
from overlayd.plan.owners import Owners

Holding = dict[str, frozenset[IPNetwork]]
"""Prefixes by the name of the Node."""


def held_by_peers(device: Device, owners: Owners) -> Holding:
    """What the device gives to each Node, through all the peers that are its own."""
    held: Holding = {}
    for key, peer in device.peers.items():
        name = owners.behind.get(key)
        if name is not None:
            held[name] = held[name] | peer.allowed_ips if name in held else peer.allowed_ips
    return held


def own_prefixes(settings: Settings, node: Node) -> frozenset[IPv4Network]:
    """What our own node claims: the overlay address that it computes, and its IPv4 podCIDRs."""
    computed = overlay_prefix(settings, node)
    carried = [p for p in node.pod_cidrs if isinstance(p, IPv4Network)]
    return frozenset(carried if computed is None else [computed, *carried])


def held_by_us(wanted: frozenset[IPv4Network], device: Device) -> frozenset[IPNetwork]:
    """The part of `wanted` of which no peer has anything."""
    spans = [(int(p.network_address), int(p.broadcast_address), p) for p in wanted]
    taken: set[IPv4Network] = set()
    for peer in device.peers.values():
        for prefix in peer.allowed_ips:
            if isinstance(prefix, IPv4Network):
                first = int(prefix.network_address)
                last = first | (1 << 32 - prefix.prefixlen) - 1
                taken.update(p for start, end, p in spans if first <= end and start <= last)
    return wanted - taken
