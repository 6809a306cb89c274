"""Someone undoes what the daemon does, again and again: it is named, and the repairs slow down."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.eventually import FORMING, REPAIR_UNANNOUNCED, eventually, eventually_none, patience
from lab.flow import Flow
from lab.mesh import Member
from lab.namespaces import end
from lab.topology import PODS
from tests.machine.mesh import MeshTestCase

FOUGHT = "someone keeps undoing this, so it is done again more slowly"

REMOVE_ROUTES = "ip route flush proto 87"
REMOVE_RULES = "ip rule flush protocol 87"
EVERY = "while :; do {}; sleep 0.1; done"

FIGHT = patience(30.0)  # seconds within which a fight is named
WATCHED = 10.0  # seconds in which passes are counted
MOST_PASSES = 8
"""In those seconds: pauses of 0.5, 1, 2 and 4 s, and room for what else there is. Without them
there would be one every 0.1 s."""


class FightTests(MeshTestCase):
    """Node 1 has a second manager of its network."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.one.daemon
        self.addCleanup(self._forget)
        self._before = len(self.daemon.log())

    def _forget(self) -> None:
        """Let the tests after this one find a daemon that remembers no fight."""
        self.daemon.stop()
        self.daemon.start()
        eventually(FORMING, "the daemon is ready", self.one.ready)

    def test_foreign_routes_and_rules_removed(self) -> None:
        """A network manager that removes what it does not know is fought more and more slowly.

        It removes rules and routes at once, so that no pod may talk here meanwhile.
        """
        with self.fault_on(self.one):
            with self._every_moment(f"{REMOVE_ROUTES}; {REMOVE_RULES}"):
                self._named(f"route {PODS} through wg0", f"add rule to {PODS} unreachable")
                self._backed_off()
            eventually(REPAIR_UNANNOUNCED, "the route is back", lambda: _is_routed(self.one))

    def test_foreign_rules_removed(self) -> None:
        """Pods whose rules are removed again and again lose little, and nothing in the clear.

        Of two rules the one that lets traffic in goes first, and the other then refuses it for a
        moment; without both the route goes on.
        """
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            with self._every_moment(REMOVE_RULES):
                self._named(f"add rule to {PODS} unreachable")
                self._backed_off()
            for way in flow.finish():
                self.assertLess(len(way.lost), way.sent / 10, str(way))

    def test_second_daemon(self) -> None:
        """Two daemons with one device and other options name what they fight over, and slow down.

        Both carry the traffic: not a packet is lost.
        """
        self.one.run("mkdir", "-m", "700", "/run/second")
        options = ("--control", "/run/second/control.sock", "--mtu", "1300")
        second = self.cluster.daemon(self.one.node, *options)
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            second.start()
            try:
                self._named("set MTU of wg0 to 1420", "set MTU of wg0 to 1300")
                self.assertIn(f"PeerManager: {FOUGHT}", self.daemon.log())
                self.assertIn("set MTU of wg0", str((self.daemon.status() or {}).get("fights")))
                self._backed_off()
            finally:
                second.stop()
            eventually(REPAIR_UNANNOUNCED, "the MTU is right", lambda: "mtu 1420" in self._link())
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))

    @contextmanager
    def _every_moment(self, command: str) -> Iterator[None]:
        """Run a command of sh(1) ten times a second on node 1."""
        with open(self.one.node.namespace.run_folder / "second-manager.log", "ab") as log:
            process: subprocess.Popen[bytes] = self.one.node.namespace.start(
                ("sh", "-c", EVERY.format(command)), log
            )
        try:
            yield
        finally:
            end(process, signal.SIGKILL)

    def _named(self, *things: str) -> None:
        """Wait until the log names what is fought over, which it does once for each."""

        def said() -> list[str]:
            return [
                line for line in self.daemon.log()[self._before :].splitlines() if FOUGHT in line
            ]

        eventually_none(
            FIGHT,
            "it is named",
            lambda: [thing for thing in things if not any(thing in line for line in said())],
        )
        for thing in things:
            self.assertEqual(sum(thing in line for line in said()), 1, "it is named once")

    def _backed_off(self) -> None:
        before, began = self._passes(), time.monotonic()
        time.sleep(WATCHED)
        passes, seconds = self._passes() - before, time.monotonic() - began
        self.assertLess(passes, MOST_PASSES * seconds / WATCHED)

    def _passes(self) -> int:
        status = self.daemon.status()
        assert status is not None
        number: int = status["lastPass"]["number"]
        return number

    def _link(self) -> str:
        return self.one.run("ip", "link", "show", "dev", "wg0")


def _is_routed(member: Member) -> bool:
    return f"{PODS} dev wg0" in member.run("ip", "route")
