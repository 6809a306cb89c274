"""What the daemon answers over the control socket."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.protocols import amp

from overlayd.control import encoding
from overlayd.control.commands import (
    BadRequest,
    CannotAnswer,
    GetStatus,
    List,
    ListChanges,
    NoSuchPass,
    Resync,
)
from overlayd.control.encoding import Document
from overlayd.model.errors import OverlaydError
from overlayd.model.status import PassReport, PeerStatus, Status


@frozen
class Answers:
    """Where the answers come from. All are called in the reactor's thread and must not block.

    `resync` fires with the report of a pass that began after the call, or fails with an
    `OverlaydError` whose text the person who asked reads.
    """

    status: Callable[[], Status]
    peers: Callable[[], Sequence[PeerStatus]]
    resync: Callable[[], "Deferred[PassReport]"]


@frozen
class _Listing:
    items: Callable[[Status], Sequence[Any]]
    document: Callable[[Any], Document]


LISTS = {
    "quarantines": _Listing(lambda s: s.quarantines, encoding.quarantine_document),
    "held": _Listing(lambda s: s.held, encoding.held_document),
    "notAnnounced": _Listing(lambda s: s.not_announced, encoding.name_document),
    "notCarried": _Listing(lambda s: s.not_carried, encoding.name_document),
    "foreignRoutes": _Listing(lambda s: s.foreign_routes, encoding.foreign_route_document),
    "repairs": _Listing(lambda s: s.repairs, encoding.repair_document),
}


class Responders(amp.CommandLocator):
    """Answers one connection. It keeps what it was last asked about, so that pages fit together."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self._answers = answers
        self._status: Status | None = None
        self._peers: Sequence[PeerStatus] = ()
        self._report: PassReport | None = None

    @GetStatus.responder
    def get_status(self) -> dict[str, bytes]:
        self._status = self._answers.status()
        return {"status": encoding.encode(encoding.status_document(self._status))}

    @List.responder
    def list_items(self, what: str, after: int, limit: int) -> dict[str, object]:
        if what == "peers":
            if after == 0 or not self._peers:
                self._peers = tuple(self._answers.peers())
            return _page(self._peers, encoding.peer_document, after, limit)
        listing = LISTS.get(what)
        if listing is None:
            raise BadRequest(f"there is no list of {what!r}")
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
        try:
            self._report = await self._answers.resync()
        except OverlaydError as error:
            raise CannotAnswer(str(error)) from error
        return {"report": encoding.encode(encoding.pass_document(self._report))}


def _page(
    items: Sequence[Any], document: Callable[[Any], Document], after: int, limit: int
) -> dict[str, object]:
    if after < 0 or limit < 1:
        raise BadRequest(f"there is no page of {limit} items after {after}")
    text, following = encoding.page(items, document, after, limit)
    return {"items": text, "next": following}
