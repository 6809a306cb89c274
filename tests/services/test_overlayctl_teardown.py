"""`overlayctl teardown` as people run it: what it prints, and how it ends."""

import json
import os
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed

from overlayd.control.service import ControlService
from overlayd.control.socket import keep_daemon_out
from overlayd.model.errors import ControlError, Stopping
from overlayd.model.status import ChangeReport, PassReport
from overlayd.model.teardown import TeardownReport, Withdrawal
from tests.services.answers import answers
from tests.services.overlayctl_case import OverlayctlTestCase
from tests.statuses import HOSTILE, ORDINARY

MADE = ChangeReport("end device wg0", "teardown")
FAILED = ChangeReport("remove link wg0", "teardown", "ENOTSUP (Operation not supported)")
MACHINE = PassReport(
    number=9, why="teardown was asked for", began="2026-01-01T00:00:00Z", duration=0.5
)
DONE = TeardownReport(
    withdrawal=Withdrawal(("wireguard-publickey", "wireguard-ip")),
    machine=evolve(MACHINE, changes=(MADE,)),
    forwarding=True,
)
STAY = Withdrawal(error="our annotations are not withdrawn: the API server was not reached")


class TeardownTests(OverlayctlTestCase):
    """With a daemon that answers."""

    def setUp(self) -> None:
        super().setUp()
        self.report: Deferred[TeardownReport] = succeed(DONE)
        self.forced: list[bool] = []
        service = ControlService(reactor, str(self.path), answers(teardown=self.teardown))
        service.startService()
        self.addCleanup(service.stopService)

    def teardown(self, force: bool) -> Deferred[TeardownReport]:
        self.forced.append(force)
        return self.report

    async def test_done(self) -> None:
        """It says what was withdrawn and removed, that the sysctl stays, and what follows."""
        out = await self.printed("teardown")
        for part in (
            f"Withdrew from the Node {ORDINARY.node}: wireguard-publickey, wireguard-ip",
            "1 change to this machine",
            "end device wg0",
            "net.ipv4.ip_forward stays 1",
            "neither encrypted nor refused",
            "keeps out until it is restarted",
        ):
            self.assertIn(part, out)
        self.assertEqual(self.forced, [False])

    async def test_nothing_to_do(self) -> None:
        """A second time there is nothing to do, which is no failure."""
        self.report = succeed(evolve(DONE, withdrawal=Withdrawal(), machine=MACHINE))
        out = await self.printed("teardown")
        self.assertIn("nothing of ours on this machine", out)
        self.assertIn("had no annotation of ours", out)

    async def test_json(self) -> None:
        """For scripts it is one document, with every change."""
        changes = (MADE,) * 2_500
        self.report = succeed(evolve(DONE, machine=evolve(MACHINE, changes=changes)))
        document: dict[str, Any] = json.loads(await self.printed("teardown", "-o", "json"))
        self.assertEqual(len(document["machine"].pop("changes")), 2_500)
        self.assertEqual(document["machine"]["changeCount"], 2_500)
        del document["machine"]
        self.assertEqual(
            document,
            {
                "node": ORDINARY.node,
                "withdrawn": ["wireguard-publickey", "wireguard-ip"],
                "notWithdrawn": None,
                "leftAlone": [],
                "ipForward": True,
            },
        )

    async def test_refused(self) -> None:
        """Where annotations cannot be withdrawn it ends with 8 and names --force."""
        self.report = succeed(TeardownReport(withdrawal=STAY))
        await self.assert_ends(8, "nothing was touched: our annotations", "teardown")
        await self.assert_ends(8, "--force", "teardown", "-o", "json")

    async def test_forced(self) -> None:
        """With --force it says that they stay, and how they are removed."""
        self.report = succeed(evolve(DONE, withdrawal=STAY))
        out = await self.printed("teardown", "--force")
        self.assertEqual(self.forced, [True])
        self.assertIn("stay on the Node: our annotations are not withdrawn", out)
        self.assertIn(
            f"kubectl annotate node {ORDINARY.node} wireguard-publickey- wireguard-ip- "
            "overlayd/overlay-ips- overlayd/endpoint- overlayd/pod-cidrs-\n",
            out,
        )

    async def test_failed(self) -> None:
        """What failed is told change by change, and it ends with 6."""
        machine = evolve(MACHINE, changes=(MADE, FAILED))
        self.report = succeed(evolve(DONE, machine=machine, foreign=("the link wg1",)))
        out = await self.printed("teardown", code=6)
        for part in ("FAILED: ENOTSUP", "not ours: the link wg1", "run it again to go on"):
            self.assertIn(part, out)
        self.assertNotIn("neither encrypted", out)
        self.report = succeed(evolve(DONE, machine=evolve(MACHINE, error="no netlink")))
        self.assertIn("FAILED: no netlink", await self.printed("teardown", code=6))

    async def test_stopping(self) -> None:
        """A daemon that is stopping says so."""
        self.report = fail(Stopping("the daemon is stopping"))
        await self.assert_ends(1, "the daemon is stopping", "teardown")

    async def test_hostile_text(self) -> None:
        """No text of a cluster moves the cursor or breaks a line."""
        change = ChangeReport(f"remove peer {HOSTILE}", "teardown", HOSTILE)
        self.report = succeed(
            TeardownReport(
                withdrawal=Withdrawal(error=HOSTILE),
                machine=evolve(MACHINE, changes=(change,), error=HOSTILE),
                foreign=(HOSTILE,),
            )
        )
        for line in (await self.printed("teardown", code=6)).split("\n"):
            self.assertTrue(line.isprintable(), line)

    async def test_offline_beside_a_daemon(self) -> None:
        """--offline is refused while a daemon is alive, before anything is looked at."""
        await self.assert_ends(1, "overlayd is running", "teardown", "--offline")
        self.assertEqual(self.forced, [])


class AloneTests(OverlayctlTestCase):
    """Without a daemon."""

    async def test_not_running(self) -> None:
        """It ends with 3 and names --offline."""
        await self.assert_ends(3, "--offline", "teardown")

    async def test_bad_name(self) -> None:
        """A name that no link can have is an error of one line."""
        await self.assert_ends(1, "--wg-dev", "teardown", "--offline", "--wg-dev", "a/b")

    async def test_keeps_daemons_out(self) -> None:
        """While the lock is held no daemon starts; without its folder there is no daemon."""
        lock = keep_daemon_out(str(self.path))
        assert lock is not None
        service = ControlService(reactor, str(self.path), answers())
        self.assertRaises(ControlError, service.startService)
        os.close(lock)
        self.assertIsNone(keep_daemon_out(str(self.folder / "nowhere" / "control.sock")))
