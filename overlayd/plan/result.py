"""What a plan is made of, and what one plan tells the next."""

from collections.abc import Mapping

from attrs import field, frozen
from immutables import Map

from overlayd.model.changes import Change
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Peer
from overlayd.model.node import Endpoint
from overlayd.model.status import ForeignRoute, Held, Own, Quarantine, State


@frozen
class Now:
    """The time of a pass. Periods are measured by `monotonic`, handshakes by `wall`; in seconds."""

    monotonic: float
    wall: float


@frozen
class Memory:
    """What a plan needs to know of those before it. Times are monotonic seconds."""

    held: Mapping[PublicKey, float] = field(factory=dict)  # peers the brake keeps, since when
    confirmed: frozenset[PublicKey] = frozenset()  # held, and let go by the operator
    departed: Mapping[PublicKey, float] = field(factory=dict)  # removals of the last minute
    populations: tuple[tuple[float, int], ...] = ()  # how many peers the device had, when
    endpoints: Map[PublicKey, Endpoint] = field(factory=Map)  # as configured
    before: Map[PublicKey, Peer] = field(factory=Map)  # the device's peers at the last reading
    names: Map[PublicKey, str] = field(factory=Map)  # last known behind the device's peers
    no_pod_cidrs_since: float | None = None


@frozen
class Plan:
    """The whole decision for one pass.

    `state` is None where nothing stands in the way; otherwise it names what does. `changes` are in
    the order in which they are to be made. `names` tells which Node is behind a key. `about` are
    the names of the Nodes that were looked at, None for all. `ours` is whether the device under our
    name is ours once the changes are made, or was.
    """

    changes: tuple[Change, ...]
    memory: Memory
    state: State | None = None
    own: Own = field(factory=Own)
    names: Map[PublicKey, str] = field(factory=Map)
    quarantines: tuple[Quarantine, ...] = ()
    held: tuple[Held, ...] = ()
    foreign_routes: tuple[ForeignRoute, ...] = ()
    about: frozenset[str] | None = None
    ours: bool = True
