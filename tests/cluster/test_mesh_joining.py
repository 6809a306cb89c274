"""Kubernetes' own API server dies while a node joins, at the instants that matter."""

from lab.eventually import FORMING, SERVER_BACK, eventually
from lab.topology import Place
from tests.cluster.mesh import KubernetesTestCase


class JoiningTests(KubernetesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.discard_mesh)
        self.mark = self.kubernetes.plane.audit.mark()
        pod_cidr = self.cluster.admit(Place.of(4))
        self.four = self.mesh.add_machine(4, pod_cidr=pod_cidr)

    def _killed_after(self, verb: str) -> None:
        """Kill the server as soon as the newcomer has been answered this, and let it come back."""
        with self.nothing_lost():
            self.four.daemon.start()
            eventually(FORMING, f"its {verb} is answered", lambda: self._asked(verb))
            self.cluster.kill()
            self.wait_until_told("refused", *self.members, self.four)
            self.cluster.start()
            eventually(SERVER_BACK, "the newcomer is ready", self.four.ready)
            self.mesh.wait_until_whole(SERVER_BACK)
            for member in self.members:
                self.wait_for_peers(member, *self.others(member), self.four)
            self.assert_gentle(self.mark, lists=1)

    def _asked(self, verb: str) -> bool:
        asked = self.kubernetes.asked(self.mark)
        return any(a.verb == verb and a.node == self.four.name for a in asked)

    def test_after_its_list(self) -> None:
        """It has read the Nodes, and may have written its own, or not."""
        self._killed_after("watch")

    def test_after_its_write(self) -> None:
        """Its Node is written, and nobody may have heard of that."""
        self._killed_after("patch")
