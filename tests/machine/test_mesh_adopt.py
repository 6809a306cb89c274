"""wg-overlay beside us: its devices are taken over, and its nodes are full peers."""

from contextlib import ExitStack

from twisted.trial.unittest import SynchronousTestCase

from lab import private
from lab.eventually import CLUSTER, FORMING, REPAIR_UNANNOUNCED, eventually, eventually_none
from lab.flow import Flow
from lab.mesh import Member, Mesh, broken, paths
from overlayd.model.keys import PrivateKey
from tests.machine.wg_overlay import Controller, Device


class WgOverlayTestCase(SynchronousTestCase):
    """A cluster without Nodes, which gives out no podCIDRs by itself."""

    skip = private.missing()

    def setUp(self) -> None:
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)
        self.cluster = self.mesh.cluster
        self.cluster.start(allocate=False)
        self.running = ExitStack()
        self.addCleanup(self.running.close)

    def run_wg_overlay(self, member: Member, prefix_length: int = 32) -> Device:
        """Let wg-overlay make the node's device and follow the Nodes, to the end of the test."""
        device = Device.make(member.node, prefix_length)
        self.running.enter_context(Controller(device, self.cluster))
        return device

    def wait_for_paths(self, one: Member, other: Member, limit: float = CLUSTER) -> None:
        """Wait until all that one node sends to another arrives, and back."""
        both = (paths(one, other), paths(other, one))
        eventually_none(limit, "no path is broken", lambda: broken(*both))

    def assert_no_plaintext(self) -> None:
        counts = self.mesh.capture.counts()
        self.assertEqual((counts.plaintext, counts.missed), (0, 0), counts.samples)
        self.assertGreater(counts.encrypted, 0)


class AdoptTests(WgOverlayTestCase):
    """Two nodes of wg-overlay, whose pods talk all the while."""

    def setUp(self) -> None:
        super().setUp()
        self.one, self.two = (self.mesh.add_machine(n, "--adopt") for n in (1, 2))
        for member in (self.one, self.two):
            self.cluster.create(member.node)

    def test_without_losing_a_packet(self) -> None:
        """A daemon with `--adopt` takes one device over, then another the other; keys stay.

        One has its overlay address with the network's prefix length, as some made it by hand.
        """
        devices = {self.one: Device.make(self.one.node), self.two: Device.make(self.two.node, 16)}
        controllers = {m: Controller(device, self.cluster) for m, device in devices.items()}
        for controller in controllers.values():
            self.running.enter_context(controller)
        self.wait_for_paths(self.one, self.two)
        with Flow(self.one.pod, self.two.pod) as flow:
            flow.carry()
            for member, device in devices.items():
                controllers[member].stop()
                member.daemon.start()
                eventually(FORMING, "the daemon is ready", member.ready)
                flow.carry()
                reading = device.device.read()
                assert reading is not None
                self.assertEqual(reading.key, device.key.public())
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))
        self.wait_for_paths(self.one, self.two)
        self.assert_no_plaintext()
        for member in devices:
            self._assert_ours(member)

    def _assert_ours(self, member: Member) -> None:
        """The device is marked, has one address, and nothing is left of wg-overlay's routes."""
        self.assertIn("alias overlayd", member.run("ip", "link", "show", "dev", "wg0"))
        shown = member.run("ip", "addr", "show", "dev", "wg0")
        self.assertEqual(shown.count("inet "), 1)
        self.assertIn(f"inet {member.node.overlay_address}/32", shown)
        routes = member.run("ip", "route", "show", "dev", "wg0").splitlines()
        self.assertEqual(len(routes), 2)
        for route in routes:
            self.assertIn(f"proto 87 scope link src {member.node.overlay_address}", route)

    def test_named_as_a_way_out(self) -> None:
        """A daemon without the option leaves such a device alone, and one with it a bridge."""
        three = self.mesh.add_machine(3)
        self.cluster.create(three.node)
        theirs = Device.make(three.node)
        three.daemon.start()
        status = eventually(FORMING, "it says so", lambda: _foreign(three))
        self.assertIn("--adopt", status)
        reading = theirs.device.read()
        assert reading is not None
        self.assertEqual((reading.key, reading.peers), (theirs.key.public(), {}))
        self.assertNotIn("alias", three.run("ip", "link", "show", "dev", "wg0"))
        self.one.run("ip", "link", "add", "wg0", "type", "bridge")
        self.one.daemon.start()
        status = eventually(FORMING, "it says so", lambda: _foreign(self.one))
        self.assertIn("no WireGuard device", status)


class MixedTests(WgOverlayTestCase):
    """One node stays with wg-overlay; its controller looks at each key once, and never again."""

    def test_in_both_directions(self) -> None:
        """Its node and ours are full peers, also of a daemon that was there before the podCIDRs.

        A key that an operator gives one of ours is a new one for it too.
        """
        theirs = self.mesh.add_machine(1)
        self.cluster.create(theirs.node)
        self.run_wg_overlay(theirs)
        ours = [self.mesh.add_machine(number) for number in (2, 3)]
        for member in ours:
            self.cluster.register(member.node)
            member.daemon.start()
        eventually(FORMING, "they wait for podCIDRs", lambda: all(map(_waits, ours)))
        for member in ours:
            self.cluster.allocate(member.node)
        for member in ours:
            eventually(FORMING, "the daemon is ready", member.ready)
            self.wait_for_paths(theirs, member)
        self.wait_for_paths(ours[0], ours[1])
        with Flow(theirs.pod, ours[0].pod) as flow:
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))
        ours[0].daemon.device.rotate(PrivateKey.generate())
        self.wait_for_paths(theirs, ours[0], REPAIR_UNANNOUNCED)
        self.assert_no_plaintext()


def _waits(member: Member) -> bool:
    return (member.daemon.status() or {}).get("state") == "waiting-for-pod-cidrs"


def _foreign(member: Member) -> str:
    """What the daemon says of a device that is not ours; "" while it says something else."""
    status = member.daemon.status() or {}
    return str(status["message"]) if status.get("state") == "foreign-device" else ""
