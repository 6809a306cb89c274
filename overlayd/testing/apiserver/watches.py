"""Watches: each is a position in the store's history, so a slow reader costs no memory."""

from collections.abc import Iterator

import msgspec
from attrs import frozen
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.web.http import Request
from zope.interface import implementer

from overlayd.testing.apiserver.refusals import Document, Refusal
from overlayd.testing.apiserver.selectors import Selector
from overlayd.testing.apiserver.store import NodeStore
from overlayd.testing.apiserver.writing import JSON, abort, begin

BEFORE_END = 2.0
"""Seconds before its end at which a watch sends its last bookmark, as the real one does."""


@frozen
class WatchPlan:
    """What one watch shows: `initial` lines first, then what follows `version`."""

    version: int
    initial: Iterator[bytes]
    selected: Selector
    seconds: float
    bookmark_interval: float | None  # seconds; None: no bookmarks


def bookmark(version: int, initial_end: bool = False) -> bytes:
    metadata: Document = {"resourceVersion": str(version), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    node = {"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": {}, "status": {}}
    return msgspec.json.encode({"type": "BOOKMARK", "object": node}) + b"\n"


def error_line(refusal: Refusal) -> bytes:
    return msgspec.json.encode({"type": "ERROR", "object": refusal.status()}) + b"\n"


def refuse_watch(request: Request, refusal: Refusal) -> None:
    """Answer 200 and one ERROR event."""
    begin(request, 200, JSON)
    request.write(error_line(refusal))
    request.finish()


@implementer(IPushProducer)
class Watch:
    """One open watch. It reads on in the history whenever its client takes more.

    A client that stays behind until its place in the history is gone gets an ERROR 410 and the
    end. While `silent`, nothing is written, not even the end.
    """

    def __init__(
        self, clock: IReactorTime, request: Request, store: NodeStore, plan: WatchPlan
    ) -> None:
        self.silent = False
        self.open = True
        self._clock = clock
        self._request = request
        self._store = store
        self._plan = plan
        self._seen = self._began = plan.version
        self._paused = False
        self._cut: tuple[int, bool] | None = None
        self._ends_at = clock.seconds() + plan.seconds
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Write the status line and what is there already."""
        begin(self._request, 200, JSON)
        self._request.write(b"")
        self._request.registerProducer(self, True)
        self._sleep()
        self.pump()
        self._began = self._seen

    # --- what the history has ----------------------------------------------------------------

    def pump(self) -> None:
        """Write on, as far as the client and the history go."""
        while self.open and not self._paused and not self.silent:
            try:
                line = self._next()
            except Refusal as expired:
                self._write(error_line(expired))
                self.end()
                return
            if line is None:
                return
            self._write(line)

    def _next(self) -> bytes | None:
        for line in self._plan.initial:
            return line  # the next one only; the iterator keeps the place
        while (event := self._store.after(self._seen)) is not None:
            self._seen = event.version
            shown = event.line(self._plan.selected)
            if shown is not None:
                return shown
        return None

    def _write(self, line: bytes) -> None:
        if self._cut is None:
            self._request.write(line)
            return
        length, clean = self._cut
        self._request.write(line[:length])
        if clean:
            self.end()
        else:
            self.lose()

    # --- time --------------------------------------------------------------------------------

    def _sleep(self) -> None:
        """Wait for the next bookmark or the end, whichever comes first."""
        now = self._clock.seconds()
        wake = self._ends_at
        if self._plan.bookmark_interval is not None:
            last = self._ends_at - BEFORE_END
            if now < last:
                wake = min(now + self._plan.bookmark_interval, last)
        self._timer = self._clock.callLater(max(0.0, wake - now), self._woken)

    def _woken(self) -> None:
        self._timer = None
        if self._clock.seconds() >= self._ends_at:
            if not self.silent:
                self.end()
            return
        # One whose version is still to come hears nothing, no bookmark either.
        if not self.silent and not self._paused and self._seen <= self._store.version:
            if self._seen == self._began:  # no bookmark says what its watch began with
                self._store.pass_over()
            self._write(bookmark(self._seen))
        if self.open:
            self._sleep()

    def speak(self) -> None:
        """Go on after silence: what was missed, and the end where its time has come."""
        self.silent = False
        self.pump()
        if self.open and self._timer is None:
            self.end()

    # --- the end -----------------------------------------------------------------------------

    def end(self) -> None:
        """End it cleanly; a client that does not even read is dropped."""
        if self._paused:
            self.reset()
        elif self.closed():
            self._request.unregisterProducer()
            self._request.finish()

    def lose(self) -> None:
        """Write out what was given to the kernel and close, without the end of the body."""
        if self.closed():
            self._request.channel.loseConnection()

    def reset(self) -> None:
        """Reset the connection (TCP RST), whatever is under way."""
        if self.closed():
            abort(self._request)

    def closed(self) -> bool:
        """Remember that it is over; false where it was over before."""
        was_open, self.open = self.open, False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return was_open

    # --- what tests do to it -----------------------------------------------------------------

    def cut_next_line(self, length: int, clean: bool) -> None:
        """Write that many bytes of the next line, then end the body, or close without its end."""
        self._cut = (length, clean)

    def inject(self, line: bytes) -> None:
        """Write a line that is no event of ours."""
        if self.open and not self._paused:
            self._write(line + b"\n")

    # --- IPushProducer -----------------------------------------------------------------------

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self.pump()

    def stopProducing(self) -> None:
        self.closed()
