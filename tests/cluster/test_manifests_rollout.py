"""What the real DaemonSet controller makes of the manifests. No kubelet: the tests are it."""

import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from lab.eventually import SERVER_BACK, eventually
from lab.kubernetes.component import Component, free_ports, start_here
from tests.apiserver.client import MERGE_PATCH, NODES
from tests.cluster.installation import MANIFESTS, NAMESPACE, Installation, installation

NODE_COUNT = 20
A_TENTH = 2
WHILE = 5.0  # seconds in which nothing more may happen

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
LABEL = "app.kubernetes.io/name"
TAINTS = (
    *("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"),
    *("node.kubernetes.io/network-unavailable", "node.cilium.io/agent-not-ready"),
    *("node.cloudprovider.kubernetes.io/uninitialized", "node-role.kubernetes.io/control-plane"),
    *("node.kubernetes.io/memory-pressure", "example.com/dedicated"),
)

Pod = dict[str, Any]


class RolloutTests(SynchronousTestCase):
    """Twenty nodes, one of them with every taint there is."""

    def setUp(self) -> None:
        self.cluster = installation()
        self.addCleanup(self._put_back)
        for number in range(NODE_COUNT):
            labels = {"kubernetes.io/os": "linux"}
            node = {
                "metadata": {"name": f"rollout-{number}", "labels": labels},
                "spec": {"taints": tainted() if number == 0 else []},
            }
            self.assertEqual(self.cluster.admin.create(node).status, 201)
        self.controller = controller(self.cluster)
        self.controller.start()
        self.addCleanup(self.controller.kill)

    def _put_back(self) -> None:
        self.cluster.apply()
        for number in range(NODE_COUNT):
            self.cluster.admin.ask("DELETE", f"{NODES}/rollout-{number}")
        self.cluster.admin.ask("DELETE", PODS, query={"gracePeriodSeconds": "0"})

    def test_every_node(self) -> None:
        """Each node gets its pod, whatever taints it has."""
        pods = self._whole("overlayd")
        self.assertEqual({node_of(pod) for pod in pods}, names())

    def test_mistake_ends_after_a_tenth(self) -> None:
        """Options with which no daemon becomes ready reach a tenth of the nodes, and no more."""
        before = self._all_ready("overlayd")
        self.cluster.apply(self._with("OVERLAYD_POD_CIDR=10.1.0.0/16"))
        self._until("a tenth is new", lambda: self._new(before) == A_TENTH)
        until = time.monotonic() + WHILE
        while time.monotonic() < until:
            self.assertLessEqual(self._new(before), A_TENTH)
        self.cluster.apply()
        self._until("all is as before", lambda: self._new(before) <= A_TENTH)
        self._roll("overlayd", lambda: self._generations("overlayd") == {generation(before[0])})

    def test_teardown(self) -> None:
        """It takes the place of every daemon at once; both are never on one node."""
        before = self._all_ready("overlayd")
        self.cluster.apply(MANIFESTS / "teardown")
        self._until("all are new", lambda: self._new(before) == NODE_COUNT)
        pods = self._whole("overlayd")
        self.assertEqual(max(Counter(map(node_of, pods)).values()), 1)
        commands = {tuple(pod["spec"]["initContainers"][0]["command"]) for pod in pods}
        self.assertEqual(commands, {("overlayctl", "teardown", "--offline")})

    def test_wireguard_go(self) -> None:
        """Another version of all of it rolls the daemons out, and ends no tunnel."""
        self.addCleanup(
            self.cluster.kubectl, "-n", NAMESPACE, "delete", "daemonset", "overlayd-wireguard-go"
        )
        self.cluster.apply(MANIFESTS / "wireguard-go")
        tunnels = self._all_ready("overlayd-wireguard-go")
        self._roll("overlayd", lambda: len(self._generations("overlayd")) == 1)
        before = self._all_ready("overlayd")
        self.cluster.apply(self._with("OVERLAYD_MTU=1300", "wireguard-go"))
        self._roll("overlayd", lambda: self._new(before) == NODE_COUNT)
        kept = {uid(pod) for pod in self._pods("overlayd-wireguard-go")}
        self.assertEqual(kept, {uid(pod) for pod in tunnels})

    # --- what is there -----------------------------------------------------------------------

    def _pods(self, name: str) -> list[Pod]:
        reply = self.cluster.admin.ask("GET", PODS, query={"labelSelector": f"{LABEL}={name}"})
        pods: list[Pod] = reply.document["items"]
        return [pod for pod in pods if node_of(pod) in names()]

    def _whole(self, name: str) -> list[Pod]:
        """The pods of a DaemonSet, once there is one for each node."""
        return eventually(
            SERVER_BACK,
            f"{name} has a pod for each node",
            lambda: pods if len(pods := self._pods(name)) == NODE_COUNT else [],
        )

    def _new(self, before: Collection[Pod]) -> int:
        """How many pods of the daemon there are that were not there before."""
        old = {uid(pod) for pod in before}
        return sum(uid(pod) not in old for pod in self._pods("overlayd"))

    def _generations(self, name: str) -> set[str]:
        return {generation(pod) for pod in self._pods(name)}

    # --- what a kubelet does ------------------------------------------------------------------

    def _all_ready(self, name: str) -> list[Pod]:
        pods = self._whole(name)
        for pod in pods:
            self._make_ready(pod)
        return pods

    def _make_ready(self, pod: Pod) -> None:
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        path = f"{PODS}/{pod['metadata']['name']}/status"
        self.cluster.admin.ask("PATCH", path, {"status": status}, MERGE_PATCH)

    def _roll(self, name: str, done: Callable[[], bool]) -> None:
        """Let every pod become ready as it comes, until it is done."""

        def step() -> bool:
            for pod in self._pods(name):
                if not pod["status"].get("conditions"):
                    self._make_ready(pod)
            return done()

        self._until(f"{name} is rolled out", step)

    def _until(self, what: str, probe: Callable[[], bool]) -> None:
        eventually(SERVER_BACK, what, probe)

    def _with(self, literal: str, variant: str = "") -> Path:
        """A kustomization on top that changes one option."""
        return self.cluster.on_top(literal, MANIFESTS / variant)


def controller(cluster: Installation) -> Component:
    """The DaemonSet controller, which the lab's control plane does without."""
    plane = cluster.plane
    [port] = free_ports(1)
    command = [
        str(plane.programs.controller_manager),
        f"--kubeconfig={plane.folder / 'controllers.kubeconfig'}",
        *(f"--bind-address={plane.address}", f"--secure-port={port}"),
        f"--cert-dir={plane.folder / 'rollouts'}",
        *("--leader-elect=false", "--use-service-account-credentials"),
        "--controllers=daemonset-controller",
    ]
    return Component(start_here, command, plane.folder / "rollouts.log", lambda: True)


def tainted() -> list[dict[str, str]]:
    effects = ("NoSchedule", "NoExecute")
    return [{"key": key, "effect": effect} for key in TAINTS for effect in effects]


def names() -> set[str]:
    return {f"rollout-{number}" for number in range(NODE_COUNT)}


def node_of(pod: Pod) -> str:
    """Where it is to be; the scheduler, which is not here, would do nothing else."""
    affinity = pod["spec"]["affinity"]["nodeAffinity"]
    [term] = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    [field] = term["matchFields"]
    [name] = field["values"]
    return str(name)


def uid(pod: Pod) -> str:
    return str(pod["metadata"]["uid"])


def generation(pod: Pod) -> str:
    """Which template of its DaemonSet it was made of."""
    return str(pod["metadata"]["labels"]["controller-revision-hash"])
