"""The control socket as a service: it listens while it runs."""

import os
from contextlib import suppress
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from overlayd.control import socket
from overlayd.control.connection import Connections
from overlayd.control.responders import Answers, Responders
from overlayd.model.errors import ControlError


class ControlService(Service):
    """Answers `overlayctl` at the unix socket `path`.

    The socket is opened with the privileges, thus before any service is started: where it cannot
    be, `ControlError` comes out before anything on the machine is touched. `reactor` provides
    IReactorUNIX and IReactorTime.
    """

    def __init__(self, reactor: Any, path: str, answers: Answers) -> None:
        self._reactor = reactor
        self._path = path
        self._connections = Connections(reactor, lambda: Responders(answers))
        self._lock: int | None = None
        self._port: Any = None

    def privilegedStartService(self) -> None:
        """Open the socket.

        :raises ControlError: it cannot be opened; the text is one line for a person.
        """
        super().privilegedStartService()
        self._lock = socket.prepare(self._path)
        try:
            with socket.private():
                self._port = self._reactor.listenUNIX(
                    self._path, self._connections, mode=socket.SOCKET_MODE
                )
            self._connections.port = self._port
        except CannotListenError as error:
            self._let_go()
            raise _reason(self._path, error) from error

    def startService(self) -> None:
        if self._port is None:
            self.privilegedStartService()
        super().startService()

    def stopService(self) -> "Deferred[None]":
        """Remove the socket and hang up; answers that are on their way arrive."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._port is not None:
            port, self._port = self._port, None
            # Twisted removes the file, and fails where someone else did.
            with suppress(FileNotFoundError):
                await port.stopListening()
        self._connections.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _reason(path: str, error: CannotListenError) -> ControlError:
    cause = error.socketError
    if isinstance(cause, OSError):
        return socket.explained(path, cause)
    return ControlError(f"cannot open the control socket {path!r}: {cause}")
