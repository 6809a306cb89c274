"""Addresses as values: a node's overlay address, and which network of ours something lies in."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from overlayd.model.node import Endpoint, IPAddress, IPNetwork, Node
from overlayd.model.settings import Settings


def unmapped(address: IPAddress) -> IPAddress:
    """The address itself; of the IPv6 form of an IPv4 address (`::ffff:a.b.c.d`) that one."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def same_endpoint(one: Endpoint | None, other: Endpoint | None) -> bool:
    """Whether both dial the same, however it is written."""
    if one == other:
        return True
    if one is None or other is None or one.port != other.port:
        return False
    return unmapped(one.address) == unmapped(other.address)


def overlay_address(address: IPAddress | None, overlay: IPv4Network) -> IPv4Address | None:
    """The overlay address of a node as wg-overlay computes it; None where it needs IPv4.

    As many low bits of the node's address as the overlay network leaves to its hosts. Nothing is
    left out: a node whose low bits are all zero gets the network's own address, which works as a
    /32.
    """
    if address is None:
        return None
    node = unmapped(address)
    if not isinstance(node, IPv4Address):
        return None
    return IPv4Address(int(overlay.network_address) | int(node) & int(overlay.hostmask))


def address_of(settings: Settings, node: Node) -> IPAddress | None:
    """Where the node itself is: its InternalIP, or for our own what `--node-ip` says."""
    if settings.node_ip is not None and node.name == settings.node_name:
        return unmapped(settings.node_ip)
    return None if node.address is None else unmapped(node.address)


def computed_address(settings: Settings, node: Node) -> IPv4Address | None:
    """The overlay address that the node's own address computes to."""
    return overlay_address(address_of(settings, node), settings.overlay)


def overlay_prefix(settings: Settings, node: Node) -> IPv4Network | None:
    """The overlay address that the node's own address computes to, as a /32."""
    computed = computed_address(settings, node)
    return None if computed is None else host_prefix(computed)


def host_prefix(address: IPv4Address) -> IPv4Network:
    """The address as a network of its own; made of its number, which `ipaddress` reads faster."""
    return IPv4Network((int(address), 32))


def holds(network: IPNetwork, prefix: IPNetwork) -> bool:
    """Whether all of `prefix` lies inside `network`."""
    return prefix.prefixlen >= network.prefixlen and prefix.network_address in network


def inside(prefix: IPNetwork, networks: Iterable[IPNetwork]) -> bool:
    """Whether all of `prefix` lies inside one of `networks`."""
    return any(holds(network, prefix) for network in networks)


def network_of(address: IPAddress, networks: Iterable[IPv4Network]) -> IPv4Network | None:
    """The network that the address lies in."""
    plain = unmapped(address)
    return next((network for network in networks if plain in network), None)
