"""Reading what a Node claims: hostile text to values, more strictly than `ipaddress` alone.

Everything that another program might read differently is refused: netmasks in place of a prefix
length, zones, leading zeros, host bits in a network, blanks. Each function raises `ValueError`
whose message is a reason for people and does not repeat the text.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from overlayd.model.node import Endpoint, IPAddress, IPNetwork

MOST_ENTRIES = 32
"""How many entries a list may have. A Node has two families; more is an attack on our time."""

_LONGEST = 64  # characters; the longest endpoint, with IPv6 and a port, has 53
_PREFIX_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_MAPPED = 96  # prefix length of ::ffff:0:0/96, the IPv6 form of all IPv4 addresses
_MULTICAST = range(224, 240)  # first octets
_BROADCAST = 0xFFFFFFFF


def read_address(text: str) -> IPAddress:
    """Read an address. The IPv6 form of an IPv4 address is that IPv4 address."""
    if ":" not in text:
        return _ipv4(text)
    address = _ipv6(text)
    return address.ipv4_mapped or address


def read_ipv4_address(text: str) -> IPv4Address:
    """Read an address that must be an IPv4 one."""
    address = read_address(text)
    if not isinstance(address, IPv4Address):
        raise ValueError("not an IPv4 address")
    return address


def read_host_address(text: str) -> IPAddress:
    """Read an address that other machines can send to."""
    address = read_address(text)
    if isinstance(address, IPv4Address):
        number = int(address)
        first = number >> 24
        dialled = first not in (0, 127) and first not in _MULTICAST and number != _BROADCAST
    else:
        dialled = not (
            address.is_unspecified
            or address.is_loopback
            or address.is_multicast
            or address.is_link_local
        )
    if not dialled:
        raise ValueError("not an address that other machines can dial")
    return address


def read_network(text: str) -> IPNetwork:
    """Read a network in CIDR notation, without host bits."""
    base, slash, length = text.partition("/")
    if not slash or not _PREFIX_LENGTH.fullmatch(length):
        raise ValueError("not in CIDR notation")
    bits = int(length)
    if ":" not in base:
        return IPv4Network(_checked(_ipv4(base), bits))
    address = _ipv6(base)
    if address.ipv4_mapped is not None and bits >= _MAPPED:
        return IPv4Network(_checked(address.ipv4_mapped, bits - _MAPPED))
    return IPv6Network(_checked(address, bits))


def read_endpoint(text: str) -> Endpoint:
    """Read `address:port` or `[v6]:port`."""
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError("not an address and a port between 1 and 65535")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed != (":" in host):
        raise ValueError("not address:port, nor [address]:port for IPv6")
    return Endpoint(read_host_address(host[1:-1] if bracketed else host), int(port))


def split_list(text: str) -> list[str]:
    """Split a comma-separated list; spaces after a comma are allowed, nothing else is."""
    first, *others = text.split(",", MOST_ENTRIES)
    if len(others) >= MOST_ENTRIES:
        raise ValueError(f"a list of more than {MOST_ENTRIES} entries")
    return [first, *(entry.lstrip(" ") for entry in others)]


def _ipv4(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise ValueError("not an IP address") from None


def _ipv6(text: str) -> IPv6Address:
    if "%" in text:
        raise ValueError("an address with a zone, which only means something on its own machine")
    try:
        if len(text) <= _LONGEST:
            return IPv6Address(text)
    except ValueError:
        pass
    raise ValueError("not an IP address")


def _checked(address: IPAddress, bits: int) -> tuple[int, int]:
    """A network's number and prefix length, once the length fits and no host bit is set."""
    number, longest = int(address), address.max_prefixlen
    if bits > longest:
        raise ValueError(f"a prefix longer than {longest} bits")
    if number & ((1 << (longest - bits)) - 1):
        raise ValueError("a network with host bits")
    return number, bits
