"""The teardown component takes all that is ours off a node, and stays until it is deleted."""

from lab.container.kubelet import Kubelet
from lab.container.manifests import MANIFESTS, render
from lab.eventually import FORMING, eventually
from tests.container.installation import DAEMON, TUNNEL, Installation

MARKS = ("alias overlayd", "proto 87", "unreachable", "suppress_prefixlength")


class TeardownTests(Installation):
    def test_takes_all_away(self) -> None:
        """Routes and rules go, and the device: what wireguard-go makes then is bare, and its own.

        The pod holds no right any more, and is not restarted.
        """
        (kubelet,) = self.install(1)
        for mark in MARKS:
            self.assertIn(mark, self._shown(kubelet))
        kubelet.start(DAEMON, render(MANIFESTS / "teardown"), self.image)
        pod = kubelet.pods[DAEMON]
        eventually(FORMING, "it is done", lambda: pod.initialized)
        self.assertEqual([mark for mark in MARKS if mark in self._shown(kubelet)], [])
        self.assertEqual(pod.restarts, 0)
        eventually(FORMING, "it stays", lambda: "uid=65534" in pod.container.execute("id").stdout)
        if TUNNEL in kubelet.pods:  # kubectl delete
            kubelet.stop(TUNNEL)
        self.assertNotIn("wg0", self._shown(kubelet))

    def _shown(self, kubelet: Kubelet) -> str:
        """What the kernel has of links, routes and rules."""
        commands = ("-d link", "route show table all", "rule")
        return "".join(kubelet.node.namespace.run("ip", *words.split()) for words in commands)
