"""The lab itself, before any daemon: what the other tests of this tier stand on."""

import signal
from ipaddress import IPv4Network

from twisted.trial.unittest import SynchronousTestCase

from lab import private
from lab.capture import Capture
from lab.device import Device
from lab.eventually import CLUSTER, REPAIR, eventually
from lab.flow import RATE, Flow
from lab.namespaces import Namespace, end
from lab.pinging import pings
from lab.topology import MANAGEMENT, OVERLAY, UNDERLAY, Node, Switch
from overlayd.model.keys import PrivateKey
from overlayd.model.settings import TunnelKind


class LabTests(SynchronousTestCase):
    """Two nodes on an underlay, and WireGuard put between them by hand."""

    skip = private.missing()

    def setUp(self) -> None:
        underlay = Switch("underlay", UNDERLAY)
        self.addCleanup(underlay.close)
        management = Switch("management", MANAGEMENT)
        self.addCleanup(management.close)
        self.one, self.other = (Node(n, underlay, management) for n in (1, 2))
        self.addCleanup(self.one.close)
        self.addCleanup(self.other.close)
        self.capture = Capture(underlay.namespace)
        self.addCleanup(self.capture.close)

    def _encrypt(self) -> None:
        keys = {node.name: PrivateKey.generate() for node in (self.one, self.other)}
        for node, peer in ((self.one, self.other), (self.other, self.one)):
            device = Device(node.namespace)
            device.make()
            device.rotate(keys[node.name])
            device.listen(51820)
            networks = (peer.pod_cidr, IPv4Network(peer.overlay_address))
            device.add_peer(keys[peer.name].public(), f"{peer.address}:51820", *networks)
            node.forward()
            node.namespace.run(
                *("ip", "-batch", "-"),
                given=f"""
addr add {node.overlay_address}/32 dev wg0
link set wg0 up
route add {peer.pod_cidr} dev wg0 src {node.overlay_address}
route add {peer.overlay_address} dev wg0 src {node.overlay_address}
""",
            )

    def test_plaintext_is_seen(self) -> None:
        """A pod's packet that leaves its node unencrypted is counted, once, and named."""
        self.one.forward()
        self.assertFalse(pings(self.one.pod.namespace, self.other.pod.address))
        counts = self.capture.counts()
        self.assertEqual((counts.plaintext, counts.encrypted, counts.missed), (1, 0, 0))
        self.assertEqual(
            counts.samples, (f"{self.one.pod.address} > {self.other.pod.address} protocol 1",)
        )

    def test_encrypted_is_no_plaintext(self) -> None:
        """Pods that talk through WireGuard are seen as encrypted packets alone."""
        self._encrypt()
        self.assertTrue(pings(self.one.pod.namespace, self.other.pod.address))
        self.assertTrue(pings(self.one.namespace, self.other.overlay_address))
        counts = self.capture.counts()
        self.assertEqual(counts.plaintext, 0)
        self.assertGreaterEqual(counts.encrypted, 6)  # a handshake, and two pings both ways

    def test_lost_packets_are_counted(self) -> None:
        """A flow reports the packets that did not arrive, and none of those that did."""
        self._encrypt()
        self.assertTrue(pings(self.one.pod.namespace, self.other.pod.address))
        with Flow(self.one.pod, self.other.pod) as flow:
            before = self._encrypted()
            eventually(
                CLUSTER, "packets flow", lambda: self.capture.counts().encrypted > before + RATE
            )
            reports = flow.finish()
        self.assertEqual([report.lost for report in reports], [(), ()])
        self.assertGreater(reports[0].sent, RATE / 2)

        with Flow(self.one.pod, self.other.pod) as flow:
            before = self._encrypted()
            self.other.namespace.run("ip", "link", "set", "cni0", "down")
            eventually(
                CLUSTER, "packets flow", lambda: self.capture.counts().encrypted > before + 50
            )
            there, _ = flow.finish()
        self.assertEqual(there.lost[-1], there.sent - 1)

    def _encrypted(self) -> int:
        return self.capture.counts().encrypted

    def test_what_cannot_be_sent_is_not_answered(self) -> None:
        """A ping that the machine itself refuses is one more that nobody answers."""
        self.assertFalse(pings(self.one.namespace, self.other.overlay_address))
        self.one.namespace.run("ip", "rule", "add", "to", str(OVERLAY), "unreachable")
        self.assertFalse(pings(self.one.namespace, self.other.overlay_address))
        self.one.namespace.run("ip", "route", "flush", "table", "main")
        self.assertFalse(pings(self.one.namespace, self.other.address))

    def test_the_end_of_a_machine_is_complete(self) -> None:
        """Closing a machine ends what was started in it, and what that left running."""
        machine = Namespace("short")
        Device(machine).make(TunnelKind.USERSPACE)
        process = machine.start(["sleep", "600"])
        self.assertIsNotNone(Device(machine).read())
        eventually(REPAIR, "both run", lambda: len(machine.inhabitants()) == 3)  # and who holds it
        inhabitants = machine.inhabitants()
        machine.close()
        self.assertEqual(process.returncode, -signal.SIGKILL)
        eventually(REPAIR, "all gone", lambda: not any(map(_runs, inhabitants)))

    def test_an_ended_process_is_no_fault(self) -> None:
        """Ending a process twice ends it once."""
        process = self.one.namespace.start(["sleep", "600"])
        end(process, signal.SIGTERM)
        end(process, signal.SIGTERM)
        self.assertEqual(process.returncode, -signal.SIGTERM)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
