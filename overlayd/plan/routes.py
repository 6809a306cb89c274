"""The routes into the tunnel, and those of others that are in their way."""

from collections.abc import Iterator
from ipaddress import IPv4Network

from overlayd.model.changes import RemoveRoute, SetRoute
from overlayd.model.machine import PROTOCOL, Observed, Route
from overlayd.model.node import IPAddress, IPNetwork
from overlayd.model.prefix_index import PrefixIndex
from overlayd.model.settings import Settings
from overlayd.model.status import ForeignRoute
from overlayd.plan.ground import Ground
from overlayd.plan.holding import Holding
from overlayd.plan.overlay import inside


def set_routes(
    settings: Settings, there: Ground, source: IPAddress | None, keep_sources: bool = False
) -> Iterator[SetRoute]:
    """One route for each network, except where a foreign one is in its place.

    `keep_sources` is for when our overlay address is not known: a route that is there keeps its
    source then, and a new one gets `source`, if that.
    """
    for network in settings.networks:
        wanted = _wanted(settings, network, source)
        found = [r for r in there.routes if r.destination == network and r.metric == 0]
        ours = [r for r in found if r.link == settings.wg_dev]
        if any(_is_right(r, wanted, keep_sources) for r in found):
            continue
        if any(_is_foreign(settings, r) for r in found):
            continue
        yield SetRoute(wanted, "it differed" if ours else "missing")


def remove_routes(
    settings: Settings, there: Ground, source: IPAddress | None, keep_sources: bool = False
) -> Iterator[RemoveRoute]:
    """Routes of our protocol number that we do not want, except those that `set_routes` replaces.

    One with a wrong source beside a foreign one stays: it may be all that keeps traffic in.
    """
    setting = set_routes(settings, there, source, keep_sources)
    replaced = {change.route.destination for change in setting}
    for route in sorted((r for r in there.routes if r.protocol == PROTOCOL), key=str):
        if route.metric == 0 and route.destination in replaced:
            continue
        if route.destination not in settings.networks:
            yield RemoveRoute(route, "no option names its network")
        elif route.link != settings.wg_dev or route.metric != 0 or route.gateway is not None:
            yield RemoveRoute(route, "it does not lead into the tunnel as ours do")


def foreign_routes(
    settings: Settings, observed: Observed, given: Holding, own: tuple[IPNetwork, ...]
) -> tuple[ForeignRoute, ...]:
    """Routes that are not ours and take, or would take, what belongs into the tunnel.

    `given` is what the peers of other Nodes get; `own` are our own podCIDRs, whose routes lead to
    our own pods.
    """
    near = near_routes(settings, observed, own)
    if not near:
        return ()
    peers = PrefixIndex.of((p, name) for name, found in given.items() for p in found)
    named = []
    for route in sorted(near, key=str):
        if route.destination in settings.networks:
            before = "takes all of its traffic" if route.metric == 0 else "would take its traffic"
            named.append(ForeignRoute(route, f"{before} past the tunnel"))
        elif taken := peers.other_than("", route.destination):
            named.append(ForeignRoute(route, f"takes traffic for {taken[0]} of {taken[1]}"))
    return tuple(named)


def near_routes(
    settings: Settings, observed: Observed, own: tuple[IPNetwork, ...]
) -> frozenset[Route]:
    """Routes that are not ours, inside the networks and outside our own podCIDRs."""
    return frozenset(
        route
        for route in observed.routes
        if _is_foreign(settings, route)
        and inside(route.destination, settings.networks)
        and not inside(route.destination, own)
    )


def _wanted(settings: Settings, network: IPv4Network, source: IPAddress | None) -> Route:
    return Route(network, settings.wg_dev, source=source, protocol=PROTOCOL)


def _is_right(route: Route, wanted: Route, keep_source: bool) -> bool:
    return (route.link, route.protocol, route.gateway) == (wanted.link, PROTOCOL, None) and (
        keep_source or route.source == wanted.source
    )


def _is_foreign(settings: Settings, route: Route) -> bool:
    return route.protocol != PROTOCOL and route.link != settings.wg_dev
