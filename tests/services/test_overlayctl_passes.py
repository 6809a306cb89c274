"""`overlayctl plan`, `confirm` and `history` as people run them, against a real control socket."""

import json
from collections.abc import Iterable, Sequence

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed

from overlayd.control.service import ControlService
from overlayd.model.errors import NotNow, TunnelError
from overlayd.model.keys import PublicKey
from overlayd.model.status import ChangeReport, Held, PassReport, PastPass, State, StateName, Status
from overlayd.plan.result import Memory, Plan
from tests.services.answers import answers
from tests.services.overlayctl_case import OverlayctlTestCase
from tests.statuses import (
    LONGEST_NAME,
    ORDINARY,
    TROUBLED,
    hostile,
    hostile_past,
    hostile_plan,
    key,
    past,
    plan,
    report,
)

UNTIL = "2026-01-01T00:04:00.000Z"


class PassesTests(OverlayctlTestCase):
    """With a daemon that answers."""

    def setUp(self) -> None:
        super().setUp()
        self.status: Status = ORDINARY
        self.confirmed: list[list[PublicKey]] = []
        self.pass_done: Deferred[PassReport] = succeed(report(8))
        self.planned: Deferred[Plan] = succeed(plan())
        self.history: Sequence[PastPass] = ()
        chosen = answers(
            status=lambda: self.status,
            confirm=self.confirm,
            plan=lambda: self.planned,
            history=lambda: self.history,
        )
        service = ControlService(reactor, str(self.path), chosen)
        service.startService()
        self.addCleanup(service.stopService)

    def confirm(self, keys: Iterable[PublicKey]) -> Deferred[PassReport]:
        self.confirmed.append(list(keys))
        return self.pass_done

    # --- confirm ---

    async def test_confirm(self) -> None:
        """What is let go is named by its node, and what the pass did follows."""
        self.status = TROUBLED
        out = await self.printed("confirm")
        self.assertEqual(self.confirmed, [[key(5)]])
        self.assertIn("1 held peer may go: n5", out)
        self.assertIn("number 8", out)
        self.assertIn("add peer n1 (announced)", out)
        document = json.loads(await self.printed("confirm", "-o", "json"))
        self.assertEqual([h["node"] for h in document["confirmed"]], ["n5"])
        self.assertEqual(len(document["pass"]["changes"]), 2)

    async def test_nothing_is_held(self) -> None:
        """With nothing held nothing is confirmed, and that is no error."""
        self.assertEqual(await self.printed("confirm"), "nothing is held\n")
        document = json.loads(await self.printed("confirm", "-o", "json"))
        self.assertEqual(document, {"confirmed": [], "pass": None})
        self.assertEqual(self.confirmed, [])

    async def test_many_are_held(self) -> None:
        """5,000 peers with the longest names are let go, and each is named."""
        held = tuple(Held(key(n), LONGEST_NAME, 1.0, UNTIL) for n in range(1, 5_001))
        self.status = evolve(TROUBLED, held=held)
        out = await self.printed("confirm")
        self.assertEqual(out.count(LONGEST_NAME), 5_000)
        self.assertEqual(self.confirmed, [[h.key for h in held]])

    async def test_our_node_is_missing(self) -> None:
        """Why nothing may go is told in one line, with 1."""
        self.status = TROUBLED
        self.pass_done = fail(NotNow("no peer goes: there is no Node n0"))
        await self.assert_ends(1, "there is no Node n0", "confirm")

    async def test_confirm_failed(self) -> None:
        """A pass that could not remove them ends with 6."""
        self.status = TROUBLED
        failed = (ChangeReport("remove peer n5", "confirmed", "No such device"),)
        self.pass_done = succeed(evolve(report(8), changes=failed))
        self.assertIn("FAILED: No such device", await self.printed("confirm", code=6))

    async def test_the_status_names_it(self) -> None:
        """The status tells until when a peer is held, and how to let it go."""
        self.status = TROUBLED
        out = await self.printed("status")
        self.assertIn(f"n5 {key(5)} until {UNTIL}, 4m more", out)
        self.assertIn("overlayctl confirm", out)
        document = json.loads(await self.printed("status", "-o", "json"))
        (held,) = document["held"]
        self.assertEqual((held["until"], held["remaining"]), (UNTIL, 240.0))

    # --- plan ---

    async def test_plan(self) -> None:
        """A plan has each change with its reason, and what stays held; it ends with 0."""
        out = await self.printed("plan")
        self.assertIn("would make 2 changes:\n  bring wg0 up (it was down)\n", out)
        self.assertIn(f"n5 {key(5)} until {UNTIL}", out)
        self.assertIn("overlayctl confirm", out)
        document = json.loads(await self.printed("plan", "-o", "json"))
        self.assertEqual(document["state"], None)
        self.assertEqual(document["changes"][0], {"change": "bring wg0 up", "why": "it was down"})
        self.assertEqual([h["node"] for h in document["held"]], ["n5"])

    async def test_nothing_to_do(self) -> None:
        """Where nothing would change, that is said; what stands in the way comes first."""
        self.planned = succeed(Plan((), Memory()))
        self.assertEqual(await self.printed("plan"), "A pass now would change nothing\n")
        document = json.loads(await self.printed("plan", "-o", "json"))
        self.assertEqual((document["changes"], document["held"]), ([], []))
        state = State(StateName.FOREIGN_DEVICE, "the link wg0 is not ours")
        self.planned = succeed(Plan((), Memory(), state))
        first, second = (await self.printed("plan")).splitlines()
        self.assertEqual(first, "foreign-device: the link wg0 is not ours")
        self.assertEqual(second, "A pass now would change nothing")
        self.assertEqual(
            json.loads(await self.printed("plan", "-o", "json"))["state"], "foreign-device"
        )

    async def test_no_plan(self) -> None:
        """A machine that cannot be read is an error of one line."""
        self.planned = fail(TunnelError("wg0 does not answer"))
        await self.assert_ends(1, "wg0 does not answer", "plan")

    # --- history ---

    async def test_history(self) -> None:
        """Passes come with number, time, reason and changes, the newest last."""
        failed = evolve(report(3), changes=(), error="wg0 does not answer")
        again = PastPass(
            report=failed, change_count=0, failure_count=0, repeated=40, repeated_at="later"
        )
        self.history = [past(1), past(2, kept=1), again]
        lines = (await self.printed("history")).splitlines()
        self.assertEqual(
            lines,
            [
                "2026-01-01T00:00:00Z number 1, took 12ms, because 2 nodes changed: 2 changes",
                "  add peer n0 (announced)",
                "  add peer n1 (announced)",
                "2026-01-01T00:00:00Z number 2, took 12ms, because 2 nodes changed: 2 changes",
                "  add peer n0 (announced)",
                "  and 1 more, which are not kept",
                "2026-01-01T00:00:00Z number 3, took 12ms, because 2 nodes changed: "
                "failed: wg0 does not answer",
                "  the same again 40 times, the last at later",
            ],
        )

    async def test_history_as_json(self) -> None:
        """For scripts it is a list of passes with their changes in them."""
        self.history = [past(1), past(2, kept=1)]
        first, second = json.loads(await self.printed("history", "-o", "json"))
        self.assertEqual(len(first["changes"]), 2)
        self.assertEqual((second["changeCount"], second["changesKept"]), (2, 1))
        self.assertEqual(second["changes"][0]["why"], "announced")

    async def test_last(self) -> None:
        """--last shows so many of the newest, or all if there are fewer."""
        self.history = [past(n) for n in range(1, 101)]
        for last, numbers in (("1", [100]), ("3", [98, 99, 100]), ("500", list(range(1, 101)))):
            out = await self.printed("history", "--last", last, "-o", "json")
            self.assertEqual([p["number"] for p in json.loads(out)], numbers)
        self.assertEqual((await self.overlayctl("history", "--last", "0")).returncode, 2)

    async def test_no_history(self) -> None:
        """A daemon that never changed anything says so."""
        self.assertIn("no pass has changed anything", await self.printed("history"))
        self.assertEqual(json.loads(await self.printed("history", "-o", "json")), [])

    # --- all of them ---

    async def test_hostile_text(self) -> None:
        """No text of a cluster moves the cursor, colours a line or breaks one."""
        self.status = hostile(20)
        self.planned = succeed(hostile_plan(20))
        self.history = [hostile_past(n, 20) for n in range(5)]
        for command in ("plan", "confirm", "history"):
            out = await self.printed(command)
            for line in out.split("\n"):
                self.assertTrue(line.isprintable(), line)
            json.loads(await self.printed(command, "-o", "json"))
