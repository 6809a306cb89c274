"""What the kernel's tables say, as values.

Tables are filtered by the kernel where it can, and by their fixed headers before anything else is
decoded: a machine may have hundreds of links and thousands of routes and rules.
"""

import struct
from collections.abc import Iterator, Mapping
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from socket import AF_INET, AF_INET6

from overlayd.model.machine import PROTOCOL, Address, Link, OwnedRule, Route, Rule, RuleKind
from overlayd.model.node import IPAddress
from overlayd.netlink import rtnetlink as rt
from overlayd.netlink.conversation import Netlink

# linux/if_link.h
_EXT_MASK, _IFALIAS, _MTU = 29, 20, 4
_SKIP_STATS = 1 << 3
_FLAG_UP, _FLAG_LOOPBACK = 0x1, 0x8
# linux/if_addr.h
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
# linux/rtnetlink.h
_OIF, _GATEWAY, _PRIORITY, _PREFSRC, _METRICS, _MULTIPATH, _VIA = 4, 5, 6, 7, 8, 9, 18
_RTAX_MTU = 2
_CLONED = 0x200
_NEXT_HOP = struct.Struct("=HBBi")  # rtnexthop: length, flags, weight, link
# linux/fib_rules.h
_FRA_DST, _FRA_PRIORITY, _FRA_SUPPRESS, _FRA_TABLE = 1, 6, 14, 15
_FRA_NARROWING = frozenset((2, 3, 10, 11, 12, 13, 16, 17, 19, 20, 22, 23, 24, 25))
_LOOKUP, _UNREACHABLE = 1, 7
_NOT_SUPPRESSED = 0xFFFFFFFF

_LINK_REQUEST = struct.pack("=16xHHI", 8, _EXT_MASK, _SKIP_STATS)
_PLAIN_REQUEST = 12  # bytes of rtmsg and of fib_rule_hdr


def read_links(kernel: Netlink) -> dict[int, Link]:
    """Every link, by its index."""
    return {link.index: link for link in map(_link, kernel.dump(rt.GETLINK, _LINK_REQUEST))}


def _link(body: bytes) -> Link:
    _, index, flags = rt.LINK.unpack_from(body)
    found = dict(rt.attributes(body, rt.LINK.size))
    info = dict(rt.attributes(found.get(rt.IFLA_LINKINFO, b""), 0))
    return Link(
        index=index,
        name=rt.text(found.get(rt.IFLA_IFNAME, b"")),
        kind=rt.text(info.get(rt.IFLA_INFO_KIND, b"")),
        alias=rt.text(found.get(_IFALIAS, b"")),
        mtu=rt.number(found.get(_MTU, b"")),
        up=bool(flags & _FLAG_UP),
        loopback=bool(flags & _FLAG_LOOPBACK),
    )


def read_addresses(kernel: Netlink, links: Mapping[int, Link]) -> Iterator[Address]:
    """The addresses of both families on the links that were read."""
    for body in kernel.dump(rt.GETADDR, bytes(rt.ADDRESS.size)):
        family, length, index = rt.ADDRESS.unpack_from(body)
        link = links.get(index)
        found = dict(rt.attributes(body, rt.ADDRESS.size))
        raw = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
        if link is None or raw is None:
            continue
        if family == AF_INET:
            yield Address(link.name, IPv4Interface((raw, length)))
        elif family == AF_INET6:
            yield Address(link.name, IPv6Interface((raw, length)))


def read_routes(
    kernel: Netlink, links: Mapping[int, Link], of_kind: int = rt.UNICAST
) -> Iterator[Route]:
    """The unicast routes of the main table. A multipath route is several, one for each hop.

    `of_kind` 0 reads those that lead nowhere too, such as a blackhole.
    """
    for wanted in (AF_INET, AF_INET6):
        request = struct.pack("=BBBBBBBBI", wanted, 0, 0, 0, rt.TABLE_MAIN, 0, 0, of_kind, 0)
        for body in kernel.dump(rt.GETROUTE, request):
            family, _, table, _, kind, flags = rt.ROUTE.unpack_from(body)
            found = (family, table, flags & _CLONED)
            if found == (wanted, rt.TABLE_MAIN, 0) and of_kind in (kind, 0):
                yield from _routes(body, links)


def _routes(body: bytes, links: Mapping[int, Link]) -> Iterator[Route]:
    family, length, _, protocol, _, _ = rt.ROUTE.unpack_from(body)
    found = dict(rt.attributes(body, rt.ROUTE.size))
    destination: IPv4Network | IPv6Network
    if family == AF_INET:
        destination = IPv4Network((found.get(rt.RTA_DST, bytes(4)), length))
    else:
        destination = IPv6Network((found.get(rt.RTA_DST, bytes(16)), length))
    source = found.get(_PREFSRC)
    metric = rt.number(found.get(_PRIORITY, b""))
    metrics = dict(rt.attributes(found.get(_METRICS, b""), 0))
    mtu = rt.number(metrics.get(_RTAX_MTU, b""))
    for index, gateway in _hops(found):
        link = links.get(index)
        yield Route(
            destination=destination,
            link=link.name if link else "",
            gateway=gateway,
            source=_address(source) if source else None,
            protocol=protocol,
            metric=metric,
            mtu=mtu,
        )


def _hops(found: Mapping[int, bytes]) -> Iterator[tuple[int, IPAddress | None]]:
    """The index of the link and the gateway of each hop."""
    several = found.get(_MULTIPATH)
    if several is None:
        yield rt.number(found.get(_OIF, b"")), _gateway(found)
        return
    while len(several) >= _NEXT_HOP.size:
        length, _, _, index = _NEXT_HOP.unpack_from(several)
        if length < _NEXT_HOP.size:
            return
        yield index, _gateway(dict(rt.attributes(several[:length], _NEXT_HOP.size)))
        several = several[(length + 3) & ~3 :]


def _gateway(found: Mapping[int, bytes]) -> IPAddress | None:
    """RTA_VIA has the gateway of another family, after two bytes that name the family."""
    raw = found.get(_GATEWAY) or found.get(_VIA, b"")[2:]
    return _address(raw) if raw else None


def _address(raw: bytes) -> IPAddress:
    return IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)


def read_rules(kernel: Netlink) -> Iterator[OwnedRule]:
    """The IPv4 rules of our protocol number, in the kernel's order, each as often as it is there.

    The handle is the rule as the kernel told it: sent back, it deletes this one and no other.
    """
    request = struct.pack("=B", AF_INET).ljust(_PLAIN_REQUEST, b"\0")
    for body in kernel.dump(rt.GETRULE, request):
        found = dict(rt.attributes(body, rt.RULE.size))
        if body[0] == AF_INET and found.get(rt.FRA_PROTOCOL) == bytes((PROTOCOL,)):
            yield OwnedRule(_rule(body, found), handle=body)


def _rule(body: bytes, found: Mapping[int, bytes]) -> Rule | None:
    """The rule, if it is one of the two that we make, in every respect."""
    _, length, source_length, tos, action, flags = rt.RULE.unpack_from(body)
    if source_length or tos or flags or _FRA_DST not in found or found.keys() & _FRA_NARROWING:
        return None
    network = IPv4Network((found[_FRA_DST], length))
    priority = rt.number(found.get(_FRA_PRIORITY, b""))
    table = rt.number(found.get(_FRA_TABLE, b""))
    suppress = rt.number(found.get(_FRA_SUPPRESS, b""))
    for rule, made in (
        (Rule(network, RuleKind.KEEP_IN), (_LOOKUP, rt.TABLE_MAIN, length - 1)),
        (Rule(network, RuleKind.REFUSE), (_UNREACHABLE, 0, _NOT_SUPPRESSED)),
    ):
        if priority == rule.priority and (action, table, suppress) == made:
            return rule
    return None
