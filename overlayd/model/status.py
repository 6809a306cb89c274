"""What people may see of the daemon. Never a secret, and cluster text only escaped."""

import enum
from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface

from attrs import field, frozen

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
    OTHER_TUNNEL = "other-tunnel"  # our device is not of the kind that --tunnel names
    FORWARDING_OFF = "forwarding-off"
    RETRYING = "retrying"  # the last pass failed in part
    NOT_ANNOUNCED = "not-announced"  # our annotations are not written
    CONVERGED = "converged"
    TORN_DOWN = "torn-down"  # on request; nothing is done until the daemon is restarted
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
    until: str | None  # RFC 3339 in UTC; None where it stays for as long as things are as they are


@frozen
class Own:
    """What this node is to the others: what the announcer writes, once there are podCIDRs."""

    address: IPAddress | None = None
    overlay_address: IPAddress | None = None
    pod_cidrs: tuple[IPNetwork, ...] = ()


PEER_STATES = ("up", "idle", "never", "held", "unknown")
"""As people read them: no recent handshake is idle, none at all never; no Node is unknown."""


@frozen
class PeerStatus:
    """A peer as people see it: the device's reading, the Node behind it, and how it stands."""

    node: str
    peer: Peer
    state: str  # of PEER_STATES


@frozen
class ForeignRoute:
    """A route that is not ours and takes traffic that belongs into the tunnel."""

    route: Route
    reason: str


@frozen
class ChangeReport:
    """A change that a pass made, or could not make: `error` is None where it was made."""

    text: str
    why: str
    error: str | None = None


@frozen(kw_only=True)
class PassReport:
    """What one pass did. `error` is set where it could not even read the machine."""

    number: int  # 1 for the first since the daemon started
    why: str  # why it ran, for people: "resync asked for"
    began: str  # RFC 3339 in UTC
    duration: float  # seconds
    changes: tuple[ChangeReport, ...] = ()
    error: str | None = None

    @property
    def failures(self) -> tuple[ChangeReport, ...]:
        return tuple(change for change in self.changes if change.error is not None)

    @property
    def failed(self) -> bool:
        return self.error is not None or bool(self.failures)


@frozen(kw_only=True)
class PastPass:
    """A pass that changed something or failed, as the history has it.

    `report` has some of its changes, of which there were `change_count`.
    """

    report: PassReport
    change_count: int
    failure_count: int
    repeated: int = 0  # how many passes after it did the same
    repeated_at: str | None = None  # when the last of those began; RFC 3339 in UTC

    @property
    def failed(self) -> bool:
        return self.report.error is not None or self.failure_count > 0


@frozen
class Repair:
    """Something that someone else changed and a pass put right."""

    at: str  # RFC 3339 in UTC
    text: str
    why: str


@frozen
class DeviceStatus:
    """Our device as the last pass left it; `present` is False where there is none of ours.

    Nothing is known of one that does not answer, and was not read since the last change.
    """

    link: str
    tunnel: str  # the implementation, in a word or two
    present: bool = False
    answers: bool = True
    up: bool = False
    public_key: PublicKey | None = None
    listen_port: int = 0
    mtu: int = 0
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()


@frozen
class InventoryStatus:
    """The last inventory. `age` is seconds since the daemon had it."""

    nodes: int
    resource_version: str
    age: float


@frozen
class ApiStatus:
    """The node watch: how many seconds it has been up, or what keeps it from that."""

    connected: float | None = None
    error: str | None = None
    heard: float | None = None  # seconds since the last event or bookmark; bookmarks: every 60 s
    lists: int = 0  # begun since the daemon started; more than one needs a reason
    watches: int = 0  # begun since then


@frozen
class AnnouncementStatus:
    """Whether our annotations are written; if not, why."""

    written: bool = False
    reason: str = ""


@frozen(kw_only=True)
class Status:
    """All that `overlayctl status` shows, as of one moment. Ages and delays are in seconds."""

    state: State
    ready: bool  # a latch: first pass done, inventory complete, annotations written, once
    node: str
    uptime: float
    device: DeviceStatus
    peers: Mapping[str, int] = field(factory=dict)  # how many are in each of PEER_STATES
    inventory: InventoryStatus | None = None
    api: ApiStatus = field(factory=ApiStatus)
    announcement: AnnouncementStatus = field(factory=AnnouncementStatus)
    last_pass: PassReport | None = None
    last_pass_age: float | None = None
    next_retry: float | None = None  # None: nothing failed
    quarantines: tuple[Quarantine, ...] = ()
    held: tuple[Held, ...] = ()
    not_announced: tuple[str, ...] = ()  # Nodes without a key
    not_carried: tuple[str, ...] = ()  # prefixes of a family that no option names
    foreign_routes: tuple[ForeignRoute, ...] = ()
    fights: tuple[str, ...] = ()  # repairs that someone keeps undoing
    repaired: int = 0  # since the daemon started
    repairs: tuple[Repair, ...] = ()  # the last ones, oldest first
