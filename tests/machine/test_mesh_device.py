"""Someone takes a node's WireGuard device apart, and the mesh puts it together again."""

from lab.eventually import REPAIR, REPAIR_UNANNOUNCED, eventually
from lab.mesh import Member
from overlayd.model.keys import PrivateKey
from tests.machine.mesh import MeshTestCase
from tests.machine.processes import kill, tunnel_process


class DeviceTests(MeshTestCase):
    """Faults of the device of node 1; nodes 2 and 3 notice nothing of them by themselves."""

    def test_deleted(self) -> None:
        """A deleted device is back with its key, also for a peer that alone has something to say.

        That peer goes on with a session which is gone: it would need 15 s to find out by itself.
        """
        key = self.key(self.one)
        with self.fault_on(self.one):
            self.one.run("ip", "link", "del", "wg0")
            self.wait_until_pinged(self.two, self.one, REPAIR)
        self.assertEqual(self.key(self.one), key)

    def test_process_killed(self) -> None:
        """A device whose process was killed is back with its key."""
        key = self.key(self.one)
        with self.fault_on(self.one):
            kill(tunnel_process("wg0", self.one.node.namespace.pid))
            self.wait_until_pinged(self.two, self.one, REPAIR)
        self.assertEqual(self.key(self.one), key)

    def test_set_down(self) -> None:
        """A device that was set down is up again, with its routes."""
        with self.fault_on(self.one):
            self.one.run("ip", "link", "set", "wg0", "down")
            self.wait_until_pinged(self.two, self.one, REPAIR)

    def test_address_removed(self) -> None:
        """The overlay address is back after someone removed it."""
        with self.fault_on(self.one):
            self.one.run("ip", "addr", "flush", "dev", "wg0")
            eventually(REPAIR, "the address is back", lambda: self._has_its_address(self.one))

    def test_mtu_changed(self) -> None:
        """The MTU is the underlay's less 80 again after someone changed it."""
        with self.fault_on(self.one):
            self.one.run("ip", "link", "set", "wg0", "mtu", "1300")
            eventually(
                REPAIR,
                "the MTU is right",
                lambda: "mtu 1420" in self.one.run("ip", "link", "show", "dev", "wg0"),
            )

    def test_key_replaced(self) -> None:
        """A key that an operator gives the device is taken, announced, and replaces the old one."""
        new = PrivateKey.generate()
        with self.fault_on(self.one):
            self.one.daemon.device.rotate(new)
            self.wait_for_peers(self.two, self.one, self.three, limit=REPAIR_UNANNOUNCED)
            self.wait_for_peers(self.three, self.one, self.two)
        self.assertEqual(self.key(self.one), new.public())

    def _has_its_address(self, member: Member) -> bool:
        address = f"inet {member.node.overlay_address}/32 "
        return address in member.run("ip", "addr", "show", "dev", "wg0")
