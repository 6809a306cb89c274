"""A cluster on which `kubectl apply -k k8s` was done, and those who ask its API server."""

import atexit
import json
import shutil
import ssl
import tempfile
from functools import cache
from pathlib import Path
from unittest import SkipTest

from lab.eventually import SERVER_BACK, eventually
from lab.kubernetes.binaries import Missing
from lab.kubernetes.control_plane import ControlPlane
from lab.kubernetes.users import User
from overlayd.model.node import ADDRESS_ANNOTATION, KEY_ANNOTATION
from tests.apiserver.client import MERGE_PATCH, NODES, Client, Document, Reply, ServerUnderTest
from tests.manifests import FOLDER

MANIFESTS = FOLDER
NAMESPACE = ACCOUNT = "overlayd"


@cache
def installation() -> "Installation":
    """One for all tests that need it; it ends with the process that runs them.

    :raises SkipTest: Kubernetes' programs are not here.
    """
    try:
        plane = ControlPlane()
    except Missing as missing:
        raise SkipTest(str(missing)) from None
    atexit.register(plane.close)
    plane.start()
    installed = Installation(plane)
    installed.apply()
    installed.wait_until_judged()
    return installed


class Installation:
    """The control plane, the manifests, and who may ask."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.admin = self._client(plane.users.admin)

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """What kubectl prints for the admin.

        :raises AssertionError: it fails; with what it says.
        """
        done = self.plane.users.kubectl(*arguments, given=given)
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def apply(self, folder: Path = MANIFESTS) -> str:
        return self.kubectl("apply", "-k", str(folder))

    def on_top(self, literal: str, manifests: Path = MANIFESTS, image: str = "overlayd") -> Path:
        """A kustomization on top, of a checkout beside it, with one option or another image."""
        folder = Path(tempfile.mkdtemp(dir=self.plane.folder))
        shutil.copytree(MANIFESTS, folder / "k8s")
        own = {
            "resources": [f"k8s/{manifests.relative_to(MANIFESTS)}"],
            "images": [{"name": "overlayd", "newName": image}],
            "configMapGenerator": [
                {
                    "name": "overlayd-config",
                    "namespace": NAMESPACE,
                    "behavior": "merge",
                    "literals": [literal],
                }
            ],
        }
        (folder / "kustomization.yaml").write_text(json.dumps(own))  # JSON is YAML
        return folder

    def daemon(self, node: str) -> Client:
        """Who has the token of a daemon's pod on that node."""
        return self.with_token(self.plane.users.pod_token(NAMESPACE, ACCOUNT, node))

    def with_token(self, token: str) -> Client:
        authority = str(self.plane.authority.certificate)
        tls = ssl.create_default_context(cafile=authority)
        return Client(ServerUnderTest(self.plane.url, {"Authorization": f"Bearer {token}"}, tls))

    def kubelet(self, node: str) -> Client:
        return self._client(self.plane.users.kubelet(node))

    def _client(self, user: User) -> Client:
        tls = ssl.create_default_context(cafile=str(self.plane.authority.certificate))
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
        return Client(ServerUnderTest(self.plane.url, tls=tls))

    def make_node(self, name: str, **annotations: str) -> None:
        """Let there be a Node, and wait until the controller manager gave it its podCIDRs."""
        reply = self.admin.create({"metadata": {"name": name, "annotations": annotations}})
        assert reply.status == 201, reply.body
        self.wait_for_pod_cidrs(name)

    def pod_cidrs(self, node: str) -> list[str]:
        found: list[str] = self.admin.get(node).document["spec"].get("podCIDRs", [])
        return found

    def wait_for_pod_cidrs(self, node: str) -> list[str]:
        return eventually(SERVER_BACK, f"{node} has podCIDRs", lambda: self.pod_cidrs(node))

    def wait_until_judged(self) -> None:
        """Wait until the API server has heard of every policy, binding and parameter."""
        eventually(SERVER_BACK, "a bad key is refused", lambda: self._refuses(KEY_ANNOTATION, "x"))
        self.wait_until_network("100.64.0.0/16")

    def wait_until_network(self, network: str) -> None:
        """Wait until overlay addresses are judged by this network."""
        eventually(
            SERVER_BACK,
            f"an address outside {network} is refused",
            lambda: self._refuses(ADDRESS_ANNOTATION, "192.0.2.1", network),
        )

    def _refuses(self, annotation: str, value: str, saying: str = "") -> bool:
        """Whether no Node could be made with that annotation."""
        document = {"metadata": {"name": "probe", "annotations": {annotation: value}}}
        reply = self.admin.ask("POST", f"{NODES}?dryRun=All", document)
        return reply.status == 422 and saying.encode() in reply.body


def annotate(
    client: Client, node: str, values: Document, part: str = "", dry: bool = False
) -> Reply:
    """Write annotations of a Node as `kubectl annotate` and the daemon do; None takes one off."""
    path = f"{NODES}/{node}{part}{'?dryRun=All' if dry else ''}"
    return client.ask("PATCH", path, {"metadata": {"annotations": values}}, MERGE_PATCH)
