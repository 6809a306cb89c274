"""What the log says of claims that are left out, and of foreign routes that take our traffic."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from twisted.logger import Logger, LogLevel

from overlayd.model.status import ForeignRoute, Quarantine
from overlayd.model.text import shortened
from overlayd.passes import PassResult

T = TypeVar("T")

NAMED = 20
"""How many of either are named after one pass; `overlayctl` lists all."""

_LONGEST = 200  # characters of a text that comes from the cluster


class LeftOut:
    """One line when something begins to be left out or in the way, and one when that ends."""

    _log = Logger()

    def __init__(self) -> None:
        self._claims: tuple[Quarantine, ...] = ()
        self._routes: tuple[ForeignRoute, ...] = ()

    def after_pass(self, result: PassResult) -> None:
        """Compare with the pass before. One that was kept from looking says nothing of it."""
        plan = result.plan
        if result.error is not None or plan.state is not None or result.inventory is None:
            return
        self._note(
            [_claim(q) for q in _without(plan.quarantines, self._claims)],
            [_claim(q) for q in _without(self._claims, plan.quarantines)],
            "left out: {what}",
            "no longer left out: {what}",
        )
        self._note(
            [_route(r) for r in _without(plan.foreign_routes, self._routes)],
            [_route(r) for r in _without(self._routes, plan.foreign_routes)],
            "a route that is not ours is in the way, and is not touched: {what}",
            "no longer in the way: {what}",
        )
        self._claims, self._routes = plan.quarantines, plan.foreign_routes

    def _note(self, new: list[str], gone: list[str], begins: str, ends: str) -> None:
        for things, level, text in ((gone, LogLevel.info, ends), (new, LogLevel.warn, begins)):
            for what in _some(things):
                self._log.emit(level, text, what=what)


def _without(items: Sequence[T], others: Sequence[T]) -> list[T]:
    if items == others:
        return []
    known = frozenset(others)
    return [item for item in items if item not in known]


def _some(things: list[str]) -> Iterator[str]:
    yield from things[:NAMED]
    if len(things) > NAMED:
        yield f"and {len(things) - NAMED:,} more"


def _claim(q: Quarantine) -> str:
    return f"{q.claim.value} {shortened(q.text, _LONGEST)} of {q.node}: {q.reason}"


def _route(foreign: ForeignRoute) -> str:
    route = foreign.route
    via = f" via {route.gateway}" if route.gateway else ""
    dev = f" dev {route.link}" if route.link else ""
    return f"{route.destination}{via}{dev}, which {foreign.reason}"
