"""`overlayctl teardown` on a node of a mesh: it leaves, the others lose nothing, it returns."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from lab.daemon import STOP
from lab.device import KIND, Device
from lab.eventually import CLUSTER, FORMING, SERVER_BACK, eventually
from lab.flow import Flow
from lab.namespaces import end
from overlayd.model.node import ANNOTATIONS
from overlayd.model.settings import TunnelKind
from tests.machine.mesh import MeshTestCase, what_is_ours
from tests.machine.processes import Ending, tunnel_process

SYSCTL = "/proc/sys/net/ipv4/ip_forward"
OTHER = "other0"
STUCK_ROUTE = ("ip", "-4", "route", "192.0.2.0/24", "dev", "lo", "tos", "0x10", "proto", "87")
"""One that only goes by its type of service, which no route of ours has."""


class TeardownTests(MeshTestCase):
    """Node 1 is taken down while pods of the other two talk."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.one.daemon
        self.addCleanup(self.discard_mesh)

    def _build_again(self) -> None:
        """A restart builds everything anew, with a new key; the mesh is whole again."""
        if self.daemon.running:
            self.daemon.stop()
        self.daemon.start()
        eventually(FORMING, "the daemon is ready", self.one.ready)
        self.wait_until_whole()

    @contextmanager
    def _others_talk(self) -> Iterator[None]:
        """Pods of the other nodes lose nothing, and nobody sends in the clear."""
        before = self.mesh.capture.counts()
        with Flow(self.two.pod, self.three.pod) as flow:
            flow.carry()
            yield
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()), "bystanders lost packets")
        after = self.mesh.capture.counts()
        self.assertEqual(after.plaintext - before.plaintext, 0, str(after.samples))
        self.assertEqual(after.missed, 0)

    def _tunnel_ends(self) -> AbstractContextManager[None]:
        """What is done in this context ends the process of node 1's device, where it has one."""
        if KIND is TunnelKind.KERNEL:
            return nullcontext()
        return Ending(tunnel_process("wg0", self.one.node.namespace.pid))

    def _annotations(self) -> set[str]:
        found = self.cluster.get(self.one.name)["metadata"].get("annotations") or {}
        return set(found) & set(ANNOTATIONS)

    def test_taken_down_and_built_again(self) -> None:
        """Nothing of ours is left, peers forget the node, and a restart brings it back whole."""
        Device(self.one.node.namespace, OTHER).make()
        self.addCleanup(self.one.run, "ip", "link", "del", OTHER)
        sysctl = self.one.run("cat", SYSCTL)
        with self._others_talk():
            with self._tunnel_ends():
                done = self.daemon.ctl("teardown")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            for part in ("wireguard-publickey", "end device wg0", "stays 1", "neither encrypted"):
                self.assertIn(part, done.stdout)
            self.assertEqual(what_is_ours(self.one), "")
            self.assertEqual(self._annotations(), set())
            self.wait_for_peers(self.two, self.three)
            self.wait_for_peers(self.three, self.two)
            self._keeps_out()
        self.assertIsNotNone(Device(self.one.node.namespace, OTHER).read())
        self.assertEqual(self.one.run("cat", SYSCTL), sysctl)
        self._build_again()

    def _keeps_out(self) -> None:
        """Whatever happens next, the daemon makes nothing and says why. It follows no Nodes."""
        eventually(CLUSTER, "two watch", lambda: self.development.state()["open_watches"] == 2)
        self.cluster.patch(self.two.name, {"metadata": {"labels": {"touched": "yes"}}})
        self.one.run("ip", "link", "add", "wg0", "type", "bridge")
        self.one.run("ip", "link", "del", "wg0")
        resync = self.daemon.ctl("resync")
        self.assertEqual((resync.returncode, resync.stdout), (1, ""))
        self.assertIn("restart overlayd", resync.stderr)
        status = self.daemon.status() or {}
        self.assertEqual((status["state"], status["ready"]), ("torn-down", False))
        self.assertFalse(status["device"]["present"])
        self.assertIsNone(status["api"]["connected"])
        self.assertFalse(status["announcement"]["written"])
        again = self.daemon.ctl("teardown", "-o", "json")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(json.loads(again.stdout)["machine"]["changes"], [])
        self.assertEqual(what_is_ours(self.one), "")
        self.assertEqual(self._annotations(), set())

    def test_no_plaintext_while_it_runs(self) -> None:
        """What its pods send is refused, not sent in the clear, until all but the rules is gone.

        A route of ours that cannot be removed keeps the teardown there for as long as one looks.
        """
        self.one.run(*STUCK_ROUTE[:3], "add", *STUCK_ROUTE[3:])
        self.addCleanup(self.one.node.namespace.attempt, *STUCK_ROUTE[:3], "del", *STUCK_ROUTE[3:])
        with self._others_talk(), Flow(self.one.pod, self.two.pod) as flow:
            flow.carry()
            done = self.daemon.ctl("teardown")
            self.assertEqual(done.returncode, 6, done.stdout)
            self.assertIn("there still, or again: remove route to 192.0.2.0/24", done.stdout)
            flow.carry()
            there, back = flow.finish()
        self.assertTrue(there.lost and back.lost)
        self.assertEqual(what_is_ours(self.one).count("unreachable"), 2)
        self.assertNotIn("wg0", what_is_ours(self.one))
        self.one.run(*STUCK_ROUTE[:3], "del", *STUCK_ROUTE[3:])
        self.assertEqual(self.daemon.ctl("teardown").returncode, 0)
        self.assertEqual(what_is_ours(self.one), "")

    def test_order(self) -> None:
        """The kernel announces that no rule went before all the rest was gone."""
        announced = self._listen_to_the_kernel()
        self.daemon.ctl("teardown")
        lines = announced()
        gone = [line for line in lines if line.startswith("Deleted")]
        is_rule = ["from all" in line for line in gone]
        self.assertEqual(is_rule, sorted(is_rule), "\n".join(lines))
        self.assertEqual(sum(is_rule), 4, "\n".join(lines))
        for part in (" wg0: ", "10.244.0.0/16 dev wg0 proto 87"):
            self.assertIn(part, "\n".join(gone))

    def test_api_server_away(self) -> None:
        """Without an API server it is refused and nothing is touched; --force goes on."""
        self.addCleanup(self._server_back)
        with self._others_talk():
            with Flow(self.one.pod, self.two.pod) as flow:
                self.cluster.kill()
                done = self.daemon.ctl("teardown")
                self.assertEqual((done.returncode, done.stdout), (8, ""))
                self.assertIn("nothing was touched", done.stderr)
                self.assertIn("--force", done.stderr)
                flow.carry()
                there, back = flow.finish()
            self.assertEqual((there.lost, back.lost), ((), ()))
            self.one.run("ip", "route", "flush", "proto", "87")
            eventually(CLUSTER, "it repairs on", lambda: "proto 87" in self._routes())
            done = self.daemon.ctl("teardown", "--force")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertIn("kubectl annotate node node1 wireguard-publickey-", done.stdout)
            self.assertEqual(what_is_ours(self.one), "")
        self.cluster.start()
        self.assertEqual(len(self._annotations()), 4)
        self.assertEqual(self.daemon.ctl("teardown").returncode, 0)
        self.assertEqual(self._annotations(), set())

    def _server_back(self) -> None:
        if not self.cluster.answers():
            self.cluster.start()
        eventually(SERVER_BACK, "the others are ready", self.two.ready)

    def _routes(self) -> str:
        return self.one.run("ip", "route", "show")

    def test_offline(self) -> None:
        """Without a daemon it is done by our marks; with one it is refused, and nothing happens."""
        before = what_is_ours(self.one)
        refused = self.daemon.ctl("teardown", "--offline")
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertEqual(len(refused.stderr.splitlines()), 1, refused.stderr)
        self.assertIn("overlayd is running", refused.stderr)
        self.assertEqual(what_is_ours(self.one), before)
        with self._others_talk():
            self.daemon.kill()
            asked = self.daemon.ctl("teardown")
            self.assertEqual(asked.returncode, 3)
            self.assertIn("--offline", asked.stderr)
            with self._tunnel_ends():
                done = self.daemon.ctl("teardown", "--offline")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertIn("kubectl annotate node NAME wireguard-publickey-", done.stdout)
            self.assertEqual(what_is_ours(self.one), "")
            self.assertEqual(len(self._annotations()), 4)
            again = self.daemon.ctl("teardown", "--offline")
            self.assertIn("nothing of ours", again.stdout)

    def test_stopped_by_sigterm_afterwards(self) -> None:
        """A daemon that was torn down ends within 5 s, as any."""
        self.assertEqual(self.daemon.ctl("teardown").returncode, 0)
        self.daemon.signal(signal.SIGTERM)
        self.daemon.wait(STOP)
        self.assertEqual(what_is_ours(self.one), "")

    def _listen_to_the_kernel(self) -> Callable[[], list[str]]:
        """Return what tells all that node 1's kernel has announced since now."""
        path = self.one.node.namespace.run_folder / "announced"
        with path.open("wb") as log:
            monitor = ("ip", "-oneline", "monitor", "link", "route", "rule")
            process = self.one.node.namespace.start(monitor, log)
        self.addCleanup(end, process, signal.SIGKILL)
        marks = iter(range(1, 250))

        def hears() -> bool:
            mark = f"192.0.2.{next(marks)} "
            self.one.run("ip", "route", "add", mark.strip(), "dev", "lo")
            self.one.run("ip", "route", "del", mark.strip(), "dev", "lo")
            return mark in path.read_text()

        def lines() -> list[str]:
            eventually(CLUSTER, "the monitor has told all", hears)
            return [line for line in path.read_text().splitlines() if "192.0.2." not in line]

        eventually(CLUSTER, "the monitor listens", hears)
        return lines
