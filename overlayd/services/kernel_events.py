"""Hears from the kernel, in the reactor, that something of ours was changed."""

import errno
import socket
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Network

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from overlayd.linux.announcements import Announcements

REOPEN_AFTER = 1.0  # seconds after which a socket that broke is made anew

# linux/rtnetlink.h: links, IPv4 addresses, IPv4 routes, IPv4 rules
_GROUPS = 0x1 | 0x10 | 0x40 | 0x80
_NAMED = 3  # reasons in one call; one is enough to read the machine
_KERNEL = 0  # the netlink port of who announces

_BUFFER = 1 << 20  # bytes that may wait for us; the kernel may allow less
_READ_SIZE = 1 << 16
_READS = 64  # in one turn of the reactor; what is left is read in the next


@implementer(IReadDescriptor)
class KernelEvents(Service):
    """Calls `wanted` with the reasons when something that concerns us was announced.

    It does so once for all that was waiting. Our own changes are announced like those of others.
    What is lost, or cannot be heard for a while, is a reason too: the machine is to be read.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFDSet,
        wg_dev: str,
        networks: Iterable[IPv4Network],
        wanted: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._wg_dev = wg_dev
        self._announcements = Announcements(wg_dev, networks)
        self._wanted = wanted
        self._socket: socket.socket | None = None
        self._reopening: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._open()

    def stopService(self) -> None:
        super().stopService()
        self._close()
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None

    # --- IReadDescriptor ---

    def fileno(self) -> int:
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        return "kernel events"

    def doRead(self) -> None:
        """Never raises: the reactor would drop us for good."""
        try:
            reasons = tuple(dict.fromkeys(self._drain()))
            if reasons:
                more = ", and more" if len(reasons) > _NAMED else ""
                self._wanted(", ".join(reasons[:_NAMED]) + more)
        except Exception:
            self._log.failure("what the kernel announced could not be dealt with")

    def connectionLost(self, reason: Failure) -> None:
        """Called by the reactor where it finds the descriptor broken."""
        if self.running:
            self._broke(str(reason.value))

    # --- the socket ---

    def _drain(self) -> Iterator[str]:
        for _ in range(_READS):
            if self._socket is None:
                return
            try:
                data, sender = self._socket.recvfrom(_READ_SIZE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    self._broke(str(error))
                    return
                # Until the queue is empty the kernel drops more, without saying so again.
                self._close()
                self._open()
                yield "the kernel dropped announcements"
                return
            if sender[0] == _KERNEL:
                yield from self._announcements.concerns(data)

    def _open(self) -> None:
        sock = None
        try:
            sock = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
            )
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            sock.bind((0, _GROUPS))
        except OSError as error:
            if sock is not None:
                sock.close()
            self._broke(str(error))
            return
        self._socket = sock
        self._find_link()
        self._reactor.addReader(self)

    def _find_link(self) -> None:
        try:
            self._announcements.index = socket.if_nametoindex(self._wg_dev)
        except OSError:
            self._announcements.index = None

    def _broke(self, reason: str) -> None:
        self._log.warn("the kernel's announcements are not heard: {reason}", reason=reason)
        self._close()
        self._reopening = IReactorTime(self._reactor).callLater(REOPEN_AFTER, self._reopen)

    def _reopen(self) -> None:
        self._reopening = None
        self._open()
        if self._socket is not None:
            self._log.info("the kernel's announcements are heard again")
            self._wanted("announcements of the kernel were missed")

    def _close(self) -> None:
        if self._socket is not None:
            self._reactor.removeReader(self)
            self._socket.close()
            self._socket = None
