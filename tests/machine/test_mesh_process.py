"""wireguard-go, the process behind a node's device, ends; a device of the kernel has none."""

from lab.eventually import FORMING, REPAIR, eventually
from tests.machine.mesh import MeshTestCase
from tests.machine.processes import kill, tunnel_process

CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""What makes a command process 1, as a container's runtime does."""


class ProcessTests(MeshTestCase):
    """Node 1's device goes with its process."""

    def test_process_killed(self) -> None:
        """A device whose process was killed is back with its key."""
        key = self.key(self.one)
        with self.fault_on(self.one):
            kill(tunnel_process("wg0", self.one.node.namespace.pid))
            self.wait_until_pinged(self.two, self.one, REPAIR)
        self.assertEqual(self.key(self.one), key)


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
