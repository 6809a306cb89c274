"""The kubelet of one node: the pods of the DaemonSets, one of each, and how they are replaced."""

from collections.abc import Mapping

from lab.container.manifests import Rendered
from lab.container.pod import Pod
from lab.image import Image
from lab.topology import Node


class Kubelet:
    """Runs pods on a node until it is closed. `given` are variables that no manifest has."""

    def __init__(self, node: Node, given: Mapping[str, str]) -> None:
        self.node = node
        self._given = given
        self.pods: dict[str, Pod] = {}

    def run(self, wanted: Rendered, image: Image) -> None:
        """Start a pod of each DaemonSet."""
        for name in wanted.daemon_sets:
            self.start(name, wanted, image)

    def start(self, name: str, wanted: Rendered, image: Image) -> Pod:
        """Start the pod of one DaemonSet, once the one before it has ended."""
        self.stop(name)
        daemon_set = wanted.daemon_sets[name]
        self.pods[name] = Pod(self.node, daemon_set, image, wanted.options, self._given)
        return self.pods[name]

    def stop(self, name: str) -> None:
        """Delete a pod, if it is there, and wait until it has ended."""
        if name in self.pods:
            self.pods.pop(name).delete()

    def update(self, wanted: Rendered, image: Image) -> None:
        """Replace the pods that a rollout replaces: not those of a DaemonSet that says OnDelete."""
        for name, daemon_set in wanted.daemon_sets.items():
            if daemon_set["spec"]["updateStrategy"]["type"] == "RollingUpdate":
                self.start(name, wanted, image)

    def close(self) -> None:
        for name in list(self.pods):
            self.stop(name)
