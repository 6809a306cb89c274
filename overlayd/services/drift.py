"""What had to be repaired because someone else changed it, and who keeps changing it."""

from twisted.logger import Logger

from overlayd.model.changes import RemovePeer
from overlayd.model.status import Repair
from overlayd.passes import PassResult
from overlayd.plan.fights import Repairs, fought_over, pause, remember_repairs

REMEMBERED = 20


class Drift:
    """Counts repairs over the daemon's life and keeps the last ones. Times are monotonic."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._repairs: Repairs = {}
        self.fights: frozenset[str] = frozenset()
        self.total = 0
        self.last: tuple[Repair, ...] = ()

    def pause(self, now: float) -> float:
        """How many seconds the next repair should wait, since somebody keeps undoing them."""
        return pause(self._repairs, now)

    def count(self, result: PassResult, at: str, now: float) -> None:
        """Count what a pass changed although the cluster says the same as before.

        A peer that was held and goes now is no repair: its time was over, or it was confirmed.
        """
        held = result.plan.memory.held
        made = [
            o.change
            for o in result.outcomes
            if o.error is None and not (isinstance(o.change, RemovePeer) and o.change.key in held)
        ]
        self.total += len(made)
        repairs = (Repair(at, str(change), change.why) for change in made)
        self.last = (*self.last, *repairs)[-REMEMBERED:]
        self._repairs = remember_repairs(self._repairs, frozenset(map(str, made)), now)
        fights = fought_over(self._repairs, now)
        for thing in fights:
            if thing not in self.fights:
                self._log.warn(
                    "someone keeps undoing this, so it is done again more slowly: {thing}",
                    thing=thing,
                )
        self.fights = frozenset(fights)
