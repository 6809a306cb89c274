"""The MTU of the device: that of the way to the peers, less what WireGuard adds."""

from collections.abc import Iterable, Mapping

from overlayd.model.machine import Observed
from overlayd.model.node import IPAddress
from overlayd.model.settings import MTU_RANGE, Settings
from overlayd.plan.overlay import inside, unmapped

OVERHEAD = 80  # bytes: IPv6 40, UDP 8, WireGuard 32 (16 around the packet, 16 for its tag)

_Place = tuple[int, int, int]  # IP version, prefix length, that many leading bits


def wanted_mtu(
    settings: Settings, observed: Observed, endpoints: Iterable[IPAddress], *, of_all: bool = True
) -> int | None:
    """What the device's MTU should be; None where nothing tells.

    The narrowest of the ways to the peers' endpoints counts; without a peer, the default route's,
    but not where there are others than these (`of_all`).
    """
    if settings.mtu is not None:
        return settings.mtu
    ways = _Ways(settings, observed)
    found = {mtu for address in endpoints if (mtu := ways.mtu_to(address)) is not None}
    narrowest = min(found) if found else ways.default() if of_all else None
    return None if narrowest is None else max(MTU_RANGE.start, narrowest - OVERHEAD)


def ways(settings: Settings, observed: Observed) -> Mapping[_Place, int]:
    """All that the machine's routes and links have to do with the MTU."""
    return _Ways(settings, observed).mtu


class _Ways:
    """The MTU of each route of the main table that leaves the machine, found by longest prefix."""

    def __init__(self, settings: Settings, observed: Observed) -> None:
        self.mtu: dict[_Place, int] = {}
        best: dict[_Place, int] = {}
        for route in observed.routes:
            link = observed.links.get(route.link)
            if link is None or link.loopback or link.name == settings.wg_dev:
                continue
            net = route.destination
            if inside(net, settings.networks):
                continue  # no endpoint lies there, and pods' routes come and go
            place = _place(net.network_address, net.prefixlen)
            mtu = min(link.mtu, route.mtu) if route.mtu else link.mtu
            metric = best.get(place, route.metric)
            if route.metric < metric:
                self.mtu[place] = mtu
            elif route.metric == metric:  # several hops: any of them may be taken
                self.mtu[place] = min(mtu, self.mtu.get(place, mtu))
            best[place] = min(metric, route.metric)
        self._lengths = sorted({(v, length) for v, length, _ in self.mtu}, reverse=True)

    def mtu_to(self, to: IPAddress) -> int | None:
        address = unmapped(to)
        for version, length in self._lengths:
            if version == address.version:
                mtu = self.mtu.get(_place(address, length))
                if mtu is not None:
                    return mtu
        return None

    def default(self) -> int | None:
        return self.mtu.get((4, 0, 0), self.mtu.get((6, 0, 0)))


def _place(address: IPAddress, length: int) -> _Place:
    return (address.version, length, int(address) >> (address.max_prefixlen - length))
