"""The policy for the daemon's token: its own Node, our annotations, nothing else."""

import time
from typing import Any

from lab.eventually import SERVER_BACK, eventually
from overlayd.kube.config.access import find_access
from overlayd.kube.own_node import withdraw_annotations, write_annotations
from overlayd.kube.transport.api import ApiServer
from overlayd.model.keys import PrivateKey
from overlayd.model.node import (
    ADDRESS_ANNOTATION,
    ADDRESSES_ANNOTATION,
    ENDPOINT_ANNOTATION,
    KEY_ANNOTATION,
    POD_CIDRS_ANNOTATION,
)
from tests.apiserver.client import MERGE_PATCH, NODES, Client, Reply
from tests.cluster.admission import AdmissionTestCase
from tests.cluster.installation import ACCOUNT, NAMESPACE, annotate

OURS, OTHERS = "daemon-ours", "daemon-others"
LIMIT = 30.0  # seconds


def metadata(**fields: Any) -> dict[str, Any]:
    return {"metadata": fields}


NOT_OURS: dict[str, dict[str, Any]] = {
    "an annotation of someone else": metadata(annotations={"team": "red"}),
    "a changed annotation": metadata(annotations={"owner": "mallory"}),
    "an annotation that goes": metadata(annotations={"owner": None}),
    "all annotations gone": metadata(annotations=None),
    "one that begins as ours do": metadata(annotations={"overlayd/else": "x"}),
    "ours and another": metadata(annotations={ADDRESS_ANNOTATION: "100.64.0.9", "team": "red"}),
    "a label": metadata(labels={"node-role.kubernetes.io/control-plane": ""}),
    "a changed label": metadata(labels={"zone": "b"}),
    "a label that goes": metadata(labels={"zone": None}),
    "all labels gone": metadata(labels=None),
    "a finalizer": metadata(finalizers=["example.com/stay"]),
    "an owner": metadata(
        ownerReferences=[{"apiVersion": "v1", "kind": "Node", "name": "x", "uid": "y"}]
    ),
    "a generated name": metadata(generateName="x-"),
    "cordon": {"spec": {"unschedulable": True}},
    "a taint": {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}},
    "no taint": {"spec": {"taints": None}},
    "a provider": {"spec": {"providerID": "cloud://x"}},
    "ours and cordon": {
        **metadata(annotations={ADDRESS_ANNOTATION: "100.64.0.9"}),
        "spec": {"unschedulable": True},
    },
}


class DaemonPolicyTests(AdmissionTestCase):
    policies = ("overlayd-daemon",)

    def setUp(self) -> None:
        super().setUp()
        for node in (OURS, OTHERS):
            if self.admin.get(node).status == 404:
                self.cluster.make_node(node, owner="alice")
                change = {
                    **metadata(labels={"zone": "a"}),
                    "spec": {"taints": [{"key": "new", "effect": "NoSchedule"}]},
                }
                self._patch(self.admin, node, change, 200)
        self.daemon = self.cluster.daemon(OURS)

    def test_what_the_daemon_does(self) -> None:
        """It announces itself, changes what it announces, and withdraws it."""
        token = self.cluster.plane.users.pod_token(NAMESPACE, ACCOUNT, OURS)
        path = self.cluster.plane.users.write_kubeconfig("daemon", {"token": token})
        api = ApiServer(find_access(None, str(path), {}))
        [cidr] = self.cluster.pod_cidrs(OURS)
        key = PrivateKey.generate().public()
        values: dict[str, str | None] = {
            KEY_ANNOTATION: str(key),
            ADDRESS_ANNOTATION: "100.64.0.9",
            ADDRESSES_ANNOTATION: None,
            ENDPOINT_ANNOTATION: "192.0.2.9:51820",
            POD_CIDRS_ANNOTATION: cidr,
        }
        for written in (values, {ENDPOINT_ANNOTATION: "[2001:db8::9]:51821"}):
            answer = write_annotations(api, OURS, written)
            self.assertEqual(answer.status, 200, answer.body)
        gone = withdraw_annotations(api, OURS, key, time.monotonic() + LIMIT)
        self.assertEqual(set(gone.names), values.keys() - {ADDRESSES_ANNOTATION}, gone.refusal)

    def test_another_node(self) -> None:
        """Another Node's annotations are not its to write, to change or to take off."""
        self.refused(annotate(self.daemon, OTHERS, {ADDRESS_ANNOTATION: "100.64.0.9"}))
        there = annotate(self.admin, OTHERS, {ADDRESS_ANNOTATION: "100.64.0.7"})
        self.assertEqual(there.status, 200, there.body)
        for value in ("100.64.0.9", None):
            self.refused(annotate(self.daemon, OTHERS, {ADDRESS_ANNOTATION: value}))

    def test_anything_else(self) -> None:
        """Of its own Node it changes our annotations, and nothing else, not even beside them."""
        before = self.admin.get(OURS).document
        for what, change in NOT_OURS.items():
            self.refused(self._patch(self.daemon, OURS, change), what)
        after = self.admin.get(OURS).document
        self.assertEqual(
            after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]
        )

    def test_pod_cidrs(self) -> None:
        """Nor does it give itself podCIDRs, where the Node has none yet."""
        self.cluster.plane.controllers.kill()
        self.addCleanup(self.cluster.plane.controllers.start)
        self.admin.create(metadata(name="daemon-new"))
        change = {"spec": {"podCIDR": "10.244.77.0/24", "podCIDRs": ["10.244.77.0/24"]}}
        self.refused(self._patch(self.cluster.daemon("daemon-new"), "daemon-new", change))
        self._patch(self.admin, "daemon-new", change, 200)  # it could have been

    def test_token_of_no_node(self) -> None:
        """A token that is bound to no pod, such as one from a Secret, may write nothing."""
        token = self.cluster.plane.users.token(NAMESPACE, ACCOUNT)
        unbound = self.cluster.with_token(token)
        self.assertEqual(unbound.get(OURS).status, 200)
        self.refused(annotate(unbound, OURS, {ADDRESS_ANNOTATION: "100.64.0.9"}))

    def test_more_rights_than_ours(self) -> None:
        """The policy holds where somebody gave the account more than the manifests do."""
        self.cluster.kubectl(
            *("create", "clusterrolebinding", "too-much"),
            *("--clusterrole=cluster-admin", f"--serviceaccount={NAMESPACE}:{ACCOUNT}"),
        )
        self.addCleanup(self.cluster.kubectl, "delete", "clusterrolebinding", "too-much")
        pods = "/api/v1/namespaces/default/pods"
        eventually(SERVER_BACK, "it may", lambda: self.daemon.ask("GET", pods).status == 200)
        status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        node = self.admin.get(OURS).document
        node["metadata"]["labels"]["zone"] = "b"
        for reply in (
            self.daemon.ask("PATCH", f"{NODES}/{OURS}/status", status, MERGE_PATCH),
            annotate(self.daemon, OURS, {ADDRESS_ANNOTATION: "100.64.0.9"}, "/status"),
            self.daemon.ask("PUT", f"{NODES}/{OURS}", node),
            self.daemon.create(metadata(name="daemon-made")),
            self.daemon.ask("DELETE", f"{NODES}/{OURS}"),
            self.daemon.ask("DELETE", NODES),
        ):
            self.refused(reply)
        self._patch(self.daemon, OURS, metadata(annotations={ADDRESS_ANNOTATION: None}), 200)

    def test_others_are_not_judged(self) -> None:
        """Whoever is not the daemon changes what he may."""
        for change in ({"spec": {"unschedulable": True}}, {"spec": {"unschedulable": None}}):
            self._patch(self.admin, OURS, change, 200)
        self._patch(self.cluster.kubelet(OURS), OURS, metadata(annotations={"volumes": "x"}), 200)

    def _patch(
        self, client: Client, node: str, change: dict[str, Any], status: int | None = None
    ) -> Reply:
        reply = client.ask("PATCH", f"{NODES}/{node}", change, MERGE_PATCH)
        if status is not None:
            self.assertEqual(reply.status, status, reply.body)
        return reply
