"""Asking a userspace WireGuard over its socket. Blocking."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from overlayd.model.errors import TunnelError
from overlayd.tunnel.uapi import END

FOLDER = "/var/run/wireguard"
"""Where wireguard-go puts its socket and wg(8) looks for it, whatever /var/run is: both say so."""

LIMIT = 3.0
"""Seconds without progress after which a tunnel does not answer. 5,000 peers take half a second."""

_PART = 1 << 18


class UapiSocket:
    """The socket of the tunnel of one name; each request has a connection of its own.

    `interrupt` is for another thread: nobody waits for an answer any more, and nothing is asked.
    A request under way is sent to its end all the same, so that none is half made.
    """

    def __init__(self, link: str) -> None:
        self._link = link
        self.path = f"{FOLDER}/{link}.sock"
        self._lock = threading.Lock()
        self._waiting: socket.socket | None = None
        self._interrupted = False

    def ask(self, request: bytes) -> bytes | None:
        """Send one request and read its whole answer; None where nobody is there to be asked.

        :raises TunnelError: somebody is, and does not answer (stopped, hanging, no permission), or
            this was interrupted.
        """
        try:
            with self._connection() as connection:
                try:
                    connection.connect(self.path)
                except (FileNotFoundError, ConnectionRefusedError):
                    return None
                _send(connection, request)
                answer = _receive(connection)
        except ConnectionResetError:
            return None  # it ended while it was asked
        except (TimeoutError, BlockingIOError):
            raise TunnelError(
                f"the tunnel process of {self._link} does not answer within {LIMIT:g} s: "
                "stopped or hanging; once it is killed, a new one is made"
            ) from None
        except OSError as error:
            raise TunnelError(f"{self.path}: {error.strerror}") from None
        if not answer.endswith(END):
            self._check()
        return answer or None

    def end(self) -> None:
        """End the process that answers, by removing its socket, and wait until it is gone.

        :raises TunnelError: it does not end, or this was interrupted.
        """
        try:
            with self._connection() as connection:
                connection.connect(self.path)
                os.unlink(self.path)
                connection.recv(1)  # it says nothing unasked: this returns when it has ended
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
            return
        except OSError:
            raise TunnelError(f"the tunnel process of {self._link} does not end") from None
        self._check()

    def interrupt(self) -> None:
        with self._lock:
            self._interrupted = True
            if self._waiting is not None:
                _stop_reading(self._waiting)

    @contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LIMIT)
            with self._lock:
                self._check()
                self._waiting = connection
            try:
                yield connection
            finally:
                with self._lock:
                    self._waiting = None

    def _check(self) -> None:
        if self._interrupted:
            raise TunnelError(f"interrupted: the tunnel process of {self._link} is asked no more")


def _stop_reading(connection: socket.socket) -> None:
    """Make a read in another thread return: closing does not wake it."""
    try:
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        return  # not connected yet


def _send(connection: socket.socket, request: bytes) -> None:
    rest = memoryview(request)
    while rest:
        try:
            rest = rest[connection.send(rest) :]
        except (BrokenPipeError, ConnectionResetError):
            return  # refused before all was read: the answer says why


def _receive(connection: socket.socket) -> bytes:
    answer = bytearray()
    while not answer.endswith(END):
        part = connection.recv(_PART)
        if not part:
            break
        answer += part
    return bytes(answer)
