"""What wireguard-go has done of a request when it breaks off: the lines before, and no more."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from itertools import groupby

from overlayd.model.changes import Change, MakeDevice, TunnelChange
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.node import Endpoint
from overlayd.testing.memory import MemoryDevice
from overlayd.tunnel.requests import split


def requests_in(changes: Sequence[Change]) -> Iterator[tuple[int, list[TunnelChange]]]:
    """The runs of a plan that are one request each, with how many changes come before."""
    before = 0
    for of_tunnel, group in groupby(changes, key=lambda c: isinstance(c, TunnelChange)):
        run = list(group)
        if of_tunnel:
            place = before
            for request in split([c for c in run if isinstance(c, TunnelChange)]):
                if not isinstance(request[0], MakeDevice):
                    yield place, request
                place += len(request)
        before += len(run)


def lines_of(request: bytes) -> list[str]:
    """Its lines without the first, which says that it is one."""
    return request.decode().split()[1:]


def obey(device: MemoryDevice, lines: Sequence[str]) -> None:
    """Do what lines say, each at once. A peer is made by its first line, wanted or not."""
    key: PublicKey | None = None  # None: what follows is for no peer
    made = False
    for line in lines:
        name, _, value = line.partition("=")
        match name:
            case "private_key":
                device.set_key(PrivateKey(bytes.fromhex(value)))
            case "listen_port":
                device.set_listen_port(int(value))
            case "public_key":
                key = PublicKey(bytes.fromhex(value))
                made = key not in device.peers
                device.add_peer(key)
                key = key if key in device.peers else None  # our own
            case _ if key is None:
                continue
            case "update_only" if made:
                del device.peers[key]
                key = None
            case "remove":
                del device.peers[key]
                key = None
            case "preshared_key":
                device.preshare(key, any(bytes.fromhex(value)))
            case "allowed_ip":
                device.give(key, [ip_network(value)])
            case "endpoint":
                host, _, port = value.rpartition(":")
                device.dial(key, Endpoint(ip_address(host.strip("[]")), int(port)))
