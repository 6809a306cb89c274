"""A blocking HTTP client for the suite: plain requests, plain lines, nothing of a real client."""

import http.client
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from attrs import field, frozen

NODES = "/api/v1/nodes"
MERGE_PATCH = "application/merge-patch+json"
PATIENCE = 10.0
"""Seconds that an answer, or the next line of a watch, may take."""

Document = dict[str, Any]


@frozen
class ServerUnderTest:
    """Where a server is, how one is allowed in, and what it does for a test on request.

    `forget_history` makes it answer 410 for every version before its return; None where it cannot.
    """

    url: str
    headers: Mapping[str, str] = field(factory=dict)
    tls: ssl.SSLContext | None = None
    forget_history: Callable[[], None] | None = None

    def connect(self, patience: float = PATIENCE) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, context=self.tls, timeout=patience)
        return http.client.HTTPConnection(host, port, timeout=patience)


@frozen
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def document(self) -> Document:
        document: Document = json.loads(self.body)
        return document

    @property
    def version(self) -> str:
        return str(self.document["metadata"]["resourceVersion"])


class Stream:
    """An open watch. `http` gives the status and headers; `unread` came and is no line yet."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.http = connection.getresponse()
        self.unread = b""

    def next(self) -> Document | None:
        """The next event; None at the clean end.

        :raises TimeoutError: nothing came.
        :raises OSError: the connection was reset.
        :raises http.client.IncompleteRead: it was closed before the end of the body.
        """
        line = self.line()
        return json.loads(line) if line else None

    def line(self) -> bytes:
        """The next line; what is left at the clean end, at last b"".

        Not HTTPResponse.readline, which takes a connection that broke for a clean end.
        """
        while b"\n" not in self.unread:
            more = self.http.read1(65536)
            if not more:
                rest, self.unread = self.unread, b""
                return rest
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        return line + b"\n"

    def rest(self) -> list[Document]:
        """All events until the clean end."""
        return list(iter(self.next, None))

    def of(self, name: str) -> Iterator[Document]:
        """The events of one Node, as they come."""
        for event in iter(self.next, None):
            if event["object"]["metadata"].get("name") == name:
                yield event

    def close(self) -> None:
        self.http.close()
        self.connection.close()


@frozen
class Client:
    """Asks one server; every request has a connection of its own."""

    server: ServerUnderTest

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a document, or bytes as they are."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        with_type = {"Content-Type": content_type} if sent is not None else {}
        connection = self.server.connect()
        try:
            target = f"{path}?{urlencode(query)}" if query else path
            connection.request(
                method, target, sent, {**self.server.headers, **with_type, **(headers or {})}
            )
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def list(self, **query: str) -> Reply:
        return self.ask("GET", NODES, query=query)

    def get(self, name: str) -> Reply:
        return self.ask("GET", f"{NODES}/{name}")

    def create(self, document: Document) -> Reply:
        return self.ask("POST", NODES, document)

    def patch(self, name: str, patch: Any, subresource: str = "") -> Reply:
        return self.ask("PATCH", f"{NODES}/{name}{subresource}", patch, MERGE_PATCH)

    def put(self, name: str, document: Document, subresource: str = "") -> Reply:
        return self.ask("PUT", f"{NODES}/{name}{subresource}", document)

    def delete(self, name: str, options: Document | None = None) -> Reply:
        return self.ask("DELETE", f"{NODES}/{name}", options)

    def watch(self, **query: str) -> Stream:
        connection = self.server.connect()
        target = f"{NODES}?{urlencode({'watch': 'true', **query})}"
        connection.request("GET", target, headers=dict(self.server.headers))
        return Stream(connection)
