"""What a plan took for granted and the machine did not do."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from attrs import evolve
from immutables import Map

from overlayd.model.changes import MoveEndpoint, Outcome, RemovePeer
from overlayd.model.keys import PublicKey
from overlayd.plan.result import Memory

T = TypeVar("T")


def without_undone(planned: Memory, before: Memory, outcomes: Iterable[Outcome]) -> Memory:
    """What the next plan has to know, where some changes of this one failed.

    A peer that was not removed has not departed. Of one that was not dialled anew the reading
    before counts too, or the reason to dial it would be seen only once.
    """
    failed = [outcome.change for outcome in outcomes if outcome.error is not None]
    moves = [change.key for change in failed if isinstance(change, MoveEndpoint)]
    removals = [change.key for change in failed if isinstance(change, RemovePeer)]
    if not moves and not removals:
        return planned
    return evolve(
        planned,
        departed=dict(_as_before(Map(planned.departed), before.departed, removals)),
        endpoints=_as_before(planned.endpoints, before.endpoints, moves),
        before=_as_before(planned.before, before.before, moves),
    )


def _as_before(
    planned: Map[PublicKey, T], before: Mapping[PublicKey, T], keys: Iterable[PublicKey]
) -> Map[PublicKey, T]:
    kept = planned.mutate()
    for key in keys:
        if key in before:
            kept[key] = before[key]
        else:
            kept.pop(key, None)
    return kept.finish()
