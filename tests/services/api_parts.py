"""Real servers and kubeconfigs for tests of reaching the API server."""

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.config.access import find_access
from overlayd.kube.transport.api import ApiServer
from tests.services.certificates import Authority

LIMIT = 10.0
"""Seconds within which what a test waits for has to come; it decides nothing else."""


@frozen
class Request:
    """A request as the server saw it; `client` is the name in the client's certificate."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    client: str
    connection: int  # which connection it came on, counted from 0


@frozen
class Reply:
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(factory=dict)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away or was refused: the tests are about that."""


class HttpServer:
    """A server on loopback that answers as `answer` says and remembers what it was asked."""

    def __init__(
        self,
        answer: Callable[[Request], Reply] = lambda request: Reply(),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.answer = answer
        self.tls = tls  # for connections to come
        self._connections = 0
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(outer) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                self.number, outer._connections = outer._connections, outer._connections + 1
                if outer.tls is not None:
                    self.request = outer.tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    self.close_connection = True

            def finish(self) -> None:
                try:
                    super().finish()
                finally:
                    self.request.close()

            def _reply(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                    _client(self.request),
                    self.number,
                )
                outer.requests.append(request)
                reply = outer.answer(request)
                self.send_response(reply.status)
                headers = {"Content-Length": str(len(reply.body)), **reply.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_PATCH = _reply

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def _client(line: socket.socket) -> str:
    certificate = line.getpeercert() if isinstance(line, ssl.SSLSocket) else None
    if not certificate:
        return ""
    subject: Any = certificate["subject"]
    return str(subject[0][0][1])


def kubeconfig(
    server: str, cluster: Mapping[str, object] = {}, user: Mapping[str, object] = {}
) -> str:
    """A kubeconfig with one context, as YAML."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "u", "user": dict(user)}],
        }
    )


def embedded(pem: bytes) -> str:
    """PEM as it stands in a kubeconfig."""
    return base64.b64encode(pem).decode()


def exec_credential(**status: str) -> str:
    """What a credential plugin prints."""
    return json.dumps(
        {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": status,
        }
    )


class ReachingTestCase(SynchronousTestCase):
    """A folder, an authority, and a TLS server that shows a certificate of it for 127.0.0.1."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.authority = Authority()
        self.pair = self.authority.issue("server", "127.0.0.1")
        self.server = self.serve(tls=self.pair.server_tls(self.folder))
        self.trusting: dict[str, object] = {
            "certificate-authority-data": embedded(self.authority.certificate)
        }

    def serve(
        self,
        answer: Callable[[Request], Reply] = lambda request: Reply(),
        tls: ssl.SSLContext | None = None,
    ) -> HttpServer:
        server = HttpServer(answer, tls)
        self.addCleanup(server.close)
        return server

    def write(self, name: str, content: str | bytes) -> Path:
        """Put a file into the folder the way a rotation does: whole, as a new file."""
        file = self.folder / name
        file.parent.mkdir(exist_ok=True)
        new = file.with_name(f".{file.name}.new")
        new.write_bytes(content if isinstance(content, bytes) else content.encode())
        return new.replace(file)

    def reach(
        self, config: str | None = None, environ: Mapping[str, str] = {}, **options: Any
    ) -> ApiServer:
        """The API server that a kubeconfig, if one is given, and an environment describe."""
        named = None if config is None else str(self.write("config", config))
        server = options.pop("server", None)
        api = ApiServer(find_access(server, named, environ, **options))
        self.addCleanup(api.abort)
        return api

    def plugin(self, script: str) -> Path:
        """A credential plugin: a shell script."""
        file = self.write("plugin", f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what nothing announces."""
        end = time.monotonic() + LIMIT
        while not condition():
            self.assertLess(time.monotonic(), end, "it did not come")
            time.sleep(0.001)

    def in_thread(self, call: Callable[[], object]) -> Callable[[], BaseException]:
        """Begin a call elsewhere; return what waits for it to fail and returns the failure."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                call()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def failure() -> BaseException:
            thread.join(LIMIT)
            self.assertFalse(thread.is_alive(), "the call still blocks")
            return failures[0]

        return failure
