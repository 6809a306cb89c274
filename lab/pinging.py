"""One ping from a machine of the lab, without a process for it: tests send thousands."""

import contextlib
import os
import select
import socket
import struct
import time
from ipaddress import IPv4Address

from lab.eventually import patience
from lab.namespaces import Namespace

_LIMIT = patience(1.0)  # seconds for an answer
_REQUEST, _ANSWER = 8, 0  # RFC 792
_HEADER = struct.Struct("!BBHHH")
_IPV4_HEADER = 20  # there are no options here


def pings(machine: Namespace, address: IPv4Address) -> bool:
    """Whether one ping is answered within a second, or what that is on a slow machine."""
    question = os.urandom(16)
    # Where there is no route, one that refuses, or an ICMP error, there is no answer.
    with (
        contextlib.suppress(OSError),
        machine.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender,
    ):
        sender.connect((str(address), 0))
        sender.send(_packet(question))
        return _is_answered(sender, question)
    return False


def _is_answered(sender: socket.socket, question: bytes) -> bool:
    limit = time.monotonic() + _LIMIT
    while (left := limit - time.monotonic()) > 0 and select.select([sender], [], [], left)[0]:
        answer = sender.recv(2048)[_IPV4_HEADER:]
        if answer[:1] == bytes([_ANSWER]) and answer[_HEADER.size :] == question:
            return True
    return False


def _packet(content: bytes) -> bytes:
    number = int.from_bytes(content[:2], "big")
    empty = _HEADER.pack(_REQUEST, 0, 0, number, 1) + content
    total = sum(struct.unpack(f"!{len(empty) // 2}H", empty))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return _HEADER.pack(_REQUEST, 0, ~total & 0xFFFF, number, 1) + content
