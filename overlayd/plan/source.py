"""Which address this node itself has when it sends into the tunnel."""

from ipaddress import IPv4Address, IPv4Interface

from overlayd.model.machine import Observed
from overlayd.model.node import IPNetwork
from overlayd.model.settings import Settings
from overlayd.plan.overlay import host_prefix, inside


def source_address(
    settings: Settings, observed: Observed, overlay: IPv4Address, ours: frozenset[IPNetwork]
) -> IPv4Address:
    """Our overlay address; where another node holds that, one out of the podCIDRs that are `ours`.

    The bridge of our pods has such a one, and answers to it come back to us. Where no link has
    one, nothing is better than our overlay address.
    """
    if host_prefix(overlay) in ours:
        return overlay
    others = (
        address.interface.ip
        for address in observed.addresses
        if address.link != settings.wg_dev and isinstance(address.interface, IPv4Interface)
    )
    return min((ip for ip in others if inside(host_prefix(ip), ours)), default=overlay)
