"""`overlayctl plan` and `history` on a node on which something happens."""

import json
import sys
from typing import Any

from lab.eventually import FORMING, REPAIR, eventually
from lab.mesh import Member
from tests.machine.mesh import MeshTestCase

_PORT_TAKEN = """
import socket, time
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("", 51820))
print("taken", flush=True)
time.sleep(600)
"""


def _told(member: Member, *arguments: str) -> Any:
    """What a command of overlayctl tells a script; it has to end with 0."""
    done = member.daemon.ctl(*arguments, "-o", "json")
    if done.returncode != 0:
        raise AssertionError(f"overlayctl {' '.join(arguments)}: {done.stderr}")
    return json.loads(done.stdout)


class HistoryTests(MeshTestCase):
    """Node 1, of a whole mesh."""

    def test_drift_is_named(self) -> None:
        """A route that someone deleted is in the history, with why the pass ran and what it did."""
        before = _told(self.one, "history")[-1]["number"]
        with self.fault_on(self.one):
            self.one.run("ip", "route", "del", "10.244.0.0/16", "proto", "87")

            def repairs() -> list[Any]:
                passes = _told(self.one, "history")
                return [p for p in passes if p["number"] > before or p["repeated"]]

            (repaired,) = eventually(REPAIR, "it is in the history", repairs)
        (change,) = repaired["changes"]
        self.assertIn("route 10.244.0.0/16 through wg0", change["change"])
        self.assertEqual((change["why"], change["error"]), ("missing", None))
        self.assertIn("10.244.0.0/16", repaired["why"])
        self.assertIn(change["change"], self.one.daemon.ctl("history", "--last", "1").stdout)

    def test_the_first_pass(self) -> None:
        """The history begins with what made the device, and a plan has nothing to do by now."""
        changes = [c["change"] for p in _told(self.one, "history") for c in p["changes"]]
        for change in ("make device wg0", "set private key", "bring wg0 up"):
            self.assertIn(change, changes)
        self.assertTrue(any(change.startswith("add peer node2 ") for change in changes))
        plan = _told(self.one, "plan")
        self.assertEqual((plan["state"], plan["changes"], plan["held"]), (None, [], []))


class StuckTests(MeshTestCase):
    """A fourth node that cannot become what it should be."""

    def setUp(self) -> None:
        super().setUp()
        self.four = self.mesh.add_machine(4)
        self.addCleanup(self.discard_mesh)
        self.cluster.create(self.four.node)

    def _wait_for(self, state: str) -> None:
        self.four.daemon.start()
        eventually(
            FORMING,
            f"the state is {state}",
            lambda: (self.four.daemon.status() or {}).get("state") == state,
        )

    def test_what_fails_is_planned_and_counted(self) -> None:
        """A change that fails each time is what the plan has left, and one entry of the history."""
        squatter = self.four.node.namespace.start([sys.executable, "-c", _PORT_TAKEN])
        assert squatter.stdout is not None
        self.assertEqual(squatter.stdout.readline(), b"taken\n")
        self._wait_for("retrying")
        plan = _told(self.four, "plan")
        self.assertEqual([c["change"] for c in plan["changes"]], ["listen on UDP port 51820"])
        self.assertEqual(_told(self.four, "plan"), plan)

        def failing() -> list[Any]:
            return [p for p in _told(self.four, "history") if p["repeated"] >= 2]

        (past,) = eventually(FORMING, "it failed again and again", failing)
        (change,) = past["changes"]
        self.assertEqual(change["change"], "listen on UDP port 51820")
        self.assertIn("in use", change["error"])

    def test_a_plan_changes_nothing(self) -> None:
        """Beside a foreign device the plan names the state; the machine and the passes stay."""
        self.four.run("wireguard-go", "wg0")
        self.four.run("ip", "addr", "add", "192.0.2.1/24", "dev", "wg0")
        before = self.four.run("ip", "-d", "addr", "show", "dev", "wg0")
        self._wait_for("foreign-device")
        plan = _told(self.four, "plan")
        self.assertEqual((plan["state"], plan["changes"]), ("foreign-device", []))
        self.assertIn("--wg-dev", plan["message"])
        self.assertEqual(_told(self.four, "history"), [])
        self.assertEqual(self.four.run("ip", "-d", "addr", "show", "dev", "wg0"), before)
