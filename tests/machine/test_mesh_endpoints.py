"""Where peers are dialled: what WireGuard learned is kept while it works, and no longer."""

from ipaddress import IPv4Network

from lab.daemon import Daemon
from lab.eventually import CLUSTER, FORMING, REPAIR_UNANNOUNCED, eventually
from lab.flow import Flow
from lab.pinging import pings
from lab.topology import UNDERLAY
from overlayd.model.keys import PublicKey
from overlayd.model.node import ENDPOINT_ANNOTATION
from tests.machine.mesh import MeshTestCase

NAT_PORT = 4500
"""From which node 2's packets come while they are translated on the way."""

NOBODY = f"{UNDERLAY[99]}:51820"
SECOND = UNDERLAY[112]
"""Another address of node 2."""

AHEAD = 200
"""Seconds, more than a session lasts."""

IN_VAIN = "no answer from"


class EndpointCase(MeshTestCase):
    """Node 1 dials node 2, whose daemon is away and repairs nothing meanwhile."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.one.daemon
        self.two_key: PublicKey = self.key(self.two)
        self.announced = f"{self.two.node.address}:51820"
        self.translated = f"{self.two.node.address}:{NAT_PORT}"
        self.two.daemon.stop()
        self.addCleanup(self._both_run)

    def _both_run(self) -> None:
        if self.daemon is not self.one.daemon and self.daemon.running:
            self.daemon.stop()
        for daemon in (self.one.daemon, self.two.daemon):
            if not daemon.running:
                daemon.start()
        for member in (self.one, self.two):
            eventually(FORMING, f"{member.name} is ready", member.ready)

    def dialled(self) -> str | None:
        """Where node 1's device sends node 2's packets."""
        reading = self.one.daemon.device.read()
        return None if reading is None else reading.endpoints.get(self.two_key)

    def wait_until_dialled(self, endpoint: str, limit: float) -> None:
        eventually(limit, f"node 2 is dialled at {endpoint}", lambda: self.dialled() == endpoint)

    def roam(self) -> None:
        """Let node 2's packets come from elsewhere, and node 1's device learn it."""
        self.two.daemon.device.listen(NAT_PORT)
        self.wait_until_pinged(self.two, self.one, CLUSTER)
        self.assertEqual(self.dialled(), self.translated)

    def pass_thrice(self) -> None:
        for _ in range(3):
            self.assertEqual(self.daemon.ctl("resync").stderr, "")


class EndpointTests(EndpointCase):
    """Sessions are young: what the device says is what WireGuard learned."""

    def test_roaming(self) -> None:
        """A node that roams is dialled where it is now, also by a daemon that just started."""
        with self.fault_on(self.two):
            self.roam()
            with Flow(self.one.pod, self.two.pod) as flow:
                flow.carry()
                self.pass_thrice()
                self.daemon.kill()
                self.daemon.start()
                eventually(FORMING, "the daemon is ready", self.one.ready)
                self.pass_thrice()
                self.assertEqual(self.dialled(), self.translated)
                flow.carry()
                there, back = flow.finish()
            self.assertEqual((there.lost, back.lost), ((), ()))

    def test_another_is_announced(self) -> None:
        """What a Node announces anew is dialled at once, though the session is young."""
        self.two.run("ip", "addr", "add", f"{SECOND}/32", "dev", "eth0")
        with self.fault_on(self.two):
            self.wait_until_pinged(self.one, self.two, CLUSTER)
            self.assertEqual(self.dialled(), self.announced)
            annotations = {ENDPOINT_ANNOTATION: f"{SECOND}:51820"}
            self.cluster.patch(self.two.name, {"metadata": {"annotations": annotations}})
            self.wait_until_dialled(f"{SECOND}:51820", CLUSTER)
            self.wait_until_pinged(self.one, self.two, CLUSTER)
            self.assertEqual(self.dialled(), f"{SECOND}:51820")
        self._both_run()
        self.wait_until_dialled(self.announced, CLUSTER)

    def test_a_wrong_one_that_looks_like_roaming(self) -> None:
        """One set by hand stays while the session is young, until the peer's next packet."""
        with self.fault_on(self.two):
            self.wait_until_pinged(self.one, self.two, CLUSTER)
            self.one.daemon.device.dial(self.two_key, NOBODY)
            self.pass_thrice()
            self.assertFalse(pings(self.one.pod.namespace, self.two.pod.address))
            self.pass_thrice()
            self.assertEqual(self.dialled(), NOBODY)
            self.wait_until_pinged(self.two, self.one, CLUSTER)
            self.assertEqual(self.dialled(), self.announced)

    def test_a_wrong_one_without_a_session(self) -> None:
        """A peer that was put there by hand, elsewhere, and has nothing to say is left alone.

        Once packets for it go there in vain, it is dialled where its Node says.
        """
        with self.fault_on(self.two):
            device, own = self.one.daemon.device, self.two.node
            device.remove_peer(self.two_key)
            device.add_peer(self.two_key, NOBODY, own.pod_cidr, IPv4Network(own.overlay_address))
            self.pass_thrice()
            self.assertEqual(self.dialled(), NOBODY)
            self.wait_until_pinged(self.one, self.two, REPAIR_UNANNOUNCED)
            self.assertEqual(self.dialled(), self.announced)
        self.assertIn(IN_VAIN, self.daemon.log())


class OldSessionTests(EndpointCase):
    """For node 1's daemon, whose clock is ahead, every session is over."""

    def setUp(self) -> None:
        super().setUp()
        self.one.daemon.stop()
        self.daemon = Daemon(self.one.node, self.cluster.url, ahead=AHEAD)
        self._start()

    def _start(self) -> None:
        self.daemon.start()
        eventually(FORMING, "the daemon is ready", self.daemon.ready)

    def test_an_idle_peer(self) -> None:
        """Behind a NAT, one to which nobody speaks stays where it was heard, over restarts too."""
        with self.fault_on(self.two):
            self.roam()
            for _ in range(2):
                self.pass_thrice()
                self.assertEqual(self.dialled(), self.translated)
                self.daemon.kill()
                self._start()
            self.assertEqual(self.dialled(), self.translated)
            self.wait_until_pinged(self.one, self.two, CLUSTER)

    def test_one_that_answers(self) -> None:
        """A peer that roamed and answers stays where it is, and loses nothing."""
        with self.fault_on(self.two):
            self.roam()
            with Flow(self.one.pod, self.two.pod) as flow:
                for _ in range(2):
                    flow.carry()
                    self.pass_thrice()
                there, back = flow.finish()
            self.assertEqual((there.lost, back.lost), ((), ()))
            self.assertEqual(self.dialled(), self.translated)

    def test_a_dead_one(self) -> None:
        """One that answered before, and no more: the configured endpoint is set by itself."""
        with self.fault_on(self.two):
            self.wait_until_pinged(self.one, self.two, CLUSTER)
            self.one.daemon.device.dial(self.two_key, NOBODY)
            self.wait_until_pinged(self.one, self.two, REPAIR_UNANNOUNCED)
            self.assertEqual(self.dialled(), self.announced)
        self.assertIn(IN_VAIN, self.daemon.log())
