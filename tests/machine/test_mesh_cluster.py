"""The API server dies, comes back, lies and forgets; the mesh goes on."""

from lab.eventually import CLUSTER, SERVER_BACK, eventually
from lab.flow import Flow
from lab.mesh import Member
from tests.machine.mesh import MeshTestCase

RESETS = 100


class ClusterTests(MeshTestCase):
    """Faults of the API server and of the Nodes in it, seen by three nodes."""

    _beats = 0

    def _add_fourth(self) -> Member:
        four = self.mesh.add_machine(4)
        self.addCleanup(self._forget_fourth)
        self.cluster.create(four.node)
        four.daemon.start()
        self.mesh.wait_until_whole()
        return four

    def _forget_fourth(self) -> None:
        if 4 in self.mesh.members:
            self.mesh.remove_machine(4)
        if any(node["metadata"]["name"] == "node4" for node in self.cluster.nodes()):
            self.cluster.delete("node4")
        self._wait_until_only_three()

    def _wait_until_only_three(self, limit: float = CLUSTER) -> None:
        members = (self.one, self.two, self.three)
        for member in members:
            self.wait_for_peers(member, *(m for m in members if m is not member), limit=limit)

    def test_killed_and_back(self) -> None:
        """Without an API server pods talk on; what changes after it is back is taken up."""
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            self.cluster.kill()
            flow.carry()
            self.assertTrue(self.one.daemon.ready())
            self.assertEqual(self.mesh.broken_paths(), [])
            self.cluster.start()
            four = self.mesh.add_machine(4)
            self.addCleanup(self._forget_fourth)
            self.cluster.create(four.node)
            four.daemon.start()
            eventually(SERVER_BACK, "the new node is ready", four.daemon.ready)
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
        self._add_fourth()
        with self.fault_on(self.one):
            self.one.daemon.kill()
            self.mesh.remove_machine(4)
            self.cluster.delete("node4")
            self.wait_for_peers(self.two, self.one, self.three)
            self.one.daemon.start()
            eventually(CLUSTER, "the daemon is ready", self.one.daemon.ready)
            self.wait_for_peers(self.one, self.two, self.three)

    def test_node_joins_while_a_daemon_is_down(self) -> None:
        """A daemon that was down when a node joined has it as a peer once it is back."""
        self.one.daemon.kill()
        four = self.mesh.add_machine(4)
        self.addCleanup(self._forget_fourth)
        self.cluster.create(four.node)
        four.daemon.start()
        with self.fault_on(self.one):
            eventually(CLUSTER, "the new node is ready", four.daemon.ready)
            self.one.daemon.start()
            eventually(CLUSTER, "the daemon is ready", self.one.daemon.ready)
            self.wait_for_peers(self.one, self.two, self.three, four)

    def test_older_history(self) -> None:
        """After the API server's data is replaced by an older history, changes arrive again.

        Versions go backwards and every Node has a new uid; the Nodes say what they said.
        """
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            flow.carry()
            self.cluster.replace_history(1)
            four = self.mesh.add_machine(4)
            self.addCleanup(self._forget_fourth)
            self.cluster.create(four.node)
            four.daemon.start()
            eventually(SERVER_BACK, "the new node is ready", four.daemon.ready)
            for member in (self.one, self.two, self.three):
                others = [m for m in self.mesh.members.values() if m is not member]
                self.wait_for_peers(member, *others, limit=SERVER_BACK)
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))

    def test_a_hundred_resets(self) -> None:
        """A reset of the watch resumes it: a hundred cause no full list, and changes still arrive.

        Something happens between them, as in any cluster: every kubelet writes to its Node.
        """
        before = self.cluster.counters()
        with self.fault_on(self.one):
            while self.cluster.counters()["watches"] < before["watches"] + RESETS:
                eventually(SERVER_BACK, "a watch is back", self._watched)
                self._beat()
                self.cluster.reset_watches()
            eventually(SERVER_BACK, "all watches are back", lambda: self._watched() == 3)
        self.assertEqual(self.cluster.counters()["full_lists"], before["full_lists"])
        self._add_fourth()
        self.assertEqual(self.cluster.counters()["full_lists"], before["full_lists"] + 1)

    def _watched(self) -> int:
        count: int = self.cluster.state()["open_watches"]
        return count

    def _beat(self) -> None:
        self._beats += 1
        beat = {"metadata": {"labels": {"beat": str(self._beats)}}}
        self.cluster.patch(self.three.name, beat)
