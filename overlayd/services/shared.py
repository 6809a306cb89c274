"""One answer for all who ask the same at the same time."""

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Shared(Generic[T]):
    """Calls `call`, once at a time, for any number of those who want its answer.

    An answer is of a call that began after it was asked for, so who asks while one runs gets the
    answer of the next.
    """

    def __init__(self, call: Callable[[], "Deferred[T]"]) -> None:
        self._call = call
        self._waiting: list[Deferred[T]] = []
        self._running = False

    def __call__(self) -> "Deferred[T]":
        answered: Deferred[T] = Deferred()
        self._waiting.append(answered)
        if not self._running:
            self._begin()
        return answered

    def _begin(self) -> None:
        self._running = True
        waiting, self._waiting = self._waiting, []
        self._call().addBoth(self._answer, waiting)

    def _answer(self, answer: T | Failure, waiting: "list[Deferred[T]]") -> None:
        self._running = False
        if self._waiting:
            self._begin()
        for answered in waiting:
            answered.callback(answer)
