"""What is in k8s/ is rendered, accepted, and gives the daemon the rights it needs and no more."""

import json

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.node import ADDRESS_ANNOTATION
from tests.cluster.installation import ACCOUNT, MANIFESTS, NAMESPACE, annotate, installation
from tests.manifests import RENDERED

INSTALLED = (MANIFESTS, MANIFESTS / "wireguard-go", MANIFESTS / "teardown", MANIFESTS / "check")

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
MAY = ("get nodes", "list nodes", "watch nodes", "patch nodes")
MAY_NOT = (
    *("create nodes", "update nodes", "delete nodes", "deletecollection nodes"),
    *("patch nodes/status", "update nodes/status", "get nodes/proxy", "create nodes/proxy"),
    *("get pods", "list pods", "create pods", "create pods/exec", "create pods/eviction"),
    *("get secrets", "list secrets", "get configmaps", "list services", "get namespaces"),
    *("create events", "patch events", "create serviceaccounts/token", "impersonate users"),
    *("get coordination.k8s.io:leases", "patch apps:daemonsets", "create apps:deployments"),
    *("patch admissionregistration.k8s.io:validatingadmissionpolicies", "* *:*"),
    "bind rbac.authorization.k8s.io:clusterroles",
)
"""VERB [GROUP:]RESOURCE[/PART], of its own namespace where there are namespaces."""


class ManifestsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = installation()

    def test_rendered(self) -> None:
        """The rendered file is what `kubectl kustomize k8s` prints."""
        self.assertEqual(self.cluster.kubectl("kustomize", str(MANIFESTS)), RENDERED.read_text())

    def test_dry_run(self) -> None:
        """The API server takes all of it, without a word about a field that it does not know."""
        for folder in INSTALLED:
            for arguments in (
                ("--dry-run=server", "--validate=strict"),
                ("--dry-run=server", "--server-side", "--force-conflicts"),
            ):
                done = self.cluster.plane.users.kubectl("apply", "-k", str(folder), *arguments)
                self.assertEqual(done.returncode, 0, f"{folder}: {done.stderr}")
                lines = done.stderr.splitlines()
                # Of one who applies by both ways, which is said once for each object.
                said = [line for line in lines if "last-applied-configuration" not in line]
                self.assertEqual(said, [], folder)

    def test_applied_again(self) -> None:
        """Applying what is applied changes nothing, whichever way it is given."""
        self.addCleanup(self.cluster.apply)
        for what in (("-k", str(MANIFESTS)), ("-f", str(RENDERED))):
            self.cluster.kubectl("apply", *what)
            said = self.cluster.kubectl("apply", *what).splitlines()
            self.assertEqual([line for line in said if not line.endswith(" unchanged")], [])

    def test_networks_of_ones_own(self) -> None:
        """A kustomization on top changes the one place, and daemon and policy follow."""
        folder = self.cluster.on_top(
            "OVERLAYD_OVERLAY_CIDR=100.99.0.0/16", image="registry.example/overlayd"
        )
        self.addCleanup(self.cluster.wait_until_judged)
        self.addCleanup(self.cluster.apply)
        if self.cluster.admin.get("own").status == 404:
            self.cluster.make_node("own")
        self.cluster.apply(folder)
        self.cluster.wait_until_network("100.99.0.0/16")
        for address, status in (("100.99.0.1", 200), ("100.64.0.1", 422)):
            reply = annotate(self.cluster.admin, "own", {ADDRESS_ANNOTATION: address}, dry=True)
            self.assertEqual(reply.status, status, reply.body)
        pod = ("get", "daemonset", "overlayd", "-o", "jsonpath={..image} {..configMapRef.name}")
        image, name = self.cluster.kubectl("-n", NAMESPACE, *pod).split()
        self.assertTrue(image.startswith("registry.example/overlayd:"), image)
        data = self.cluster.kubectl(
            *("-n", NAMESPACE, "get", "configmap", name, "-o", "jsonpath={.data}")
        )
        self.assertEqual(json.loads(data)["OVERLAYD_OVERLAY_CIDR"], "100.99.0.0/16")

    def test_rights(self) -> None:
        """The daemon's account may do what the daemon does, and nothing else."""
        for allowed, table in ((True, MAY), (False, MAY_NOT)):
            for line in table:
                self.assertEqual(self._may(line), allowed, line)

    def _may(self, line: str) -> bool:
        verb, _, what = line.partition(" ")
        group, _, resource = what.rpartition(":")
        resource, _, part = resource.partition("/")
        about = {"namespace": NAMESPACE, "verb": verb, "group": group, "subresource": part}
        spec = {
            "user": f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": {**about, "resource": resource},
        }
        reply = self.cluster.admin.ask("POST", REVIEWS, {"spec": spec})
        self.assertEqual(reply.status, 201, reply.body)
        return bool(reply.document["status"]["allowed"])

    def test_reading(self) -> None:
        """With the token of its pod it lists and follows the Nodes."""
        if self.cluster.admin.get("rights").status == 404:
            self.cluster.make_node("rights")
        daemon = self.cluster.daemon("rights")
        listed = daemon.list()
        self.assertEqual(listed.status, 200, listed.body)
        followed = daemon.list(watch="true", timeoutSeconds="1", resourceVersion=listed.version)
        self.assertEqual(followed.status, 200, followed.body)
