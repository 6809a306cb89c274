"""A TCP connection that another thread can end at any moment."""

import contextlib
import errno
import os
import select
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from queue import Empty, SimpleQueue

from overlayd.kube.abort import Abort
from overlayd.model.node import IPAddress

CONNECT_LIMIT = 5.0  # seconds for each address
RESOLVE_LIMIT = 10.0  # seconds; glibc asks each name server twice for 5
KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
UNACKNOWLEDGED_LIMIT = 30_000  # milliseconds


class Wire:
    """A connected socket. `socket` may be handed on and wrapped; `close` ends it all the same."""

    def __init__(self, family: int, abort: Abort) -> None:
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self._abort = abort
        # shutdown() wakes whoever is blocked on the connection, close() would not. It needs a
        # socket of its own: TLS takes the descriptor out of the other one.
        self._handle = self.socket.dup()

    def connect(self, address: tuple[object, ...]) -> None:
        """:raises OSError: there is no connection. :raises Unreachable: aborted."""
        self.socket.setblocking(False)
        begun = self.socket.connect_ex(address)
        if begun not in (0, errno.EINPROGRESS):
            raise OSError(begun, os.strerror(begun))
        # Added once the attempt is under way: only then does shutdown() end it.
        self._abort.add(self._end)
        waiting = select.poll()
        waiting.register(self.socket, select.POLLOUT)
        if not waiting.poll(CONNECT_LIMIT * 1000):
            raise TimeoutError(f"no connection within {CONNECT_LIMIT:.0f} s")
        self._abort.check()
        if failed := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(failed, os.strerror(failed))
        self.socket.settimeout(CONNECT_LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            self.socket.setsockopt(socket.IPPROTO_TCP, option, value)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_LIMIT)

    @property
    def peer(self) -> IPAddress:
        return ip_address(self._handle.getpeername()[0].partition("%")[0])

    def readable(self) -> bool:
        """Whether something has come, the end of the connection included."""
        waiting = select.poll()
        waiting.register(self._handle, select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        self._abort.discard(self._end)
        self._handle.close()
        self.socket.close()

    def _end(self) -> None:
        with contextlib.suppress(OSError):  # it may have ended by itself
            self._handle.shutdown(socket.SHUT_RDWR)


_Found = list[tuple[int, tuple[object, ...]]]


def look_up(host: str, port: int) -> _Found:
    """The families and socket addresses of a host, as the machine's resolver has them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def dial(
    host: str, port: int, abort: Abort, resolver: Callable[[str, int], _Found] = look_up
) -> tuple[Wire, frozenset[IPAddress]]:
    """Connect to the first address of a host that answers; return also what it resolved to.

    :param resolver: asked for a name, in a thread that may be left behind.
    :raises OSError: none does, or the name has no address. :raises Unreachable: aborted.
    """
    found = _resolve(host, port, abort, resolver)
    failure: OSError | None = None
    for family, address in found:
        wire = Wire(family, abort)
        try:
            wire.connect(address)
        except OSError as error:
            wire.close()
            failure = error
        except BaseException:
            wire.close()
            raise
        else:
            return wire, frozenset(_ip(each) for _, each in found)
    raise failure or OSError("the name has no address")


def literal(host: str) -> IPAddress | None:
    """The address that a host is, None where it is a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _ip(address: tuple[object, ...]) -> IPAddress:
    return ip_address(str(address[0]).partition("%")[0])


def _resolve(host: str, port: int, abort: Abort, resolver: Callable[[str, int], _Found]) -> _Found:
    if literal(host) is not None:
        return look_up(host, port)
    # getaddrinfo() cannot be ended from outside, so it runs in a thread that may be left behind.
    answers: SimpleQueue[_Found | OSError | None] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolver(host, port))
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError("it is no host name"))

    def end() -> None:
        answers.put(None)

    with abort.ending(end):
        threading.Thread(target=ask, name="overlayd-resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=RESOLVE_LIMIT)
        except Empty:
            raise TimeoutError(f"its name did not resolve within {RESOLVE_LIMIT:.0f} s") from None
    abort.check()
    if isinstance(answer, OSError):
        raise answer
    return answer or []
