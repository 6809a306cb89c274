"""What a listener on the underlay would see: packets that should have been encrypted.

As a program it runs in the underlay's namespace and answers every question with one line of JSON.
"""

import contextlib
import json
import select
import socket
import struct
import sys
from ipaddress import IPv4Network, ip_address

from attrs import frozen

from lab.conversation import Conversation
from lab.namespaces import Namespace
from lab.topology import OVERLAY, PODS

MARK = b"overlayd lab, plaintext"
"""In every numbered packet: a frame that shows it was not encrypted, whatever its addresses."""

_PORT = 51820
_SAMPLES = 10
_ALL_PROTOCOLS = 3  # ETH_P_ALL of linux/if_ether.h
_SOL_PACKET, _STATISTICS, _IGNORE_OUTGOING = 263, 6, 23  # linux/if_packet.h
_RCVBUFFORCE = 33  # asm-generic/socket.h
_BUFFER = 64 << 20
_ETHERNET = 14
_IPV4, _ARP, _UDP = 0x0800, 0x0806, 17


@frozen
class Counts:
    """What was seen so far. `missed` packets came faster than they could be looked at."""

    plaintext: int
    encrypted: int
    missed: int
    samples: tuple[str, ...]


class Capture:
    """A capture of everything that enters a switch, from now until it is closed."""

    def __init__(self, switch: Namespace) -> None:
        self._program = Conversation(switch, "lab.capture")
        self.counts()

    def counts(self) -> Counts:
        """Look at everything that came before this call, and count."""
        answer = json.loads(self._program.ask("counts"))
        return Counts(**{**answer, "samples": tuple(answer["samples"])})

    def close(self) -> None:
        self._program.close()


class _Counter:
    """Judges one frame after the other."""

    def __init__(self, networks: tuple[IPv4Network, ...]) -> None:
        self._networks = [(int(n.network_address), int(n.netmask)) for n in networks]
        self.plaintext = 0
        self.encrypted = 0
        self.samples: list[str] = []

    def see(self, frame: bytes) -> None:
        (kind,) = struct.unpack_from("!H", frame, 12)
        if kind == _IPV4 and len(frame) >= _ETHERNET + 20:
            source, destination = struct.unpack_from("!II", frame, _ETHERNET + 12)
            protocol = frame[_ETHERNET + 9]
        elif kind == _ARP and len(frame) >= _ETHERNET + 28:
            (source,) = struct.unpack_from("!I", frame, _ETHERNET + 14)
            (destination,) = struct.unpack_from("!I", frame, _ETHERNET + 24)
            protocol = 0
        else:
            source = destination = protocol = 0
        if MARK in frame or self._inside(source) or self._inside(destination):
            self.plaintext += 1
            if len(self.samples) < _SAMPLES:
                name = "ARP" if kind == _ARP else f"protocol {protocol}"
                self.samples.append(f"{ip_address(source)} > {ip_address(destination)} {name}")
        elif protocol == _UDP and _PORT in self._ports(frame):
            self.encrypted += 1

    def _inside(self, address: int) -> bool:
        return any(address & mask == network for network, mask in self._networks)

    @staticmethod
    def _ports(frame: bytes) -> tuple[int, ...]:
        header = (frame[_ETHERNET] & 0x0F) * 4
        if len(frame) < _ETHERNET + header + 4:
            return ()
        return struct.unpack_from("!HH", frame, _ETHERNET + header)


def main() -> None:
    """Count what comes in from the bridge's ports until standard input ends."""
    counter = _Counter((OVERLAY, PODS))
    missed = 0
    # What leaves through a port and the bridge itself are left out, or a packet counts twice.
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
        tap.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        tap.setblocking(False)
        while True:
            ready, _, _ = select.select([tap, sys.stdin], [], [])
            with contextlib.suppress(BlockingIOError):  # all that came is looked at
                while True:
                    frame, (link, *_rest) = tap.recvfrom(65536)
                    if link not in ("bridge", "lo"):
                        counter.see(frame)
            if sys.stdin in ready:
                if not sys.stdin.readline():
                    return
                _, dropped = struct.unpack("II", tap.getsockopt(_SOL_PACKET, _STATISTICS, 8))
                missed += dropped  # reading the statistics starts them anew
                counts = {
                    "plaintext": counter.plaintext,
                    "encrypted": counter.encrypted,
                    "missed": missed,
                    "samples": counter.samples,
                }
                sys.stdout.write(json.dumps(counts) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
