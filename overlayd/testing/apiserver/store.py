"""The Nodes, their versions, and a bounded history of what changed.

Every write takes the next resourceVersion, so event `n` of the history is a subtraction away.
"""

from collections import deque
from collections.abc import Callable, Iterable

from attrs import frozen

from overlayd.testing.apiserver.documents import Stored
from overlayd.testing.apiserver.refusals import (
    Document,
    already_exists,
    expired_list,
    expired_watch,
    not_found,
    too_large_version,
)
from overlayd.testing.apiserver.selectors import Selector


@frozen
class Event:
    """One write: a Node created (no `before`), changed, or deleted (no `after`).

    With neither it was an object of another kind: versions count them all.
    """

    version: int
    before: Stored | None
    after: Stored | None

    def line(self, selected: Selector) -> bytes | None:
        """The watch event as one line of JSON, or None where the selector hides it.

        A Node that begins to match is ADDED, one that no longer matches is DELETED.
        """
        was = self.before is not None and selected(self.before)
        if self.after is not None and selected(self.after):
            return event_line("MODIFIED" if was else "ADDED", self.after)
        if was and self.before is not None:
            return event_line("DELETED", Stored.of(self.before.document, self.version))
        return None


def event_line(kind: str, node: Stored) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (kind.encode(), node.whole())


class NodeStore:
    """Keeps documents and asks nothing about them; what is valid is decided before.

    :param history: how many writes it remembers.
    """

    def __init__(self, history: int) -> None:
        self.version = 1
        self._nodes: dict[str, Stored] = {}
        self._events: deque[Event] = deque(maxlen=history)
        self._sorted: tuple[Stored, ...] | None = None
        self._listeners: list[Callable[[Event | None], None]] = []

    @property
    def oldest(self) -> int:
        """The oldest version from which a watch can still go on."""
        return self.version - len(self._events)

    def listen(self, listener: Callable[[Event | None], None]) -> None:
        """Call `listener` with every write; with None when history was forgotten or replaced."""
        self._listeners.append(listener)

    def get(self, name: str) -> Stored:
        """:raises Refusal: 404."""
        try:
            return self._nodes[name]
        except KeyError:
            raise not_found(name) from None

    def add(self, document: Document) -> Stored:
        """:raises Refusal: 409 AlreadyExists."""
        name = document["metadata"]["name"]
        if name in self._nodes:
            raise already_exists(name)
        return self.put(document)

    def put(self, document: Document) -> Stored:
        """Add a document, or put it in the place of the Node of the same name."""
        before = self._nodes.get(document["metadata"]["name"])
        after = Stored.of(document, self.version + 1)
        self._record(Event(self.version + 1, before, after))
        return after

    def remove(self, name: str) -> Stored:
        """:raises Refusal: 404."""
        gone = self.get(name)
        self._record(Event(self.version + 1, gone, None))
        return gone

    def pass_over(self) -> None:
        """Move on by a version that is no Node's, as the leases of a cluster do all the time."""
        self._record(Event(self.version + 1, None, None))

    def snapshot(self, version: int | None = None) -> tuple[Stored, ...]:
        """All Nodes by name, as they are or as they were at a version.

        :raises Refusal: 410 for a version that is forgotten, 504 for one not reached yet.
        """
        if version is None or version == self.version:
            if self._sorted is None:
                self._sorted = _by_name(self._nodes)
            return self._sorted
        if version > self.version:
            raise too_large_version(version, self.version)
        if version < self.oldest:
            raise expired_list()
        nodes = dict(self._nodes)
        for event in reversed(self._events):
            if event.version <= version:
                break
            _undo(event, nodes)
        return _by_name(nodes)

    def after(self, version: int) -> Event | None:
        """The first event after a version; None where nothing was written since.

        :raises Refusal: 410 for a version that is forgotten.
        """
        if version >= self.version:
            return None
        if version < self.oldest:
            raise expired_watch(version, self.oldest)
        return self._events[version - self.oldest]

    def forget(self) -> None:
        """Drop the history, as a compaction does: only the present version can go on."""
        self._events.clear()
        self._changed(None)

    def replace(self, documents: Iterable[Document], version: int) -> None:
        """Hold other Nodes at another version, with no history before it."""
        numbered = enumerate(documents, start=1)
        self.restore((Stored.of(d, min(n, version)) for n, d in numbered), version)

    def restore(self, nodes: Iterable[Stored], version: int) -> None:
        """Hold exactly these Nodes, as they are, at a version, with no history before it."""
        self._nodes = {node.name: node for node in nodes}
        self.version = version
        self._events.clear()
        self._changed(None)

    def _record(self, event: Event) -> None:
        self.version = event.version
        self._events.append(event)
        if event.after is not None:
            self._nodes[event.after.name] = event.after
        elif event.before is not None:
            del self._nodes[event.before.name]
        self._changed(event)

    def _changed(self, event: Event | None) -> None:
        self._sorted = None
        for listener in self._listeners:
            listener(event)


def _by_name(nodes: dict[str, Stored]) -> tuple[Stored, ...]:
    return tuple(nodes[name] for name in sorted(nodes))


def _undo(event: Event, nodes: dict[str, Stored]) -> None:
    if event.before is not None:
        nodes[event.before.name] = event.before
    elif event.after is not None:
        del nodes[event.after.name]
