"""`overlayctl` as people run it, against a real control socket: what it prints, how it ends."""

import json
import os
import pty
import sys
from collections.abc import Sequence

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SkipTest

from overlayd.control.service import ControlService
from overlayd.model.errors import Stopping
from overlayd.model.status import ChangeReport, PassReport, PeerStatus, State, StateName, Status
from tests.services.answers import answers
from tests.services.overlayctl_case import OVERLAYCTL, OverlayctlTestCase
from tests.statuses import LONGEST_NAME, ORDINARY, TROUBLED, hostile, hostile_peer, peer, report

# Drops the privileges that make every socket openable, then goes on as overlayctl.
AS_NOBODY = """
import os
from overlayd.ctl.commands import overlayctl
if os.getuid() == 0:
    os.setuid(65534)
overlayctl()
"""


class AnsweredTests(OverlayctlTestCase):
    """With a daemon that answers."""

    def setUp(self) -> None:
        super().setUp()
        self.status: Status = ORDINARY
        self.peers: Sequence[PeerStatus] = [peer(1), peer(2)]
        self.pass_done: Deferred[PassReport] = succeed(report(8))
        chosen = answers(
            status=lambda: self.status,
            peers=lambda: self.peers,
            resync=lambda: self.pass_done,
        )
        service = ControlService(reactor, str(self.path), chosen)
        service.startService()
        self.addCleanup(service.stopService)

    async def test_status(self) -> None:
        """The status tells a person the state, the device, and what the last pass did."""
        out = await self.printed("status")
        for part in ("converged", "wg0", "MTU 1420", "add peer n0", "3 ("):
            self.assertIn(part, out)
        self.assertNotIn("Quarantine", out)

    async def test_trouble(self) -> None:
        """Whatever is wrong, left out or kept is in the status with its reason."""
        self.status = TROUBLED
        out = await self.printed("status")
        for part in (
            "2 changes failed",
            "403 Forbidden",
            "connection refused",
            "lies outside the pod networks",
            "windows-1",
            "fd00::/64",
            "takes traffic of n3",
            "someone deleted it",
            "No such device",
        ):
            self.assertIn(part, out)

    async def test_status_as_json(self) -> None:
        """For scripts the whole status is one document, its lists in it and complete."""
        self.status = evolve(TROUBLED, quarantines=TROUBLED.quarantines * 1500)
        document = json.loads(await self.printed("status", "-o", "json"))
        self.assertEqual(document["state"], "retrying")
        self.assertEqual(len(document["quarantines"]), 1500)
        self.assertEqual(document["lastPass"]["changes"][0]["error"], "No such device")
        self.assertEqual(document["notAnnounced"], [{"name": "windows-1"}, {"name": "virtual-1"}])

    async def test_ready(self) -> None:
        """--ready ends with 0 once the node is ready, and stays so in a state of trouble."""
        self.status = evolve(TROUBLED, ready=True)
        self.assertEqual(await self.printed("status", "--ready"), "ready\n")

    async def test_not_ready(self) -> None:
        """--ready ends with 5 before that, and says why."""
        self.status = evolve(TROUBLED, state=State(StateName.STARTING, "no inventory yet"))
        out = await self.printed("status", "--ready", code=5)
        why = "API server not watched: connection refused"
        self.assertEqual(out, f"not ready: starting: no inventory yet; {why}\n")
        out = await self.printed("status", "--ready", "-o", "json", code=5)
        self.assertEqual(json.loads(out)["ready"], False)

    async def test_peers(self) -> None:
        """Peers are lines with the handshake's age or "never", endpoint, prefixes and bytes."""
        out = await self.printed("peers")
        head, first, _ = out.splitlines()
        self.assertEqual(head.split()[:3], ["NODE", "STATE", "HANDSHAKE"])
        for part in ("n1 ", "never", "192.0.2.1:51820", "10.244.1.0/24", "2.00 KiB", "148 B"):
            self.assertIn(part, first)

    async def test_many_peers(self) -> None:
        """5,000 peers with the longest names are all there, whole, one a line in a pipe."""
        self.peers = [peer(n, LONGEST_NAME) for n in range(1, 5_001)]
        lines = (await self.printed("peers")).splitlines()
        self.assertEqual(len(lines), 5_001)
        self.assertTrue(all(line.startswith(LONGEST_NAME) for line in lines[1:]))
        documents = json.loads(await self.printed("peers", "-o", "json"))
        self.assertEqual([d["publicKey"] for d in documents], [str(p.peer.key) for p in self.peers])

    async def test_no_peers(self) -> None:
        """Without peers there is a head and an empty list."""
        self.peers = []
        self.assertEqual(len((await self.printed("peers")).splitlines()), 1)
        self.assertEqual(json.loads(await self.printed("peers", "-o", "json")), [])

    async def test_quarantines(self) -> None:
        """Quarantines have a list of their own, and it is complete."""
        self.status = evolve(TROUBLED, quarantines=TROUBLED.quarantines * 50)
        self.assertEqual(len((await self.printed("quarantines")).splitlines()), 51)
        self.assertEqual(len(json.loads(await self.printed("quarantines", "-o", "json"))), 50)
        self.assertIn("overlayctl quarantines", await self.printed("status"))

    async def test_resync(self) -> None:
        """A resync tells what its pass changed."""
        out = await self.printed("resync")
        self.assertIn("number 8", out)
        self.assertIn("add peer n1 (announced)", out)
        document = json.loads(await self.printed("resync", "-o", "json"))
        self.assertEqual([c["change"] for c in document["changes"]], ["add peer n0", "add peer n1"])

    async def test_resync_failed(self) -> None:
        """A pass that failed in part, or could not read the machine, ends with 6."""
        failed = (ChangeReport("add route", "missing", "No such device"),)
        self.pass_done = succeed(evolve(report(8), changes=failed))
        self.assertIn("No such device", await self.printed("resync", code=6))
        self.pass_done = succeed(evolve(report(8), changes=(), error="cannot read wg0"))
        self.assertIn("cannot read wg0", await self.printed("resync", code=6))

    async def test_stopping(self) -> None:
        """What the daemon refuses is told in its words."""
        self.pass_done = fail(Stopping("overlayd is stopping"))
        await self.assert_ends(1, "overlayd is stopping", "resync")

    async def test_hostile_text(self) -> None:
        """No text of a cluster moves the cursor, colours a line or breaks one."""
        self.status = hostile(20)
        self.peers = [hostile_peer(1)]
        assert self.status.last_pass is not None
        self.pass_done = succeed(self.status.last_pass)
        for arguments, code in ((["status"], 0), (["peers"], 0), (["resync"], 6)):
            out = await self.printed(*arguments, code=code)
            for line in out.split("\n"):
                self.assertTrue(line.isprintable(), line)
            json.loads(await self.printed(*arguments, "-o", "json", code=code))

    async def test_other_encoding(self) -> None:
        """A terminal that lacks a character gets its escape instead of a traceback."""
        self.status = evolve(ORDINARY, node="\u00e9\U0001f600")
        self.environ |= {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
        self.assertIn("\\xe9\\U0001f600", await self.printed("status"))

    async def test_terminal(self) -> None:
        """On a terminal the table has colour, and long cells are folded, not cut."""
        self.peers = [peer(1, LONGEST_NAME)]
        self.environ |= {"TERM": "xterm-256color", "COLUMNS": "100"}
        out = await self.on_terminal("peers")
        self.assertIn("\x1b[", out)
        self.assertNotIn("\u2026", out)
        self.assertGreaterEqual(out.count("n"), LONGEST_NAME.count("n"))

    async def on_terminal(self, *arguments: str) -> str:
        try:
            ours, theirs = pty.openpty()
        except OSError:
            raise SkipTest("needs terminals: mount -t devpts devpts /dev/pts") from None
        try:
            await self.run_it(*OVERLAYCTL, *arguments, stdout=theirs)
            return os.read(ours, 65536).decode()
        finally:
            os.close(ours)
            os.close(theirs)

    async def test_closed_pipe(self) -> None:
        """Who stops reading the output gets no traceback for it."""
        self.peers = [peer(n, LONGEST_NAME) for n in range(1, 5_001)]
        command = f"{sys.executable} -m overlayd.ctl.main peers | head -n 1"
        done = await self.run_it("sh", "-c", command)
        self.assertEqual((len(done.stdout.splitlines()), done.stderr), (1, ""))

    async def test_full_disk(self) -> None:
        """Output that cannot be written is an error of one line."""
        with open("/dev/full", "w") as full:
            done = await self.run_it(*OVERLAYCTL, "peers", stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    async def test_no_permission(self) -> None:
        """Who may not open the socket is told so, with 4."""
        if os.getuid() != 0:
            self.folder.chmod(0)
            self.addCleanup(self.folder.chmod, 0o700)
        done = await self.run_it(sys.executable, "-c", AS_NOBODY, "status")
        self.assertEqual((done.returncode, done.stdout), (4, ""), done.stderr)
        self.assertIn("permission", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)
