"""A WireGuard device in a process of its own: wireguard-go, by its socket."""

from collections.abc import Callable, Sequence

from overlayd.model.errors import TunnelError
from overlayd.tunnel import uapi, wireguard_go
from overlayd.tunnel.by_request import TunnelByRequest, link_exists
from overlayd.tunnel.keys import KeyMemory
from overlayd.tunnel.reading import Reading
from overlayd.tunnel.requests import Step
from overlayd.tunnel.uapi_socket import UapiSocket


class UserspaceTunnel(TunnelByRequest):
    """The device that answers under one name; it is found by its socket, not by a process id.

    `start` has a process answer for a link, or raises TunnelError.
    """

    name = "userspace (wireguard-go)"

    def __init__(
        self,
        wg_dev: str,
        keys: KeyMemory | None = None,
        start: Callable[[str], None] = wireguard_go.start,
    ) -> None:
        super().__init__(wg_dev, keys)
        self._start = start
        self._socket = UapiSocket(wg_dev)
        self._last: Reading | None = None

    def interrupt(self) -> None:
        """Stop waiting for the process, and ask it nothing more, for good. From any thread."""
        self._socket.interrupt()

    def _reading(self) -> Reading | None:
        answer = self._socket.ask(uapi.GET)
        self._last = None if answer is None else uapi.parse(answer, self._last)
        return self._last

    def _request(self, steps: Sequence[Step]) -> None:
        answer = self._socket.ask(uapi.request(steps))
        if answer is None:
            raise TunnelError(f"no tunnel answers for {self._link}")
        uapi.check(answer)

    def _make_device(self) -> None:
        reading = self._reading()
        if reading is not None:
            if link_exists(self._link):
                return
            self._end_without_link(reading)
        self._start(self._link)

    def _end_device(self) -> None:
        """The link goes with its process. No other wireguard-go has this socket."""
        if link_exists(self._link):
            self._socket.end()
        elif (reading := self._reading()) is not None:
            self._end_without_link(reading)

    def _end_without_link(self, reading: Reading) -> None:
        """End a process whose link is gone, if it is ours.

        That of another network namespace looks the same from here: its socket is in this folder,
        its link is not among ours.
        """
        if reading.device.public_key is None or reading.device.public_key != self.remembered():
            raise TunnelError(
                f"a process answers at {self._socket.path}, but no link "
                f"{self._link} is here: it was renamed, or is of another network namespace. "
                "End that process, or use another --wg-dev"
            )
        self._socket.end()
