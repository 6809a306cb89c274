"""What a mesh on the kernel's WireGuard can do and one on wireguard-go cannot."""

from lab.daemon import Daemon
from lab.device import KIND
from lab.eventually import FORMING, eventually
from lab.flow import Flow
from overlayd.model.settings import TunnelKind
from tests.machine.mesh import MeshTestCase
from tests.machine.test_mesh_process import CONTAINER


class KernelMeshTests(MeshTestCase):
    """Devices that no process holds, and beside them one that a process does."""

    skip = MeshTestCase.skip or (
        None
        if KIND is TunnelKind.KERNEL
        else "needs nodes with WireGuard in the kernel: ./run-tests --tier kernel"
    )

    def test_a_container_is_killed(self) -> None:
        """The device outlives the container of the daemon that made it; not a packet is lost."""
        with self.fault_on(self.one):
            self.one.daemon.stop()
            self.one.run("ip", "link", "del", "wg0")
            container = Daemon(self.one.node, self.cluster.url, inside=CONTAINER)
            container.start()
            eventually(FORMING, "the daemon is ready", container.ready)
            key = self.key(self.one)
            self.wait_until_whole()
            with Flow(self.one.pod, self.two.pod) as flow:
                flow.carry()
                container.kill()
                flow.carry()
                self.one.daemon.start()
                eventually(FORMING, "the daemon is ready", self.one.ready)
                flow.carry()
                there, back = flow.finish()
            self.assertEqual((there.lost, back.lost), ((), ()))
            self.assertEqual(self.key(self.one), key)

    def test_beside_wireguard_go(self) -> None:
        """A node with wireguard-go is as good a peer as any."""
        self.addCleanup(self.discard_mesh)
        four = self.mesh.add_machine(4, "--tunnel", TunnelKind.USERSPACE.value)
        self.cluster.create(four.node)
        four.daemon.start()
        self.mesh.wait_until_whole()
        self.assertEqual(len(four.node.namespace.running("wireguard-go")), 1)
        with Flow(self.one.pod, four.pod) as flow:
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))
