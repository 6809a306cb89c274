"""`overlayctl plan`, `history` and `confirm` on a node on which something happens."""

import json
import sys
from typing import Any

from lab.eventually import CLUSTER, FORMING, REPAIR, eventually
from lab.flow import Flow
from lab.mesh import Member
from overlayd.model.keys import PrivateKey
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

    executed = True

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


class ConfirmTests(MeshTestCase):
    """Node 1, when five other Nodes leave at once: Nodes that announce a key and are no machine."""

    executed = True

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.discard_mesh)
        for number in range(50, 55):
            self.cluster.request("POST", "/api/v1/nodes", _announced(number))
        eventually(CLUSTER, "they are peers", lambda: self._peers_of_one() == 7)

    def _peers_of_one(self) -> int:
        reading = self.one.daemon.device.read()
        return 0 if reading is None else len(reading.peers)

    def _held(self) -> list[str]:
        """Who is held, once no other peer of a Node that is gone is left."""
        status = self.one.daemon.status() or {}
        held = [h["node"] for h in status.get("held", ())]
        gone = status["inventory"]["nodes"] == 3 and self._peers_of_one() == 2 + len(held)
        return held if gone else []

    def test_held_peers_go_when_that_is_confirmed(self) -> None:
        """They stay until then and go at once then, and who is still there loses no packet."""
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            flow.carry()
            for number in range(50, 55):
                self.cluster.delete(f"leaving{number}")
            held = eventually(CLUSTER, "some are held", self._held)
            shown = self.one.daemon.ctl("status").stdout
            self.assertIn("overlayctl confirm", shown)
            plan = _told(self.one, "plan")
            self.assertEqual(plan["changes"], [])
            self.assertEqual([h["node"] for h in plan["held"]], held)
            confirmed = _told(self.one, "confirm")
            self.assertEqual([h["node"] for h in confirmed["confirmed"]], held)
            self.wait_for_peers(self.one, self.two, self.three, limit=0)
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))
        (last,) = _told(self.one, "history", "--last", "1")
        self.assertEqual(last["number"], confirmed["pass"]["number"])
        self.assertEqual(len(last["changes"]), len(held))
        self.assertIn("held until confirmed", last["changes"][0]["why"])
        self.assertEqual(self.one.daemon.ctl("confirm").stdout, "nothing is held\n")


def _announced(number: int) -> dict[str, Any]:
    """A Node of which only its annotations are there."""
    annotations = {
        "wireguard-publickey": str(PrivateKey.generate().public()),
        "wireguard-ip": f"100.64.0.{number}",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"leaving{number}", "annotations": annotations},
        "spec": {"podCIDR": f"10.244.{number}.0/24", "podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": f"172.30.0.{number}"}]},
    }


class StuckTests(MeshTestCase):
    """A fourth node that cannot become what it should be."""

    executed = True

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
        self.four.daemon.device.make()
        self.four.run("ip", "addr", "add", "192.0.2.1/24", "dev", "wg0")
        before = self.four.run("ip", "-d", "addr", "show", "dev", "wg0")
        self._wait_for("foreign-device")
        plan = _told(self.four, "plan")
        self.assertEqual((plan["state"], plan["changes"]), ("foreign-device", []))
        self.assertIn("--wg-dev", plan["message"])
        self.assertEqual(_told(self.four, "history"), [])
        self.assertEqual(self.four.run("ip", "-d", "addr", "show", "dev", "wg0"), before)
