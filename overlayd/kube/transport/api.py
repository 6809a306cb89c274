"""Talking to the API server: requests and answers as bytes. Blocking, and it never tries again."""

from collections.abc import Mapping
from http.client import HTTPResponse
from urllib.parse import urlencode

from attrs import field, frozen

from overlayd import __version__
from overlayd.kube.abort import Abort
from overlayd.kube.config.access import Access
from overlayd.kube.config.credentials import Credentials, Way
from overlayd.kube.transport.body import at_end, read_body, read_piece, retry_after
from overlayd.kube.transport.connection import Connection
from overlayd.kube.transport.dial import literal
from overlayd.model.node import IPAddress

NO_QUERY: Mapping[str, str] = {}
ERROR_LIMIT = 1 << 20  # bytes of an error's body; a Status is far smaller
UNAUTHORIZED = 401


@frozen
class Answer:
    """A whole answer. `retry_after` is the seconds its Retry-After asks for, None without one."""

    status: int
    body: bytes = field(repr=False)
    retry_after: float | None = None


class Stream:
    """An answer that is read as it comes, by the thread that opened it."""

    def __init__(self, server: "ApiServer", connection: Connection, response: HTTPResponse) -> None:
        self._server = server
        self._connection = connection
        self._response = response
        self.status = response.status
        self.retry_after = server.retry_after(response)

    def read(self) -> bytes:
        """Return what has come, waiting for something; b"" at a clean end.

        :raises Unreachable: the connection broke, fell silent, or was aborted.
        """
        with self._connection.reaching():
            return read_piece(self._response)

    def read_all(self) -> bytes:
        """Return the rest, for the body of an error; of one beyond 1 MiB the beginning.

        :raises Unreachable: as `read`.
        """
        with self._connection.reaching():
            return read_body(self._response, ERROR_LIMIT)

    def allow_silence(self, seconds: float) -> None:
        """From now on, end with Unreachable after so many seconds without a byte."""
        self._connection.allow_silence(seconds)

    def close(self) -> None:
        """Let go of it. Closing again does nothing."""
        self._server.done(self._connection, self._response)


class ApiServer:
    """The API server, as one thread at a time talks to it.

    Whatever is rotated on disk or expires is taken up before each request; a connection is kept
    while it can be used again. An answer with status 401 makes the next request fetch credentials
    anew. Only `abort` may be called from another thread.
    """

    def __init__(self, access: Access) -> None:
        self._clock = access.clock
        self._abort = Abort()
        self._credentials = Credentials(access, self._abort)
        self._idle: Connection | None = None
        self._resolved: frozenset[IPAddress] = frozenset()
        self._open: set[Connection] = set()

    def get(self, path: str, query: Mapping[str, str] = NO_QUERY, timeout: float = 30.0) -> Answer:
        """GET and read the whole answer, whatever its status.

        :param path: absolute, quoted; the path of the server's own URL is put before it.
        :param timeout: seconds for which nothing may come, not those for the whole.
        :raises Unreachable: no whole answer came.
        """
        return self._whole("GET", _target(path, query), {}, None, timeout)

    def patch(self, path: str, body: bytes, timeout: float = 30.0) -> Answer:
        """PATCH with a JSON merge patch and read the whole answer; otherwise as `get`."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._whole("PATCH", _target(path, NO_QUERY), headers, body, timeout)

    def stream(self, path: str, query: Mapping[str, str], idle: float) -> Stream:
        """GET and return as soon as the answer begins; the caller closes it.

        It is never packed: a packer holds back what it was given.

        :param idle: seconds without a byte after which it ends with Unreachable.
        :raises Unreachable: no answer began.
        """
        headers = {"Accept-Encoding": "identity"}
        return Stream(self, *self._ask("GET", _target(path, query), headers, None, idle))

    def addresses(self) -> frozenset[IPAddress]:
        """Every address at which the server, or its proxy, is dialled.

        These are the literal one of the URL (in the cluster the ClusterIP), what a name resolved
        to when it was last dialled, and the far ends of what is connected now. Of a name nothing
        is known before the first request.

        :raises Unreachable: nothing says any more where the server is.
        """
        known = literal(self._credentials.dialled().host)
        connected = frozenset(each.peer for each in self._open)
        return self._resolved | connected | ({known} if known else frozenset())

    def abort(self) -> None:
        """End with Unreachable at once whatever is blocked, and each later call. For any thread.

        That is reading, connecting, resolving a name, and a credential plugin, which is killed.
        """
        self._abort.abort()

    def retry_after(self, response: HTTPResponse) -> float | None:
        """The seconds that an answer asks to wait, None for none."""
        return retry_after(response.headers, self._clock())

    def done(self, connection: Connection, response: HTTPResponse) -> None:
        """Keep the connection of an answer that was read to its end, else close it."""
        if connection not in self._open or connection is self._idle:
            return
        whole = at_end(response)
        response.close()
        if whole and self._idle is None and connection.reusable:
            self._idle = connection
        else:
            self._close(connection)

    def _whole(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> Answer:
        connection, response = self._ask(method, target, headers, body, timeout)
        try:
            with connection.reaching():
                content = read_body(response)
            return Answer(response.status, content, self.retry_after(response))
        finally:
            self.done(connection, response)

    def _ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        silence: float,
    ) -> tuple[Connection, HTTPResponse]:
        self._abort.check()
        way = self._credentials.way()
        connection = self._connected(way)
        # Over loopback packing costs more time than it saves.
        packed = way.compression and not connection.peer.is_loopback
        sent = {
            "User-Agent": f"overlayd/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip" if packed else "identity",
            **headers,
        }
        try:
            response = connection.exchange(
                method, f"{way.server.path}{target}", (*sent.items(), *way.headers), body, silence
            )
        except BaseException:
            self._close(connection)
            raise
        if response.status == UNAUTHORIZED:
            self._credentials.refused()
        return connection, response

    def _connected(self, way: Way) -> Connection:
        idle, self._idle = self._idle, None
        if idle is not None:
            if idle.way == way and idle.reusable:
                return idle
            self._close(idle)
        connection = Connection(way, self._abort)
        self._open.add(connection)
        self._resolved = connection.resolved
        return connection

    def _close(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()


def _target(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
