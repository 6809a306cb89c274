"""Someone changes the peers of a device by hand."""

import signal

from lab.eventually import REPAIR, REPAIR_UNANNOUNCED, eventually
from lab.flow import Flow
from lab.topology import UNDERLAY
from overlayd.model.keys import PrivateKey, PublicKey
from tests.machine.mesh import MeshTestCase

ELSEWHERE = UNDERLAY[112]
"""Another address at which node 2 can be reached."""


class PeerTests(MeshTestCase):
    """Faults of node 1's peers."""

    def test_foreign_peer_added(self) -> None:
        """A peer that no Node announces is removed, and what it took is given back."""
        stranger = PrivateKey.generate().public()
        told = self.told_by(self.one, f"remove peer (no node) {stranger}")
        with self.fault_on(self.one), told:
            self.one.daemon.device.add_peer(stranger, "172.30.0.99:51820", self.two.node.pod_cidr)
            self.wait_for_peers(self.one, self.two, self.three, limit=REPAIR_UNANNOUNCED)

    def test_peer_removed(self) -> None:
        """A peer that was removed by hand is back with all that is its own."""
        told = self.told_by(self.one, f"add peer node2 {self.key(self.two)}", "(missing)")
        with self.fault_on(self.one), told:
            self.one.daemon.device.remove_peer(self.key(self.two))
            self.wait_for_peers(self.one, self.two, self.three, limit=REPAIR_UNANNOUNCED)

    def test_preshared_key(self) -> None:
        """One that was set by hand is taken away before the session that there is has to end."""
        key = self.key(self.two)
        told = self.told_by(self.one, f"take the preshared key from peer node2 {key}")
        with self.fault_on(self.one), told, Flow(self.one.pod, self.two.pod) as flow:
            flow.carry()
            self.one.daemon.signal(signal.SIGSTOP)
            self.one.daemon.device.preshare(key)
            self.assertEqual(self._preshared(), {key})
            self.one.daemon.signal(signal.SIGCONT)
            eventually(REPAIR_UNANNOUNCED, "it is gone", lambda: self._preshared() == frozenset())
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))

    def test_stolen_prefix(self) -> None:
        """A prefix that was given to another peer is given back: its traffic went astray."""
        told = self.told_by(self.one, f"grant peer node3 {self.key(self.three)}")
        with self.fault_on(self.one), told:
            self.one.daemon.device.add_peer(
                self.key(self.two), f"{self.two.node.address}:51820", self.three.node.pod_cidr
            )
            self.wait_for_peers(self.one, self.two, self.three, limit=REPAIR_UNANNOUNCED)
            self.wait_until_pinged(self.one, self.three, REPAIR)

    def test_endpoint_moved(self) -> None:
        """An endpoint set by hand looks like roaming: it is left alone while the session lives."""
        key, other = self.key(self.two), f"{ELSEWHERE}:51820"
        self.two.run("ip", "addr", "add", f"{ELSEWHERE}/24", "dev", "eth0")
        self.addCleanup(self.two.run, "ip", "addr", "del", f"{ELSEWHERE}/24", "dev", "eth0")
        with self.fault_on(self.one):
            self.wait_until_pinged(self.one, self.two, REPAIR)
            # No traffic from there: WireGuard would follow what comes from the old address.
            self.one.daemon.device.add_peer(key, other)
            self.assertEqual(self.one.daemon.ctl("resync").returncode, 0)
            self.assertEqual(self._endpoint(key), other)
            self.wait_until_pinged(self.one, self.two, REPAIR)
            self.one.daemon.device.add_peer(key, f"{self.two.node.address}:51820")

    def test_resync_repairs_at_once(self) -> None:
        """`overlayctl resync` returns when what was broken before it is repaired, and tells so."""
        with self.fault_on(self.one):
            self.one.daemon.device.remove_peer(self.key(self.two))
            done = self.one.daemon.ctl("resync")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.wait_for_peers(self.one, self.two, self.three, limit=0)

    def _preshared(self) -> frozenset[PublicKey] | None:
        reading = self.one.daemon.device.read()
        return reading.preshared if reading else None

    def _endpoint(self, key: PublicKey) -> str | None:
        reading = self.one.daemon.device.read()
        return reading.endpoints.get(key) if reading else None
