"""Asking a userspace WireGuard over its socket. Blocking."""

import os
import socket

from overlayd.model.errors import TunnelError
from overlayd.tunnel.uapi import END

FOLDER = "/var/run/wireguard"
"""Where wireguard-go puts its socket and wg(8) looks for it, whatever /var/run is: both say so."""

LIMIT = 3.0
"""Seconds without progress after which a tunnel does not answer. 5,000 peers take half a second."""

_PART = 1 << 18


def path_of(link: str) -> str:
    return f"{FOLDER}/{link}.sock"


def ask(link: str, request: bytes) -> bytes | None:
    """Send one request and read its whole answer; None where nobody is there to be asked.

    :raises TunnelError: somebody is, and does not answer (stopped, hanging, no permission).
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LIMIT)
            try:
                connection.connect(path_of(link))
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            _send(connection, request)
            return _receive(connection) or None
    except ConnectionResetError:
        return None  # it ended while it was asked
    except (TimeoutError, BlockingIOError):
        raise TunnelError(
            f"the tunnel process of {link} does not answer within {LIMIT:g} s: stopped or hanging"
        ) from None
    except OSError as error:
        raise TunnelError(f"{path_of(link)}: {error.strerror}") from None


def end(link: str) -> None:
    """End the process that answers, by removing its socket, and wait until it is gone.

    :raises TunnelError: it does not end.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LIMIT)
            connection.connect(path_of(link))
            os.unlink(path_of(link))
            connection.recv(1)  # it says nothing unasked: this returns when it has ended
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
        return
    except OSError:
        raise TunnelError(f"the tunnel process of {link} does not end") from None


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
