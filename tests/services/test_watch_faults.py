"""The node watch while connections, answers and lines go wrong, on the development API server."""

from pathlib import Path

from twisted.internet.task import deferLater

from overlayd.kube.config.access import find_access
from overlayd.kube.silence import Silence
from overlayd.kube.transport.api import ApiServer
from tests.services.api_parts import embedded, kubeconfig
from tests.services.certificates import Authority
from tests.services.watch_case import FaultCase, backoff, coroutine, reactor

LOST, AGAIN = "not following the Nodes: ", "following the Nodes again"


class ConnectionTests(FaultCase):
    @coroutine
    async def test_reset(self) -> None:
        """A reset resumes the watch; no list, no probe."""
        await self.follow()
        self.server.fault("reset-watches")
        await self.backs_off(backoff(0))
        await self.goes_on()
        self.assertEqual(self.asked(), {"lists": 1, "probes": 0, "watches": 1})
        await self.told(LOST, AGAIN)

    @coroutine
    async def test_clean_end(self) -> None:
        """So does a clean end, which nobody is told of."""
        await self.follow()
        self.server.fault("end-watches")
        await self.backs_off(backoff(0))
        await self.goes_on()
        self.assertEqual(self.asked(), {"lists": 1, "probes": 0, "watches": 1})
        await self.told()

    @coroutine
    async def test_hang(self) -> None:
        """A server that takes requests and says nothing is asked more and more seldom; no list."""
        await self.follow()
        self.server.fault("hang")
        await self.backs_off(backoff(0), backoff(1))  # the watch, another watch
        await self.waits(backoff(2))  # and a probe
        self.server.fault("resume")
        self.clock.advance(backoff(2))
        await self.goes_on()
        self.assertEqual(self.asked(), {"lists": 1, "probes": 2, "watches": 2})
        await self.told(LOST, LOST, AGAIN)

    @coroutine
    async def test_black_hole(self) -> None:
        """Nor is there a list after a time in which not even the process ran."""
        await self.follow()
        self.server.pause()
        try:
            await self.backs_off(backoff(0), backoff(1))
            await self.waits(backoff(2))
        finally:
            self.server.resume()
        self.clock.advance(backoff(2))
        await self.goes_on()
        self.assertEqual(self.asked()["lists"], 1)
        await self.told(LOST, LOST, AGAIN)


class QuietTests(FaultCase):
    """In a cluster where nothing happens, and with the bookmarks of a real server."""

    silence = Silence(first=3.0)
    options = ("--nodes", "3")

    @coroutine
    async def test_once_heard(self) -> None:
        """A watch that has brought something may be silent for longer than one that has not."""
        self.begin()
        await self.until(lambda: bool(self.inventories))
        self.names = sorted(self.inventories[0].nodes)
        await self.goes_on()
        await deferLater(reactor, self.silence.first + 1.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.asked(), {"lists": 1, "probes": 0, "watches": 0})


class AnswerTests(FaultCase):
    @coroutine
    async def test_refused(self) -> None:
        """Refusals back off, obey Retry-After, and are told once.

        A 403 and a 5xx are followed by a probe.
        """
        await self.follow()
        for status, retry_after in (
            (403, None),
            (404, None),
            (409, None),
            (422, None),
            (429, 17),
            (500, None),
            (503, 17),
        ):
            before = self.asked()
            told = len(self.log())
            self.server.fault(
                "answer-next", count=3, status=status, retry_after=retry_after, verbs=["watch"]
            )
            self.server.fault("end-watches")
            await self.backs_off(backoff(0))
            await self.backs_off(*(max(backoff(n), retry_after or 0.0) for n in (1, 2, 3)))
            await self.goes_on()
            asked = {what: count - before[what] for what, count in self.asked().items()}
            probes = 3 if status == 403 or status >= 500 else 0
            self.assertEqual(asked, {"lists": 0, "probes": probes, "watches": 4}, status)
            await self.until(lambda told=told: len(self.log()) > told + 1)  # type: ignore[misc]
            lost, again = self.log()[told:]
            self.assertTrue(lost.startswith(LOST) and again.startswith(AGAIN), (lost, again))
            self.assertIn(str(status), lost)

    @coroutine
    async def test_gone_as_status(self) -> None:
        """A 410 is answered with one list, after the back-off, whatever it is said with."""
        await self.follow()
        self.server.fault("answer-next", count=1, status=410, verbs=["watch"])
        self.server.fault("end-watches")
        await self.backs_off(backoff(0), backoff(1))
        await self.goes_on()
        self.assertEqual(self.asked(), {"lists": 2, "probes": 0, "watches": 1})
        await self.told(LOST, AGAIN)


class LineTests(FaultCase):
    @coroutine
    async def test_garbage(self) -> None:
        """A line that is no event costs one list, after the back-off."""
        await self.follow()
        self.server.fault("inject-line", line="<html>Welcome</html>")
        await self.backs_off(backoff(0))
        await self.goes_on()
        self.assertEqual(self.asked(), {"lists": 2, "probes": 0, "watches": 0})
        await self.told(LOST, AGAIN)

    @coroutine
    async def test_blank(self) -> None:
        """A blank line is nothing."""
        await self.follow()
        for line in ("", "  ", "\r"):
            self.server.fault("inject-line", line=line)
        await self.goes_on()
        self.assertEqual(self.asked(), {"lists": 1, "probes": 0, "watches": 0})
        await self.told()

    @coroutine
    async def test_cut(self) -> None:
        """A line that is cut, also inside a character, is told again, and costs no list."""
        await self.follow()
        name = self.names[1]
        await self.annotate(name, {"overlayd.test/greeting": "größe"})
        body = self.api().get(f"/api/v1/nodes/{name}").body
        within = len('{"type":"MODIFIED","object":') + body.index("ö".encode()) + 1
        watches = 0
        for length in (0, 1, 8, 200, within, 5000):
            for clean in (False, True):
                await self.goes_on()
                self.server.fault("cut-next-line", length=length, clean=clean)
                port = await self.change()
                await self.backs_off(backoff(0))
                await self.sees(port)
                watches += 1
                self.assertEqual(self.asked(), {"lists": 1, "probes": 0, "watches": watches})


class TokenTests(FaultCase):
    """On a server that wants tokens, and so TLS: over plain HTTP no server is told one."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        authority = Authority()
        pair = authority.issue("server", "127.0.0.1")
        self.write("cert", pair.certificate)
        self.write("key", pair.key)
        self.write("token", b"old")
        tls = ("--tls-cert", str(self.folder / "cert"), "--tls-key", str(self.folder / "key"))
        self.options = (*FaultCase.options, *tls, "--token", "old")
        super().setUp()
        cluster = {"certificate-authority-data": embedded(authority.certificate)}
        user = {"tokenFile": str(self.folder / "token")}
        self.write("config", kubeconfig(self.server.url, cluster, user).encode())

    def write(self, name: str, content: bytes) -> None:
        """As a rotation does: whole, as a new file."""
        new = self.folder / f"{name}.new"
        new.write_bytes(content)
        new.replace(self.folder / name)

    def api(self) -> ApiServer:
        return ApiServer(find_access(None, str(self.folder / "config"), {}))

    @coroutine
    async def test_rotated(self) -> None:
        """A token that no longer counts backs off, and the new one resumes the watch."""
        await self.follow()
        self.server.fault("set-tokens", tokens=["new"])
        self.server.fault("end-watches")
        await self.backs_off(backoff(0), backoff(1))
        await self.waits(backoff(2))
        self.write("token", b"new")
        self.clock.advance(backoff(2))
        await self.goes_on()
        self.assertEqual(self.asked(), {"lists": 1, "probes": 2, "watches": 2})
        await self.told(LOST + "the API server does not accept our credentials", AGAIN)

    @coroutine
    async def test_another_store(self) -> None:
        """A store that is made anew knows no token at first: what it has is listed soon after."""
        await self.follow()
        self.server.fault("set-tokens", tokens=["new"])
        self.server.fault("replace-history", version=1, nodes=[])
        self.server.fault("end-watches")
        await self.backs_off(backoff(0))
        await self.waits(backoff(1))
        self.write("token", b"new")
        self.clock.advance(backoff(1))
        await self.until(lambda: not self.inventories[-1].nodes)
        self.assertEqual(self.asked(), {"lists": 2, "probes": 1, "watches": 1})
