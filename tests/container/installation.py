"""What the tests of containers stand on: a mesh whose daemons are pods of the manifests."""

from twisted.trial.unittest import SynchronousTestCase

from lab import private
from lab.container import cgroups, needs
from lab.container.kubelet import Kubelet
from lab.container.manifests import MANIFESTS, Document, Rendered, render
from lab.eventually import CLUSTER, FORMING, eventually, eventually_none
from lab.image import Image, NotBuilt, built
from lab.mesh import Mesh

DAEMON = "overlayd"
TUNNEL = "overlayd-wireguard-go"


def lacks() -> str | None:
    """What keeps these tests from running, in one line."""
    try:
        built()
    except NotBuilt as error:
        return str(error)
    return needs.lacks() or private.missing()


class Installation(SynchronousTestCase):
    """Nodes on which nothing runs yet, and the image. `folder` of k8s/ is what is installed."""

    skip = lacks()
    folder = "wireguard-go"

    def setUp(self) -> None:
        cgroups.provide()
        self.image: Image = built()
        self.wanted: Rendered = render(MANIFESTS / self.folder)
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)
        self.mesh.cluster.start()

    def add(self, *numbers: int) -> tuple[Kubelet, ...]:
        """Nodes of a cluster, which pass packets on as Kubernetes demands it of its nodes."""
        kubelets = []
        for number in numbers:
            node = self.mesh.add_machine(number).node
            self.mesh.cluster.create(node)
            node.forward()
            kubelets.append(Kubelet(node, {"OVERLAYD_SERVER": self.mesh.cluster.url}))
            self.addCleanup(kubelets[-1].close)
        return tuple(kubelets)

    def install(self, *numbers: int) -> tuple[Kubelet, ...]:
        """Nodes with all pods of the manifests, and a mesh that is whole."""
        kubelets = self.add(*numbers)
        for kubelet in kubelets:
            kubelet.run(self.wanted, self.image)
        for kubelet in kubelets:
            self.wait_until_ready(kubelet)
        self.wait_until_whole()
        return kubelets

    def securities(self, name: str) -> Document:
        """The security context of a DaemonSet's container."""
        (container,) = self.wanted.daemon_sets[name]["spec"]["template"]["spec"]["containers"]
        context: Document = container["securityContext"]
        return context

    def wait_until_ready(self, kubelet: Kubelet) -> None:
        daemon = kubelet.pods[DAEMON]
        try:
            eventually(FORMING, "it is ready", lambda: daemon.probe("readinessProbe"))
        except AssertionError as error:
            logs = (line for pod in kubelet.pods.values() for line in pod.log().splitlines()[-20:])
            raise AssertionError("\n".join((str(error), *logs))) from error

    def wait_until_whole(self) -> None:
        eventually_none(CLUSTER, "no path is broken", self.mesh.broken_paths)
