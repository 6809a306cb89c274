"""What people are told about the node watch."""

from twisted.logger import Logger

from overlayd.kube.nodes import Heard
from overlayd.model.status import ApiStatus
from overlayd.plan.resume import Attempt, Ending, How, Step


class WatchState:
    """One line in the log for each change of state, not for each attempt, and the status.

    A watch that opens is not yet one that works; a line says so only once it brought something.
    """

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._up_since: float | None = None
        self._heard_at: float | None = None
        self._complaint: Ending | None = None
        self._lists = 0
        self._watches = 0

    def begin(self, attempt: Attempt) -> None:
        self._lists += attempt.step in (Step.STREAM, Step.LIST)
        self._watches += attempt.step is Step.WATCH

    def hear(self, heard: Heard, now: float) -> None:
        if self._up_since is None:
            self._up_since = now
        if not heard.moved:
            return
        self._heard_at = now
        if self._complaint is not None:
            self._log.info("following the Nodes again, from version {at}", at=heard.version)
            self._complaint = None

    def end(self, ending: Ending, now: float) -> None:
        if ending.skipped:
            self._log.warn("left out {count} Nodes without a name", count=ending.skipped)
        if ending.how is How.NOT_STREAMED:
            self._lists -= 1  # it was none
            self._log.info(
                "the API server does not stream lists, so they are read in pages: {reason}",
                reason=ending.reason,
            )
            return
        if ending.good:
            if ending.how is How.LISTED and self._up_since is None:
                self._up_since = now
            return
        self._up_since = None
        if self._complaint is None or _matter(self._complaint) != _matter(ending):
            self._log.warn("not following the Nodes: {reason}", reason=ending.reason)
        self._complaint = ending

    def status(self, now: float) -> ApiStatus:
        up = self._up_since
        return ApiStatus(
            connected=None if up is None else now - up,
            error=self._complaint.reason if up is None and self._complaint else None,
            heard=None if self._heard_at is None else now - self._heard_at,
            lists=self._lists,
            watches=self._watches,
        )


def _matter(ending: Ending) -> tuple[How, int, str]:
    """What is complained of. Where no answer came the words are ours, and tell what to look at."""
    return ending.how, ending.status, ending.reason if ending.how is How.NO_ANSWER else ""
