"""What the daemon answers over the control socket."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.protocols import amp

from overlayd.control import encoding
from overlayd.control.commands import (
    BadRequest,
    CannotAnswer,
    Confirm,
    GetPlan,
    GetStatus,
    List,
    ListChanges,
    ListHistory,
    ListHistoryChanges,
    ListPlan,
    NoSuchPass,
    Resync,
    Teardown,
)
from overlayd.control.pages import Document, encode, page
from overlayd.model.errors import OverlaydError
from overlayd.model.keys import PublicKey
from overlayd.model.status import PassReport, PastPass, PeerStatus, Status
from overlayd.model.teardown import TeardownReport
from overlayd.plan.result import Plan

T = TypeVar("T")


@frozen
class Answers:
    """Where the answers come from. All are called in the reactor's thread and must not block.

    `resync`, and `confirm` for the held peers of these keys, fire with the report of a pass that
    began after the call. Each Deferred may fail with an `OverlaydError` whose text the person who
    asked reads.
    """

    status: Callable[[], Status]
    peers: Callable[[], Sequence[PeerStatus]]
    resync: Callable[[], "Deferred[PassReport]"]
    confirm: Callable[[Iterable[PublicKey]], "Deferred[PassReport]"]
    plan: Callable[[], "Deferred[Plan]"]
    history: Callable[[], Sequence[PastPass]]
    teardown: Callable[[bool], "Deferred[TeardownReport]"]


@frozen
class _Listing:
    items: Callable[[Any], Sequence[Any]]  # of a status, or of a plan
    document: Callable[[Any], Document]


LISTS = {
    "quarantines": _Listing(lambda s: s.quarantines, encoding.quarantine_document),
    "held": _Listing(lambda s: s.held, encoding.held_document),
    "notAnnounced": _Listing(lambda s: s.not_announced, encoding.name_document),
    "notCarried": _Listing(lambda s: s.not_carried, encoding.name_document),
    "foreignRoutes": _Listing(lambda s: s.foreign_routes, encoding.foreign_route_document),
    "fights": _Listing(lambda s: s.fights, encoding.name_document),
    "repairs": _Listing(lambda s: s.repairs, encoding.repair_document),
}


PLAN_LISTS = {
    "changes": _Listing(lambda p: p.changes, encoding.planned_document),
    "held": _Listing(lambda p: p.held, encoding.held_document),
}


class Responders(amp.CommandLocator):
    """Answers one connection. It keeps what it was last asked about, so that pages fit together."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._answers = answers
        self._status: Status | None = None
        self._peers: Sequence[PeerStatus] = ()
        self._report: PassReport | None = None
        self._plan: Plan | None = None
        self._history: Sequence[PastPass] = ()

    @GetStatus.responder
    def get_status(self) -> dict[str, bytes]:
        self._status = self._answers.status()
        return {"status": encode(encoding.status_document(self._status))}

    @List.responder
    def list_items(self, what: str, after: int, limit: int) -> dict[str, object]:
        if what == "peers":
            if after == 0 or not self._peers:
                self._peers = tuple(self._answers.peers())
            return _page(self._peers, encoding.peer_document, after, limit)
        listing = _listing(LISTS, what)
        if self._status is None:
            self._status = self._answers.status()
        return _page(listing.items(self._status), listing.document, after, limit)

    @ListChanges.responder
    def list_changes(self, number: int, after: int, limit: int) -> dict[str, object]:
        known = [self._report, self._status.last_pass if self._status else None]
        for report in known:
            if report is not None and report.number == number:
                return _page(report.changes, encoding.change_document, after, limit)
        raise NoSuchPass(f"the changes of pass {number} are not remembered")

    @Resync.responder
    async def resync(self) -> dict[str, bytes]:
        return await self._reported(self._answers.resync())

    @Confirm.responder
    async def confirm(self) -> dict[str, bytes]:
        if self._status is None:
            raise BadRequest("what goes is what the status showed as held: ask for that first")
        return await self._reported(self._answers.confirm(h.key for h in self._status.held))

    async def _reported(self, asked: "Deferred[PassReport]") -> dict[str, bytes]:
        self._report = await _answered(asked)
        return {"report": encode(encoding.pass_document(self._report))}

    @GetPlan.responder
    async def get_plan(self) -> dict[str, bytes]:
        self._plan = await _answered(self._answers.plan())
        return {"plan": encode(encoding.plan_document(self._plan))}

    @ListPlan.responder
    def list_plan(self, what: str, after: int, limit: int) -> dict[str, object]:
        listing = _listing(PLAN_LISTS, what)
        if self._plan is None:
            raise BadRequest("no plan was asked for")
        return _page(listing.items(self._plan), listing.document, after, limit)

    @ListHistory.responder
    def list_history(self, after: int, limit: int) -> dict[str, object]:
        if after == 0:
            self._history = tuple(self._answers.history())
        return _page(self._history, encoding.past_document, after, limit)

    @ListHistoryChanges.responder
    def list_history_changes(self, number: int, after: int, limit: int) -> dict[str, object]:
        for past in self._history:
            if past.report.number == number:
                return _page(past.report.changes, encoding.change_document, after, limit)
        raise NoSuchPass(f"pass {number} is not in the history that was listed")

    @Teardown.responder
    async def teardown(self, force: bool) -> dict[str, bytes]:
        report = await _answered(self._answers.teardown(force))
        self._report = report.machine
        return {"report": encode(encoding.teardown_document(report))}


async def _answered(asked: "Deferred[T]") -> T:
    try:
        return await asked
    except OverlaydError as error:
        raise CannotAnswer(str(error)) from error


def _listing(listings: dict[str, _Listing], what: str) -> _Listing:
    if what not in listings:
        raise BadRequest(f"there is no list of {what!r}")
    return listings[what]


def _page(
    items: Sequence[Any], document: Callable[[Any], Document], after: int, limit: int
) -> dict[str, object]:
    if after < 0 or limit < 1:
        raise BadRequest(f"there is no page of {limit} items after {after}")
    text, following = page(items, document, after, limit)
    return {"items": text, "next": following}
