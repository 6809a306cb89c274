"""What a request has to pass first: a hang, a delay, an answer that a test planned."""

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

from overlayd.testing.apiserver.refusals import planned


@frozen
class Plan:
    """Answer the next `count` requests of some verbs (none named: any) with a refusal."""

    count: int
    status: int
    retry_after: int | None = None
    verbs: frozenset[str] = frozenset()


class Gate:
    """Open unless a test closed it."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._plans: list[Plan] = []
        self._delay = 0.0
        self._hung = False
        self._opening: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []

    @property
    def hung(self) -> bool:
        return self._hung

    def hang(self, seconds: float | None) -> None:
        """Answer nothing for some seconds, or (None) until told to resume."""
        self.resume()
        self._hung = True
        if seconds is not None:
            self._opening = self._clock.callLater(seconds, self.resume)

    def resume(self) -> None:
        """Go on with everything that waited."""
        self._hung = False
        if self._opening is not None and self._opening.active():
            self._opening.cancel()
        self._opening = None
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    def opened(self) -> "Deferred[None]":
        """Fires when nothing hangs, at once where nothing does."""
        deferred: Deferred[None] = Deferred(self._forget)
        if self._hung:
            self._waiting.append(deferred)
        else:
            deferred.callback(None)
        return deferred

    def delay(self, seconds: float) -> None:
        """Let every request wait that long from now on."""
        self._delay = seconds

    def plan(self, plan: Plan) -> None:
        """Add a plan; the oldest that fits a request answers it."""
        self._plans.append(plan)

    def clear(self) -> None:
        """No plan, no delay, no hang."""
        self._plans.clear()
        self._delay = 0.0
        self.resume()

    async def passed(self, verb: str) -> None:
        """:raises Refusal: the one that a plan has for this verb."""
        await self.opened()
        if self._delay:
            await deferLater(self._clock, self._delay)
            await self.opened()
        for position, plan in enumerate(self._plans):
            if not plan.verbs or verb in plan.verbs:
                self._use(position)
                raise planned(plan.status, plan.retry_after)

    def _use(self, position: int) -> None:
        plan = self._plans.pop(position)
        if plan.count > 1:
            rest = Plan(plan.count - 1, plan.status, plan.retry_after, plan.verbs)
            self._plans.insert(position, rest)

    def _forget(self, deferred: "Deferred[None]") -> None:
        self._waiting = [waiting for waiting in self._waiting if waiting is not deferred]
