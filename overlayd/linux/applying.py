"""Makes changes to links, addresses, routes and rules, over pyroute2."""

import errno
import os
import socket
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any, assert_never

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from overlayd.linux.reading import read_links, read_routes, read_rules
from overlayd.model.changes import (
    AddAddress,
    AddRule,
    BringUp,
    RemoveAddress,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    SetAlias,
    SetMtu,
    SetRoute,
)
from overlayd.model.errors import NetworkError
from overlayd.model.machine import ALIAS, PROTOCOL, OwnedRule, Route, Rule, RuleKind
from overlayd.netlink.conversation import netlink
from overlayd.netlink.rtnetlink import DELRULE, NEWRULE, TABLE_MAIN, UNICAST

NetlinkChange = (
    AddRule
    | RemoveRule
    | RemoveLink
    | SetAlias
    | SetMtu
    | BringUp
    | AddAddress
    | RemoveAddress
    | SetRoute
    | RemoveRoute
)

_ON_LINK, _GLOBAL, _ANY = 253, 0, 255  # rtm_scope; RT_SCOPE_NOWHERE matches any when deleting

_CREATE = 0x1 | 0x4 | 0x400  # NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE

# What the kernel answers where nothing is left to do.
_REMOVALS = RemoveRule | RemoveLink | RemoveAddress | RemoveRoute
_EXISTS = (errno.EEXIST,)
_GONE = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)

# The kernel opens its sockets only when the link comes up, and then does not say what is in use.
_PORT_IN_USE = "the UDP port that it listens on is in use by another process"


def make(change: NetlinkChange) -> str | None:
    """Make the change; answer None, or what went wrong in words."""
    done: tuple[int, ...] = ()
    if isinstance(change, AddAddress):
        done = _EXISTS
    elif isinstance(change, _REMOVALS):
        done = _GONE
    try:
        # Opened for each change: a socket that met an error stays broken, and belongs to a thread.
        with IPRoute(ext_ack=True) as kernel:
            _make(kernel, change)
    except NetlinkError as error:
        if isinstance(change, BringUp) and error.code == errno.EADDRINUSE:
            return _PORT_IN_USE
        return None if error.code in done else explained(error.code, str(error.args[-1]))
    except OSError as error:
        return None if error.errno in done else explained(error.errno or 0)
    except NetworkError as error:
        return str(error)
    return None


def explained(code: int, detail: str = "") -> str:
    """An error number by its name and meaning, and what the kernel says about it."""
    meaning = os.strerror(code)
    said = f": {detail}" if detail and detail != meaning else ""
    return f"{errno.errorcode.get(code, code)} ({meaning}){said}"


def _make(kernel: Any, change: NetlinkChange) -> None:
    match change:
        case AddRule(rule=rule):
            _add_rule(kernel, rule)
        case RemoveRule(owned=owned):
            _remove_rule(owned)
        case RemoveLink(link=link):
            kernel.link("del", index=_index(link))
        case SetAlias(link=link):
            kernel.link("set", index=_index(link), ifalias=ALIAS)
        case SetMtu(link=link, mtu=mtu):
            kernel.link("set", index=_index(link), mtu=mtu)
        case BringUp(link=link):
            kernel.link("set", index=_index(link), state="up")
        case AddAddress(link=link, interface=interface):
            kernel.addr("add", index=_index(link), **_address(interface))
        case RemoveAddress(link=link, interface=interface):
            kernel.addr("del", index=_index(link), **_address(interface))
        case SetRoute(route=route):
            _set_route(kernel, route)
        case RemoveRoute(route=route):
            kernel.route("del", **{**_route(route), "scope": _ANY})
        case _:
            assert_never(change)


def _index(link: str) -> int:
    try:
        return socket.if_nametoindex(link)
    except OSError:  # which carries no number
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV)) from None


def _add_rule(kernel: Any, rule: Rule) -> None:
    """Add it unless it is there, which the kernel's own check (NLM_F_EXCL) cannot tell.

    The kernel takes a rule of our protocol that is narrower by its source for this one.
    """
    with netlink() as reader:
        exists = any(owned.rule == rule for owned in read_rules(reader))
    if not exists:
        kernel.rule((NEWRULE, _CREATE), **_rule(rule))


def _rule(rule: Rule) -> dict[str, object]:
    made: dict[str, object] = {
        "family": socket.AF_INET,
        "dst": str(rule.network.network_address),
        "dst_len": rule.network.prefixlen,
        "priority": rule.priority,
        "protocol": PROTOCOL,
    }
    if rule.kind is RuleKind.KEEP_IN:
        return made | {"table": TABLE_MAIN, "suppress_prefixlen": rule.network.prefixlen - 1}
    return made | {"action": "unreachable"}


def _remove_rule(owned: OwnedRule) -> None:
    """Send the rule back as it was read: pyroute2 would leave out what it does not know."""
    if not isinstance(owned.handle, bytes):
        raise NetworkError("this rule was not read from the kernel")
    with netlink() as kernel:
        kernel.request(DELRULE, owned.handle)


def _address(interface: IPv4Interface | IPv6Interface) -> dict[str, object]:
    return {
        "family": socket.AF_INET if interface.version == 4 else socket.AF_INET6,
        "address": str(interface.ip),
        "prefixlen": interface.network.prefixlen,
    }


def _set_route(kernel: Any, route: Route) -> None:
    """Replace only what is ours: the kernel would replace a foreign route as well."""
    wanted = _route(route)
    try:
        kernel.route("add", **wanted)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
        _refuse_foreign(route)
        kernel.route("replace", **wanted)


def _refuse_foreign(route: Route) -> None:
    with netlink() as kernel:
        same = [
            r
            for r in read_routes(kernel, read_links(kernel), of_kind=0)
            if r.destination == route.destination and r.metric == route.metric
        ]
    if not same or any(r.protocol != PROTOCOL and r.link != route.link for r in same):
        raise NetworkError(
            f"a route to {route.destination} that is not ours is in the way: remove it with "
            f"`ip route del {route.destination} metric {route.metric}`"
        )


def _route(route: Route) -> dict[str, object]:
    made: dict[str, object] = {
        "family": socket.AF_INET if route.destination.version == 4 else socket.AF_INET6,
        "dst": str(route.destination),
        "table": TABLE_MAIN,
        "proto": PROTOCOL,
        "type": UNICAST,
        "scope": _GLOBAL if route.gateway else _ON_LINK,
    }
    if route.link:
        made["oif"] = _index(route.link)
    if route.gateway is not None:
        made["gateway"] = str(route.gateway)
    if route.source is not None:
        made["prefsrc"] = str(route.source)
    if route.metric:
        made["priority"] = route.metric
    if route.mtu:
        made["metrics"] = {"mtu": route.mtu}
    return made
