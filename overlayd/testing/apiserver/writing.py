"""Answers on their way to a client, never faster than it reads."""

import gzip
from collections import deque
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
from attrs import field, frozen
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.web.http import Request
from zope.interface import implementer

from overlayd.testing.apiserver.refusals import Document, Refusal

JSON = "application/json"
PACKED_BEYOND = 128 * 1024
"""Bytes of a body that are sent as they are to every client."""

TOO_MANY = b"Too many requests, please try again later.\n"
"""The one refusal that is no Status: it comes from before the API."""


@frozen
class Answer:
    """A whole answer; the pieces together are the body."""

    status: int
    pieces: Sequence[bytes]
    content_type: str = JSON
    headers: Mapping[str, str] = field(factory=dict)

    @classmethod
    def of(cls, document: Document | list[Document], status: int = 200) -> "Answer":
        return cls(status, (msgspec.json.encode(document) + b"\n",))

    @classmethod
    def refusing(cls, refusal: Refusal) -> "Answer":
        headers = {}
        if refusal.retry_after is not None:
            headers["Retry-After"] = str(refusal.retry_after)
        if refusal.code == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if refusal.code == 429:
            return cls(429, (TOO_MANY,), "text/plain; charset=utf-8", headers)
        body = msgspec.json.encode(refusal.status()) + b"\n"
        return cls(refusal.code, (body,), headers=headers)

    def write(self, request: Request) -> None:
        """Send it all; a client that is slow gets one piece after the other."""
        begin(request, self.status, self.content_type)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        pieces = self.pieces
        if sum(map(len, pieces)) > PACKED_BEYOND and _takes_gzip(request):
            request.setHeader("Content-Encoding", "gzip")
            request.setHeader("Vary", "Accept-Encoding")
            pieces = (gzip.compress(b"".join(pieces), compresslevel=1),)
        request.setHeader("Content-Length", str(sum(map(len, pieces))))
        if request.method == b"HEAD":
            request.finish()
        else:
            _Pieces(request, deque(pieces)).resumeProducing()


def _takes_gzip(request: Request) -> bool:
    accepted = (request.getHeader("Accept-Encoding") or "").split(",")
    return "gzip" in (coding.partition(";")[0].strip() for coding in accepted)


def begin(request: Request, status: int, content_type: str) -> None:
    request.setResponseCode(status)
    request.setHeader("Content-Type", content_type)
    request.setHeader("Cache-Control", "no-cache, private")


def body(request: Request) -> bytes:
    """What the client sent; it can be read once."""
    return b"" if request.content is None else bytes(request.content.read())


def abort(request: Request) -> None:
    """Reset the connection of a request (TCP RST), dropping what was not sent yet."""
    if request.channel is not None:  # the client may have gone first
        cast(ITCPTransport, request.channel.transport).abortConnection()


@implementer(IPushProducer)
class _Pieces:
    """Writes the pieces of one body and finishes the request."""

    def __init__(self, request: Request, pieces: deque[bytes]) -> None:
        self._request = request
        self._pieces = pieces
        self._paused = False
        request.registerProducer(self, True)

    def resumeProducing(self) -> None:
        self._paused = False
        while self._pieces and not self._paused:
            self._request.write(self._pieces.popleft())
        if not self._pieces and not self._paused:
            self._paused = True
            self._request.unregisterProducer()
            self._request.finish()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._paused = True
        self._pieces.clear()
