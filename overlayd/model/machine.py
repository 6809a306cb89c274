"""What one machine was read to look like: its links, addresses, routes, rules, and the tunnel."""

import enum
from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface

from attrs import field, frozen
from immutables import Map

from overlayd.model.keys import PublicKey
from overlayd.model.node import Endpoint, IPAddress, IPNetwork

ALIAS = "overlayd"
"""The alias of a link that is ours."""

PROTOCOL = 87
"""Who made a route or rule that is ours (rtm_protocol, FRA_PROTOCOL); unused in rt_protos."""

KEEP_IN_PRIORITY = 5180
"""The rule `to NET lookup main suppress_prefixlength LEN-1`: more specific routes win."""

REFUSE_PRIORITY = 5181
"""The rule `to NET unreachable`, right after: what no route took is refused, never leaked."""


@frozen
class Link:
    """A network interface. `kind` is IFLA_INFO_KIND ("tun", "wireguard", or "")."""

    index: int
    name: str
    kind: str = ""
    alias: str = ""
    mtu: int = 0
    up: bool = False
    loopback: bool = False


@frozen
class Address:
    """An address on a link."""

    link: str
    interface: IPv4Interface | IPv6Interface


@frozen
class Route:
    """A unicast route of the main table."""

    destination: IPNetwork
    link: str = ""  # "" for a route without one (unreachable, multipath)
    gateway: IPAddress | None = None
    source: IPAddress | None = None  # RTA_PREFSRC
    protocol: int = 0
    metric: int = 0
    mtu: int = 0  # RTAX_MTU; 0: the link's


class RuleKind(enum.Enum):
    KEEP_IN = "lookup main suppress_prefixlength"
    REFUSE = "unreachable"


@frozen
class Rule:
    """One of the two rules that keep traffic for a network from leaving in the clear."""

    network: IPv4Network
    kind: RuleKind

    @property
    def priority(self) -> int:
        return KEEP_IN_PRIORITY if self.kind is RuleKind.KEEP_IN else REFUSE_PRIORITY


@frozen
class OwnedRule:
    """A rule with our protocol number, as found: `rule` is None if it is none that we make."""

    rule: Rule | None
    handle: object = field(eq=False, repr=False)  # what the adapter needs to delete it


@frozen
class Peer:
    """A peer as the device has it.

    `last_handshake` is seconds since the epoch by the wall clock, None if there never was one.
    `preshared`: whether it has a preshared key; which one is not told.
    """

    key: PublicKey
    endpoint: Endpoint | None = None
    allowed_ips: frozenset[IPNetwork] = frozenset()
    last_handshake: float | None = None
    sent: int = 0
    received: int = 0
    keepalive: int = 0  # seconds, 0: off
    preshared: bool = False


def _map(peers: Mapping[PublicKey, Peer]) -> Map[PublicKey, Peer]:
    return peers if isinstance(peers, Map) else Map(peers)


@frozen
class Device:
    """A WireGuard device, or the part of it that a pass is about. It may still be without a key."""

    public_key: PublicKey | None
    listen_port: int
    peers: Map[PublicKey, Peer] = field(converter=_map)
    elsewhere: int = 0  # how many peers it has besides these


@frozen
class Observed:
    """The machine as it was read, once, for one pass.

    `device` is None where no tunnel answers under our name. `remembered` belongs to the private
    key in the daemon's memory: the one a device of ours was last read to have.
    """

    links: Mapping[str, Link]
    addresses: frozenset[Address]
    routes: frozenset[Route]
    rules: tuple[OwnedRule, ...]  # of our protocol number only
    resolvers: frozenset[IPAddress]
    forwarding: bool  # net.ipv4.ip_forward
    device: Device | None = None
    remembered: PublicKey | None = None

    def addresses_of(self, link: str) -> frozenset[IPv4Interface | IPv6Interface]:
        return frozenset(a.interface for a in self.addresses if a.link == link)
