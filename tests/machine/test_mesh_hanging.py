"""A node's wireguard-go hangs: what does not need it is repaired, and the daemon can be stopped."""

import contextlib
import os
import signal

from lab.eventually import FORMING, REPAIR, REPAIR_UNANNOUNCED, eventually
from tests.machine.mesh import MeshTestCase, what_is_ours
from tests.machine.processes import Ending, stop, tunnel_process


class HangingTests(MeshTestCase):
    """Node 1's wireguard-go is stopped: its device is there, and does not answer."""

    def setUp(self) -> None:
        super().setUp()
        self.pid = tunnel_process("wg0", self.one.node.namespace.pid)
        self.addCleanup(self._go_on)
        self.daemon = self.one.daemon

    def _go_on(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it may have ended by then
            os.kill(self.pid, signal.SIGCONT)

    def _hang(self) -> None:
        stop(self.pid)
        eventually(REPAIR_UNANNOUNCED, "the daemon says so", self._retries)

    def _retries(self) -> bool:
        status = self.daemon.status() or {}
        return status.get("state") == "retrying" and "does not answer" in status["message"]

    def _waits(self) -> bool:
        """Whether a pass that follows one that failed is under way."""
        status = self.daemon.status() or {}
        return status.get("state") == "retrying" and status["nextRetry"] is None

    def test_rules_and_routes(self) -> None:
        """Rules, routes and the address come back although the tunnel cannot be read."""
        with self.fault_on(self.one):
            before = self._routing()
            self._hang()
            for command in (
                ("ip", "rule", "flush", "protocol", "87"),
                ("ip", "route", "flush", "dev", "wg0"),
            ):
                self.one.run(*command)
                eventually(REPAIR, "the routing is as it was", lambda: self._routing() == before)
            self._go_on()
            eventually(FORMING, "the daemon is ready", self.one.ready)

    def test_the_daemon_is_stopped(self) -> None:
        """SIGTERM ends the daemon within 5 s, and a pass that waits for the device at once."""
        with self.fault_on(self.one):
            self._hang()
            eventually(REPAIR_UNANNOUNCED, "a pass waits", self._waits)
            before = len(self.daemon.log())
            self.daemon.stop()
            self.assertIn("interrupted", self.daemon.log()[before:])
            self._go_on()
            self.daemon.start()
            eventually(FORMING, "the daemon is ready", self.one.ready)

    def _routing(self) -> str:
        return self.one.run("ip", "-d", "rule") + self.one.run("ip", "-d", "route")

    def test_teardown(self) -> None:
        """It is taken down all the same, is named, and ends once it goes on."""
        self.addCleanup(self.discard_mesh)
        stop(self.pid)
        done = self.daemon.ctl("teardown")
        self.assertEqual(done.returncode, 6, done.stdout)
        self.assertIn("does not answer", done.stdout)
        self.assertEqual(what_is_ours(self.one), "")
        with Ending(self.pid):
            self._go_on()
        self.assertEqual(self.daemon.ctl("teardown").returncode, 0)
