"""Asking a proxy for a connection to the API server."""

import socket
import struct
from http.client import HTTPResponse

from overlayd.kube.config.credentials import basic
from overlayd.kube.config.urls import Url
from overlayd.kube.transport.dial import literal

SOCKS_VERSION = 5  # RFC 1928
NO_LOGIN, WITH_LOGIN = 0, 2
REFUSALS = {
    1: "it failed",
    2: "its rules forbid it",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the connection was refused",
}


def ask_http(line: socket.socket, proxy: Url, server: Url) -> None:
    """Send CONNECT and read the answer. :raises OSError: the proxy refuses."""
    login = f"Proxy-Authorization: {basic(proxy.login)}\r\n" if proxy.login else ""
    name = server.authority
    line.sendall(f"CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n{login}\r\n".encode())
    answer = HTTPResponse(line, method="CONNECT")
    try:
        answer.begin()
        if answer.status // 100 != 2:
            raise OSError(f"the proxy answered {answer.status} to CONNECT")
    finally:
        answer.close()


def ask_socks(line: socket.socket, proxy: Url, server: Url) -> None:
    """Speak SOCKS 5; the proxy resolves the name, as with Go. :raises OSError: it refuses."""
    line.sendall(bytes([SOCKS_VERSION, 1, WITH_LOGIN if proxy.login else NO_LOGIN]))
    version, method = _exactly(line, 2)
    if version != SOCKS_VERSION or method not in (NO_LOGIN, WITH_LOGIN):
        raise OSError("the proxy does not take our way of SOCKS 5")
    if method == WITH_LOGIN:
        name, password = (part.encode() for part in proxy.login or ("", ""))
        if max(len(name), len(password)) > 255:
            raise OSError("SOCKS 5 has no room for so long a user name or password")
        line.sendall(bytes([1, len(name)]) + name + bytes([len(password)]) + password)  # RFC 1929
        if _exactly(line, 2)[1] != 0:
            raise OSError("the proxy does not take our user name and password")
    address = literal(server.host)
    if address is not None:
        target = bytes([1 if address.version == 4 else 4]) + address.packed
    else:
        target = bytes([3, len(server.host)]) + server.host.encode()
    line.sendall(bytes([SOCKS_VERSION, 1, 0]) + target + struct.pack("!H", server.port))
    _, reply, _, kind = _exactly(line, 4)
    if reply != 0:
        raise OSError(f"the proxy did not connect: {REFUSALS.get(reply, f'reply {reply}')}")
    length = {1: 4, 4: 16}.get(kind) or _exactly(line, 1)[0]
    _exactly(line, length + 2)


def _exactly(line: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = line.recv(count - len(got))
        if not more:
            raise OSError("the proxy closed the connection")
        got += more
    return got
