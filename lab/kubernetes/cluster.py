"""Kubernetes' own control plane under a mesh: where it is, and who the daemons are there."""

import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import IPv4Network
from urllib.parse import parse_qs

from lab.cluster import LIMIT, MERGE_PATCH, NODES, Cluster, exchange, node_document
from lab.daemon import Daemon
from lab.eventually import eventually
from lab.kubernetes.accounts import Accounts
from lab.kubernetes.audit import Asked
from lab.kubernetes.control_plane import ControlPlane
from lab.kubernetes.projected import ProjectedVolume
from lab.kubernetes.users import User
from lab.topology import UNDERLAY, Node, Place, Switch

_SECRETS = "secrets/kubernetes.io/serviceaccount"
"""Below /run, which every Debian also calls /var/run."""

_ALLOCATED = 90.0
"""Seconds: after the API server was away the controller manager asks again when a pause is over
that has grown with each failure, to a minute at the most (client-go's reflectors)."""


class KubernetesCluster(Cluster):
    """A control plane beside the management network, to which this process is plugged.

    A daemon finds the server and who it is there as in a pod: by its environment, and by a folder
    with a token that is bound to its pod. `plane` is for what only its parts can do.
    """

    def __init__(self, management: Switch) -> None:
        self._management = management
        management.plug_in_lab()
        self.plane = ControlPlane(str(management.network[2]))
        self.url = self.plane.url
        self.accounts = Accounts(self)
        self._volumes: dict[str, ProjectedVolume] = {}
        self._kubelets: dict[str, User] = {}

    def start(self, allocate: bool = True) -> None:
        if self.plane.etcd.running:
            self.plane.apiserver.start()
            return
        self.plane.start(controllers=allocate)
        self.accounts.install()

    def kill(self) -> None:
        self.plane.apiserver.kill()

    def hang(self) -> None:
        self.plane.apiserver.hang()

    def resume(self) -> None:
        self.plane.apiserver.resume()

    def close(self) -> None:
        self.plane.close()

    def replace_store(self) -> None:
        """Let everything be gone but the daemons' account, which is another one now."""
        self.plane.restore(None)
        self.accounts.install()

    def connect(self) -> HTTPConnection:
        return self.connect_as(self.plane.users.admin)

    def connect_as(self, user: User) -> HTTPConnection:
        """A new connection of somebody with a client certificate."""
        tls = ssl.create_default_context(cafile=self.plane.authority.certificate)
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
        return HTTPSConnection(self.plane.address, self.plane.port, context=tls, timeout=LIMIT)

    # --- nodes -------------------------------------------------------------------------------

    def admit(self, place: Place) -> IPv4Network:
        """Register the Node with its kubelet's credentials; the controller manager's podCIDR."""
        kubelet = self._kubelets[place.name] = self.plane.users.kubelet(place.name)
        exchange(self.connect_as(kubelet), "POST", NODES, {**node_document(place), "spec": {}})
        said = eventually(_ALLOCATED, "it has a podCIDR", lambda: self._cidr(place.name))
        return IPv4Network(said)

    def beat(self, name: str) -> None:
        """Write the status of a Node as its kubelet does every few minutes, or when it changes."""
        now = datetime.now(UTC).isoformat()
        condition = {"type": "Ready", "status": "True", "message": f"well at {now}"}
        exchange(
            self.connect_as(self._kubelets[name]),
            *("PATCH", f"{NODES}/{name}/status"),
            {"status": {"conditions": [condition]}},
            "application/strategic-merge-patch+json",
        )

    def daemon(
        self, node: Node, *options: str, inside: Sequence[str] = (), executed: bool = False
    ) -> Daemon:
        """Always executed: where its server is stands in its environment, as in a pod's."""
        folder = node.namespace.run_folder / _SECRETS
        if not folder.exists():  # else it is a second daemon on the same machine
            self._volumes[node.name] = ProjectedVolume(folder)
        self.mount(node.name)
        pod = (
            f"KUBERNETES_SERVICE_HOST={self.plane.address}",
            f"KUBERNETES_SERVICE_PORT={self.plane.port}",
        )
        return Daemon(node, None, *options, inside=("env", *pod, *inside))

    def mount(self, name: str, token: str | None = None) -> None:
        """Give a node's pod a new token, and the CA as it is now, as a kubelet does."""
        files = {
            "token": (token or self.accounts.token(name)).encode(),
            "ca.crt": self.plane.authority.certificate.read_bytes(),
            "namespace": b"overlayd",
        }
        self._volumes[name].write(files)

    def answer_to(self, token: str, method: str, path: str) -> int:
        """The status of the answer to a request with a token, which changes nothing."""
        tls = ssl.create_default_context(cafile=self.plane.authority.certificate)
        address, port = self.plane.address, self.plane.port
        connection = HTTPSConnection(address, port, context=tls, timeout=LIMIT)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": MERGE_PATCH}
        body = "{}" if method == "PATCH" else None
        try:
            connection.request(method, f"{path}?dryRun=All&limit=1", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _cidr(self, name: str) -> str:
        cidr: str = self.get(name)["spec"].get("podCIDR", "")
        return cidr

    # --- what was asked ----------------------------------------------------------------------

    def asked(self, mark: int = 0) -> list[Asked]:
        """What the daemons have asked for after a mark of the audit log."""
        return [a for a in self.plane.audit.since(mark) if a.agent.startswith("overlayd/")]

    def counters(self) -> Counter[str]:
        return Counter(map(counted_as, self.asked()))

    # --- what lies between -------------------------------------------------------------------

    def reset(self, *nodes: Node) -> None:
        """Reset every connection from these nodes: both ends see it at once."""
        for node in nodes:
            subprocess.run(
                ["ss", "--kill", "--tcp", "dst", str(self._address_of(node))],
                check=True,
                capture_output=True,
            )

    @contextmanager
    def black_hole(self, *nodes: Node) -> Iterator[None]:
        """Nothing gets from the server to these nodes, and nobody is told."""
        rules = [("to", str(self._address_of(node)), "blackhole") for node in nodes]
        for rule in rules:
            subprocess.run(["ip", "rule", "add", *rule], check=True)
        try:
            yield
        finally:
            for rule in rules:
                subprocess.run(["ip", "rule", "del", *rule], check=True)

    def _address_of(self, node: Node) -> str:
        return str(self._management.network[int(node.address) - int(UNDERLAY[0])])


def counted_as(asked: Asked) -> str:
    """What a request is called, in the words of the development server's counters."""
    query = parse_qs(asked.query)
    if asked.verb == "watch":
        return "streamed_lists" if "sendInitialEvents" in query else "watches"
    if asked.verb != "list":
        return {"patch": "patches"}.get(asked.verb, f"{asked.verb}s")
    if "continue" in query:
        return "list_pages"
    return "single_lists" if query.get("limit") == ["1"] else "full_lists"
