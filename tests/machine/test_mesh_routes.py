"""Someone changes routes, rules and forwarding under the mesh; nothing leaks meanwhile."""

from lab.eventually import REPAIR, REPAIR_UNANNOUNCED, eventually
from lab.flow import Flow
from lab.mesh import Member
from lab.topology import PODS
from tests.machine.mesh import MeshTestCase


class RouteTests(MeshTestCase):
    """Faults of node 1's routing, while its pods talk to those of node 2."""

    def setUp(self) -> None:
        super().setUp()
        self.before = _routing(self.one)
        self.assertIn("5180:", self.before)
        self.assertIn("5181:", self.before)

    def _breaks(self, *command: str) -> None:
        """Run a command on node 1 under traffic; what it changed is changed back."""
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            flow.carry()
            self.one.run(*command)
            eventually(
                REPAIR, "the routing is as it was", lambda: _routing(self.one) == self.before
            )
            flow.carry()

    def test_routes_flushed(self) -> None:
        """All routes through the device come back, and what has none meanwhile goes nowhere."""
        self._breaks("ip", "route", "flush", "dev", "wg0")

    def test_route_replaced(self) -> None:
        """A route that someone replaced leads to where it led, with the source that it had."""
        for replaced in (("dev", "wg0"), ("dev", "wg0", "src", str(self.one.node.address))):
            with self.told_by(self.one, f"route {PODS} through wg0", "(it differed)"):
                self._breaks("ip", "route", "replace", str(PODS), "proto", "87", *replaced)

    def test_route_made_a_hole(self) -> None:
        """So does one that was made a hole in which all packets vanish."""
        with self.told_by(self.one, f"route {PODS} through wg0"):
            self._breaks("ip", "route", "replace", "blackhole", str(PODS), "proto", "87")

    def test_our_protocol_flushed(self) -> None:
        """All routes with our protocol number come back."""
        self._breaks("ip", "route", "flush", "proto", "87")

    def test_rules_deleted(self) -> None:
        """The rules that refuse what no route took come back."""
        self._breaks("ip", "rule", "flush", "protocol", "87")

    def test_one_rule_deleted(self) -> None:
        """Each of them comes back by itself."""
        for priority, kind in (("5180", "lookup main"), ("5181", "unreachable")):
            with self.told_by(self.one, f"add rule to {PODS} {kind}", "never leave in the clear"):
                self._breaks("ip", "rule", "del", "to", str(PODS), "priority", priority)

    def test_device_and_then_rules_deleted(self) -> None:
        """First the device goes with its routes, then the rules: nothing leaves in the clear.

        At once they would leave nothing that could hold packets back until the repair.
        """
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            flow.carry()
            self.one.run("ip", "link", "del", "wg0")
            eventually(
                REPAIR, "the routing is as it was", lambda: _routing(self.one) == self.before
            )
            self.one.run("ip", "rule", "flush", "protocol", "87")
            eventually(
                REPAIR, "the routing is as it was", lambda: _routing(self.one) == self.before
            )
            flow.carry()

    def test_forwarding_switched_off(self) -> None:
        """Packets are forwarded again after someone switched that off.

        The kernel says nothing of it: the periodic pass finds it.
        """
        with self.fault_on(self.one):
            self.one.node.forward(False)
            self.wait_until_pinged(self.two, self.one, REPAIR_UNANNOUNCED)


def _routing(member: Member) -> str:
    """All rules and the routes of the main table, as ip(8) shows them."""
    return member.run("ip", "-d", "rule") + member.run("ip", "-d", "route")
