"""Taking down what is ours on the machine. Blocking, for the one thread that owns the machine."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from attrs import evolve, frozen

from overlayd.linux.network import Network
from overlayd.model.changes import Change, NetworkChange, Outcome, TunnelChange
from overlayd.model.errors import NetworkError, TunnelError
from overlayd.model.keys import PublicKey
from overlayd.model.status import ChangeReport
from overlayd.plan import teardown
from overlayd.plan.teardown import TakeDown
from overlayd.tunnel.interface import ITunnel

ROUNDS = 2  # a link may outlive its tunnel, which the second finds
NOT_TRIED = "not tried: it keeps traffic in as long as something of ours is left"


@frozen
class TakenDown:
    """What became of a teardown. `error` says what stands in its way beside the outcomes."""

    outcomes: tuple[Outcome, ...]
    foreign: tuple[str, ...]  # what stays since it is not ours, in words
    forwarding: bool  # net.ipv4.ip_forward, which stays as it is
    error: str | None = None

    @property
    def changes(self) -> tuple[ChangeReport, ...]:
        return tuple(ChangeReport(str(o.change), o.change.why, o.error) for o in self.outcomes)


@frozen
class _Reading:
    decided: TakeDown
    forwarding: bool
    error: str | None


def take_down(
    network: Network, tunnel: ITunnel, wg_dev: str, names: Mapping[PublicKey, str]
) -> TakenDown:
    """Remove what is ours, the rules once a reading shows that nothing else is left.

    What is gone already is no fault, so a teardown that was cut short is finished by the next.

    :raises overlayd.model.errors.NetworkError: the machine could not be read; nothing was changed.
    """
    outcomes: list[Outcome] = []
    found = _read(network, tunnel, wg_dev, names)
    for _ in range(ROUNDS):
        if not found.decided.changes or _failed(outcomes):
            break
        outcomes += _apply(network, tunnel, found.decided.changes)
        try:
            found = _read(network, tunnel, wg_dev, names)
        except NetworkError as trouble:
            return TakenDown(tuple(outcomes), found.decided.foreign, found.forwarding, str(trouble))
    error, left, rules = found.error, found.decided.changes, found.decided.rules
    if left:
        if error is None and not _failed(outcomes):
            error = f"it is there still, or again: {left[0]}"
        outcomes += [Outcome(rule, NOT_TRIED) for rule in rules]
    else:
        outcomes += [network.apply(rule) for rule in rules]
    return TakenDown(tuple(outcomes), found.decided.foreign, found.forwarding, error)


def _read(
    network: Network, tunnel: ITunnel, wg_dev: str, names: Mapping[PublicKey, str]
) -> _Reading:
    """A tunnel that does not answer is named; its link can go all the same."""
    observed, error = network.observe(), None
    try:
        observed = evolve(observed, device=tunnel.observe(), remembered=tunnel.remembered())
    except TunnelError as trouble:
        error = str(trouble)
    decided = teardown.take_down(wg_dev, observed, names)
    return _Reading(decided, observed.forwarding, None if decided.foreign else error)


def _apply(network: Network, tunnel: ITunnel, changes: Sequence[Change]) -> Iterator[Outcome]:
    for of_tunnel, group in groupby(changes, key=lambda c: isinstance(c, TunnelChange)):
        if of_tunnel:
            yield from tunnel.apply([c for c in group if isinstance(c, TunnelChange)])
        else:
            yield from (network.apply(c) for c in group if isinstance(c, NetworkChange))


def _failed(outcomes: Sequence[Outcome]) -> bool:
    return any(outcome.error is not None for outcome in outcomes)
