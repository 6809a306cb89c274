"""One step each from what was observed to what is desired: plain data, without secrets.

The text of a change is what the log and `overlayctl` show; `why` is the reason behind it.
"""

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface

from attrs import frozen

from overlayd.model.keys import PublicKey
from overlayd.model.machine import OwnedRule, Route, Rule
from overlayd.model.node import Endpoint, IPNetwork


def listed(prefixes: Iterable[IPNetwork]) -> str:
    """Prefixes as people list them: IPv4 first, in numeric order, comma-separated."""
    return ", ".join(
        str(p) for p in sorted(prefixes, key=lambda p: (p.version, int(p[0]), p.prefixlen))
    )


# --- made by the tunnel -------------------------------------------------------------------------


@frozen
class MakeDevice:
    """Start the tunnel under our name; it has no key, no peers, and its link is down."""

    link: str
    why: str

    def __str__(self) -> str:
        return f"make device {self.link}"


@frozen
class EndDevice:
    """End the tunnel that answers under our name, and with it the device and its keys."""

    link: str
    why: str

    def __str__(self) -> str:
        return f"end device {self.link}"


@frozen
class GiveKey:
    """Give the device the key in our memory, or a new one where we remember none."""

    why: str

    def __str__(self) -> str:
        return "set private key"


@frozen
class SetListenPort:
    port: int
    why: str

    def __str__(self) -> str:
        return f"listen on UDP port {self.port}"


@frozen
class GrantPeer:
    """Add a peer, or prefixes to one. A prefix that another peer has moves here at once.

    `endpoint` None leaves the endpoint as it is. A peer that is not `new` and is gone by now is
    not made again.
    """

    node: str
    key: PublicKey
    endpoint: Endpoint | None
    prefixes: frozenset[IPNetwork]
    new: bool
    why: str

    def __str__(self) -> str:
        verb = "add peer" if self.new else "grant peer"
        dialled = f" at {self.endpoint}" if self.endpoint else ""
        return f"{verb} {self.node} {self.key}{dialled} with {listed(self.prefixes) or 'no prefix'}"


@frozen
class MoveEndpoint:
    """Dial a peer elsewhere."""

    node: str
    key: PublicKey
    endpoint: Endpoint
    why: str

    def __str__(self) -> str:
        return f"dial peer {self.node} {self.key} at {self.endpoint}"


@frozen
class TrimPeer:
    """Take prefixes from a peer without touching those it keeps.

    WireGuard replaces a whole list with a gap, so they go to a throw-away peer that is removed.
    """

    node: str
    key: PublicKey
    prefixes: frozenset[IPNetwork]
    why: str

    def __str__(self) -> str:
        return f"take {listed(self.prefixes)} from peer {self.node} {self.key}"


@frozen
class RemovePeer:
    node: str  # "" where no Node is known to be behind it
    key: PublicKey
    why: str

    def __str__(self) -> str:
        return f"remove peer {self.node or '(no node)'} {self.key}"


@frozen
class DropPresharedKey:
    """Take a preshared key from a peer. Nodes announce none, and WireGuard shakes hands with the
    same one on both sides or not at all; the session that there is goes on.
    """

    node: str
    key: PublicKey
    why: str

    def __str__(self) -> str:
        return f"take the preshared key from peer {self.node} {self.key}"


@frozen
class StartHandshake:
    """Make the peer notice that our session is new. Its keepalive ends as it was."""

    node: str
    key: PublicKey
    keepalive: int
    why: str

    def __str__(self) -> str:
        return f"start handshake with {self.node} {self.key}"


TunnelChange = (
    MakeDevice
    | EndDevice
    | GiveKey
    | SetListenPort
    | GrantPeer
    | MoveEndpoint
    | TrimPeer
    | RemovePeer
    | DropPresharedKey
    | StartHandshake
)


# --- made by the machine's network stack --------------------------------------------------------


@frozen
class AddRule:
    rule: Rule
    why: str

    def __str__(self) -> str:
        return f"add rule to {self.rule.network} {self.rule.kind.value}"


@frozen
class RemoveRule:
    """Remove a rule of our protocol number that is none of those we want."""

    owned: OwnedRule
    why: str

    def __str__(self) -> str:
        rule = self.owned.rule
        return f"remove rule to {rule.network} {rule.kind.value}" if rule else "remove stray rule"


@frozen
class RemoveLink:
    link: str
    why: str

    def __str__(self) -> str:
        return f"remove link {self.link}"


@frozen
class SetAlias:
    link: str
    why: str

    def __str__(self) -> str:
        return f"mark link {self.link} as ours"


@frozen
class SetMtu:
    link: str
    mtu: int
    why: str

    def __str__(self) -> str:
        return f"set MTU of {self.link} to {self.mtu}"


@frozen
class BringUp:
    link: str
    why: str

    def __str__(self) -> str:
        return f"bring {self.link} up"


@frozen
class AddAddress:
    link: str
    interface: IPv4Interface | IPv6Interface
    why: str

    def __str__(self) -> str:
        return f"add address {self.interface} to {self.link}"


@frozen
class RemoveAddress:
    link: str
    interface: IPv4Interface | IPv6Interface
    why: str

    def __str__(self) -> str:
        return f"remove address {self.interface} from {self.link}"


@frozen
class SetRoute:
    """Add a route, or put it in the place of the one to the same destination and metric."""

    route: Route
    why: str

    def __str__(self) -> str:
        source = f" from {self.route.source}" if self.route.source else ""
        return f"route {self.route.destination} through {self.route.link}{source}"


@frozen
class RemoveRoute:
    route: Route
    why: str

    def __str__(self) -> str:
        return f"remove route to {self.route.destination}"


@frozen
class EnableForwarding:
    """Write net.ipv4.ip_forward=1."""

    why: str

    def __str__(self) -> str:
        return "set net.ipv4.ip_forward to 1"


NetworkChange = (
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
    | EnableForwarding
)

Change = TunnelChange | NetworkChange


@frozen
class Outcome:
    """What became of one change: `error` is None where it was made."""

    change: Change
    error: str | None = None
