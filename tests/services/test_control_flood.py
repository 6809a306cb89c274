"""Clients that flood the control socket, or hold it, over a real socket: nobody else notices."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from overlayd.control import wire
from overlayd.control.client import Daemon
from overlayd.control.connection import CONNECTION_LIMIT
from overlayd.control.service import ControlService
from overlayd.model.status import PassReport
from tests.services.answers import answers
from tests.services.overlayctl_case import OverlayctlTestCase
from tests.statuses import LONGEST_NAME, peer, report

PROBES = 3
ROOM = 64 * 1024 * 1024
"""Bytes that a flood may cost: some kilobytes and one answer for each connection, and slack."""

# Each goes on for ever, and opens again what was closed. The first line says that it has begun.
FLOOD = """
import socket, sys, time
from overlayd.control import wire

path, kind = sys.argv[1:]

def box(command, **arguments):
    given = {name.encode(): str(value).encode() for name, value in arguments.items()}
    return wire.encode({b"_ask": b"1", b"_command": command, **given})

STATUS = box(b"GetStatus")
PEERS = box(b"List", what="peers", after=0, limit=1000)
SAY = {
    "questions": STATUS * 1000,
    "lists": PEERS * 1000,
    "one question after the other": PEERS,
    "tiny boxes": b"\\0\\1a\\0\\0\\0\\0" * 10_000,
    "half a box": STATUS[:10],
    "garbage": bytes(range(1, 256)) * 100,
    "nothing": b"",
    "hang up": b"",
}[kind]
HOLD = 100 if kind in ("half a box", "nothing") else 4

def opened():
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(path)
    client.settimeout(0)
    return client

clients = []
said = False
while True:
    try:
        while len(clients) < HOLD:
            clients.append(opened())
            if kind in ("half a box", "nothing"):
                clients[-1].send(SAY)
    except OSError:
        pass
    if not said:
        print("begun", flush=True)
        said = True
    alive = []
    for client in clients:
        try:
            if kind == "hang up":
                client.close()
                continue
            if kind in ("half a box", "nothing"):
                if client.recv(1) == b"":
                    client.close()
                    continue
            else:
                client.send(SAY)
            alive.append(client)
        except BlockingIOError:
            alive.append(client)
        except OSError:
            client.close()
    clients = alive
    time.sleep(0)
"""


def resident() -> int:
    """Bytes of this process in memory; the daemon's end is in it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class FloodTests(OverlayctlTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.resyncs: list[Deferred[PassReport]] = []
        peers = [peer(number, LONGEST_NAME) for number in range(1, 1001)]
        chosen = answers(peers=lambda: peers, resync=self.resync)
        service = ControlService(reactor, str(self.path), chosen)
        service.startService()
        self.addCleanup(service.stopService)

    def resync(self) -> "Deferred[PassReport]":
        self.resyncs.append(Deferred())
        return self.resyncs[-1]

    def flood(self, kind: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", FLOOD, str(self.path), kind],
            env=self.environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    async def assert_harmless(self, kind: str) -> None:
        """While one floods, a readiness probe is answered, and who waits gets its answer."""
        waiting = Daemon(str(self.path), 60)
        await deferToThread(waiting.__enter__)
        self.addCleanup(waiting.__exit__, None, None, None)
        answered = deferToThread(waiting.resync)
        before = resident()
        process = self.flood(kind)
        assert process.stdout is not None
        self.assertEqual(await deferToThread(process.stdout.readline), "begun\n")
        for _ in range(PROBES):
            self.assertIn("ready", await self.printed("status", "--ready"))
        self.assertIs(process.poll(), None)
        self.assertLess(resident() - before, ROOM)
        for resync in self.resyncs:
            resync.callback(report(number=8))
        self.assertEqual((await answered)["number"], 8)

    async def test_questions(self) -> None:
        """A thousand questions at once, again and again, their answers unread."""
        await self.assert_harmless("questions")

    async def test_lists(self) -> None:
        """So with the longest answers."""
        await self.assert_harmless("lists")

    async def test_one_after_the_other(self) -> None:
        """One that asks without end and never reads."""
        await self.assert_harmless("one question after the other")

    async def test_tiny_boxes(self) -> None:
        """Ten thousand boxes of a few bytes each."""
        await self.assert_harmless("tiny boxes")

    async def test_garbage(self) -> None:
        """What is no box at all."""
        await self.assert_harmless("garbage")

    async def test_half_boxes(self) -> None:
        """More connections than there may be, each with the beginning of a question."""
        await self.assert_harmless("half a box")

    async def test_silence(self) -> None:
        """As many that say nothing."""
        await self.assert_harmless("nothing")

    async def test_hanging_up(self) -> None:
        """Connections that are closed as soon as they are open."""
        await self.assert_harmless("hang up")

    async def test_one_more_than_there_may_be(self) -> None:
        """With the most connections open and silent, one more is answered at once."""
        silent = [socket.socket(socket.AF_UNIX) for _ in range(CONNECTION_LIMIT)]
        for client in silent:
            self.addCleanup(client.close)
            await deferToThread(client.connect, str(self.path))
        question = wire.encode({b"_ask": b"1", b"_command": b"GetStatus"})
        await self.printed("status", "--ready")
        await deferToThread(silent[-1].sendall, question)
        self.assertTrue(await deferToThread(silent[-1].recv, 1))
        self.assertEqual(await deferToThread(silent[0].recv, 1), b"")
