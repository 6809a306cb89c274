"""A tunnel that something else starts, and keeps: the DaemonSet with wireguard-go in it."""

import subprocess

from twisted.trial.unittest import SynchronousTestCase

from lab import private
from lab.eventually import FORMING, SERVER_BACK, eventually
from lab.flow import Flow
from lab.mesh import Member, Mesh
from tests.machine.processes import kill

WAITS = "no tunnel answers for wg0 yet: with --tunnel external"


class ExternalTests(SynchronousTestCase):
    """Node 1 has `--tunnel external` and no wireguard-go; node 2 is like any other."""

    skip = private.missing()

    def setUp(self) -> None:
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)
        self.mesh.cluster.start()
        self.mesh.join(2)
        self.one = self.mesh.add_machine(1, "--tunnel", "external")
        self.two = self.mesh.members[2]
        self.mesh.cluster.create(self.one.node)

    def test_tunnel_that_comes_later(self) -> None:
        """It is waited for, and none is started; once it is there the node is in the mesh."""
        self.one.daemon.start()
        self._wait_until_waiting()
        self.assertEqual(self._tunnels(), [])
        self.assertFalse(self.one.ready())
        self._start_tunnel()
        self.mesh.wait_until_whole(SERVER_BACK)

    def test_rollout_and_a_new_tunnel(self) -> None:
        """Restarting the daemon ends no tunnel; a new tunnel gets the key of the one before."""
        self._start_tunnel()
        self.one.daemon.start()
        self.mesh.wait_until_whole()
        key, tunnels = self._key(self.one), self._tunnels()
        with Flow(self.one.pod, self.two.pod) as flow:
            self.one.daemon.stop()
            flow.carry()
            self.one.daemon.start()
            eventually(FORMING, "the daemon is ready", self.one.ready)
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))
        self.assertEqual(self._tunnels(), tunnels)
        kill(*tunnels)
        self._wait_until_waiting()
        self.assertEqual(self._tunnels(), [])
        self._start_tunnel()
        self.mesh.wait_until_whole(SERVER_BACK)
        self.assertEqual(self._key(self.one), key)

    def _start_tunnel(self) -> None:
        """As the container does: in the foreground, with nobody who waits for it to be ready."""
        namespace = self.one.node.namespace
        with (namespace.run_folder / "wireguard-go.log").open("ab") as log:
            tunnel = namespace.start(["wireguard-go", "-f", "wg0"], log)
        self.assertRaises(subprocess.TimeoutExpired, tunnel.wait, 0.5)

    def _tunnels(self) -> list[int]:
        return self.one.node.namespace.running("wireguard-go")

    def _wait_until_waiting(self) -> None:
        eventually(FORMING, "the daemon waits for a tunnel", self._waits)

    def _waits(self) -> bool:
        status = self.one.daemon.status() or {}
        return status.get("state") == "retrying" and WAITS in status["message"]

    def _key(self, member: Member) -> object:
        reading = member.daemon.device.read()
        return None if reading is None else reading.key
