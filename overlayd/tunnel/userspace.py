"""A WireGuard device in a process of its own: wireguard-go, by its socket."""

import errno
import os
import socket
from collections.abc import Callable, Sequence

from zope.interface import implementer

from overlayd.model.changes import (
    EndDevice,
    GiveKey,
    MakeDevice,
    Outcome,
    SetListenPort,
    TunnelChange,
)
from overlayd.model.errors import TunnelError
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.machine import Device
from overlayd.tunnel import uapi, wireguard_go
from overlayd.tunnel.interface import ITunnel
from overlayd.tunnel.requests import Encoder, split
from overlayd.tunnel.uapi_socket import UapiSocket


@implementer(ITunnel)
class UserspaceTunnel:
    """The device that answers under one name; it is found by its socket, not by a process id.

    `start` has a process answer for a link, or raises TunnelError.
    """

    name = "userspace (wireguard-go)"

    def __init__(self, wg_dev: str, start: Callable[[str], None] = wireguard_go.start) -> None:
        self._link = wg_dev
        self._start = start
        self._socket = UapiSocket(wg_dev)
        self._last: uapi.Reading | None = None
        self._read: PrivateKey | None = None
        self._kept: PrivateKey | None = None

    def observe(self) -> Device | None:
        reading = self._reading()
        self._read = reading.key if reading else None
        return reading.device if reading else None

    def remember(self) -> None:
        if self._read is not None:
            self._kept = self._read

    def remembered(self) -> PublicKey | None:
        return self._kept.public() if self._kept else None

    def apply(self, changes: Sequence[TunnelChange]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for run in split(changes):
            if isinstance(run[0], MakeDevice):
                outcomes.append(self._make(run[0]))
            elif isinstance(run[0], EndDevice):
                outcomes.append(self._end(run[0]))
            else:
                outcomes += self._set(run)
        return outcomes

    def interrupt(self) -> None:
        """Stop waiting for the process, and ask it nothing more, for good. From any thread."""
        self._socket.interrupt()

    def close(self) -> None:
        """There is nothing to let go of: every request has a connection of its own."""

    def _reading(self) -> uapi.Reading | None:
        answer = self._socket.ask(uapi.GET)
        self._last = None if answer is None else uapi.parse(answer, self._last)
        return self._last

    # --- making and ending it ---

    def _make(self, change: MakeDevice) -> Outcome:
        try:
            reading = self._reading()
            if reading is not None:
                if _link_exists(self._link):
                    return Outcome(change)
                self._end_without_link(reading)
            self._start(self._link)
        except TunnelError as error:
            return Outcome(change, str(error))
        return Outcome(change)

    def _end(self, change: EndDevice) -> Outcome:
        """The link goes with its process. No other wireguard-go has this socket."""
        try:
            if _link_exists(self._link):
                self._socket.end()
            elif (reading := self._reading()) is not None:
                self._end_without_link(reading)
        except TunnelError as error:
            return Outcome(change, str(error))
        return Outcome(change)

    def _end_without_link(self, reading: uapi.Reading) -> None:
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

    # --- changing it ---

    def _set(self, changes: list[TunnelChange]) -> list[Outcome]:
        encoder = self._encoder()
        try:
            self._request(encoder, changes)
        except uapi.Refused as error:
            if len(changes) == 1:
                return [Outcome(changes[0], str(error))]
            return self._set_one_by_one(changes)
        except TunnelError as error:
            return [Outcome(change, str(error)) for change in changes]
        return [Outcome(change) for change in changes]

    def _set_one_by_one(self, changes: list[TunnelChange]) -> list[Outcome]:
        """A request was refused: a part of it is done, without a word about which.

        Every change is made again, which does no harm to those that are. A device that stops
        answering is not asked for each of the rest.
        """
        outcomes: list[Outcome] = []
        try:
            encoder = self._encoder(self._reading())
            for change in changes:
                try:
                    self._request(encoder, [change])
                    outcomes.append(Outcome(change))
                except uapi.Refused as error:
                    outcomes.append(Outcome(change, str(error)))
        except TunnelError as error:
            outcomes += [Outcome(change, str(error)) for change in changes[len(outcomes) :]]
        return outcomes

    def _encoder(self, reading: uapi.Reading | None = None) -> Encoder:
        peers = reading.device.peers.values() if reading else ()
        return Encoder(
            key=self._kept or PrivateKey.generate(),
            spare=PublicKey(os.urandom(32)),
            owners={prefix: peer.key for peer in peers for prefix in peer.allowed_ips},
        )

    def _request(self, encoder: Encoder, changes: Sequence[TunnelChange]) -> None:
        for change in changes:
            if isinstance(change, SetListenPort):
                self._check_port(change.port)
        answer = self._socket.ask(encoder.encode(changes))
        if answer is None:
            raise TunnelError(f"no tunnel answers for {self._link}")
        uapi.check(answer)
        if any(isinstance(change, GiveKey) for change in changes):
            self._kept, self._read = encoder.key, None

    def _check_port(self, port: int) -> None:
        """Refuse a port that someone else has before wireguard-go tries it.

        It lets go of the port it has first, and is deaf after it failed to get the other.
        """
        if _port_in_use(port):
            reading = self._reading()
            if reading is not None and reading.device.listen_port != port:
                raise uapi.Refused(f"UDP port {port} is in use by another process")


def _link_exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _port_in_use(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
