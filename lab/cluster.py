"""The lab's Kubernetes: the development API server on the management network, and its Nodes."""

import json
import signal
import socket
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any

from lab.bare import BareNode
from lab.eventually import eventually, patience
from lab.namespaces import Namespace, Process, end
from lab.topology import POD_PREFIX, PODS, Node, Switch

PORT = 8080
_LIMIT = patience(10.0)  # seconds for an answer
_START_LIMIT = patience(20.0)
_NODES = "/api/v1/nodes"
_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"

Document = dict[str, Any]


class ApiRefused(Exception):
    """The API server answered with an error; its status code and its words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Cluster:
    """The API server, which can be killed, hung and started anew, and its Nodes.

    It answers at `url`, and at every other address of the management network's switch.
    """

    def __init__(self, management: Switch) -> None:
        self._machine: Namespace = management.namespace
        self._address = str(management.gateway)
        self.url = f"http://{self._address}:{PORT}"
        self._state = self._machine.run_folder / "nodes"
        self._process: Process | None = None

    def start(self, allocate: bool = True) -> None:
        """Start the server, with the Nodes that it had before, and wait until it answers.

        It gives podCIDRs to Nodes that have none, unless told not to `allocate`.
        """
        allocating = ("--allocate-pod-cidrs", str(PODS), "--node-mask", str(POD_PREFIX))
        program = (
            *("-m", "overlayd.testing.apiserver", "--testing", "--listen", f"0.0.0.0:{PORT}"),
            *(allocating if allocate else ()),
            *("--state", f"/run/{self._state.name}"),
        )
        with (self._machine.run_folder / "apiserver.log").open("ab") as log:
            self._process = self._machine.start_python(program, log)
        eventually(_START_LIMIT, "the API server answers", self.answers)

    def kill(self) -> None:
        """End it by SIGKILL: connections end, new ones are refused."""
        assert self._process is not None
        end(self._process, signal.SIGKILL)

    def hang(self) -> None:
        """Keep it from running, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def answers(self) -> bool:
        try:
            self.nodes()
        except (OSError, HTTPException):
            return False
        return True

    def create(self, node: Node | BareNode) -> None:
        """Create the Node as a kubelet and the controller manager would."""
        self.create_document(node_document(node))

    def create_document(self, node: Document) -> None:
        """Create a Node from its document, which may lie."""
        self.request("POST", _NODES, node)

    def register(self, node: Node) -> None:
        """Create the Node as a kubelet does: without podCIDRs."""
        self.request("POST", _NODES, {**node_document(node), "spec": {}})

    def allocate(self, node: Node) -> None:
        """Give a Node its podCIDRs, as the controller manager does."""
        self.patch(node.name, {"spec": node_document(node)["spec"]})

    def delete(self, name: str) -> None:
        self.request("DELETE", f"{_NODES}/{name}")

    def get(self, name: str) -> Document:
        return self.request("GET", f"{_NODES}/{name}")

    def nodes(self) -> list[Document]:
        items: list[Document] = self.request("GET", _NODES)["items"]
        return items

    def patch(self, name: str, document: Document) -> None:
        self.request("PATCH", f"{_NODES}/{name}", document, _MERGE_PATCH)

    def backup(self) -> bytes:
        """The server's data as it is now."""
        return self._state.read_bytes()

    def restore(self, backup: bytes) -> None:
        """Give a server that was killed the data of a backup: its versions go backwards."""
        self._state.write_bytes(backup)

    def replace(self, nodes: Sequence[Document], version: int) -> None:
        """Let it hold exactly these Nodes, at a version, with no history before it.

        With a version above what was seen, a watch that goes on from there is answered with 410;
        below, it is another store.
        """
        self.request("POST", "/testing/replace-history", {"version": version, "nodes": list(nodes)})

    def reset_watches(self) -> None:
        """Reset the connection of every watch."""
        self.fault("reset-watches")

    def fault(self, name: str, **arguments: Any) -> None:
        """Cause a fault that the server has built in (`overlayd.testing.apiserver.controls`)."""
        self.request("POST", f"/testing/{name}", arguments)

    def state(self) -> Document:
        """What the server says of itself: version, nodes, open_watches."""
        return self.request("GET", "/testing/state")

    def counters(self) -> Counter[str]:
        """How many requests of each kind there were: streamed_lists, watches, patches, ..."""
        return Counter(self.request("GET", "/testing/counters")["total"])

    def request(
        self, method: str, path: str, body: Document | None = None, kind: str = _JSON
    ) -> Document:
        """One request and its answer's JSON.

        :raises ApiRefused: the answer is an error.
        """
        connection = HTTPConnection(self._address, PORT)
        connection.sock = self._machine.socket(socket.SOCK_STREAM)
        try:
            connection.sock.settimeout(_LIMIT)
            connection.sock.connect((self._address, PORT))
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise ApiRefused(answer.status, f"{method} {path}: {answer.status} {content.decode()}")
        document: Document = json.loads(content or b"{}")
        return document


def node_document(node: Node | BareNode) -> Document:
    """The Node object: its InternalIP is on the underlay, its podCIDR known."""
    annotations = node.annotations if isinstance(node, BareNode) else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": {"kubernetes.io/hostname": node.name},
            "annotations": annotations,
        },
        "spec": {"podCIDR": str(node.pod_cidr), "podCIDRs": [str(node.pod_cidr)]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": str(node.address)},
                {"type": "Hostname", "address": node.name},
            ]
        },
    }
