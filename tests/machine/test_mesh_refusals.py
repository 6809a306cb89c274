"""What the daemon must not touch, and where it must not begin: it says so and changes nothing."""

import re

from lab.daemon import Daemon
from lab.eventually import FORMING, eventually
from lab.mesh import Member
from lab.topology import OVERLAY
from tests.machine.mesh import MeshTestCase

_BRIDGE_TIMERS = re.compile(r"\w+_timer +\S+")
API_SERVER_INSIDE = OVERLAY[200 << 8 | 1]


class RefusalTests(MeshTestCase):
    """A fourth node, on which something stands in the way."""

    def setUp(self) -> None:
        super().setUp()
        self.four = self.mesh.add_machine(4)
        self.addCleanup(self.discard_mesh)
        self.cluster.create(self.four.node)

    def _stays_in(self, daemon: Daemon, state: str) -> str:
        """Start the daemon, wait for the state, look that nothing changed; the state's message."""
        before = _settled(self.four)
        daemon.start()

        def message() -> str:
            status = daemon.status() or {}
            return status["message"] if status.get("state") == state else ""

        said = eventually(FORMING, f"the state is {state}", message)
        self.assertEqual(daemon.ctl("resync").stderr, "")  # one whole pass more
        self.assertEqual(message(), said)
        self.assertTrue(daemon.running)
        self.assertFalse(daemon.ready())
        self.assertEqual(_machine(self.four), before)
        self.assertNotIn("wireguard-publickey", str(self.cluster.get(self.four.name)))
        return said

    def test_foreign_device(self) -> None:
        """A wg0 that someone else made is left alone; the message names another --wg-dev."""
        self.four.daemon.device.make()
        self.four.run("ip", "addr", "add", "192.0.2.1/24", "dev", "wg0")
        message = self._stays_in(self.four.daemon, "foreign-device")
        self.assertIn("wg0", message)
        self.assertIn("--wg-dev", message)

    def test_foreign_link(self) -> None:
        """A wg0 that is no WireGuard device at all is left alone too."""
        self.four.run("ip", "link", "add", "wg0", "type", "bridge")
        message = self._stays_in(self.four.daemon, "foreign-device")
        self.assertIn("--wg-dev", message)

    def test_api_server_inside_the_overlay_network(self) -> None:
        """An API server that the overlay would cut off keeps the daemon from beginning."""
        self.mesh.management.namespace.run(
            *("ip", "addr", "replace", f"{API_SERVER_INSIDE}/32", "dev", "bridge")
        )
        gateway = str(self.mesh.management.gateway)
        self.four.run("ip", "route", "add", str(API_SERVER_INSIDE), "via", gateway)
        daemon = Daemon(self.four.node, f"http://{API_SERVER_INSIDE}:8080")
        message = self._stays_in(daemon, "cuts-off-node")
        self.assertIn(str(API_SERVER_INSIDE), message)
        self.assertIn("--overlay-cidr", message)

    def test_another_device_name(self) -> None:
        """Beside a foreign wg0, a daemon with another --wg-dev joins the mesh."""
        self.four.daemon.device.make()
        self.four.run("ip", "addr", "add", "192.0.2.1/24", "dev", "wg0")
        before = self.four.run("ip", "-d", "addr", "show", "dev", "wg0")
        daemon = self.cluster.daemon(self.four.node, "--wg-dev", "wg1")
        daemon.start()
        eventually(FORMING, "the daemon is ready", daemon.ready)
        self.wait_until_whole()
        self.assertEqual(self.four.run("ip", "-d", "addr", "show", "dev", "wg0"), before)


def _settled(member: Member) -> str:
    """The machine once its links are up and its IPv6 addresses are no longer tried out."""
    seen = [_machine(member)]

    def same_again() -> str:
        seen.append(_machine(member))
        return seen[-1] if seen[-1] == seen[-2] and "tentative" not in seen[-1] else ""

    return eventually(FORMING, "the machine's links are up", same_again)


_SYSCTLS = ("ip_forward", "conf/all", "conf/default")


def _machine(member: Member) -> str:
    """Everything of the machine's network that a daemon could change, as text."""
    shown = "\n".join(
        member.run(*command)
        for command in (
            ("ip", "-d", "addr"),
            ("ip", "-d", "route", "show", "table", "all"),
            ("ip", "-d", "rule"),
            ("grep", "-rs", ".", *(f"/proc/sys/net/ipv4/{part}" for part in _SYSCTLS)),
        )
    )
    return _BRIDGE_TIMERS.sub("", shown)
