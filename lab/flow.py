"""Numbered packets between two pods, both ways, and which of them were lost.

As a program it is one end: it answers "listen", "send", "sent", "stop", "report COUNT".
"""

import contextlib
import itertools
import json
import select
import socket
import struct
import sys
import time
from ipaddress import IPv4Address
from typing import Self

from attrs import frozen

from lab.capture import MARK
from lab.conversation import Conversation
from lab.eventually import eventually, patience
from lab.namespaces import Namespace
from lab.topology import Pod

RATE = 200
"""Packets a second, each way, unless a test wants another."""

_ports = itertools.count(7000)  # each flow has its own: a pod may be in several
_NUMBER = struct.Struct("!Q")
_RCVBUFFORCE = 33  # asm-generic/socket.h
_BUFFER = 4 << 20
_LIMIT = patience(30.0)  # seconds for packets to be sent
_STRAGGLERS = patience(2.0)  # seconds that the last packets may take


@frozen
class Report:
    """What became of the packets of one direction. `outage` is the longest run lost, in seconds."""

    sent: int
    lost: tuple[int, ...]
    rate: int = RATE

    @property
    def outage(self) -> float:
        longest = run = 0
        last = -1
        for number in self.lost:
            run = run + 1 if number == last + 1 else 1
            longest, last = max(longest, run), number
        return longest / self.rate

    def __str__(self) -> str:
        return f"{len(self.lost)} of {self.sent} packets lost"


class Flow:
    """A flow each way between two pods that reach each other, from now until `finish`."""

    def __init__(self, one: Pod, other: Pod, rate: int = RATE) -> None:
        port = next(_ports)
        self._rate = rate
        self._one = pump(one.namespace, one.address, other.address, port, rate)
        self._other = pump(other.namespace, other.address, one.address, port, rate)
        for order in ("listen", "send"):
            self._one.ask(order)
            self._other.ask(order)

    def carry(self, packets: int | None = None) -> None:
        """Wait until so many more packets have gone each way; those of a second if not said."""
        packets = packets or self._rate
        there, back = (enough + packets for enough in self._sent())
        eventually(
            _LIMIT,
            "packets are sent",
            lambda: self._sent()[0] >= there and self._sent()[1] >= back,
        )

    def finish(self) -> tuple[Report, Report]:
        """Stop sending, wait for what is under way, and report: there, and back."""
        there, back = int(self._one.ask("stop")), int(self._other.ask("stop"))
        reports = (
            Report(there, tuple(json.loads(self._other.ask(f"report {there}"))), self._rate),
            Report(back, tuple(json.loads(self._one.ask(f"report {back}"))), self._rate),
        )
        self.close()
        return reports

    def _sent(self) -> tuple[int, int]:
        return int(self._one.ask("sent")), int(self._other.ask("sent"))

    def close(self) -> None:
        self._one.close()
        self._other.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def pump(
    machine: Namespace, ours: IPv4Address, theirs: IPv4Address, port: int, rate: int
) -> Conversation:
    """One end in a machine."""
    return Conversation(machine, "lab.flow", *map(str, (ours, theirs, port, rate)))


class _Pump:
    """Sends on time, and notes what arrives."""

    def __init__(self, ours: str, theirs: str, port: int, rate: int) -> None:
        self._pause = 1 / rate
        self._theirs = (theirs, port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
        self._socket.bind((ours, port))
        self._next: float | None = None  # None: not sending
        self._sent = 0
        self._arrived: set[int] = set()

    def wait(self) -> bool:
        """Send and receive for a moment; whether there is a question."""
        pause = None if self._next is None else max(0.0, self._next - time.monotonic())
        ready, _, _ = select.select([self._socket, sys.stdin], [], [], pause)
        if self._socket in ready:
            self._receive()
        if self._next is not None and time.monotonic() >= self._next:
            self._send()
        return sys.stdin in ready

    def answer(self, question: str) -> str:
        match question.split():
            case ["send"]:
                self._next = time.monotonic()
            case ["sent"]:
                return str(self._sent)
            case ["stop"]:
                self._next = None
                return str(self._sent)
            case ["report", count]:
                return json.dumps(self._missing(int(count)))
        return "yes"

    def _send(self) -> None:
        assert self._next is not None
        self._next += self._pause
        with contextlib.suppress(OSError):  # refused on the way out: lost like another
            self._socket.sendto(MARK + _NUMBER.pack(self._sent), self._theirs)
        self._sent += 1

    def _receive(self) -> None:
        try:
            packet = self._socket.recv(2048)
        except OSError:
            return  # an ICMP error about a packet of ours
        if packet.startswith(MARK):
            self._arrived.add(*_NUMBER.unpack_from(packet, len(MARK)))

    def _missing(self, count: int) -> list[int]:
        limit = time.monotonic() + _STRAGGLERS
        while len(self._arrived) < count and (left := limit - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                self._receive()
        return sorted(set(range(count)) - self._arrived)


def main(ours: str, theirs: str, port: str, rate: str) -> None:
    """Be one end until standard input ends."""
    end = _Pump(ours, theirs, int(port), int(rate))
    while True:
        if end.wait():
            question = sys.stdin.readline()
            if not question:
                return
            sys.stdout.write(end.answer(question) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
