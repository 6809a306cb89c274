"""Each capability of the manifests is needed: without it a named outcome is missing."""

from copy import deepcopy

from attrs import evolve

from lab.container.kubelet import Kubelet
from lab.container.manifests import MANIFESTS, Rendered, render
from lab.container.pod import Pod
from lab.eventually import FORMING, eventually
from tests.container.installation import DAEMON, TUNNEL, Installation

FOLDERS = (".", "wireguard-go")


class CapabilityTests(Installation):
    def test_each_is_needed(self) -> None:
        """Every one of every DaemonSet has a test below that shows what fails without it.

        That all of them together are enough is what the mesh's tests show.
        """
        for folder in FOLDERS:
            for name, daemon_set in render(MANIFESTS / folder).daemon_sets.items():
                for container in daemon_set["spec"]["template"]["spec"]["containers"]:
                    capabilities = container["securityContext"]["capabilities"]
                    self.assertEqual(capabilities["drop"], ["ALL"], name)
                    for capability in capabilities["add"]:
                        test = f"test_{name}_without_{capability}".lower().replace("-", "_")
                        self.assertTrue(hasattr(self, test), f"nothing shows that {test[5:]} fails")

    def test_overlayd_without_net_admin(self) -> None:
        """The kernel takes no rule, route or link from it, and it says so."""
        (kubelet,) = self.add(1)
        self._start(kubelet, DAEMON, "NET_ADMIN")
        pod = kubelet.pods[DAEMON]
        eventually(FORMING, "it is refused", lambda: "retrying" in self._status(pod))
        said = self._status(pod)
        self.assertIn("EPERM (Operation not permitted)", said)
        self.assertFalse(pod.probe("readinessProbe"))
        self.assertNotIn("unreachable", kubelet.node.namespace.run("ip", "rule", "show"))

    def test_overlayd_wireguard_go_without_net_admin(self) -> None:
        """The kernel makes no link for it, and it ends."""
        (kubelet,) = self.add(1)
        self._start(kubelet, TUNNEL, "NET_ADMIN")
        pod = kubelet.pods[TUNNEL]
        eventually(FORMING, "it is started again", lambda: pod.restarts > 0)
        self.assertIn("operation not permitted", pod.log())
        self.assertNotEqual(
            kubelet.node.namespace.attempt("ip", "link", "show", "dev", "wg0").returncode, 0
        )

    def _start(self, kubelet: Kubelet, name: str, without: str) -> None:
        """Run everything, one DaemonSet of it without a capability that it has."""
        daemon_sets = deepcopy(dict(self.wanted.daemon_sets))
        (container,) = daemon_sets[name]["spec"]["template"]["spec"]["containers"]
        container["securityContext"]["capabilities"]["add"].remove(without)
        wanted: Rendered = evolve(self.wanted, daemon_sets=daemon_sets)
        self.addCleanup(kubelet.close)
        kubelet.run(wanted, self.image)

    def _status(self, pod: Pod) -> str:
        return pod.container.execute("overlayctl", "status").stdout
