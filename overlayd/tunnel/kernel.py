"""A WireGuard device of the kernel, by generic netlink."""

from collections.abc import Sequence

from attrs import evolve

from overlayd.tunnel import wgnetlink
from overlayd.tunnel.by_request import TunnelByRequest, link_exists
from overlayd.tunnel.kernel_device import KernelDevice
from overlayd.tunnel.keys import KeyMemory
from overlayd.tunnel.reading import Reading, Refused
from overlayd.tunnel.requests import PeerStep, Step


class KernelTunnel(TunnelByRequest):
    """The link of kind `wireguard` under one name."""

    name = "kernel"

    def __init__(self, wg_dev: str, keys: KeyMemory | None = None) -> None:
        super().__init__(wg_dev, keys)
        self._device = KernelDevice(wg_dev)
        self._last: Reading | None = None

    def interrupt(self) -> None:
        self._device.interrupt()

    def _reading(self) -> Reading | None:
        answer = self._device.read() if link_exists(self._link) else None
        self._last = None if answer is None else wgnetlink.parse(answer, self._last)
        return self._last

    def _request(self, steps: Sequence[Step]) -> None:
        """An endpoint that cannot be told is left out, and refused once the rest is made."""
        fit = [*map(_fit, steps)]
        self._device.change(wgnetlink.requests(self._link, fit))
        if fit != [*steps]:
            raise Refused("the device refuses: Invalid argument")

    def _make_device(self) -> None:
        if self._reading() is None:
            self._device.make()

    def _end_device(self) -> None:
        """Emptied first: the kernel needs many times as long for a link that has its peers yet."""
        reading = self._reading()
        if reading is None:
            return
        gone = [PeerStep(key, remove=True) for key in reading.device.peers]
        self._device.change(wgnetlink.requests(self._link, gone))
        self._device.delete()


def _fit(step: Step) -> Step:
    if isinstance(step, PeerStep) and not wgnetlink.can_dial(step.endpoint):
        return evolve(step, endpoint=None)
    return step
