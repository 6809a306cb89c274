"""Starting handshakes with every peer after our sessions died, a few at a time."""

from collections.abc import Callable, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from overlayd.model.changes import Outcome, StartHandshake
from overlayd.passes import PassResult

BATCH = 10
PAUSE = 0.05  # seconds after a batch, at the least: 200 handshakes a second

WHY = "our sessions are new, and the peer would take 15 s to notice"

Apply = Callable[[Sequence[StartHandshake]], "Deferred[list[Outcome]]"]


class Handshakes(Service):
    """A queue of peers that do not know yet that our sessions are new.

    Batches are small, and each waits for the one before and then as long as that took: a device
    that sends to peers which nobody answers for is slow, and passes need the same thread.

    `apply` makes the changes on the machine's thread. A handshake that does not start is no
    failure of a pass: the peer may be away, and it will start one itself.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, apply: Apply) -> None:
        self._clock = clock
        self._apply = apply
        self._owed = False
        self._queue: list[StartHandshake] = []
        self._under_way = False
        self._next: IDelayedCall | None = None

    def after_pass(self, result: PassResult) -> None:
        """Start with every peer if the pass cost us our sessions.

        A pass may have known no inventory: those peers that a later one adds to the new device
        hold old sessions too.
        """
        complete = result.inventory is not None
        if not self.running or not (result.sessions_lost or (self._owed and complete)):
            return
        self._owed = not complete
        peers = result.observed.device.peers if result.observed.device else {}
        names = dict.fromkeys(peers, "") | dict(result.plan.names)
        self._queue = [
            StartHandshake(name, key, peers[key].keepalive if key in peers else 0, WHY)
            for key, name in sorted(names.items(), key=lambda item: (item[1], item[0]))
        ]
        if self._queue and self._next is None and not self._under_way:
            self._log.info("starting handshakes with {count} peers", count=len(self._queue))
            self._next = self._clock.callLater(0, self._send)

    def stopService(self) -> None:
        super().stopService()
        self._queue = []
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _send(self) -> None:
        self._next = None
        batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
        Deferred.fromCoroutine(self._send_batch(batch)).addErrback(
            lambda failure: self._log.failure("handshakes could not be started", failure)
        )

    async def _send_batch(self, batch: Sequence[StartHandshake]) -> None:
        began = self._clock.seconds()
        self._under_way = True
        try:
            outcomes = await self._apply(batch)
        finally:
            self._under_way = False
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if failed:
            first = failed[0]
            self._log.warn(
                "could not {change} ({count} of {all}): {error}",
                change=first.change,
                count=len(failed),
                all=len(batch),
                error=first.error,
            )
        if len(failed) == len(batch) and self._queue:
            # Nobody would answer the rest either, and each waits on the thread that passes need.
            self._queue, self._owed = [], True
        if self._queue:
            pause = max(PAUSE, self._clock.seconds() - began)
            self._next = self._clock.callLater(pause, self._send)
