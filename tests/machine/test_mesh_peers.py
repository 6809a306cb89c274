"""Someone changes the peers of a device by hand."""

from lab.eventually import REPAIR_UNANNOUNCED
from overlayd.model.keys import PrivateKey
from tests.machine.mesh import MeshTestCase


class PeerTests(MeshTestCase):
    """Faults of node 1's peers."""

    def test_foreign_peer_added(self) -> None:
        """A peer that no Node announces is removed, and what it took is given back."""
        stranger = PrivateKey.generate().public()
        with self.fault_on(self.one):
            self.one.daemon.device.add_peer(stranger, "172.30.0.99:51820", self.two.node.pod_cidr)
            self.wait_for_peers(self.one, self.two, self.three, limit=REPAIR_UNANNOUNCED)

    def test_peer_removed(self) -> None:
        """A peer that was removed by hand is back with all that is its own."""
        with self.fault_on(self.one):
            self.one.daemon.device.remove_peer(self.key(self.two))
            self.wait_for_peers(self.one, self.two, self.three, limit=REPAIR_UNANNOUNCED)

    def test_resync_repairs_at_once(self) -> None:
        """`overlayctl resync` returns when what was broken before it is repaired, and tells so."""
        with self.fault_on(self.one):
            self.one.daemon.device.remove_peer(self.key(self.two))
            done = self.one.daemon.ctl("resync")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.wait_for_peers(self.one, self.two, self.three, limit=0)
