"""It never cuts off its own node: what the node needs must not lie in a network that we route."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from itertools import chain

from overlayd.model.machine import PROTOCOL, Observed
from overlayd.model.node import IPAddress, Node
from overlayd.model.settings import Settings
from overlayd.model.status import State, StateName
from overlayd.plan.overlay import address_of, inside, network_of, unmapped

Pods = tuple[IPv4Network, ...]

_MOST_NAMED = 3  # findings in one message


def cuts_off(
    settings: Settings,
    observed: Observed,
    node: Node | None = None,
    servers: Iterable[IPAddress] = (),
) -> State | None:
    """What we would cut our own node off from; None if nothing.

    `node` is our own, None while it is not known. Then our own podCIDRs are not known either, and
    what lies in the pod networks may be our own pods': it is passed over.
    """
    own = (_carried(node) if node is not None else ()) or settings.pods
    findings = chain(
        () if node is None else _of_node(settings, node, own),
        _addresses(settings, "the API server's address", servers, ()),
        _addresses(settings, "the gateway", _gateways(settings, observed), own),
        _addresses(settings, "the resolver", observed.resolvers, own),
        _connected(settings, observed, own),
    )
    named = list(dict.fromkeys(findings))
    if not named:
        return None
    more = [f"and {len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else []
    return State(StateName.CUTS_OFF_NODE, "; ".join([*named[:_MOST_NAMED], *more]))


def no_internal_ip(settings: Settings, node: Node) -> State | None:
    """Why the node has no address that an overlay address can be made of; None if it has one."""
    address = address_of(settings, node)
    if address is None:
        problem = f"the Node {settings.node_name} has no usable InternalIP"
    elif address.version == 6:
        problem = f"{address} is IPv6, and an overlay address is made of an IPv4 one"
    else:
        return None
    return State(StateName.NO_INTERNAL_IP, f"{problem}: give one with --node-ip")


def _carried(node: Node) -> Pods:
    return tuple(p for p in node.pod_cidrs if isinstance(p, IPv4Network))


def _of_node(settings: Settings, node: Node, pods: Pods) -> Iterator[str]:
    address = address_of(settings, node)
    if address is not None:
        yield from _addresses(settings, "the node's own address", [address], ())
    for prefix in pods:
        if not inside(prefix, settings.pods):
            networks = ", ".join(map(str, settings.pods))
            yield (
                f"our Node's podCIDR {prefix} lies outside {networks}: "
                "give a --pod-cidr that contains it"
            )


def _addresses(
    settings: Settings, what: str, addresses: Iterable[IPAddress], own: Pods
) -> Iterator[str]:
    """Those that lie inside a network of ours and are not our own pods'."""
    for address in sorted({unmapped(a) for a in addresses}, key=lambda a: (a.version, int(a))):
        network = network_of(address, settings.networks)
        if network is not None and network_of(address, own) is None:
            yield f"{what} {address} lies inside {network}: {_way_out(settings, network)}"


def _gateways(settings: Settings, observed: Observed) -> Iterator[IPAddress]:
    for route in observed.routes:
        ours = route.protocol == PROTOCOL or route.link == settings.wg_dev
        if route.gateway is not None and not ours:
            yield route.gateway


def _connected(settings: Settings, observed: Observed, own: Pods) -> Iterator[str]:
    """The networks of the machine's other links, except those of our own pods."""
    for address in sorted(observed.addresses, key=lambda a: (a.link, str(a.interface))):
        link = observed.links.get(address.link)
        connected = address.interface.network
        if (
            address.link == settings.wg_dev
            or (link is not None and link.loopback)
            or not isinstance(connected, IPv4Network)
            or connected.is_link_local
            or inside(connected, own)
        ):
            continue
        for network in settings.networks:
            if network.overlaps(connected):
                yield (
                    f"the network {connected} of {address.link} overlaps {network}: "
                    f"{_way_out(settings, network)}"
                )


def _way_out(settings: Settings, network: IPv4Network) -> str:
    option = "--overlay-cidr" if network == settings.overlay else "--pod-cidr"
    return f"choose another {option}"
