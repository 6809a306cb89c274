"""Which WireGuard drives the device of one name on this machine: the kernel's or userspace."""

import errno
from collections.abc import Callable, Sequence

from zope.interface import implementer

from overlayd.model.changes import MakeDevice, Outcome, TunnelChange
from overlayd.model.errors import NetworkError, TunnelError
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Device
from overlayd.model.settings import TunnelKind
from overlayd.netlink import rtnetlink as rt
from overlayd.netlink.conversation import netlink
from overlayd.tunnel import wireguard_go
from overlayd.tunnel.by_request import TunnelByRequest
from overlayd.tunnel.interface import ITunnel
from overlayd.tunnel.kernel import KernelTunnel
from overlayd.tunnel.kernel_device import kernel_has_wireguard
from overlayd.tunnel.keys import KeyMemory
from overlayd.tunnel.userspace import UserspaceTunnel


def choose(
    wanted: TunnelKind,
    there: TunnelKind | None,
    before: TunnelKind | None,
    kernel_can: Callable[[], bool],
) -> TunnelKind:
    """What drives the device: what is there, else what is wanted.

    `there` is what the link under our name is, None without one of WireGuard's kinds. `before` is
    what our device last was: with `auto`, one that vanished while we run is made as it was. The
    kernel is asked only where it has to be: the question loads its module.
    """
    if there is not None:
        return there
    if wanted is not TunnelKind.AUTO:
        return wanted
    if before is not None:
        return before
    return TunnelKind.KERNEL if kernel_can() else TunnelKind.USERSPACE


@implementer(ITunnel)
class ChosenTunnel:
    """The tunnel of whichever kind the device is; chosen anew whenever the machine is read.

    Making one opens nothing. Both kinds share the key in memory.
    """

    def __init__(
        self,
        wg_dev: str,
        wanted: TunnelKind,
        start: Callable[[str], None] = wireguard_go.start,
    ) -> None:
        """:param start: has a userspace process answer for a link, or raises TunnelError."""
        self._link = wg_dev
        self._wanted = wanted
        self._keys = KeyMemory()
        self._tunnels: dict[TunnelKind, TunnelByRequest] = {
            TunnelKind.KERNEL: KernelTunnel(wg_dev, self._keys),
            TunnelKind.USERSPACE: UserspaceTunnel(wg_dev, self._keys, start),
        }
        self._kind: TunnelKind | None = None
        self._before: TunnelKind | None = None

    @property
    def name(self) -> str:
        return self._tunnels[self._kind].name if self._kind is not None else "not chosen yet"

    def observe(self) -> Device | None:
        return self._chosen().observe()

    def remember(self) -> None:
        self._before = self._kind
        self._keys.remember()

    def remembered(self) -> PublicKey | None:
        return self._keys.remembered()

    def apply(self, changes: Sequence[TunnelChange]) -> list[Outcome]:
        """By the kind of the last reading, whose changes these are."""
        try:
            tunnel = self._chosen() if self._kind is None else self._tunnels[self._kind]
        except TunnelError as error:
            return [Outcome(change, str(error)) for change in changes]
        outcomes = tunnel.apply(changes)
        if any(isinstance(o.change, MakeDevice) and o.error is None for o in outcomes):
            self._before = self._kind
        return outcomes

    def interrupt(self) -> None:
        """Ask nothing more, for good. From any thread."""
        for tunnel in self._tunnels.values():
            tunnel.interrupt()

    def close(self) -> None:
        for tunnel in self._tunnels.values():
            tunnel.close()

    def _chosen(self) -> TunnelByRequest:
        there = TunnelKind.of_link(_kind_of(self._link))
        self._kind = choose(self._wanted, there, self._before, kernel_has_wireguard)
        return self._tunnels[self._kind]


def _kind_of(link: str) -> str:
    """The kind of the link of that name, "" without one.

    :raises TunnelError: it cannot be read.
    """
    request = rt.LINK.pack(0, 0, 0) + rt.attribute(rt.IFLA_IFNAME, link.encode() + b"\0")
    try:
        with netlink() as kernel:
            return rt.link_kind(kernel.ask(rt.GETLINK, request))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return ""
        raise TunnelError(f"the link {link} cannot be read: {error.strerror}") from None
    except NetworkError as error:
        raise TunnelError(str(error)) from None
