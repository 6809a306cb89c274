"""Which of the kernel's announcements concern us. Pure: bytes in, reasons out.

Every pod that starts or stops makes links, addresses and routes, so that almost everything that is
announced is none of our business, and is told by a few bytes at fixed places.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from socket import AF_INET

from overlayd.model.machine import PROTOCOL
from overlayd.netlink import rtnetlink as rt

_HOST = 32  # the prefix length of a route to one pod


class Announcements:
    """Looks for our link, addresses on it, and routes and rules of ours or in our way.

    `index` is that of our link, None where there is none: addresses are announced by it alone. It
    is learnt from what is announced, and set by who knows better.
    """

    def __init__(self, wg_dev: str, networks: Iterable[IPv4Network]) -> None:
        self._wg_dev = wg_dev
        self._networks = tuple(networks)
        self.index: int | None = None

    def concerns(self, data: bytes) -> Iterator[str]:
        """Say what happened to things of ours, in order. `data` is what one read gave.

        It is to be read to its end. Bytes that are no announcement are none of ours.
        """
        for kind, _, body in rt.messages(data):
            reason = self._concern(kind, body)
            if reason is not None:
                yield reason

    def _concern(self, kind: int, body: bytes) -> str | None:
        match kind:
            case rt.NEWLINK | rt.DELLINK if len(body) >= rt.LINK.size:
                return self._link(kind, body)
            case rt.NEWADDR | rt.DELADDR if len(body) >= rt.ADDRESS.size:
                return self._address(kind, body)
            case rt.NEWROUTE | rt.DELROUTE if len(body) >= rt.ROUTE.size:
                return self._route(kind, body)
            case rt.NEWRULE | rt.DELRULE if len(body) >= rt.RULE.size:
                return self._rule(kind, body)
        return None

    def _link(self, kind: int, body: bytes) -> str | None:
        _, index, _ = rt.LINK.unpack_from(body)
        named = _first(body, rt.LINK.size, rt.IFLA_IFNAME)
        ours = named is not None and rt.text(named) == self._wg_dev
        if not ours and index != self.index:
            return None
        if kind == rt.DELLINK:
            self.index = None
            return f"{self._wg_dev} was removed"
        if not ours:
            self.index = None
            return f"{self._wg_dev} was renamed"
        self.index = index
        return f"{self._wg_dev} changed"

    def _address(self, kind: int, body: bytes) -> str | None:
        _, _, index = rt.ADDRESS.unpack_from(body)
        if index != self.index:
            return None
        return f"an address of {self._wg_dev} was {_verb(kind, rt.NEWADDR)}"

    def _route(self, kind: int, body: bytes) -> str | None:
        """Ours, or one to a network that overlaps ours; the route to one pod comes and goes.

        Where our link goes down or away, the kernel removes routes and announces none of them.
        """
        family, length, table, protocol, _, _ = rt.ROUTE.unpack_from(body)
        if family != AF_INET or table != rt.TABLE_MAIN or length > _HOST:
            return None
        if protocol != PROTOCOL and length in (0, _HOST):
            return None
        raw = _first(body, rt.ROUTE.size, rt.RTA_DST) or bytes(4)
        if len(raw) != 4:
            return None
        destination = IPv4Network((IPv4Address(raw), length), strict=False)
        if protocol != PROTOCOL and not any(destination.overlaps(n) for n in self._networks):
            return None
        return f"a route to {destination} was {_verb(kind, rt.NEWROUTE)}"

    def _rule(self, kind: int, body: bytes) -> str | None:
        """Ours only: there is nothing that a pass could do about those of others."""
        if _first(body, rt.RULE.size, rt.FRA_PROTOCOL) != bytes((PROTOCOL,)):
            return None
        return f"a rule of ours was {_verb(kind, rt.NEWRULE)}"


def _first(body: bytes, offset: int, wanted: int) -> bytes | None:
    return next((value for kind, value in rt.attributes(body, offset) if kind == wanted), None)


def _verb(kind: int, addition: int) -> str:
    return "added" if kind == addition else "removed"
