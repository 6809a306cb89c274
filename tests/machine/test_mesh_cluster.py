"""The API server dies, comes back, lies and forgets; the mesh goes on."""

from lab.eventually import CLUSTER, SERVER_BACK, eventually
from lab.flow import Flow
from lab.mesh import Member
from tests.machine.mesh import MeshTestCase

RESETS = 100
NEWER = 50
"""How many versions a backup is behind."""


class ClusterCase(MeshTestCase):
    def start_fourth(self) -> Member:
        """Let a fourth node join; its daemon may take a while to be ready."""
        self.addCleanup(self.discard_mesh)
        self.mesh.join(4)
        return self.mesh.members[4]


class ClusterTests(ClusterCase):
    """Faults of the API server and of the Nodes in it, seen by three nodes."""

    def test_killed_and_back(self) -> None:
        """Without an API server pods talk on; what changes after it is back is taken up."""
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            self.cluster.kill()
            flow.carry()
            self.assertTrue(self.one.daemon.ready())
            self.assertEqual(self.mesh.broken_paths(), [])
            self.cluster.start()
            four = self.start_fourth()
            eventually(SERVER_BACK, "the new node is ready", four.ready)
            self.mesh.wait_until_whole(SERVER_BACK)
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))

    def test_a_broken_device_is_repaired_without_api_server(self) -> None:
        """A device that is deleted while there is no API server is back, peers included."""
        with self.fault_on(self.one):
            self.cluster.kill()
            self.one.run("ip", "link", "del", "wg0")
            self.wait_until_whole()
            self.cluster.start()

    def test_node_deleted_while_a_daemon_is_down(self) -> None:
        """A daemon that was down when a Node was deleted forgets its peer once it is back."""
        self.start_fourth()
        self.mesh.wait_until_whole()
        with self.fault_on(self.one):
            self.one.daemon.kill()
            self.mesh.remove_machine(4)
            self.cluster.delete("node4")
            self.wait_for_peers(self.two, self.one, self.three)
            self.one.daemon.start()
            eventually(CLUSTER, "the daemon is ready", self.one.ready)
            self.wait_for_peers(self.one, self.two, self.three)

    def test_node_joins_while_a_daemon_is_down(self) -> None:
        """A daemon that was down when a node joined has it as a peer once it is back."""
        self.one.daemon.kill()
        four = self.start_fourth()
        with self.fault_on(self.one):
            eventually(CLUSTER, "the new node is ready", four.ready)
            self.one.daemon.start()
            eventually(CLUSTER, "the daemon is ready", self.one.ready)
            self.wait_for_peers(self.one, self.two, self.three, four)


class HistoryTests(ClusterCase):
    """The versions of the API server go on as they should, or not."""

    _beats = 0

    def test_older_history(self) -> None:
        """A server that comes back with the data of a backup is followed again, from a new list.

        Its versions are lower than what was seen, and stay so: nothing would ever come after those.
        """
        backup = self.development.backup()
        for _ in range(NEWER):
            self._beat()
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            self.cluster.kill()
            self.wait_until_missed()
            self.development.restore(backup)
            self.cluster.start()
            four = self.start_fourth()
            eventually(SERVER_BACK, "the new node is ready", four.ready)
            members = list(self.mesh.members.values())
            for member in members:
                others = [m for m in members if m is not member]
                self.wait_for_peers(member, *others, limit=SERVER_BACK)
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))
        self.assertLess(self.development.state()["version"], NEWER)

    def test_a_hundred_resets(self) -> None:
        """A reset of the watch resumes it: a hundred cause no full list, and changes still arrive.

        Something happens between them, as in any cluster: every kubelet writes to its Node.
        """
        before = self.cluster.counters()
        with self.fault_on(self.one):
            while self.cluster.counters()["watches"] < before["watches"] + RESETS:
                eventually(SERVER_BACK, "a watch is back", self._watched)
                self._beat()
                self.development.reset_watches()
            eventually(SERVER_BACK, "all watches are back", lambda: self._watched() == 3)
        self.assertEqual(self.cluster.counters()["streamed_lists"], before["streamed_lists"])
        self.start_fourth()
        self.mesh.wait_until_whole()
        self.assertEqual(self.cluster.counters()["streamed_lists"], before["streamed_lists"] + 1)

    def _watched(self) -> int:
        count: int = self.development.state()["open_watches"]
        return count

    def _beat(self) -> None:
        self._beats += 1
        beat = {"metadata": {"labels": {"beat": str(self._beats)}}}
        self.cluster.patch(self.three.name, beat)
