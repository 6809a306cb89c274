"""What was asked of the server, counted on arrival, and what it answered, in order."""

from collections import Counter, deque
from collections.abc import Mapping

from attrs import asdict, field, frozen

from overlayd.testing.apiserver.listing import flag
from overlayd.testing.apiserver.refusals import Document

LOGGED = 10_000
"""How many answers the log keeps."""


@frozen
class Call:
    """One request. `verb` is Kubernetes' word: list, watch, get, create, update, patch, delete."""

    verb: str
    method: str
    path: str
    query: Mapping[str, str]
    agent: str  # the User-Agent header, "" without one

    def counted_as(self) -> str:
        """What the counters call it: lists are told apart by what they cost."""
        if self.verb == "watch":
            return "streamed_lists" if flag(self.query, "sendInitialEvents") else "watches"
        if self.verb != "list":
            return {"patch": "patches"}.get(self.verb, f"{self.verb}s")
        if self.query.get("continue"):
            return "list_pages"
        return "single_lists" if self.query.get("limit") == "1" else "full_lists"


@frozen
class Answered:
    time: float  # POSIX seconds
    method: str
    path: str
    query: Mapping[str, str]
    agent: str
    status: int


@frozen
class Counters:
    """`full_lists` are first pages, `list_pages` later ones, `single_lists` those of limit=1.

    The others are gets, watches, streamed_lists (watches that ask for the initial state), creates,
    updates, patches, deletes. A request counts even where it is refused or never answered.
    """

    _by_agent: dict[str, Counter[str]] = field(factory=dict)
    _log: deque[Answered] = field(factory=lambda: deque(maxlen=LOGGED))

    def arrived(self, call: Call) -> None:
        self._by_agent.setdefault(call.agent, Counter())[call.counted_as()] += 1

    def answered(self, call: Call, status: int, time: float) -> None:
        """The status line was written, at `time`; of a watch this is its beginning."""
        self._log.append(Answered(time, call.method, call.path, call.query, call.agent, status))

    def counts(self) -> Document:
        """All counters, and the same for each User-Agent."""
        total: Counter[str] = Counter()
        for counter in self._by_agent.values():
            total.update(counter)
        by_agent = {agent: dict(counter) for agent, counter in self._by_agent.items()}
        return {"total": dict(total), "by_user_agent": by_agent}

    def log(self) -> list[Document]:
        """The last answers, oldest first."""
        return [asdict(answered) for answered in self._log]

    def clear(self) -> None:
        self._by_agent.clear()
        self._log.clear()
