"""Asking the kernel about one WireGuard device, making it and ending it. Blocking."""

import errno
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from overlayd.model.errors import NetworkError, TunnelError
from overlayd.netlink import rtnetlink as rt
from overlayd.netlink.conversation import GENERIC, Netlink, netlink
from overlayd.tunnel import wgnetlink
from overlayd.tunnel.reading import Refused

_CREATE_NEW = 0x600  # linux/netlink.h: NLM_F_CREATE, NLM_F_EXCL

NO_WIREGUARD = "the kernel has no WireGuard: modprobe wireguard, or use --tunnel userspace"
NO_PERMISSION = "no permission for the kernel's WireGuard: it needs CAP_NET_ADMIN"

_NONE_OF_OURS = (errno.ENODEV, errno.EOPNOTSUPP)  # no link of that name; a link of another kind


class KernelDevice:
    """The device of one name, in the network namespace that this thread is in.

    `interrupt` is for another thread: nothing more is asked. What is under way comes to its end:
    the kernel does not keep anybody waiting.
    """

    def __init__(self, link: str) -> None:
        self._link = link
        self._interrupted = threading.Event()

    def read(self) -> list[bytes] | None:
        """The messages that tell of the whole device; None where there is none.

        :raises TunnelError: there is one and it cannot be read.
        """
        with self._wireguard() as (kernel, family):
            try:
                return kernel.read(family, wgnetlink.get(self._link)) if family else None
            except OSError as error:
                if error.errno in _NONE_OF_OURS:
                    return None
                raise

    def change(self, requests: Iterable[bytes]) -> None:
        """Send requests, one after the other, until one fails.

        :raises Refused: one was refused, and may have been carried out in part.
        :raises TunnelError: there is no device, or it cannot be asked.
        """
        with self._wireguard() as (kernel, family):
            if not family:
                raise TunnelError(NO_WIREGUARD)
            for request in requests:
                try:
                    kernel.request(family, request)
                except OSError as error:
                    if error.errno in _NONE_OF_OURS:
                        raise TunnelError(f"there is no WireGuard device {self._link}") from None
                    if error.errno == errno.EPERM:
                        raise
                    raise Refused(f"the device refuses: {error.strerror}") from None

    def make(self) -> None:
        """Make the device; no link of that name may be there.

        :raises TunnelError: the kernel cannot, or may not; with what to do about that.
        """
        name = rt.attribute(rt.IFLA_IFNAME, self._link.encode() + b"\0")
        kind = rt.attribute(rt.IFLA_LINKINFO, rt.attribute(rt.IFLA_INFO_KIND, b"wireguard"))
        with self._links() as kernel:
            try:
                kernel.request(rt.NEWLINK, rt.LINK.pack(0, 0, 0) + name + kind, _CREATE_NEW)
            except FileExistsError:
                raise TunnelError(
                    f"a link {self._link} of another kind is in the way: use another --wg-dev"
                ) from None
            except OSError as error:
                if error.errno == errno.EOPNOTSUPP:
                    raise TunnelError(NO_WIREGUARD) from None
                raise

    def delete(self) -> None:
        """Delete the link. One that is gone is deleted."""
        name = rt.attribute(rt.IFLA_IFNAME, self._link.encode() + b"\0")
        with self._links() as kernel:
            try:
                kernel.request(rt.DELLINK, rt.LINK.pack(0, 0, 0) + name)
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise

    def interrupt(self) -> None:
        self._interrupted.set()

    @contextmanager
    def _links(self) -> Iterator[Netlink]:
        with self._telling(), netlink() as kernel:
            yield kernel

    @contextmanager
    def _wireguard(self) -> Iterator[tuple[Netlink, int]]:
        """A conversation, and the number of WireGuard in it; 0 where the kernel has none."""
        with self._telling(), netlink(GENERIC) as kernel:
            yield kernel, family(kernel)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say in words what could not be done."""
        if self._interrupted.is_set():
            raise TunnelError(f"interrupted: {self._link} is asked no more")
        try:
            yield
        except NetworkError as error:
            raise TunnelError(f"{self._link}: {error}") from None
        except OSError as error:
            if error.errno == errno.EPERM:
                raise TunnelError(NO_PERMISSION) from None
            said = os.strerror(error.errno or 0)
            raise TunnelError(f"{self._link}: the kernel answers: {said}") from None


def family(kernel: Netlink) -> int:
    """The number of WireGuard in a conversation of generic netlink; 0 where the kernel has none.

    Asking makes the kernel load the module, if it has one.
    """
    try:
        return wgnetlink.family_in(kernel.ask(wgnetlink.CONTROL_FAMILY, wgnetlink.FIND_FAMILY))
    except FileNotFoundError:
        return 0


def kernel_has_wireguard() -> bool:
    """Whether the kernel can make WireGuard devices.

    :raises TunnelError: it cannot be asked now, which is not a no.
    """
    try:
        with netlink(GENERIC) as kernel:
            return family(kernel) > 0
    except (OSError, NetworkError) as error:
        raise TunnelError(f"whether the kernel has WireGuard cannot be told: {error}") from None
