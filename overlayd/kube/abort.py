"""Ending from another thread what blocks: once, and for good."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from overlayd.model.errors import Unreachable


class Abort:
    """Whatever blocks says here how it is ended; `abort` ends all of it. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: set[Callable[[], None]] = set()
        self._aborted = False

    def check(self) -> None:
        """:raises Unreachable: it was aborted."""
        if self._aborted:
            raise Unreachable("aborted: nothing more is asked of the API server")

    def add(self, end: Callable[[], None]) -> None:
        """Remember how something is ended. `end` must neither block nor raise.

        :raises Unreachable: it was aborted, so nothing may begin to block.
        """
        with self._lock:
            self.check()
            self._ends.add(end)

    def discard(self, end: Callable[[], None]) -> None:
        """Forget `end`; once this returns it neither runs nor will."""
        with self._lock:
            self._ends.discard(end)

    @contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """Have `end` called if an abort comes within this block."""
        self.add(end)
        try:
            yield
        finally:
            self.discard(end)

    def abort(self) -> None:
        with self._lock:
            self._aborted = True
            for end in self._ends:
                end()
