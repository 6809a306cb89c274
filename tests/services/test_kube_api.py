"""Asking the API server: whole answers, streams, and every way in which one can break off."""

import gzip
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from overlayd.kube.transport.api import ApiServer
from overlayd.model.errors import Unreachable
from tests.services.api_parts import LIMIT, ReachingTestCase, Reply, Request, kubeconfig

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SYN_SENT, CLOSE_WAIT = "02", "08"  # in /proc/net/tcp, as include/net/tcp_states.h numbers them


class RawServer:
    """A server that sends bytes as they are, each time once a request has come."""

    def __init__(self, case: ReachingTestCase, *sent: bytes, close: bool = True) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.asked = threading.Event()
        self.lines: list[socket.socket] = []
        self._sent, self._close = sent, close
        threading.Thread(target=self._serve, daemon=True).start()
        case.addCleanup(self.end)

    def _serve(self) -> None:
        for piece in self._sent:
            line, _ = self._listening.accept()
            self.lines.append(line)
            got = b""
            while b"\r\n\r\n" not in got and (more := line.recv(65536)):
                got += more
            line.sendall(piece)
            self.asked.set()
            if self._close:
                line.close()

    def end(self) -> None:
        self._listening.close()
        for line in self.lines:
            line.close()


def connections(port: int, state: str) -> int:
    """How many of our connections to a port are in a state."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == state for row in rows)


class AnswerTests(ReachingTestCase):
    """Whole answers."""

    def plain(self, answer: Callable[[Request], Reply]) -> ApiServer:
        self.plain_server = self.serve(answer)
        return self.reach(None, server=self.plain_server.url)

    def test_statuses_are_answers(self) -> None:
        """Whatever the server answers is an answer, with its body, and the connection is kept."""
        api = self.plain(lambda r: Reply(int(r.target[1:]), r.target.encode()))
        for status in (200, 302, 403, 404, 410, 422, 500):
            answer = api.get(f"/{status}")
            self.assertEqual((answer.status, answer.body), (status, b"/%d" % status))
        self.assertEqual({r.connection for r in self.plain_server.requests}, {0})

    def test_patch(self) -> None:
        """A patch is sent as a JSON merge patch."""
        api = self.plain(lambda r: Reply(200, r.body))
        body = json.dumps({"metadata": {"annotations": {"ä": None}}}).encode()
        self.assertEqual(api.patch("/api/v1/nodes/a", body).body, body)
        [request] = self.plain_server.requests
        self.assertEqual(request.method, "PATCH")
        self.assertEqual(request.headers["content-type"], "application/merge-patch+json")

    def test_query(self) -> None:
        """A query is quoted, so a continue token arrives as it was given."""
        api = self.plain(lambda r: Reply())
        api.get("/nodes", {"continue": "a/b+c==&d"})
        self.assertEqual(
            self.plain_server.requests[0].target, "/nodes?continue=a%2Fb%2Bc%3D%3D%26d"
        )

    def test_packed(self) -> None:
        """A packed answer is unpacked; over loopback none is asked for."""
        body = b"0123456789" * 100_000
        packed = gzip.compress(body)
        api = self.plain(lambda r: Reply(200, packed, {"Content-Encoding": "gzip"}))
        self.assertEqual(api.get("/").body, body)
        self.assertEqual(self.plain_server.requests[0].headers["accept-encoding"], "identity")
        self.plain_server.answer = lambda r: Reply(200, packed[:-9], {"Content-Encoding": "gzip"})
        self.assertRaises(Unreachable, api.get, "/")

    def test_retry_after(self) -> None:
        """Retry-After is read as seconds and as a date, which counts from the answer's own."""
        date = "Wed, 21 Oct 2026 07:28:00 GMT"
        for text, wanted in (
            ("7", 7.0),
            (" 0 ", 0.0),
            ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
            ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
            ("-5", None),
            ("1e9", None),
            ("soon", None),
        ):
            raw = RawServer(
                self,
                HEAD + f"Date: {date}\r\nContent-Length: 0\r\nRetry-After: {text}\r\n\r\n".encode(),
            )
            answer = self.reach(None, server=raw.url).get("/")
            self.assertEqual(answer.retry_after, wanted, text)
        self.assertIs(self.plain(lambda r: Reply()).get("/").retry_after, None)

    def test_cut(self) -> None:
        """An answer that ends before its end is none, however its length was told."""
        for cut in (
            b"",
            b"HTTP/1.1 2",
            HEAD + b"Content-Le",
            HEAD + b"Content-Length: 9\r\n\r\n12345678",
            CHUNKED + b"3\r\nabc\r\n",
            CHUNKED + b"5\r\nabc",
            CHUNKED + b"zz\r\nabc",
        ):
            api = self.reach(None, server=RawServer(self, cut).url)
            self.assertRaises(Unreachable, api.get, "/")

    def test_no_http(self) -> None:
        """What does not speak HTTP is shown escaped, and cannot write into a terminal."""
        api = self.reach(None, server=RawServer(self, b"\x1b[2J\r\n\r\n").url)
        text = str(self.assertRaises(Unreachable, api.get, "/"))
        self.assertTrue(text.isprintable())
        self.assertIn("does not speak HTTP", text)

    def test_refused(self) -> None:
        """A server that is not there is named with the reason, and the next request may succeed."""
        server = socket.create_server(("127.0.0.1", 0))
        port = server.getsockname()[1]
        server.close()
        api = self.reach(None, server=f"http://127.0.0.1:{port}")
        text = str(self.assertRaises(Unreachable, api.get, "/"))
        self.assertEqual(text, f"http://127.0.0.1:{port}: Connection refused")

    def test_unresolved(self) -> None:
        """A name without an address is an error of that request."""
        api = self.reach(None, server="http://no-such-host.invalid")
        self.assertIn("no-such-host", str(self.assertRaises(Unreachable, api.get, "/")))
        self.assertEqual(api.addresses(), frozenset())

    def test_closed_while_idle(self) -> None:
        """A connection that the server closed meanwhile is not used for the next request."""
        answer = HEAD + b"Content-Length: 2\r\n\r\n{}"
        raw = RawServer(self, answer, answer, close=False)
        api = self.reach(None, server=raw.url)
        api.get("/")
        raw.lines[0].close()
        self.until(lambda: connections(raw.port, CLOSE_WAIT) == 1)
        self.assertEqual(api.get("/").status, 200)

    def test_addresses(self) -> None:
        """A name is known by what it resolved to once it was dialled."""
        server = self.serve()
        api = self.reach(None, server=f"http://localhost:{server.port}")
        api.get("/")
        self.assertIn("127.0.0.1", {str(a) for a in api.addresses()})


class StreamTests(ReachingTestCase):
    """Answers that are read as they come."""

    def test_as_it_comes(self) -> None:
        """Each piece is read when it was sent, while the answer goes on, and the end is clean."""
        raw = RawServer(self, CHUNKED + b"3\r\nabc\r\n", close=False)
        stream = self.reach(None, server=raw.url).stream("/", {"watch": "1"}, LIMIT)
        self.addCleanup(stream.close)
        self.assertEqual((stream.status, stream.read()), (200, b"abc"))
        raw.lines[0].sendall(b"4\r\ndefg\r\n")
        self.assertEqual(stream.read(), b"defg")
        raw.lines[0].sendall(b"0\r\n\r\n")
        self.assertEqual((stream.read(), stream.read()), (b"", b""))

    def test_cut(self) -> None:
        """A stream that breaks off is told from one that ends."""
        for rest in (b"", b"5", b"5\r\nab"):
            raw = RawServer(self, CHUNKED + b"3\r\nabc\r\n" + rest)
            stream = self.reach(None, server=raw.url).stream("/", {}, LIMIT)
            self.addCleanup(stream.close)

            def read_on(read: Callable[[], bytes] = stream.read) -> None:
                while read():
                    pass

            self.assertRaises(Unreachable, read_on)

    def test_silence(self) -> None:
        """A stream that stays silent for longer than the idle limit ends."""
        raw = RawServer(self, CHUNKED, close=False)
        stream = self.reach(None, server=raw.url).stream("/", {}, idle=0.05)
        self.addCleanup(stream.close)
        self.assertIn("nothing came", str(self.assertRaises(Unreachable, stream.read)))

    def test_silence_under_tls(self) -> None:
        """So does one under TLS, and it is said in the same words."""
        self.server.answer = lambda _: Reply(200, b"x", {"Content-Length": "2"})
        stream = self.reach(kubeconfig(self.server.url, self.trusting)).stream("/", {}, idle=0.5)
        self.addCleanup(stream.close)
        self.assertEqual(stream.read(), b"x")
        error = self.assertRaises(Unreachable, stream.read)
        self.assertEqual(str(error), f"{self.server.url}: nothing came in time")

    def test_connection_is_kept(self) -> None:
        """After a stream that was read to its end its connection serves the next request."""
        server = self.serve(lambda r: Reply(200, b"x"))
        api = self.reach(None, server=server.url)
        for _ in range(2):
            stream = api.stream("/", {}, LIMIT)
            while stream.read():
                pass
            stream.close()
            stream.close()
            api.get("/")
        self.assertEqual({r.connection for r in server.requests}, {0})

    def test_another_request_meanwhile(self) -> None:
        """While a stream is open, other requests have a connection of their own."""
        server = self.serve(lambda r: Reply(200, b"x"))
        api = self.reach(None, server=server.url)
        stream = api.stream("/", {}, LIMIT)
        self.assertEqual(api.get("/").body, b"x")
        self.assertEqual(stream.read(), b"x")
        stream.close()
        self.assertEqual(api.get("/").status, 200)


class AbortTests(ReachingTestCase):
    """Ending from another thread."""

    def aborted(self, api: ApiServer, failed: Callable[[], BaseException]) -> None:
        api.abort()
        self.assertIn("aborted", str(failed()))
        self.assertRaises(Unreachable, api.get, "/")
        self.assertRaises(Unreachable, api.stream, "/", {}, LIMIT)

    def test_reading(self) -> None:
        """An abort ends a request whose answer does not come."""
        raw = RawServer(self, b"", close=False)
        api = self.reach(None, server=raw.url)
        failed = self.in_thread(lambda: api.get("/", timeout=1000))
        raw.asked.wait(LIMIT)
        self.aborted(api, failed)

    def test_streaming(self) -> None:
        """An abort ends a stream, one that ends only with its connection too."""
        for head in (CHUNKED, HEAD + b"Connection: close\r\n\r\n"):
            raw = RawServer(self, head, close=False)
            api = self.reach(None, server=raw.url)
            stream = api.stream("/", {}, idle=1000)
            self.addCleanup(stream.close)
            self.aborted(api, self.in_thread(stream.read))

    def test_streaming_over_tls(self) -> None:
        """An abort ends a request under TLS."""
        asked, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)

        def hang(request: Request) -> Reply:
            asked.set()
            go_on.wait(LIMIT)
            return Reply()

        self.server.answer = hang
        api = self.reach(kubeconfig(self.server.url, self.trusting))
        failed = self.in_thread(lambda: api.get("/", timeout=1000))
        asked.wait(LIMIT)
        self.aborted(api, failed)

    def test_handshake(self) -> None:
        """An abort ends a TLS handshake that is not answered."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"https://127.0.0.1:{silent.getsockname()[1]}"
            api = self.reach(kubeconfig(url, self.trusting))
            failed = self.in_thread(lambda: api.get("/"))
            line, _ = silent.accept()
            with line:
                line.recv(1)
                self.aborted(api, failed)

    def test_connecting(self) -> None:
        """An abort ends an attempt to connect that is not answered."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                self.addCleanup(filler.close)
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            pending = connections(port, SYN_SENT)
            api = self.reach(None, server=f"http://127.0.0.1:{port}")
            failed = self.in_thread(lambda: api.get("/"))
            self.until(lambda: connections(port, SYN_SENT) > pending)
            self.aborted(api, failed)
