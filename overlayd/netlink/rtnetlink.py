"""The bytes of rtnetlink, as rtnetlink(7) and linux/rtnetlink.h lay them out. Pure.

Reading is done here and not by pyroute2, whose decoder needs a hundred times the processor time:
0.3 s for 3,000 routes, which a daemon that looks every few seconds cannot spend.
"""

import struct
from collections.abc import Iterator

NEWLINK, DELLINK, GETLINK = 16, 17, 18
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWRULE, DELRULE, GETRULE = 32, 33, 34

IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND = 3, 18, 1
RTA_DST = 1
FRA_PROTOCOL = 21

TABLE_MAIN = 254
UNICAST = 1  # RTN_UNICAST

# The fixed part of each kind of message; what is not read is padding ("x").
MESSAGE = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
LINK = struct.Struct("=BxxxiIxxxx")  # ifinfomsg: family, index, flags
ADDRESS = struct.Struct("=BBxxi")  # ifaddrmsg: family, prefix length, index
ROUTE = struct.Struct("=BBxxBBxBI")  # rtmsg: family, dst_len, table, protocol, type, flags
RULE = struct.Struct("=BBBBxxxBI")  # fib_rule_hdr: family, dst_len, src_len, tos, action, flags

NUMBER = struct.Struct("=I")
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_TYPE = 0x3FFF  # without NLA_F_NESTED and NLA_F_NET_BYTEORDER


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The type, flags and body of each message in what one read gave; ends where one is cut."""
    offset = 0
    while offset + MESSAGE.size <= len(data):
        length, kind, flags, _, _ = MESSAGE.unpack_from(data, offset)
        if length < MESSAGE.size or offset + length > len(data):
            return
        yield kind, flags, data[offset + MESSAGE.size : offset + length]
        offset += (length + 3) & ~3


def attributes(body: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """The type and value of each attribute from `offset` on; ends where one is cut."""
    unpack, end = _ATTRIBUTE.unpack_from, len(body)  # this loop is what a reading costs
    while offset + 4 <= end:
        length, kind = unpack(body, offset)
        if length < 4 or offset + length > end:
            return
        yield kind & _TYPE, body[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to where the next may begin.

    :raises struct.error: the value is longer than 65,531 bytes.
    """
    packed = _ATTRIBUTE.pack(4 + len(value), kind) + value
    return packed + bytes(-len(packed) & 3)


def number(value: bytes) -> int:
    """The value of a u32 attribute; 0 where it is shorter."""
    return int(NUMBER.unpack_from(value)[0]) if len(value) >= NUMBER.size else 0


def text(value: bytes) -> str:
    """The value of a string attribute. Names of links are bytes that need not be UTF-8."""
    return value.rstrip(b"\0").decode("utf-8", "surrogateescape")


def link_kind(body: bytes) -> str:
    """The kind of the link that a message of NEWLINK tells of, "" for one without."""
    info = dict(attributes(body, LINK.size)).get(IFLA_LINKINFO, b"")
    return text(dict(attributes(info, 0)).get(IFLA_INFO_KIND, b""))
