"""`overlayctl` without a daemon, or with one that does not answer as it should."""

import os
import signal
import subprocess

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

import overlayd
from overlayd.control.service import ControlService
from tests.services.answers import answers
from tests.services.overlayctl_case import OVERLAYCTL, OverlayctlTestCase
from tests.services.replying import Garbage, HangsUp, KnowsNothing, OtherVersion


class AloneTests(OverlayctlTestCase):
    def listen(self, protocol: type[Protocol]) -> None:
        port = reactor.listenUNIX(str(self.path), Factory.forProtocol(protocol))  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)

    async def test_nothing_there(self) -> None:
        """No socket, or one that a killed daemon left, means: not running."""
        await self.assert_ends(3, "not running", "status")
        await self.assert_ends(3, "not running", "status", "--ready")
        await self.assert_ends(3, "/nowhere/x", "--control", "/nowhere/x", "peers")
        left = ControlService(reactor, str(self.path), answers())
        left.startService()
        copy = self.folder / "left.sock"
        os.link(self.path, copy)
        await left.stopService()
        copy.rename(self.path)
        await self.assert_ends(3, "not running", "resync")

    async def test_hung(self) -> None:
        """A daemon that does not answer in time ends with 7."""
        self.listen(Protocol)
        await self.assert_ends(7, "did not answer within 1 s", "status", "--timeout", "1")

    async def test_trickle(self) -> None:
        """So does one that sends a byte now and then: the limit is for the whole answer."""
        self.listen(_Trickle)
        await self.assert_ends(7, "did not answer", "status", "--timeout", "1")

    async def test_hangs_up(self) -> None:
        """One that hangs up ends with 1."""
        self.listen(HangsUp)
        await self.assert_ends(1, "hung up", "peers")

    async def test_something_else(self) -> None:
        """What is not overlayd is said to be that."""
        self.listen(Garbage)
        await self.assert_ends(1, "not overlayd", "status")

    async def test_other_version(self) -> None:
        """A daemon whose documents are others is another version."""
        self.listen(OtherVersion)
        await self.assert_ends(1, "different versions", "status")

    async def test_other_commands(self) -> None:
        """So is one that does not know a command."""
        self.listen(KnowsNothing)
        await self.assert_ends(1, "another version", "status")

    async def test_long_path(self) -> None:
        """A path that no socket can have is an error of one line."""
        await self.assert_ends(1, "too long", "--control", "/x" * 100, "status")

    async def test_interrupted(self) -> None:
        """Ctrl-C ends it at once and quietly."""
        asked: Deferred[bytes] = Deferred()

        class Silent(Protocol):
            def dataReceived(self, data: bytes) -> None:
                asked.callback(data)

        self.listen(Silent)
        process = subprocess.Popen(
            [*OVERLAYCTL, "status"], env=self.environ, stderr=subprocess.PIPE, text=True
        )
        self.addCleanup(process.kill)
        await asked
        process.send_signal(signal.SIGINT)
        _, err = await deferToThread(process.communicate, timeout=60)
        self.assertEqual((process.returncode, err), (-signal.SIGINT, ""))

    async def test_usage(self) -> None:
        """A wrong command line ends with 2; help names the exit codes."""
        for arguments in (["stat"], ["status", "-o", "yaml"], ["status", "--timeout", "0"]):
            self.assertEqual((await self.overlayctl(*arguments)).returncode, 2)
        self.assertIn("5    status --ready: not ready", await self.printed("--help"))
        self.assertIn(overlayd.__version__, await self.printed("--version"))


class _Trickle(Protocol):
    """Begins an answer that is long in coming."""

    def connectionMade(self) -> None:
        self.send()

    def send(self) -> None:
        assert self.transport is not None
        self.transport.write(b"\0\1a\0\1b")
        self.call = reactor.callLater(0.1, self.send)

    def connectionLost(self, reason: object = None) -> None:
        self.call.cancel()
