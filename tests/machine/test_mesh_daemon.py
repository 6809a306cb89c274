"""Daemons are killed, stopped, interrupted and started twice; the data plane does not notice."""

import signal
from collections.abc import Callable

from lab.daemon import STOP
from lab.eventually import FORMING, REPAIR, eventually
from lab.flow import Flow
from lab.namespaces import end
from tests.machine.mesh import MeshTestCase

CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What makes a command process 1, as a container's runtime does."""

MARK = "192.0.2.1"
"""An address of documentation (RFC 5737), which shows that the kernel's announcements are heard."""


class DaemonTests(MeshTestCase):
    """What becomes of node 1's daemon, while its pods talk to those of node 2."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.one.daemon
        self.addCleanup(self._run_again)

    def _run_again(self) -> None:
        if not self.daemon.running:
            self.daemon.start()
        eventually(FORMING, "the daemon is ready", self.one.ready)

    def _lose_nothing(self, flow: Flow) -> None:
        flow.carry()
        there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))

    def test_killed_and_started(self) -> None:
        """After SIGKILL the pods talk on, and the next daemon takes over; not a packet is lost."""
        key = self.key(self.one)
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            self.daemon.kill()
            flow.carry()
            self.daemon.start()
            eventually(FORMING, "the daemon is ready", self.one.ready)
            self._lose_nothing(flow)
        self.assertEqual(self.key(self.one), key)

    def test_stopped(self) -> None:
        """SIGTERM ends the daemon within 5 s, and leaves the data plane as it is."""
        before = self.one.run("ip", "-d", "addr", "show", "dev", "wg0")
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            self.daemon.stop()
            self.assertEqual(self.one.run("ip", "-d", "addr", "show", "dev", "wg0"), before)
            self._lose_nothing(flow)

    def test_stopped_while_the_api_server_hangs(self) -> None:
        """SIGTERM ends the daemon within 5 s, also where the API server answers nothing."""
        with self.fault_on(self.one):
            self.cluster.hang()
            self.addCleanup(self.cluster.resume)
            self.daemon.stop()
            self.daemon.start()  # it hangs in its first list now
            eventually(FORMING, "the daemon answers", lambda: self.daemon.status() is not None)
            self.daemon.stop()

    def test_started_while_the_api_server_hangs(self) -> None:
        """A daemon that starts and hears of no Node leaves the data plane as it was."""
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            self.daemon.kill()
            self.cluster.hang()
            self.addCleanup(self.cluster.resume)
            self.daemon.start()
            eventually(FORMING, "the daemon answers", lambda: self.daemon.status() is not None)
            self._lose_nothing(flow)

    def test_interrupted(self) -> None:
        """Ctrl-C, which goes to the whole process group, ends the daemon and not wireguard-go."""
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            self.daemon.kill()
            self.one.run("ip", "link", "del", "wg0")
            self.daemon.start()
            eventually(FORMING, "the daemon is ready", self.one.ready)
            self.wait_until_whole()
            flow.finish()
            with Flow(self.one.pod, self.two.pod) as after:
                self.daemon.signal(signal.SIGINT)
                self.daemon.wait(STOP)
                self._lose_nothing(after)

    def test_second_daemon(self) -> None:
        """A second daemon on the same control socket ends with one line and status 1."""
        with self.fault_on(self.one):
            done = self.daemon.run(limit=FORMING)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn("/run/overlayd/control.sock", done.stderr)
            self.assertTrue(self.daemon.ready())

    def test_quiet_on_an_unchanged_cluster(self) -> None:
        """A daemon that finds all as it should be changes nothing in the kernel or at the API."""
        with self.fault_on(self.one):
            patches = self.cluster.counters()["patches"]
            announced = self._listen_to_the_kernel()
            self.daemon.stop()
            self.daemon.start()
            eventually(FORMING, "the daemon is ready", self.one.ready)
            self.assertEqual(self.daemon.ctl("resync").returncode, 0)
            self.assertEqual(announced(), "")
            self.assertEqual(self.cluster.counters()["patches"], patches)

    def _listen_to_the_kernel(self) -> Callable[[], str]:
        """Return what tells all that node 1's kernel has announced since now."""
        path = self.one.node.namespace.run_folder / "announced"
        with path.open("wb") as log:
            monitor = ("ip", "-oneline", "monitor", "link", "address", "route", "rule")
            process = self.one.node.namespace.start(monitor, log)
        self.addCleanup(end, process, signal.SIGKILL)

        def hears() -> bool:
            self.one.run("ip", "addr", "replace", MARK, "dev", "lo")
            self.one.run("ip", "addr", "del", MARK, "dev", "lo")
            return MARK in path.read_text()

        eventually(FORMING, "the monitor listens", hears)
        return lambda: "".join(
            line for line in path.read_text().splitlines(True) if MARK not in line
        )


class ContainerTests(MeshTestCase):
    """Node 1's daemon in a process namespace, with all that it starts."""

    def test_process_1_of_a_container(self) -> None:
        """As process 1 of a container it starts again after SIGKILL, on what that left behind."""
        self.addCleanup(self.discard_mesh)  # each container brings a new key
        with self.fault_on(self.one):
            self.one.daemon.stop()
            self.one.run("ip", "link", "del", "wg0")
            container = self.cluster.daemon(self.one.node, inside=CONTAINER)
            for _ in range(2):
                container.start()
                eventually(FORMING, "the daemon is ready", container.ready)
                self.wait_until_whole()
                container.kill()
            eventually(REPAIR, "the device went too", lambda: self.one.daemon.device.read() is None)
            self.one.daemon.start()
            eventually(FORMING, "the daemon is ready", self.one.ready)
