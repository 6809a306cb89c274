"""Opening watches, and keeping track of those that are open."""

from collections.abc import Iterator
from itertools import chain
from random import uniform

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request

from overlayd.testing.apiserver.documents import Stored
from overlayd.testing.apiserver.listing import ListOptions
from overlayd.testing.apiserver.store import Event, NodeStore, event_line
from overlayd.testing.apiserver.watches import Watch, WatchPlan, bookmark

LONGEST = (1800.0, 3600.0)
"""Without timeoutSeconds a watch ends after a random time between these, in seconds."""


class Watching:
    """All open watches. Every write makes each of them read on."""

    def __init__(self, clock: IReactorTime, store: NodeStore, bookmark_interval: float) -> None:
        self._clock = clock
        self._store = store
        self._bookmark_interval = bookmark_interval
        self._watches: list[Watch] = []
        self._silent = False
        store.listen(self._changed)

    def watches(self) -> list[Watch]:
        """Those that are open now."""
        self._watches = [watch for watch in self._watches if watch.open]
        return list(self._watches)

    def open(self, request: Request, options: ListOptions) -> None:
        """Answer a watch: 200 at once, with one ERROR line where its version is forgotten."""
        watch = Watch(self._clock, request, self._store, self._plan(options))
        watch.silent = self._silent
        self._watches = [*self.watches(), watch]
        watch.start()

    def silence(self, silent: bool) -> None:
        """Let no watch write, until told otherwise."""
        self._silent = silent
        for watch in self.watches():
            if silent:
                watch.silent = True
            else:
                watch.speak()

    def _changed(self, _: Event | None) -> None:
        for watch in self.watches():
            watch.pump()

    def _plan(self, options: ListOptions) -> WatchPlan:
        from_state = not options.version or options.initial_events
        version = self._store.version if from_state else options.version or 0
        return WatchPlan(
            version=version,
            initial=self._initial(options) if from_state else iter(()),
            selected=options.selected,
            seconds=options.timeout or uniform(*LONGEST),
            bookmark_interval=self._bookmark_interval if options.bookmarks else None,
        )

    def _initial(self, options: ListOptions) -> Iterator[bytes]:
        """The state now, an ADDED line for each Node, read lazily."""
        nodes: tuple[Stored, ...] = self._store.snapshot()
        added = (event_line("ADDED", node) for node in nodes if options.selected(node))
        if not (options.initial_events and options.bookmarks):
            return added
        return chain(added, [bookmark(self._store.version, initial_end=True)])
