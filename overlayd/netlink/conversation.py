"""Asks the kernel over one netlink socket: whole tables, and requests that are packed by us."""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from overlayd.model.errors import NetworkError
from overlayd.model.text import shown
from overlayd.netlink.rtnetlink import MESSAGE, messages

ATTEMPTS = 10  # readings of a table that changes while it is read

GENERIC = 16  # NETLINK_GENERIC, which the socket module does not name

# linux/netlink.h
_SOL_NETLINK = 270
_GET_STRICT_CHK = 12
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_DUMP_INTERRUPTED = 0x10
_ERRNO, _ERRNOS = struct.Struct("=i"), 4096

_READ_SIZE = 1 << 16  # the kernel fills at most half of it


class Netlink:
    """A conversation with one part of the kernel, such as that of links, addresses and routes.

    The socket is connected, and every read gives whole messages.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sequence = 0

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The body of each message that answers the request `kind` (one of the GET types).

        A table that nobody has used yet does not exist in the kernel: it is empty.

        :raises NetworkError: it could not be read.
        """
        try:
            return self.read(kind, body)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise NetworkError(f"reading from rtnetlink failed: {error}") from error

    def read(self, kind: int, body: bytes) -> list[bytes]:
        """As `dump`, with the kernel's own word for what could not be read.

        What the kernel marks as inconsistent, since it changed meanwhile, is read again.

        :raises OSError: what the kernel answered.
        :raises NetworkError: it changed during every reading.
        """
        for _ in range(ATTEMPTS):
            found = self._dump_once(kind, body)
            if found is not None:
                return found
        raise NetworkError(f"the kernel's table changed during each of {ATTEMPTS} readings")

    def ask(self, kind: int, body: bytes) -> bytes:
        """The body of the one message that answers a question.

        :raises OSError: what the kernel answered instead.
        """
        self._send(kind, _REQUEST, body)
        return self._answer()

    def request(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send one message that changes something.

        :raises OSError: what the kernel answered.
        """
        self._send(kind, _REQUEST | _ACK | flags, body)
        self._answer()

    def _answer(self) -> bytes:
        for kind, _, answer in self._answers():
            if kind == _ERROR:
                _raise_error(answer)
            return answer
        raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))

    def _dump_once(self, kind: int, body: bytes) -> list[bytes] | None:
        """None where the kernel marked it; it is read to its end all the same."""
        self._send(kind, _REQUEST | _DUMP, body)
        found: list[bytes] = []
        interrupted = 0
        for answer_kind, flags, answer in self._answers():
            interrupted |= flags & _DUMP_INTERRUPTED
            if answer_kind in (_ERROR, _DONE):
                _raise_error(answer)
                break
            found.append(answer)
        return None if interrupted else found

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        header = MESSAGE.pack(MESSAGE.size + len(body), kind, flags, self._sequence, 0)
        self._socket.send(header + body)

    def _answers(self) -> Iterator[tuple[int, int, bytes]]:
        while True:
            data, _, flags, _ = self._socket.recvmsg(_READ_SIZE)
            if flags & socket.MSG_TRUNC:
                raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
            yield from messages(data)


def _raise_error(answer: bytes) -> None:
    """Both nlmsgerr and the end of a dump begin with 0 or a negative errno."""
    (code,) = _ERRNO.unpack_from(answer)
    if code:
        number = -code if -_ERRNOS < code < 0 else errno.EPROTO
        raise OSError(number, os.strerror(number))


@contextmanager
def netlink(protocol: int = socket.NETLINK_ROUTE) -> Iterator[Netlink]:
    """A conversation for the length of a `with`: a socket costs less than keeping one right.

    :raises NetworkError: there is no socket to be had.
    """
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        sock.connect((0, 0))  # to the kernel
    except OSError as error:
        raise NetworkError(f"cannot open a netlink socket: {error}") from error
    with sock:
        with suppress(OSError):  # kernels before 4.20 do not filter: the readers do so again
            sock.setsockopt(_SOL_NETLINK, _GET_STRICT_CHK, 1)
        with conversation(sock) as kernel:
            yield kernel


@contextmanager
def conversation(sock: socket.socket) -> Iterator[Netlink]:
    """A conversation over a socket, in which what cannot be read is no answer, also half of it.

    :raises NetworkError: a message, an address or a prefix in it is none.
    """
    try:
        yield Netlink(sock)
    except (ValueError, struct.error) as error:
        raise NetworkError(f"the kernel's answer cannot be read: {shown(str(error))}") from error
