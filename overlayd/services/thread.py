"""One private thread for blocking work, and the only way back into the reactor."""

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")


class Call(Protocol):
    """Run a blocking function somewhere else; the Deferred fires in the reactor's thread."""

    def __call__(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]: ...


def _nothing() -> None:
    pass


class OneThread(Service):
    """A thread of its own: its calls run one at a time, in the order in which they were made.

    A call cannot be cancelled, so `interrupt`, called in the reactor's thread when the service
    stops, makes one that blocks end soon.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        name: str,
        interrupt: Callable[[], None] = _nothing,
    ) -> None:
        self.name = name
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=1, name=name)
        self._interrupt = interrupt

    def startService(self) -> None:
        super().startService()
        self._pool.start()

    def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, function, *args, **kwargs)

    def stopService(self) -> Deferred[None]:
        """Fire when everything that was called is done and the thread is gone."""
        super().stopService()
        self._interrupt()
        # The pool has one thread, so this call comes after all the others. Only then is there
        # nothing left that stopping the pool, which joins its thread, would wait for.
        return self.call(_nothing).addBoth(lambda _: self._pool.stop())
