"""The bytes of the kernel's WireGuard, linux/wireguard.h: what it is asked and answers. Pure.

A conversation is one of generic netlink with the family `wireguard`. pyroute2 packs and decodes
the same, but its encoder and decoder need twenty times the processor time of the kernel's part.
"""

import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import groupby
from socket import AF_INET, AF_INET6

from overlayd.model.errors import TunnelError
from overlayd.model.keys import LENGTH, PrivateKey, PublicKey
from overlayd.model.machine import Peer
from overlayd.model.node import Endpoint, IPNetwork
from overlayd.netlink.rtnetlink import attribute, attributes
from overlayd.tunnel.reading import Reading, read
from overlayd.tunnel.requests import DeviceStep, PeerStep, Step

# linux/genetlink.h
CONTROL_FAMILY = 16
_GENERIC = struct.Struct("=BBxx")  # genlmsghdr: command, version
_GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 3, 1, 2

# linux/wireguard.h
_GET_DEVICE, _SET_DEVICE = 0, 1
_IFNAME, _PRIVATE_KEY, _LISTEN_PORT, _PEERS = 2, 3, 6, 8
_KEY, _PRESHARED, _FLAGS, _ENDPOINT, _KEEPALIVE = 1, 2, 3, 4, 5
_HANDSHAKE, _RECEIVED, _SENT, _ALLOWED = 6, 7, 8, 9
_REMOVE, _EXISTING = 1, 4
_FAMILY, _ADDRESS, _LENGTH = 1, 2, 3

_NESTED = 0x8000  # linux/netlink.h: NLA_F_NESTED
_U16, _U32, _U64 = struct.Struct("=H"), struct.Struct("=I"), struct.Struct("=Q")
_TIME = struct.Struct("=qq")  # __kernel_timespec: seconds, nanoseconds
# sockaddr_in: family, port, address; sockaddr_in6: family, port, flow, address, zone
_IN, _IN6 = struct.Struct("=H2s4s8x"), struct.Struct("=H2s4x16sI")
# A nested attribute of three: family, address, prefix length.
_PREFIX = struct.Struct("=HH HHHxx HH4s HHBxxx")
_PREFIX6 = struct.Struct("=HH HHHxx HH16s HHBxxx")
_NO_KEY = bytes(LENGTH)
_PEER_BEGINS = struct.pack("=HH", 4 + LENGTH, _KEY)
# How the kernel tells a prefix of IPv4, 24 bytes in this order: length, family, address. Anything
# else is read as it comes, more slowly.
_LENGTH_FIRST = struct.pack("=HH", 5, _LENGTH)
_IPV4_LAST = struct.pack("=HHHxxHH", 6, _FAMILY, AF_INET, 8, _ADDRESS)

FULL = 60_000
"""Bytes of peers in one message: the attribute that holds them has no more than 65,535."""

_PREFIXES = 1_000
"""Prefixes in one attribute, which holds at most 40 bytes of each."""

FIND_FAMILY = _GENERIC.pack(_GET_FAMILY, 1) + attribute(_FAMILY_NAME, b"wireguard\0")
"""Asks CONTROL_FAMILY for the number of the family. The kernel loads the module for it."""


def family_in(answer: bytes) -> int:
    """The number of the family in the answer to FIND_FAMILY.

    :raises TunnelError: it is none.
    """
    return _number(dict(attributes(answer, _GENERIC.size)).get(_FAMILY_ID, b""), _U16, "family")


# --- what it is asked ---


def get(link: str) -> bytes:
    """Asks for the whole device; there is no way to ask for one peer."""
    return _GENERIC.pack(_GET_DEVICE, 1) + _named(link)


def requests(link: str, steps: Iterable[Step]) -> Iterator[bytes]:
    """The messages that make these steps, in their order, each full of peers."""
    head = _GENERIC.pack(_SET_DEVICE, 1) + _named(link)
    for of_device, group in groupby(steps, key=lambda step: isinstance(step, DeviceStep)):
        if of_device:
            yield from (head + _device(step) for step in group if isinstance(step, DeviceStep))
        else:
            told = (t for step in group if isinstance(step, PeerStep) for t in _told(step))
            yield from (head + attribute(_PEERS | _NESTED, peers) for peers in _full(told))


def _full(told: Iterable[bytes]) -> Iterator[bytes]:
    """Put as much together as fits into one message."""
    peers: list[bytes] = []
    size = 0
    for peer in told:
        if peers and size + len(peer) > FULL:
            yield b"".join(peers)
            peers, size = [], 0
        peers.append(peer)
        size += len(peer)
    if peers:
        yield b"".join(peers)


def can_dial(endpoint: Endpoint | None) -> bool:
    """Whether an endpoint can be told at all: a zone is a number there."""
    zone = _zone(endpoint.address) if endpoint is not None else ""
    return not zone or (zone.isascii() and zone.isdigit() and len(zone) < 10)


def _named(link: str) -> bytes:
    return attribute(_IFNAME, link.encode("utf-8", "surrogateescape") + b"\0")


def _device(step: DeviceStep) -> bytes:
    key = attribute(_PRIVATE_KEY, step.key.raw) if step.key is not None else b""
    port = attribute(_LISTEN_PORT, _U16.pack(step.port)) if step.port is not None else b""
    return key + port


def _told(step: PeerStep) -> Iterator[bytes]:
    """A peer as one attribute, or as several where it has thousands of prefixes.

    Its list is never replaced, which would leave the peer without its prefixes for a while.
    """
    prefixes = [_prefix(prefix) for prefix in step.prefixes]
    flags = _REMOVE * step.remove | _EXISTING * step.existing
    more = b"" if step.endpoint is None else _endpoint(step.endpoint)
    if step.keepalive is not None:
        more += attribute(_KEEPALIVE, _U16.pack(step.keepalive))
    if step.no_preshared_key:
        more += attribute(_PRESHARED, _NO_KEY)
    for place in range(0, len(prefixes) or 1, _PREFIXES):
        told = _PEER_BEGINS + step.key.raw
        if flags:
            told += attribute(_FLAGS, _U32.pack(flags))
        if prefixes:
            listed = b"".join(prefixes[place : place + _PREFIXES])
            told += attribute(_ALLOWED | _NESTED, listed)
        yield attribute(_NESTED, told + more)
        flags, more = _EXISTING, b""


def _prefix(prefix: IPNetwork) -> bytes:
    address = prefix.network_address.packed
    kind, family = (_PREFIX, AF_INET) if len(address) == 4 else (_PREFIX6, AF_INET6)
    head = (kind.size, _NESTED, 6, _FAMILY, family)
    return kind.pack(*head, 4 + len(address), _ADDRESS, address, 5, _LENGTH, prefix.prefixlen)


def _endpoint(endpoint: Endpoint) -> bytes:
    port, address = endpoint.port.to_bytes(2, "big"), endpoint.address
    if isinstance(address, IPv4Address):
        return attribute(_ENDPOINT, _IN.pack(AF_INET, port, address.packed))
    zone = int(_zone(address) or 0)
    return attribute(_ENDPOINT, _IN6.pack(AF_INET6, port, address.packed, zone))


def _zone(address: IPv4Address | IPv6Address) -> str:
    return (address.scope_id or "") if isinstance(address, IPv6Address) else ""


# --- what it answers ---


def parse(answer: Iterable[bytes], before: Reading | None = None) -> Reading:
    """Read the messages that answer `get`. Attributes that we do not know are ignored.

    A peer whose prefixes do not fit into one message goes on in the next: what is told of one key
    is put together. A peer under the all-zero key is left out, as in `uapi.parse`.

    :raises TunnelError: naming what is malformed, never showing it: it could be the private key.
    """
    key, port = None, 0
    told: dict[bytes, bytes] = {}
    for message in answer:
        for kind, value in attributes(message, _GENERIC.size):
            if kind == _PEERS:
                for _, block in attributes(value, 0):
                    peer = _name(block)
                    told[peer] = told[peer] + block if peer in told else block
            elif kind == _PRIVATE_KEY:
                key = PrivateKey(value) if any(_key(value, "private key")) else None
            elif kind == _LISTEN_PORT:
                port = _number(value, _U16, "port")
    return read(key, port, told.values(), _peer, before)


def _name(block: bytes) -> bytes:
    """The key of a peer: the kernel tells it first."""
    if block.startswith(_PEER_BEGINS):
        return _key(block[4 : 4 + LENGTH], "public key")
    return _key(dict(attributes(block, 0)).get(_KEY, b""), "public key")


def _peer(block: bytes) -> Peer | None:
    raw = _name(block)
    if not any(raw):
        return None
    values: dict[int, bytes] = {}
    allowed: list[IPNetwork] = []
    for kind, value in attributes(block, 0):
        if kind == _ALLOWED:
            allowed += [_network(told) for _, told in attributes(value, 0)]
        else:
            values[kind] = value
    none = bytes(16)
    dialled, at = values.get(_ENDPOINT), values.get(_HANDSHAKE, none)
    seconds, nanoseconds = _TIME.unpack(_of_size(at, _TIME.size, "handshake"))
    return Peer(
        key=PublicKey(raw),
        endpoint=None if dialled is None else _address(dialled),
        allowed_ips=frozenset(allowed),
        last_handshake=seconds + nanoseconds / 1e9 if seconds or nanoseconds else None,
        sent=_number(values.get(_SENT, none[:8]), _U64, "counter"),
        received=_number(values.get(_RECEIVED, none[:8]), _U64, "counter"),
        keepalive=_number(values.get(_KEEPALIVE, none[:2]), _U16, "keepalive"),
        preshared=any(_key(values.get(_PRESHARED, _NO_KEY), "preshared key")),
    )


def _network(told: bytes) -> IPNetwork:
    try:
        if told[:4] == _LENGTH_FIRST and told[8:20] == _IPV4_LAST:
            return IPv4Network((told[20:24], told[4]))
        found = dict(attributes(told, 0))
        address = found.get(_ADDRESS, b"")
        (length,) = _of_size(found.get(_LENGTH, b""), 1, "allowed IP")
        return (
            IPv4Network((address, length)) if len(address) == 4 else IPv6Network((address, length))
        )
    except ValueError:
        raise _malformed("allowed IP") from None


def _address(told: bytes) -> Endpoint:
    """The IPv6 zone is a number: a name would have to be looked up, and may be another by then."""
    if len(told) == _IN.size:
        _, port, raw = _IN.unpack(told)
        return Endpoint(IPv4Address(raw), int.from_bytes(port, "big"))
    _, port, raw, zone = _IN6.unpack(_of_size(told, _IN6.size, "endpoint"))
    address = IPv6Address(raw)
    return Endpoint(
        IPv6Address(f"{address}%{zone}") if zone else address, int.from_bytes(port, "big")
    )


def _key(value: bytes, what: str) -> bytes:
    return _of_size(value, LENGTH, what)


def _number(value: bytes, kind: struct.Struct, what: str) -> int:
    return int(kind.unpack(_of_size(value, kind.size, what))[0])


def _of_size(value: bytes, size: int, what: str) -> bytes:
    if len(value) != size:
        raise _malformed(what)
    return value


def _malformed(what: str) -> TunnelError:
    return TunnelError(f"the kernel's answer has a malformed {what}")
