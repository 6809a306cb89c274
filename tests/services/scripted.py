"""A server on loopback that answers requests from a script, and Nodes to put into its answers."""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.config.access import find_access
from overlayd.kube.transport.api import ApiServer
from overlayd.model.settings import Settings


@frozen
class Whole:
    """An answer of known length. One with `cut` breaks off before its end."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(factory=dict)
    cut: bool = False


@frozen
class Streamed:
    """An answer in pieces. It ends cleanly, or breaks off, or hangs until the server is closed."""

    pieces: Sequence[bytes] = ()
    end: str = "clean"  # "clean", "broken", "hang"


@frozen
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away: it had read enough."""


Script = Whole | Streamed | Callable[[Asked], Whole | Streamed]
"""An answer, or what makes it of the request."""


class ScriptedServer:
    """Gives its answers in their order, one for each request; after the last one, `then`.

    A request for a streamed list is refused, as many servers do, and is not in `asked`, unless it
    `streams`.
    """

    def __init__(self, *script: Script, streams: bool = False) -> None:
        self.streams = streams
        self.then: Script = Whole(500)
        self.asked: list[Asked] = []
        self.hanging = threading.Event()  # an answer hangs now
        self._script = list(script)
        self._closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server._answer(self)

            def do_PATCH(self) -> None:
                server._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """The tests look at `asked`."""

        self._http = _QuietServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def add(self, *script: Script) -> None:
        self._script.extend(script)

    @property
    def exhausted(self) -> bool:
        """Whether all of the script was given."""
        return not self._script

    def close(self) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(url.query))
        if "sendInitialEvents" in query and not self.streams:
            self._give(handler, NO_STREAMS)
            return
        asked = Asked(handler.command, url.path, query, dict(handler.headers), body)
        self.asked.append(asked)
        answer = self._script.pop(0) if self._script else self.then
        self._give(handler, answer(asked) if callable(answer) else answer)

    def _give(self, handler: BaseHTTPRequestHandler, answer: Whole | Streamed) -> None:
        if isinstance(answer, Whole):
            handler.send_response(answer.status)
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(answer.body) + answer.cut))
            handler.end_headers()
            handler.wfile.write(answer.body)
            handler.close_connection |= answer.cut
            return
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in answer.pieces:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if answer.end == "hang":
            self.hanging.set()
            self._closing.wait()
        if answer.end == "clean":
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.close_connection = True


class ScriptedCase(SynchronousTestCase):
    """Tests with a scripted server and the real client."""

    def serve(self, *script: Script, streams: bool = False) -> ScriptedServer:
        server = ScriptedServer(*script, streams=streams)
        self.addCleanup(server.close)
        return server


SETTINGS = Settings(node_name="a")


def client(url: str) -> ApiServer:
    return ApiServer(find_access(url, None, {}))


def node(name: str, version: int = 1, address: str = "192.0.2.1", **extra: Any) -> dict[str, Any]:
    """A Node document; `extra` is what a heartbeat changes."""
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)},
        "status": {"addresses": [{"type": "InternalIP", "address": address}], **extra},
    }


def page(nodes: Iterable[Any], version: int, rest: str = "") -> Whole:
    metadata = {"resourceVersion": str(version), "continue": rest}
    body = {"kind": "NodeList", "metadata": metadata, "items": list(nodes)}
    return Whole(body=json.dumps(body).encode())


def event(kind: str, thing: Any) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"kind": "Node", "metadata": {"resourceVersion": str(version)}})


def initial_end(version: int) -> bytes:
    """The bookmark that ends a streamed list."""
    annotations = {"k8s.io/initial-events-end": "true"}
    metadata = {"resourceVersion": str(version), "annotations": annotations}
    return event("BOOKMARK", {"kind": "Node", "metadata": metadata})


def status(code: int, message: str = "", cause: str = "") -> dict[str, Any]:
    details = {"causes": [{"reason": cause}]} if cause else {}
    return {"kind": "Status", "code": code, "message": message, "details": details}


def refusal(code: int, message: str = "", cause: str = "", retry_after: str = "") -> Whole:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return Whole(code, json.dumps(status(code, message, cause)).encode(), headers)


NO_STREAMS = refusal(
    422,
    'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is '
    "forbidden for watch unless the WatchList feature gate is enabled",
)
"""As Kubernetes answers with WatchList shut, its default up to 1.31 and in 1.33."""
