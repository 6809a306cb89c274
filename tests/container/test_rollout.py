"""A rolling update of the daemon while pods talk: none of their packets is lost."""

from itertools import combinations

from lab.container.kubelet import Kubelet
from lab.container.manifests import retagged
from lab.flow import Flow
from tests.container.installation import DAEMON, Installation

RATE = 200
"""Packets a second, each way."""


class RolloutTests(Installation):
    nodes: tuple[int, ...] = (1, 2, 3)

    def test_loses_nothing(self) -> None:
        """One node after the other gets another image, as the DaemonSet controller does it."""
        kubelets = self.install(*self.nodes)
        tunnels = {kubelet: self._tunnel(kubelet) for kubelet in kubelets}
        newer = retagged(self.wanted, "0.1.1")
        before = self.mesh.capture.counts()
        pairs = combinations([kubelet.node.pod for kubelet in kubelets], 2)
        flows = [Flow(one, other, RATE) for one, other in pairs]
        for flow in flows:
            self.addCleanup(flow.close)
            flow.carry()
        for kubelet in kubelets:
            kubelet.update(newer, self.image)
            self.wait_until_ready(kubelet)
        for flow in flows:
            flow.carry()
        for flow in flows:
            there, back = flow.finish()
            self.assertEqual((there.lost, back.lost), ((), ()))
        after = self.mesh.capture.counts()
        self.assertEqual(after.plaintext - before.plaintext, 0, str(after.samples))
        self.assertEqual(after.missed, 0)
        for kubelet in kubelets:
            self.assertEqual(kubelet.pods[DAEMON].image, "overlayd:0.1.1")
            self.assertEqual(kubelet.pods[DAEMON].restarts, 0)
            self.assertEqual(self._tunnel(kubelet), tunnels[kubelet], "the tunnel stays")

    def _tunnel(self, kubelet: Kubelet) -> tuple[int, ...]:
        """The processes of the node's tunnel."""
        return tuple(kubelet.node.namespace.running("wireguard-go"))
