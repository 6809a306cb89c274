"""What the cluster says: Nodes, their claims, and a complete reading of all of them."""

import enum
from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve, field, frozen
from immutables import Map

from overlayd.model.addresses import IPAddress as IPAddress
from overlayd.model.addresses import IPNetwork as IPNetwork
from overlayd.model.keys import PublicKey
from overlayd.model.prefix_index import PrefixIndex

# The wire contract. The first two names are wg-overlay's own.
KEY_ANNOTATION = "wireguard-publickey"
ADDRESS_ANNOTATION = "wireguard-ip"
ADDRESSES_ANNOTATION = "overlayd/overlay-ips"
ENDPOINT_ANNOTATION = "overlayd/endpoint"
POD_CIDRS_ANNOTATION = "overlayd/pod-cidrs"
ANNOTATIONS = (
    KEY_ANNOTATION,
    ADDRESS_ANNOTATION,
    ADDRESSES_ANNOTATION,
    ENDPOINT_ANNOTATION,
    POD_CIDRS_ANNOTATION,
)

WG_OVERLAY_PORT = 51820
"""Where wg-overlay's nodes listen, and what they dial: they know no other."""


@frozen(order=True)
class Endpoint:
    """Where a peer is dialled: an address and a UDP port."""

    address: IPAddress
    port: int

    def __str__(self) -> str:
        if self.address.version == 6:
            return f"[{self.address}]:{self.port}"
        return f"{self.address}:{self.port}"


class Claim(enum.Enum):
    """The kinds of things that a Node says are its own. The value is the word people read."""

    NODE = "node"
    INTERNAL_IP = "InternalIP"
    KEY = "key"
    OVERLAY_ADDRESS = "overlay address"
    POD_CIDR = "podCIDR"
    ENDPOINT = "endpoint"


@frozen
class Fault:
    """A claim that cannot be read: which one, its text (escaped), and what is wrong with it."""

    claim: Claim
    text: str
    reason: str


_NO_TEXT: Mapping[str, str] = MappingProxyType({})


@frozen
class Node:
    """A Node as its document says, parsed; nothing is judged against settings or other Nodes.

    A claim that is absent is None or empty; one that cannot be read is absent too and has a fault.
    """

    name: str
    uid: str = ""
    created: str = ""  # creationTimestamp, RFC 3339 in UTC: sorts as text
    address: IPAddress | None = None  # the first InternalIP
    key: PublicKey | None = None
    overlay_addresses: tuple[IPAddress, ...] = ()
    pod_cidrs: tuple[IPNetwork, ...] = ()  # spec.podCIDRs, else spec.podCIDR
    pod_cidrs_text: str = ""  # the same as the Node has them, comma-separated; "" if not ours
    endpoint: Endpoint | None = None  # as annotated; None: the InternalIP and port 51820
    faults: tuple[Fault, ...] = ()
    annotations: Mapping[str, str] = field(factory=dict)  # our five of our own Node, as written

    def unreadable(self, claim: Claim) -> bool:
        """Whether the Node makes a claim of this kind that could not be read."""
        return any(fault.claim is claim for fault in self.faults)

    def as_other(self) -> "Node":
        """What matters of a Node that is not ours: its values, not the text they came in."""
        return evolve(self, annotations=_NO_TEXT, pod_cidrs_text="")


@frozen
class ClaimIndex:
    """The names of the Nodes that claim a key, or addresses of a prefix.

    Overlay addresses are those that a Node announces and the one that its own address computes to.
    What lies outside the networks of the settings can never be granted, and is left out.
    """

    keys: Map[PublicKey, tuple[str, ...]] = field(factory=Map)
    overlay: PrefixIndex[str] = field(factory=PrefixIndex)
    pods: PrefixIndex[str] = field(factory=PrefixIndex)


def _map(nodes: Mapping[str, Node]) -> Map[str, Node]:
    return nodes if isinstance(nodes, Map) else Map(nodes)


@frozen
class Inventory:
    """The Nodes as one complete, consistent reading of the cluster shows them, by name.

    One that follows another by an event shares all with it that did not change.
    """

    nodes: Map[str, Node] = field(converter=_map)
    changed: frozenset[str]  # names that differ from the inventory before; all in the first
    resource_version: str
    servers: frozenset[IPAddress] = frozenset()  # every address the API server is dialled at
    index: ClaimIndex = field(factory=ClaimIndex)
