"""Starting handshakes with every peer after our sessions died, a few at a time."""

from collections.abc import Callable, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from overlayd.model.changes import Outcome, StartHandshake
from overlayd.passes import PassResult

BATCH = 50
PAUSE = 0.2  # seconds between two batches: 250 handshakes a second, a fraction of what a core does

WHY = "our sessions are new, and the peer would take 15 s to notice"

Apply = Callable[[Sequence[StartHandshake]], "Deferred[list[Outcome]]"]


class Handshakes(Service):
    """A queue of peers that do not know yet that our sessions are new.

    `apply` makes the changes on the machine's thread. A handshake that does not start is no
    failure of a pass: the peer may be away, and it will start one itself.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, apply: Apply) -> None:
        self._clock = clock
        self._apply = apply
        self._owed = False
        self._queue: list[StartHandshake] = []
        self._next: IDelayedCall | None = None

    def after_pass(self, result: PassResult, complete: bool) -> None:
        """Start with every peer if the pass cost us our sessions.

        A pass that was not `complete` knew no inventory: those peers that a later one adds to the
        new device hold old sessions too.
        """
        if not (result.sessions_lost or (self._owed and complete)):
            return
        self._owed = not complete
        peers = result.observed.device.peers if result.observed.device else {}
        names = {key: "" for key in peers} | dict(result.plan.names)
        self._queue = [
            StartHandshake(name, key, peers[key].keepalive if key in peers else 0, WHY)
            for key, name in names.items()
        ]
        if self._queue and self._next is None:
            self._log.info("starting handshakes with {count} peers", count=len(self._queue))
            self._next = self._clock.callLater(0, self._send)

    def stopService(self) -> None:
        super().stopService()
        self._queue = []
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _send(self) -> None:
        batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
        self._next = self._clock.callLater(PAUSE, self._send) if self._queue else None
        if batch:
            self._apply(batch).addCallbacks(
                self._report, lambda f: self._log.failure("handshakes could not be started", f)
            )

    def _report(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.error is not None:
                self._log.warn(
                    "could not {change}: {error}", change=outcome.change, error=outcome.error
                )
