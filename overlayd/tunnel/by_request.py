"""What the tunnels of userspace and of the kernel share: changes become requests, a few large ones.

Where a request fails its changes are made one by one.
"""

import errno
import os
import socket
from collections.abc import Sequence

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
from overlayd.tunnel.interface import ITunnel
from overlayd.tunnel.keys import KeyMemory
from overlayd.tunnel.reading import Reading, Refused
from overlayd.tunnel.requests import Encoder, Step, split


@implementer(ITunnel)
class TunnelByRequest:
    """A tunnel whose device is read whole, and changed by requests of many steps.

    `keys` are shared with another tunnel that may come to drive the device of this name.
    """

    name: str

    def __init__(self, wg_dev: str, keys: KeyMemory | None = None) -> None:
        self._link = wg_dev
        self._keys = KeyMemory() if keys is None else keys

    # --- what a subclass provides; each raises TunnelError ---

    def _reading(self) -> Reading | None:
        """Read the whole device; None where there is none that answers."""
        raise NotImplementedError

    def _request(self, steps: Sequence[Step]) -> None:
        """Make steps.

        :raises Refused: one of them could not be made; some may have been.
        """
        raise NotImplementedError

    def _make_device(self) -> None:
        """Make the device unless it is there."""
        raise NotImplementedError

    def _end_device(self) -> None:
        """End the device if it is there."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """Ask nothing more, for good. From any thread."""
        raise NotImplementedError

    # --- ITunnel ---

    def observe(self) -> Device | None:
        reading = self._reading()
        self._keys.read = reading.key if reading else None
        return reading.device if reading else None

    def remember(self) -> None:
        self._keys.remember()

    def remembered(self) -> PublicKey | None:
        return self._keys.remembered()

    def apply(self, changes: Sequence[TunnelChange]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for run in split(changes):
            if isinstance(run[0], MakeDevice | EndDevice):
                outcomes.append(self._make_or_end(run[0]))
            else:
                outcomes += self._set(run)
        return outcomes

    def close(self) -> None:
        """There is nothing to let go of: every request has a connection of its own."""

    # --- changing it ---

    def _make_or_end(self, change: MakeDevice | EndDevice) -> Outcome:
        try:
            if isinstance(change, MakeDevice):
                self._make_device()
            else:
                self._end_device()
        except TunnelError as error:
            return Outcome(change, str(error))
        return Outcome(change)

    def _set(self, changes: list[TunnelChange]) -> list[Outcome]:
        encoder = self._encoder()
        try:
            self._send(encoder, changes)
        except Refused as error:
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
                    self._send(encoder, [change])
                    outcomes.append(Outcome(change))
                except Refused as error:
                    outcomes.append(Outcome(change, str(error)))
        except TunnelError as error:
            outcomes += [Outcome(change, str(error)) for change in changes[len(outcomes) :]]
        return outcomes

    def _encoder(self, reading: Reading | None = None) -> Encoder:
        peers = reading.device.peers.values() if reading else ()
        return Encoder(
            key=self._keys.kept or PrivateKey.generate(),
            spare=PublicKey(os.urandom(32)),
            owners={prefix: peer.key for peer in peers for prefix in peer.allowed_ips},
        )

    def _send(self, encoder: Encoder, changes: Sequence[TunnelChange]) -> None:
        for change in changes:
            if isinstance(change, SetListenPort):
                self._check_port(change.port)
        self._request(encoder.steps(changes))
        if any(isinstance(change, GiveKey) for change in changes):
            self._keys.kept, self._keys.read = encoder.key, None

    def _check_port(self, port: int) -> None:
        """Refuse a port that someone else has before WireGuard tries it.

        wireguard-go lets go of the port it has first, and is deaf after it failed to get the
        other. The kernel tries it only once the link comes up, and the link then stays down.
        """
        if _port_in_use(port):
            reading = self._reading()
            if reading is not None and reading.device.listen_port != port:
                raise Refused(f"UDP port {port} is in use by another process")


def link_exists(name: str) -> bool:
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
