"""A node's WireGuard device by its own socket, as an operator with wg(8) reads and changes it."""

import socket
from ipaddress import IPv4Network

from attrs import field, frozen

from lab.eventually import patience
from lab.namespaces import Namespace
from overlayd.model.keys import PrivateKey, PublicKey

_LIMIT = patience(5.0)  # seconds for an answer


@frozen
class Reading:
    """What the device says of itself, by the keys of its peers: their allowed IPs and endpoints."""

    key: PublicKey | None
    port: int
    peers: dict[PublicKey, frozenset[str]] = field(factory=dict)
    endpoints: dict[PublicKey, str] = field(factory=dict)


class DeviceSocket:
    """The socket of one device of one machine."""

    def __init__(self, machine: Namespace, link: str = "wg0") -> None:
        self._path = machine.run_folder / "wireguard" / f"{link}.sock"

    def read(self) -> Reading | None:
        """Read the device; None where none answers."""
        try:
            answer = self._ask("get=1\n\n")
        except OSError:
            return None
        key, port = None, 0
        peers, endpoints = dict[PublicKey, frozenset[str]](), dict[PublicKey, str]()
        current: PublicKey | None = None
        for line in answer.splitlines():
            name, _, value = line.partition("=")
            if name == "private_key" and int(value, 16):
                key = PrivateKey(bytes.fromhex(value)).public()
            elif name == "listen_port":
                port = int(value)
            elif name == "public_key":
                current = PublicKey(bytes.fromhex(value))
                peers[current] = frozenset()
            elif name == "allowed_ip" and current is not None:
                peers[current] |= {value}
            elif name == "endpoint" and current is not None:
                endpoints[current] = value
        return Reading(key, port, peers, endpoints)

    def rotate(self, key: PrivateKey) -> None:
        """Give the device another private key."""
        self._set(f"private_key={key.raw.hex()}\n")

    def take_key_away(self) -> None:
        self._set(f"private_key={bytes(32).hex()}\n")

    def listen(self, port: int) -> None:
        self._set(f"listen_port={port}\n")

    def add_peer(self, key: PublicKey, endpoint: str, *prefixes: IPv4Network) -> None:
        """Add a peer, or change one, with prefixes that are taken from whoever has them."""
        allowed = "".join(f"allowed_ip={prefix}\n" for prefix in prefixes)
        self._set(f"public_key={key.raw.hex()}\nendpoint={endpoint}\n{allowed}")

    def dial(self, key: PublicKey, endpoint: str) -> None:
        """Give a peer another endpoint."""
        self._set(f"public_key={key.raw.hex()}\nupdate_only=true\nendpoint={endpoint}\n")

    def remove_peer(self, key: PublicKey) -> None:
        self._set(f"public_key={key.raw.hex()}\nremove=true\n")

    def _set(self, text: str) -> None:
        answer = self._ask(f"set=1\n{text}\n")
        if answer.strip() != "errno=0":
            raise RuntimeError(f"the device refused: {answer.strip()}")

    def _ask(self, request: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_LIMIT)
            connection.connect(str(self._path))
            connection.sendall(request.encode())
            answer = b""
            while not answer.endswith(b"\n\n"):
                part = connection.recv(65536)
                if not part:
                    break
                answer += part
        return answer.decode()
