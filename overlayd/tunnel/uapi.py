"""The text of userspace WireGuard's socket, https://www.wireguard.com/xplatform/. Pure.

Keys are hex here, and the errno that wireguard-go answers is negative.
"""

import os
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from socket import AF_INET, inet_pton

from overlayd.model.errors import TunnelError
from overlayd.model.keys import LENGTH, PrivateKey, PublicKey
from overlayd.model.machine import Peer
from overlayd.model.node import Endpoint, IPNetwork
from overlayd.tunnel.reading import Reading, Refused, read
from overlayd.tunnel.requests import DeviceStep, Step

GET = b"get=1\n\n"
"""Asks for the whole device; there is no way to ask for one peer."""

END = b"\n\n"
"""What an answer ends with, and nothing in it has."""

_NO_KEY = bytes(LENGTH).hex()
_NUMBER_DIGITS = 20  # of 2**64 - 1, the largest number in an answer


def request(steps: Iterable[Step]) -> bytes:
    """One request for these steps; what concerns the device comes first (`requests.split`)."""
    return "\n".join(["set=1", *(line for step in steps for line in _lines(step)), "", ""]).encode(
        "ascii"
    )


def _lines(step: Step) -> Iterator[str]:
    if isinstance(step, DeviceStep):
        if step.key is not None:
            yield f"private_key={step.key.raw.hex()}"
        if step.port is not None:
            yield f"listen_port={step.port}"
        return
    yield f"public_key={step.key.raw.hex()}"
    if step.existing:
        yield "update_only=true"
    if step.remove:
        yield "remove=true"
    if step.no_preshared_key:
        yield f"preshared_key={_NO_KEY}"
    for prefix in step.prefixes:
        yield f"allowed_ip={prefix}"
    if step.endpoint is not None:
        yield f"endpoint={step.endpoint}"
    if step.keepalive is not None:
        yield f"persistent_keepalive_interval={step.keepalive}"


def check(answer: bytes) -> None:
    """Accept an answer that is whole and says that all went well.

    :raises Refused: the device said no.
    :raises TunnelError: the answer is cut, or none.
    """
    _, found, number = answer.rpartition(b"errno=")
    if not found or not number.endswith(END):
        raise TunnelError("the tunnel's answer is cut: it does not end with errno")
    text = number.removesuffix(END).removeprefix(b"-")
    if not text.isdigit() or len(text) > _NUMBER_DIGITS:
        raise _malformed("errno")
    errno = int(text)
    if errno:
        raise Refused(f"the device refuses: {_said(errno)}")


def parse(answer: bytes, before: Reading | None = None) -> Reading:
    """Read the answer to `GET`. Keys of the protocol that we do not know are ignored.

    Of the reading before those peers are kept whose bytes are the same: almost all of them, and
    with none changed the very same peers. A peer under the all-zero key is left out: wireguard-go
    accepts one, nobody can be behind it, and what it was given comes back when its true owner is
    granted it.

    :raises TunnelError: naming what is malformed, never showing it: it could be the private key.
    """
    check(answer)
    if not answer.isascii():
        raise TunnelError("the tunnel's answer is not ASCII")
    told, _, _ = answer.rpartition(b"errno=")
    head, *blocks = told.rstrip(b"\n").split(b"\npublic_key=")
    if head.startswith(b"public_key="):  # no key and no port before the first peer
        head, first = b"", head.removeprefix(b"public_key=")
        blocks.insert(0, first)
    values, _ = _values(head.decode())
    key = _private_key(values.get("private_key"))
    return read(key, _number(values, "listen_port"), blocks, _peer, before)


def _peer(block: bytes) -> Peer | None:
    hexadecimal, _, lines = block.decode().partition("\n")
    raw = _raw_key("public_key", hexadecimal)
    if not any(raw):
        return None
    values, allowed = _values(lines)
    seconds = _number(values, "last_handshake_time_sec")
    nanoseconds = _number(values, "last_handshake_time_nsec")
    dialled = values.get("endpoint")
    return Peer(
        key=PublicKey(raw),
        endpoint=None if dialled is None else _endpoint(dialled),
        allowed_ips=frozenset([_network(text) for text in allowed]),
        last_handshake=seconds + nanoseconds / 1e9 if seconds or nanoseconds else None,
        sent=_number(values, "tx_bytes"),
        received=_number(values, "rx_bytes"),
        keepalive=_number(values, "persistent_keepalive_interval"),
        preshared=any(_raw_key("preshared_key", values.get("preshared_key", _NO_KEY))),
    )


def _values(lines: str) -> tuple[dict[str, str], list[str]]:
    """The lines of a device or a peer by key, and apart from them the key that may come often."""
    values: dict[str, str] = {}
    allowed: list[str] = []
    for line in lines.split("\n"):
        name, separator, value = line.partition("=")
        if name == "allowed_ip":
            allowed.append(value)
        elif separator:
            values[name] = value
        elif line:
            raise TunnelError("the tunnel's answer has a line that is no key=value")
    return values, allowed


def _number(values: dict[str, str], name: str) -> int:
    text = values.get(name, "0")
    if not text.isdecimal() or len(text) > _NUMBER_DIGITS:
        raise _malformed(name)
    return int(text)


def _raw_key(name: str, text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != LENGTH or len(text) != 2 * LENGTH:  # fromhex skips spaces
        raise _malformed(name)
    return raw


def _private_key(text: str | None) -> PrivateKey | None:
    raw = _raw_key("private_key", text) if text is not None else b""
    return PrivateKey(raw) if any(raw) else None


def _network(text: str) -> IPNetwork:
    # inet_pton is as strict as ipaddress, and a fifth of the time for 5,000 peers is saved.
    address, _, length = text.partition("/")
    try:
        if not length.isdecimal():
            raise ValueError(length)
        if ":" in address:
            return IPv6Network((address, int(length)))
        return IPv4Network((inet_pton(AF_INET, address), int(length)))
    except (ValueError, OSError):
        raise _malformed("allowed_ip") from None


def _endpoint(text: str) -> Endpoint:
    address, _, port = text.rpartition(":")
    try:
        if not port.isdecimal() or len(port) > 5 or int(port) > 65535:
            raise ValueError(port)
        if address.startswith("[") and address.endswith("]"):
            return Endpoint(IPv6Address(address[1:-1]), int(port))
        return Endpoint(IPv4Address(inet_pton(AF_INET, address)), int(port))
    except (ValueError, OSError):
        raise _malformed("endpoint") from None


def _malformed(name: str) -> TunnelError:
    return TunnelError(f"the tunnel's answer has a malformed {name}")


def _said(errno: int) -> str:
    return os.strerror(errno) if errno < 4096 else f"error {errno}"
