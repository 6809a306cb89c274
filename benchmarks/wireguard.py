"""wireguard-go by its socket, with nothing of overlayd's in between."""

import os
import socket
import subprocess
import time
from pathlib import Path

_FOLDER = Path("/run/wireguard")
_GET = b"get=1\n\n"
_GRANTED = (b"public_key=", b"endpoint=", b"allowed_ip=", b"persistent_keepalive_interval=")


def start(link: str) -> None:
    """Start one more device."""
    subprocess.run(["wireguard-go", link], check=True, stderr=subprocess.DEVNULL)


def end(link: str) -> None:
    """End the process of a device as wg-quick does, by its socket, and wait until it is gone."""
    with _connected(link) as connection:
        (_FOLDER / f"{link}.sock").unlink()
        connection.recv(1)  # it says nothing unasked: this returns when it has ended
    while link in (name for _, name in socket.if_nameindex()):
        time.sleep(0.01)


def pid(link: str) -> int:
    """The process behind a device. One that has ended has no command line any more."""
    (found,) = (
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if (folder / "cmdline")
        .read_bytes()
        .rstrip(b"\0")
        .endswith(b"wireguard-go\0%s" % link.encode())
    )
    return found


def get(link: str) -> bytes:
    """What a device tells of itself; nothing where there is none."""
    try:
        return ask(link, _GET)
    except OSError:
        return b""


def peer_count(link: str) -> int:
    return get(link).count(b"public_key=")


def request_for(answer: bytes) -> bytes:
    """The request that gives another device the peers that one told of, and a key of its own."""
    granted = b"\n".join(line for line in answer.split(b"\n") if line.startswith(_GRANTED))
    return b"set=1\nprivate_key=%s\n%s\n\n" % (os.urandom(32).hex().encode(), granted)


def one_peer() -> bytes:
    """A request that adds a peer."""
    key, host = os.urandom(32).hex(), os.urandom(2)
    text = f"set=1\npublic_key={key}\nendpoint=172.30.{host[0]}.{host[1]}:51820\n"
    return f"{text}allowed_ip=100.65.{host[0]}.{host[1]}/32\n\n".encode()


def ask(link: str, request: bytes) -> bytes:
    """Send a request and read the whole answer."""
    with _connected(link) as connection:
        connection.sendall(request)
        answer = bytearray()
        while not answer.endswith(b"\n\n"):
            part = connection.recv(1 << 18)
            if not part:
                break
            answer += part
        return bytes(answer)


def _connected(link: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(_FOLDER / f"{link}.sock"))
    return connection
