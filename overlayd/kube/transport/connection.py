"""One HTTP/1.1 connection to the API server: dialled, through a proxy or not, and under TLS."""

import http.client
import io
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from overlayd.kube.abort import Abort
from overlayd.kube.config.credentials import Way, basic
from overlayd.kube.transport.dial import dial
from overlayd.kube.transport.tunnels import ask_http, ask_socks
from overlayd.model.errors import Unreachable
from overlayd.model.node import IPAddress
from overlayd.model.text import shown

BUFFER = 1 << 16  # bytes that are read ahead
HANDSHAKE_LIMIT = 10.0  # seconds without a byte, for TLS and for what a proxy says


class Connection:
    """A connection for all ways that equal the one it was made for. For one thread."""

    def __init__(self, way: Way, abort: Abort) -> None:
        """:raises Unreachable: the server, or its proxy, was not reached."""
        self.way = way
        self._abort = abort
        dialled = way.proxy or way.server
        # A proxy that speaks HTTP is asked for the whole URL, unless TLS goes through it.
        self._whole_url = bool(
            way.proxy and way.proxy.scheme in ("http", "https") and way.tls is None
        )
        with self.reaching():
            self._wire, self.resolved = dial(dialled.host, dialled.port, abort)
            try:
                self.peer: IPAddress = self._wire.peer
                self._line = self._layered(self._wire.socket)
            except BaseException:
                self._wire.close()
                raise
        self._http = http.client.HTTPConnection(way.server.host, way.server.port)
        self._http.sock = self._line
        self._http.auto_open = 0  # a connection that ended stays so
        self._http.response_class = _Response

    def exchange(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]],
        body: bytes | None,
        silence: float,
    ) -> http.client.HTTPResponse:
        """Send a request and return its answer, of which the head has come.

        :param silence: seconds without a byte after which it, or reading the answer, ends.
        :raises Unreachable: no answer came.
        """
        server, proxy = self.way.server, self.way.proxy
        with self.reaching():
            self._line.settimeout(silence)
            url = f"{server}{target}" if self._whole_url else target
            self._http.putrequest(method, url, skip_host=True, skip_accept_encoding=True)
            self._http.putheader("Host", server.authority)
            if self._whole_url and proxy and proxy.login:
                self._http.putheader("Proxy-Authorization", basic(proxy.login))
            for name, value in headers:
                self._http.putheader(name, value.encode())
            if body is not None:
                self._http.putheader("Content-Length", str(len(body)))
            self._http.endheaders(body)
            return _whole_head(self._http.getresponse())

    def allow_silence(self, seconds: float) -> None:
        """Let reading end only after so many seconds without a byte."""
        self._line.settimeout(seconds)

    @contextmanager
    def reaching(self) -> Iterator[None]:
        """Say as `Unreachable` what breaks in this block."""
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            self._abort.check()
            through = f" through the proxy {self.way.proxy}" if self.way.proxy else ""
            raise Unreachable(f"{self.way.server}{through}: {_said(error)}") from error
        self._abort.check()

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: the server neither said nor closed anything."""
        return self._http.sock is not None and not self._wire.readable()

    def close(self) -> None:
        self._http.close()
        self._wire.close()

    def _layered(self, line: socket.socket) -> socket.socket:
        """Put on the connection what the way has between it and HTTP."""
        way = self.way
        line.settimeout(HANDSHAKE_LIMIT)
        if way.proxy is not None and way.proxy.scheme == "https":
            # Go's client trusts for a proxy what it trusts for the server.
            line = _handshaken(way.tls or ssl.create_default_context(), line, way.proxy.host)
        try:
            if way.proxy is not None and way.proxy.scheme.startswith("socks5"):
                ask_socks(line, way.proxy, way.server)
            elif way.proxy is not None and way.tls is not None:
                ask_http(line, way.proxy, way.server)
            if way.tls is None:
                return line
            if isinstance(line, ssl.SSLSocket):
                return _within(line, way.tls, way.server_name)
            return _handshaken(way.tls, line, way.server_name)
        except BaseException:
            line.close()
            raise


class _Response(http.client.HTTPResponse):
    """Takes an event of a watch in one read, where http.client's 8 KiB would need three."""

    def __init__(self, line: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(line, *arguments, **options)
        self.fp = io.BufferedReader(self.fp.detach(), BUFFER)


def _handshaken(tls: ssl.SSLContext, line: socket.socket, name: str) -> ssl.SSLSocket:
    layered = tls.wrap_socket(line, server_hostname=name, do_handshake_on_connect=False)
    try:
        layered.do_handshake()
    except BaseException:
        layered.close()
        raise
    return layered


def _whole_head(response: http.client.HTTPResponse) -> http.client.HTTPResponse:
    """Tell a head that was cut, which http.client takes for a whole one.

    Every answer of HTTP/1.1 says how long it is or that the connection ends with it.
    """
    endless = response.length is None and not response.chunked and response.version == 11
    if endless and response.headers.get("Connection", "").lower() != "close":
        raise http.client.IncompleteRead(b"")
    return response


def _within(line: ssl.SSLSocket, tls: ssl.SSLContext, name: str) -> socket.socket:
    """TLS within TLS. It is rare, and urllib3, which knows how, costs 12 MiB: so imported here."""
    from urllib3.util.ssltransport import SSLTransport

    return SSLTransport(line, tls, name)  # type: ignore[return-value]


def _said(error: Exception) -> str:
    """What went wrong, for a person. What the server sent is shown escaped."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {shown((error.reason or str(error)).replace('_', ' ').lower())}"
    if isinstance(error, TimeoutError) and error.errno is None:
        # Python's own say "timed out", "The read operation timed out", "_ssl.c:975: The ...".
        return "nothing came in time" if str(error).endswith("timed out") else str(error)
    if isinstance(error, http.client.IncompleteRead):
        return "the answer broke off"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.HTTPException):
        return f"it does not speak HTTP: {shown(str(error)) or type(error).__name__}"
    return shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)
