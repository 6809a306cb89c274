"""The mesh from the image, as the manifests start it, where the kernel has no WireGuard."""

import re

from lab.container.oci import granted
from lab.eventually import CLUSTER, FORMING, eventually
from lab.flow import Flow
from overlayd.ctl.asking import Exit
from tests.container.installation import DAEMON, Installation

CAP_NET_ADMIN = 12  # linux/capability.h


class MeshTests(Installation):
    def test_forms(self) -> None:
        """Every pod reaches every other, from containers that have what the manifests say."""
        kubelets = self.install(1, 2, 3)
        counts = self.mesh.capture.counts()
        self.assertEqual(counts.plaintext, 0, str(counts.samples))
        self.assertGreater(counts.encrypted, 0)
        for kubelet in kubelets:
            for name, pod in kubelet.pods.items():
                wanted = granted(self.securities(name)["capabilities"])
                self.assertEqual(wanted, ["CAP_NET_ADMIN"])
                status = pod.container.execute("cat", "/proc/1/status").stdout
                for kind in ("CapEff", "CapPrm", "CapBnd"):
                    self.assertEqual(_number(status, kind), 1 << CAP_NET_ADMIN, name)
                for kind in ("CapInh", "CapAmb"):
                    self.assertEqual(_number(status, kind), 0, name)
                self.assertEqual(
                    (_number(status, "NoNewPrivs"), _number(status, "Seccomp")), (1, 2)
                )
                written = pod.container.execute("touch", "/here")
                self.assertIn("Read-only file system", written.stderr)
                self.assertEqual(pod.restarts, 0)

    def test_answers(self) -> None:
        """overlayctl works by exec, and on the node; the probes tell what there is."""
        (kubelet,) = self.install(1)
        pod = kubelet.pods[DAEMON]
        status = pod.container.execute("overlayctl", "status")
        self.assertEqual((status.returncode, status.stderr), (0, ""))
        self.assertIn("converged", status.stdout)
        self.assertTrue(self.mesh.members[1].daemon.ready(), "the node's root may ask, too")
        self.assertTrue(pod.probe("livenessProbe"))
        pod.container.signal("STOP")
        refused = pod.container.execute("overlayctl", "status", "--ready", "--timeout", "1")
        self.assertEqual(refused.returncode, Exit.NO_ANSWER)
        pod.container.signal("CONT")
        eventually(CLUSTER, "it answers again", lambda: pod.probe("readinessProbe"))

    def test_says_nothing_of_a_read_only_root(self) -> None:
        """Nothing is written at a start: Twisted's list of plugins and the bytecode are there."""
        (kubelet,) = self.install(1)
        log = kubelet.pods[DAEMON].log()
        for word in ("plugin cache", "Read-only", "Traceback"):
            self.assertNotIn(word, log)
        verbose = ("python3", "-v", "-c", "import overlayd.service, overlayd.ctl.main")
        said = kubelet.pods[DAEMON].container.execute(*verbose).stderr
        self.assertEqual(re.findall(r"code object from '\S+\.py'", said), [])
        self.assertIn("site-packages/overlayd/__pycache__/service", said)

    def test_forwarding_off(self) -> None:
        """/proc/sys is read-only: where the node does not pass packets on, the state says so."""
        (kubelet,) = self.add(1)
        kubelet.node.forward(False)
        kubelet.run(self.wanted, self.image)
        pod = kubelet.pods[DAEMON]

        def state() -> str:
            return pod.container.execute("overlayctl", "status").stdout

        said = eventually(FORMING, "it is said", lambda: "forwarding-off" in state() and state())
        self.assertIn(
            "Read-only file system: on the host, run `sysctl -w net.ipv4.ip_forward=1`", said
        )
        self.assertFalse(pod.probe("readinessProbe"))
        self.assertTrue(pod.probe("livenessProbe"))
        kubelet.node.forward()
        eventually(CLUSTER + 15, "it is ready", lambda: pod.probe("readinessProbe"))


class RestartTests(Installation):
    """Pods of two nodes talk, and one node's daemon ends."""

    def setUp(self) -> None:
        super().setUp()
        self.one, self.two = self.install(1, 2)

    def flow(self) -> Flow:
        return Flow(self.one.node.pod, self.two.node.pod)

    def lose_nothing(self, flow: Flow) -> None:
        flow.carry()
        there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))
        self.assertEqual(self.mesh.capture.counts().plaintext, 0)

    def test_killed(self) -> None:
        """After SIGKILL kubelet starts it anew, and not a packet is lost."""
        pod = self.one.pods[DAEMON]
        with self.flow() as flow:
            flow.carry()
            pod.container.signal("KILL")
            eventually(FORMING, "it is started again", lambda: pod.restarts == 1)
            self.wait_until_ready(self.one)
            self.lose_nothing(flow)

    def test_terminated(self) -> None:
        """Deleted, it ends by itself in its grace period; the next one goes on."""
        with self.flow() as flow:
            flow.carry()
            ending = self.one.pods[DAEMON].container
            self.one.stop(DAEMON)
            self.assertEqual(ending.wait(), 0)
            flow.carry()
            self.one.start(DAEMON, self.wanted, self.image)
            self.wait_until_ready(self.one)
            self.lose_nothing(flow)


def _number(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\w+)$", status, re.MULTILINE)
    assert found is not None
    return int(found[1], 16)
