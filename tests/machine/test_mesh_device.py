"""Someone takes a node's WireGuard device apart, and the mesh puts it together again."""

import re

from lab.eventually import REPAIR, REPAIR_UNANNOUNCED, eventually
from lab.topology import OVERLAY
from overlayd.model.keys import PrivateKey
from tests.machine.mesh import MeshTestCase

ANOTHER = str(OVERLAY[200 << 8 | 9])
OPERATORS = "192.0.2.9"

_INET = re.compile(r"inet (\S+)/32 ")


class DeviceTests(MeshTestCase):
    """Faults of the device of node 1; nodes 2 and 3 notice nothing of them by themselves."""

    def test_deleted(self) -> None:
        """A deleted device is back with its key, also for a peer that alone has something to say.

        That peer goes on with a session which is gone: it would need 15 s to find out by itself.
        """
        key = self.key(self.one)
        told = self.told_by(self.one, "make device wg0 (there is none)")
        with self.fault_on(self.one), told:
            self.one.run("ip", "link", "del", "wg0")
            self.wait_until_pinged(self.two, self.one, REPAIR)
        self.assertEqual(self.key(self.one), key)

    def test_set_down(self) -> None:
        """A device that was set down is up again, with its routes."""
        with self.fault_on(self.one), self.told_by(self.one, "bring wg0 up (it is down)"):
            self.one.run("ip", "link", "set", "wg0", "down")
            self.wait_until_pinged(self.two, self.one, REPAIR)

    def test_address_replaced(self) -> None:
        """The overlay address is back after someone put another one in its place.

        What is no overlay address is an operator's, and stays.
        """
        address = self.one.node.overlay_address
        told = self.told_by(
            self.one,
            f"add address {address}/32 to wg0 (it is our overlay address)",
            f"remove address {ANOTHER}/32 from wg0 (our overlay address is {address})",
        )
        with self.fault_on(self.one), told:
            self.one.run("ip", "addr", "flush", "dev", "wg0")
            for added in (ANOTHER, OPERATORS):
                self.one.run("ip", "addr", "add", f"{added}/32", "dev", "wg0")
            wanted = {str(address), OPERATORS}
            eventually(REPAIR, "the addresses are right", lambda: self._addresses() == wanted)
            self.one.run("ip", "addr", "del", f"{OPERATORS}/32", "dev", "wg0")

    def test_alias_changed(self) -> None:
        """The mark by which the next daemon knows the device is back; its key says it is ours."""
        told = self.told_by(self.one, "mark link wg0 as ours (it is not marked)")
        with self.fault_on(self.one), told:
            self.one.run("ip", "link", "set", "wg0", "alias", "somebody's")
            eventually(REPAIR, "the mark is back", lambda: "alias overlayd" in self._link())

    def test_mtu_changed(self) -> None:
        """The MTU is the underlay's less 80 again after someone changed it."""
        told = self.told_by(self.one, "set MTU of wg0 to 1420 (the way to the peers has it)")
        with self.fault_on(self.one), told:
            self.one.run("ip", "link", "set", "wg0", "mtu", "1300")
            eventually(REPAIR, "the MTU is right", lambda: "mtu 1420" in self._link())

    def test_port_changed(self) -> None:
        """A device that was told to listen elsewhere is found again by those who dial it."""
        told = self.told_by(self.one, "listen on UDP port 51820 (it listened on 51999)")
        with self.fault_on(self.one), told:
            self.one.daemon.device.listen(51999)
            self.wait_until_pinged(self.two, self.one, REPAIR_UNANNOUNCED)
            self.assertEqual(self._port(), 51820)

    def test_key_taken_away(self) -> None:
        """A device whose key was taken away gets that key back, and is reached at once after."""
        key = self.key(self.one)
        told = self.told_by(self.one, "set private key (the device has no key)")
        with self.fault_on(self.one), told:
            self.one.daemon.device.take_key_away()
            self.wait_until_pinged(self.two, self.one, REPAIR_UNANNOUNCED)
        self.assertEqual(self.key(self.one), key)

    def test_key_replaced(self) -> None:
        """A key that an operator gives the device is taken, announced, and replaces the old one."""
        new = PrivateKey.generate()
        with self.fault_on(self.one):
            self.one.daemon.device.rotate(new)
            self.wait_for_peers(self.two, self.one, self.three, limit=REPAIR_UNANNOUNCED)
            self.wait_for_peers(self.three, self.one, self.two)
        self.assertEqual(self.key(self.one), new.public())

    def _addresses(self) -> set[str]:
        return set(_INET.findall(self.one.run("ip", "addr", "show", "dev", "wg0")))

    def _link(self) -> str:
        return self.one.run("ip", "link", "show", "dev", "wg0")

    def _port(self) -> int | None:
        reading = self.one.daemon.device.read()
        return reading.port if reading else None
