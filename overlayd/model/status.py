"""What people may see of the daemon. Never a secret, and cluster text only escaped."""

import enum

from attrs import frozen

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Peer, Route
from overlayd.model.node import Claim, IPAddress, IPNetwork


class StateName(enum.Enum):
    """Where the daemon stands, in one word for scripts."""

    STARTING = "starting"  # no inventory yet
    NODE_MISSING = "node-missing"  # our Node is not in the inventory
    NO_INTERNAL_IP = "no-internal-ip"
    WAITING_FOR_POD_CIDRS = "waiting-for-pod-cidrs"
    NO_POD_CIDRS = "no-pod-cidrs"  # for more than 60 s
    CUTS_OFF_NODE = "cuts-off-node"  # what we would route holds something the node needs
    FOREIGN_DEVICE = "foreign-device"
    FORWARDING_OFF = "forwarding-off"
    RETRYING = "retrying"  # the last pass failed in part
    NOT_ANNOUNCED = "not-announced"  # our annotations are not written
    CONVERGED = "converged"
    STOPPING = "stopping"


@frozen
class State:
    """Where the daemon stands, and a sentence that says what to do about it."""

    name: StateName
    message: str = ""


@frozen
class Quarantine:
    """A claim of a Node that is left out, with the reason. `text` is escaped."""

    node: str
    claim: Claim
    text: str
    reason: str


@frozen
class Held:
    """A peer that the brake keeps, and for how many seconds more at the most."""

    key: PublicKey
    node: str
    remaining: float


@frozen
class Own:
    """What this node is to the others: what the announcer writes, once there are podCIDRs."""

    address: IPAddress | None = None
    overlay_address: IPAddress | None = None
    pod_cidrs: tuple[IPNetwork, ...] = ()


@frozen
class PeerStatus:
    """A peer as people see it: the device's reading, the Node behind it, and how it stands."""

    node: str
    peer: Peer
    state: str  # "up", "idle", "never" (no handshake), "held", "unknown" (no Node)


@frozen
class ForeignRoute:
    """A route that is not ours and takes traffic that belongs into the tunnel."""

    route: Route
    reason: str
