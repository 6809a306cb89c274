"""A pass: observe, plan, apply, once. Blocking, for the one thread that owns the machine."""

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
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Observed
from overlayd.model.node import Inventory
from overlayd.model.settings import Settings
from overlayd.model.status import StateName
from overlayd.plan.plan import plan
from overlayd.plan.result import Memory, Now, Plan
from overlayd.tunnel.interface import ITunnel

NEEDS_NO_DEVICE = AddRule | RemoveRule | RemoveRoute | EnableForwarding
NOT_TRIED = "not tried: there is no device"


@frozen
class PassResult:
    """What one pass saw, decided and did. `cpu` is the processor time it took, in seconds."""

    inventory: Inventory | None  # the one it was planned for
    observed: Observed
    plan: Plan
    outcomes: tuple[Outcome, ...]
    public_key: PublicKey | None
    cpu: float

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


def run_pass(
    network: Network,
    tunnel: ITunnel,
    settings: Settings,
    inventory: Inventory | None,
    memory: Memory,
    now: Now,
) -> PassResult:
    """Bring the machine to where the inventory wants it, as far as one pass can.

    :raises overlayd.model.errors.TunnelError: the device could not be read; nothing was changed.
    :raises overlayd.model.errors.NetworkError: the same for links, addresses, routes and rules.
    """
    started = time.thread_time()
    observed = evolve(network.observe(), device=tunnel.observe(), remembered=tunnel.remembered())
    decided = plan(settings, inventory, observed, memory, now)
    foreign = decided.state is not None and decided.state.name is StateName.FOREIGN_DEVICE
    if not foreign and settings.wg_dev in observed.links:
        # A tunnel that answers without a link here may be that of another network namespace.
        tunnel.remember()
    outcomes = tuple(_apply(network, tunnel, decided.changes))
    return PassResult(
        inventory=inventory,
        observed=observed,
        plan=decided,
        outcomes=outcomes,
        public_key=None if foreign else tunnel.remembered(),
        cpu=time.thread_time() - started,
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
