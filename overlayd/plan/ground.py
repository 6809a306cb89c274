"""What of the machine is ours to build on, and whether a link under our name is."""

from ipaddress import IPv4Interface, IPv6Interface

from attrs import frozen

from overlayd.model.machine import ALIAS, PROTOCOL, Device, Link, Observed, Route
from overlayd.model.settings import Settings, TunnelKind
from overlayd.model.status import State, StateName

NO_DEVICE = Device(public_key=None, listen_port=0, peers={})


@frozen
class Ground:
    """What there is once a device that has to be made is there: then it is new and empty.

    `link` is None where it has to be made. `dead` is whether a link of ours without a process
    stands in the place of it. `adopted` is whether it is another's until this plan is carried out.
    """

    link: Link | None
    device: Device
    addresses: frozenset[IPv4Interface | IPv6Interface]
    routes: frozenset[Route]
    dead: bool = False
    adopted: bool = False


def ground(settings: Settings, observed: Observed) -> Ground | None:
    """What to build on; None where the link under our name belongs to somebody else."""
    link = observed.links.get(settings.wg_dev)
    adopted = False
    if link is not None and not is_ours(link, observed):
        if not settings.adopt or _why_not_adopted(settings, link, observed):
            return None
        adopted = True
    if link is not None and observed.device is not None:
        addresses = observed.addresses_of(link.name)
        return Ground(link, observed.device, addresses, observed.routes, adopted=adopted)
    staying = frozenset(r for r in observed.routes if r.link != settings.wg_dev)
    return Ground(None, NO_DEVICE, frozenset(), staying, dead=link is not None)


def is_ours(link: Link, observed: Observed) -> bool:
    """Whether a link under our name is ours, be it only half made."""
    return _is_marked(link, observed) or _is_half_made(link, observed)


def foreign_device(settings: Settings, observed: Observed) -> State:
    """What to say where there is nothing to build on, with every way out."""
    name = settings.wg_dev
    obstacle = _why_not_adopted(settings, observed.links[name], observed)
    if not obstacle:
        ways = "take it over with --adopt if wg-overlay made it, or choose another --wg-dev"
    elif settings.adopt:
        ways = f"--adopt cannot take it over, for {obstacle}: choose another --wg-dev"
    else:
        ways = "choose another --wg-dev"
    return State(StateName.FOREIGN_DEVICE, f"the link {name} is not ours and is left alone: {ways}")


def something_is_ours(settings: Settings, observed: Observed) -> bool:
    """Whether a daemon of ours has worked on this machine since it started.

    A bare link under our name does not tell: the tunnel of another process has one from its start.
    """
    link = observed.links.get(settings.wg_dev)
    return bool(
        (link is not None and _is_marked(link, observed))
        or observed.rules
        or any(route.protocol == PROTOCOL for route in observed.routes)
    )


def other_tunnel(settings: Settings, observed: Observed) -> State | None:
    """What to say where our device is not of the kind that `--tunnel` names; None if it is.

    To change the kind is to end every session, so it is never done without being asked for. One
    that works is kept right all the same: its peers follow the cluster, its rules are put back.
    """
    link = observed.links.get(settings.wg_dev)
    kind = TunnelKind.of_link(link.kind) if link is not None else None
    if kind is None or settings.tunnel.takes(kind):
        return None
    return State(
        StateName.OTHER_TUNNEL,
        f"the device {settings.wg_dev} is of --tunnel {kind.value} and is kept: to change "
        f"to {settings.tunnel.value} run overlayctl teardown first and restart overlayd, which "
        f"ends every session; else use --tunnel {kind.value} or auto",
    )


def has_worked(settings: Settings, observed: Observed) -> bool:
    """Whether the device under our name answers, and is one that we have made and marked."""
    link = observed.links.get(settings.wg_dev)
    return link is not None and link.alias == ALIAS and observed.device is not None


def _why_not_adopted(settings: Settings, link: Link, observed: Observed) -> str:
    """Why `--adopt` cannot take a link of somebody else's over; "" if it can."""
    kind = TunnelKind.of_link(link.kind)
    if kind is None:
        return "it is no WireGuard device"
    if not settings.tunnel.takes(kind):
        return f"it is of --tunnel {kind.value}, not {settings.tunnel.value}"
    if observed.device is None:
        return "no WireGuard that we can drive answers behind it"
    if observed.device.public_key is None:
        return "it has no key"
    for address in sorted(observed.addresses_of(link.name), key=str):
        if address.ip not in settings.overlay and not address.is_link_local:
            # wg-overlay gives it none: it is somebody's own VPN, whose peers would be removed.
            return f"its address {address} lies outside the overlay network {settings.overlay}"
    return ""


def _is_marked(link: Link, observed: Observed) -> bool:
    if link.alias == ALIAS:
        return True
    device, key = observed.device, observed.remembered
    return device is not None and key is not None and device.public_key == key


def _is_half_made(link: Link, observed: Observed) -> bool:
    """Whether it is one that we made and had no time to mark.

    It answers as a WireGuard device: a tun link without that is somebody's who is not there, or a
    device of the kernel, of which we would see neither key nor peers. The link-local address is
    the kernel's own doing.
    """
    device = observed.device
    return (
        TunnelKind.of_link(link.kind) is not None
        and link.alias == ""
        and device is not None
        and device.public_key is None
        and not device.peers
        and all(a.version == 6 and a.is_link_local for a in observed.addresses_of(link.name))
    )
