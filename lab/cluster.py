"""The lab's Kubernetes as a mesh needs it: an API server on the management network, its Nodes."""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Network
from typing import Any

from lab.bare import BareNode
from lab.daemon import Daemon
from lab.eventually import patience
from lab.topology import Node, Place, Switch

JSON = "application/json"
LIMIT = patience(10.0)
"""Seconds for an answer."""

NODES = "/api/v1/nodes"
MERGE_PATCH = "application/merge-patch+json"

Document = dict[str, Any]


class ApiRefused(Exception):
    """The API server answered with an error; its status code and its words."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Cluster(ABC):
    """An API server, which can be killed, hung and started anew, and its Nodes.

    It answers at `url`. Its administrator makes the requests; the daemons are somebody else there.
    """

    url: str

    @abstractmethod
    def __init__(self, management: Switch) -> None: ...

    @abstractmethod
    def start(self, allocate: bool = True) -> None:
        """Start the server, with the Nodes that it had before, and wait until it answers.

        Nodes that have no podCIDRs are given some, unless told not to `allocate`.
        """

    @abstractmethod
    def kill(self) -> None:
        """End it by SIGKILL: connections end, new ones are refused."""

    @abstractmethod
    def hang(self) -> None:
        """Keep it from running, with its connections open."""

    @abstractmethod
    def resume(self) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """End it for good."""

    @abstractmethod
    def connect(self) -> HTTPConnection:
        """A new connection to the server. :raises OSError: there is none to be had."""

    @abstractmethod
    def admit(self, place: Place) -> IPv4Network:
        """Let a Node join that has no machine yet; what it gets for a podCIDR."""

    @abstractmethod
    def daemon(
        self, node: Node, *options: str, inside: Sequence[str] = (), executed: bool = False
    ) -> Daemon:
        """A daemon for a node that is let in, not started; `inside`, `executed` as for `Daemon`."""

    @abstractmethod
    def counters(self) -> Counter[str]:
        """How many requests of each kind there were: streamed_lists, watches, patches, ..."""

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
        self.request("POST", NODES, node)

    def register(self, node: Node) -> None:
        """Create the Node as a kubelet does: without podCIDRs."""
        self.request("POST", NODES, {**node_document(node), "spec": {}})

    def allocate(self, node: Node) -> None:
        """Give a Node its podCIDRs, as the controller manager does."""
        self.patch(node.name, {"spec": node_document(node)["spec"]})

    def delete(self, name: str) -> None:
        self.request("DELETE", f"{NODES}/{name}")

    def get(self, name: str) -> Document:
        return self.request("GET", f"{NODES}/{name}")

    def nodes(self) -> list[Document]:
        items: list[Document] = self.request("GET", NODES)["items"]
        return items

    def patch(self, name: str, document: Document) -> None:
        self.request("PATCH", f"{NODES}/{name}", document, MERGE_PATCH)

    def request(
        self, method: str, path: str, body: Document | None = None, kind: str = JSON
    ) -> Document:
        """One request and its answer's JSON.

        :raises ApiRefused: the answer is an error.
        """
        return exchange(self.connect(), method, path, body, kind)


def exchange(
    connection: HTTPConnection,
    method: str,
    path: str,
    body: Document | None = None,
    kind: str = JSON,
) -> Document:
    """One request over a connection, which is closed then, and its answer's JSON.

    :raises ApiRefused: the answer is an error.
    """
    try:
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


def node_document(node: Node | BareNode | Place) -> Document:
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
