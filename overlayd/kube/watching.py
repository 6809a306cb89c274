"""One watch of the Nodes: events applied to what is known, until it ends."""

from collections.abc import Callable

from immutables import Map

from overlayd.kube.endings import failed, refused_stream, unanswered
from overlayd.kube.lines import Lines
from overlayd.kube.listing import NODES, Opened
from overlayd.kube.silence import Silence
from overlayd.kube.transport.api import ApiServer
from overlayd.model.errors import NotADocument, Unreachable
from overlayd.model.node import ClaimIndex, Inventory, Node
from overlayd.model.settings import Settings
from overlayd.plan.answers import Bookmark, Deleted, Event, Failed, Written, event_from
from overlayd.plan.claim_index import follow
from overlayd.plan.resume import Ending, How, is_below


class Following:
    """Nodes and their index kept up to date by the bytes of a watch, whole event by whole event."""

    def __init__(self, settings: Settings, known: Inventory | None, version: str) -> None:
        self.nodes: Map[str, Node] = Map(known.nodes if known else {})
        self.index = known.index if known else ClaimIndex()
        self.version = version
        self._settings = settings
        self.events = 0
        self.ending: Ending | None = None  # set by an event, or a line that is none, that ends it
        self._lines = Lines()

    @property
    def moved(self) -> bool:
        """Whether an event or a bookmark came."""
        return self.events > 0

    def take(self, chunk: bytes) -> frozenset[str]:
        """Apply what is whole now; return the names that differ from before, by value."""
        before: dict[str, Node | None] = {}
        try:
            for line in self._lines.take(chunk):
                self._apply(event_from(line), before)
                if self.ending is not None:
                    break
        except NotADocument as error:
            self.ending = self.ended(How.NO_EVENT, str(error))
        return frozenset(name for name, node in before.items() if self._differs(name, node))

    def ended(self, how: How, reason: str = "") -> Ending:
        """The ending of a watch that brought what was taken so far."""
        return Ending(how, version=self.version, moved=self.moved, reason=reason)

    def _differs(self, name: str, before: Node | None) -> bool:
        now = self.nodes.get(name)
        return now is not before and now != before  # a heartbeat leaves the very same value

    def _apply(self, event: Event, before: dict[str, Node | None]) -> None:
        if isinstance(event, Failed):
            self.ending = failed(event.status, self.version, self.moved)
            return
        if is_below(event.version, self.version):
            self.ending = self.ended(
                How.WENT_BACK,
                f"the API server's history went back from {self.version} to {event.version}",
            )
            return
        match event:
            case Written(node):
                if node.name != self._settings.node_name:
                    node = node.as_other()
                known = self.nodes.get(node.name)
                before.setdefault(node.name, known)
                if known != node:  # else the old value stays, and what shares it
                    self.nodes = self.nodes.set(node.name, node)
                    self.index = follow(self._settings, self.index, known, node)
            case Deleted(name):
                known = self.nodes.get(name)
                before.setdefault(name, known)
                if known is not None:
                    self.nodes = self.nodes.delete(name)
                    self.index = follow(self._settings, self.index, known, None)
            case Bookmark():
                pass
        self.version = event.version
        self.events += 1


def open_watch(api: ApiServer, version: str, seconds: int, silence: float) -> Opened | Ending:
    """Begin to watch from a version, for `seconds` at the most, as the server counts them.

    :param silence: seconds without a byte after which the answer's head is not waited for.
    """
    query = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(seconds),
    }
    try:
        stream = api.stream(NODES, query, silence)
    except Unreachable as error:
        return unanswered(error)
    if stream.status == 200:
        return Opened(stream, b"")
    try:
        return refused_stream(stream, version)
    finally:
        stream.close()


def watch(
    opened: Opened,
    following: Following,
    silence: Silence,
    report: Callable[[frozenset[str]], None],
) -> Ending:
    """Follow the Nodes until the watch ends.

    `report` hears of the names that changed: at once, and after each piece that brought an event
    or a bookmark; there may be none.
    """
    report(frozenset())
    chunk = opened.rest
    opened.stream.allow_silence(silence.first)
    try:
        while following.ending is None:
            events = following.events
            changed = following.take(chunk)
            if following.events != events:
                if events == 0:
                    opened.stream.allow_silence(silence.watch)
                report(changed)
            if following.ending is None and not (chunk := opened.stream.read()):
                return following.ended(How.ENDED)
    except Unreachable as error:
        return following.ended(How.BROKE_OFF, str(error))
    return following.ending
