"""A pass: observe, plan, apply, once. Blocking, for the one thread that owns the machine."""

import enum
import time
from collections.abc import Iterator, Sequence
from itertools import groupby

from attrs import evolve, frozen

from overlayd.linux.network import Network
from overlayd.model.changes import (
    AddRule,
    BringUp,
    Change,
    EnableForwarding,
    GiveKey,
    MakeDevice,
    NetworkChange,
    Outcome,
    RemoveRoute,
    RemoveRule,
    TunnelChange,
)
from overlayd.model.errors import TunnelError
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Observed
from overlayd.model.node import Inventory
from overlayd.model.settings import Settings
from overlayd.plan.decide import decide
from overlayd.plan.plan import plan
from overlayd.plan.result import Memory, Now, Plan
from overlayd.plan.standing import Standing, holders_in, stand
from overlayd.plan.undone import without_undone
from overlayd.tunnel.interface import ITunnel

NEEDS_NO_DEVICE = AddRule | RemoveRule | RemoveRoute | EnableForwarding
NOT_TRIED = "not tried: there is no device"


class Reads(enum.IntEnum):
    """How much of the machine a pass reads; the rest is as the pass before left it."""

    NOTHING = 0  # a Node changed
    NETWORK = 1  # links, addresses, routes and rules: the kernel announced something
    EVERYTHING = 2  # the tunnel too, which announces nothing


@frozen
class Work:
    """What a pass is asked to do. Without a `standing` it reads everything, whatever `reads` says.

    `memory` and `standing` are those of the pass before.
    """

    inventory: Inventory | None
    memory: Memory
    now: Now
    standing: Standing | None = None
    reads: Reads = Reads.EVERYTHING


@frozen
class PassResult:
    """What one pass saw, decided and did.

    `seconds` is how long it took to read and decide. `standing` is None where the machine has to
    be read to know how things stand. `error` tells that the tunnel could not be read.
    """

    inventory: Inventory | None  # the one it was planned for
    observed: Observed
    plan: Plan
    outcomes: tuple[Outcome, ...]
    public_key: PublicKey | None
    seconds: float
    standing: Standing | None = None
    error: str | None = None

    @property
    def known(self) -> Observed:
        """The machine as it is known now: as it was read, and what it has acknowledged since."""
        return self.standing.observed if self.standing else self.observed

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """What went wrong and is worth another try. A sysctl that is not ours to write is not."""
        return tuple(
            o
            for o in self.outcomes
            if o.error is not None and not isinstance(o.change, EnableForwarding)
        )

    @property
    def forwarding_error(self) -> str | None:
        for outcome in self.outcomes:
            if isinstance(outcome.change, EnableForwarding):
                return outcome.error
        return None

    @property
    def sessions_lost(self) -> bool:
        """Whether every peer still believes in a session that this device no longer knows."""
        return any(
            o.error is None and isinstance(o.change, MakeDevice | GiveKey | BringUp)
            for o in self.outcomes
        )


def run_pass(network: Network, tunnel: ITunnel, settings: Settings, work: Work) -> PassResult:
    """Bring the machine to where the inventory wants it, as far as one pass can.

    Where the tunnel cannot be read, rules, routes and the rest are repaired all the same.

    :raises overlayd.model.errors.NetworkError: links, addresses, routes or rules could not be read;
        nothing was changed.
    """
    began = time.monotonic()
    error = None
    try:
        observed = _observe(network, tunnel, settings, work)
    except TunnelError as failure:
        error, observed = str(failure), _without_tunnel(network, tunnel, work.standing)
    holders = holders_in(observed.device, work.standing)
    decided = decide(
        settings, work.inventory, observed, holders, work.memory, work.now, work.standing
    )
    seconds = time.monotonic() - began
    if error is not None:
        outcomes = _repair_network(network, decided, observed, settings.wg_dev)
        decided = evolve(decided, changes=(), memory=work.memory)
        key = tunnel.remembered()
        return PassResult(work.inventory, observed, decided, outcomes, key, seconds, error=error)
    before = work.standing.observed.device if work.standing else None
    is_read = observed.device is not before  # else the last reading is that of a preview
    if is_read and decided.ours and settings.wg_dev in observed.links:
        # A tunnel that answers without a link here may be that of another network namespace.
        tunnel.remember()
    outcomes = tuple(_apply(network, tunnel, decided.changes))
    return PassResult(
        inventory=work.inventory,
        observed=observed,
        plan=evolve(decided, memory=without_undone(decided.memory, work.memory, outcomes)),
        outcomes=outcomes,
        public_key=tunnel.remembered() if decided.ours else None,
        seconds=seconds,
        standing=stand(work.inventory, observed, holders, decided, outcomes),
    )


def preview(network: Network, tunnel: ITunnel, settings: Settings, work: Work) -> Plan:
    """Read the machine and tell what a pass would decide now. Nothing is changed or remembered.

    :raises overlayd.model.errors.TunnelError: the device could not be read.
    :raises overlayd.model.errors.NetworkError: the same for links, addresses, routes and rules.
    """
    observed = _observe(network, tunnel, settings, work)
    return plan(settings, work.inventory, observed, work.memory, work.now)


def _observe(network: Network, tunnel: ITunnel, settings: Settings, work: Work) -> Observed:
    """Read as much as the work wants; the tunnel in any case if its link is another one."""
    standing, reads = work.standing, work.reads
    before = standing.observed if standing else None
    if standing is not None and standing.network_changed:
        reads = max(reads, Reads.NETWORK)
    if before is not None and reads is Reads.NOTHING:
        return before
    observed = network.observe()
    same = before is not None and _index(before, settings) == _index(observed, settings)
    if before is not None and same and reads is Reads.NETWORK:
        return evolve(observed, device=before.device, remembered=tunnel.remembered())
    return evolve(observed, device=tunnel.observe(), remembered=tunnel.remembered())


def _index(observed: Observed, settings: Settings) -> int | None:
    link = observed.links.get(settings.wg_dev)
    return link.index if link is not None else None


def _without_tunnel(network: Network, tunnel: ITunnel, standing: Standing | None) -> Observed:
    """The network as it is, and the tunnel as it was."""
    device = standing.observed.device if standing else None
    return evolve(network.observe(), device=device, remembered=tunnel.remembered())


def _repair_network(
    network: Network, decided: Plan, observed: Observed, link: str
) -> tuple[Outcome, ...]:
    """Make those changes that need no tunnel; of a device that was never read, few are known."""
    known = observed.device is not None and link in observed.links
    return tuple(
        network.apply(change)
        for change in decided.changes
        if isinstance(change, NEEDS_NO_DEVICE) or (known and isinstance(change, NetworkChange))
    )


def _apply(network: Network, tunnel: ITunnel, changes: Sequence[Change]) -> Iterator[Outcome]:
    """Make the changes in their order, those of the tunnel that follow each other as one request.

    Where the device could not be made, what builds on it is not tried; rules and sysctls are.
    """
    no_device = False
    for of_tunnel, group in groupby(changes, key=lambda c: isinstance(c, TunnelChange)):
        for outcome in _apply_run(network, tunnel, list(group), of_tunnel, no_device):
            no_device |= isinstance(outcome.change, MakeDevice) and outcome.error is not None
            yield outcome


def _apply_run(
    network: Network, tunnel: ITunnel, changes: list[Change], of_tunnel: bool, no_device: bool
) -> list[Outcome]:
    if of_tunnel and not no_device:
        return tunnel.apply([c for c in changes if isinstance(c, TunnelChange)])
    return [
        network.apply(c)
        if isinstance(c, NetworkChange) and (not no_device or isinstance(c, NEEDS_NO_DEVICE))
        else Outcome(c, NOT_TRIED)
        for c in changes
    ]
