"""The API server's side: what kubelets and other daemons write, and what is read of it."""

import base64
import contextlib
import http.client
import json
import os
import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.underlay import ADDRESS, NAME
from overlayd import __version__
from overlayd.testing.apiserver.process import ServerProcess
from overlayd.testing.apiserver.realistic import realistic_nodes

NODES = "/api/v1/nodes"
_AGENT = f"overlayd/{__version__}"
_RECEIVED = re.compile(r"bytes_received:(\d+)")
_MERGE_PATCH = "application/merge-patch+json"

Document = dict[str, Any]


class Cluster:
    """The Nodes as others write them, and a look at what the daemon asks for."""

    def __init__(self, server: ServerProcess, nodes: int, node_size: int) -> None:
        self.url = server.url
        self.nodes = nodes
        self._server = server
        self._node_size = node_size
        self._place = urlsplit(server.url)

    def get(self, path: str) -> bytes:
        return self._request("GET", path)

    def create_own_node(self) -> None:
        self._request("POST", NODES, self._node(NAME, ADDRESS, "10.255.255.0/24", {}))

    def create(self, number: int) -> tuple[str, float]:
        """Create a Node that joins the mesh; its name, and when the server had answered."""
        high, low = divmod(number, 200)
        address = f"172.30.{100 + high}.{low + 1}"
        annotations = {
            "wireguard-publickey": base64.b64encode(os.urandom(32)).decode(),
            "wireguard-ip": address.replace("172.30", "100.64"),
        }
        name = f"newcomer-{number}"
        node = self._node(name, address, f"10.254.{number}.0/24", annotations)
        self._request("POST", NODES, node)
        return name, time.monotonic()

    def delete(self, name: str) -> float:
        """Delete a Node; when the server had answered."""
        self._request("DELETE", f"{NODES}/{name}")
        return time.monotonic()

    def heartbeat(self, number: int) -> None:
        """Let the kubelet of one of the Nodes report, by number, that nothing has changed."""
        name = f"node-{number % self.nodes:05d}"
        beat = datetime.fromtimestamp(number, UTC).isoformat()
        (node,) = realistic_nodes(1, 0)
        conditions = [{**each, "lastHeartbeatTime": beat} for each in node["status"]["conditions"]]
        self._request("PATCH", f"{NODES}/{name}/status", {"status": {"conditions": conditions}})

    def requests_of_daemons(self) -> int:
        """How many requests overlayd has made so far."""
        return sum(self._server.counters(_AGENT).values())

    def _node(self, name: str, address: str, pods: str, annotations: Document) -> Document:
        """One as large as the others."""
        (node,) = realistic_nodes(1, self._node_size)
        strangers = {
            key: value
            for key, value in node["metadata"]["annotations"].items()
            if not key.startswith("wireguard-")
        }
        return {
            "metadata": {**node["metadata"], "name": name, "annotations": strangers | annotations},
            "spec": {"podCIDRs": [pods]},
            "status": {
                **node["status"],
                "addresses": [{"type": "InternalIP", "address": address}],
            },
        }

    def _request(self, method: str, path: str, body: Document | None = None) -> bytes:
        kind = _MERGE_PATCH if method == "PATCH" else "application/json"
        text = None if body is None else json.dumps(body)
        # Each on a connection of its own: the server ends one that was idle for a minute.
        connection = http.client.HTTPConnection(self._place.hostname or "", self._place.port)
        with contextlib.closing(connection):
            connection.request(method, path, text, {"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content.decode()}")
        return content


def bytes_on_loopback() -> int:
    """All that went over the loopback link so far, headers included."""
    links = Path("/proc/net/dev").read_text().splitlines()
    (received,) = (line.split()[1] for line in links if line.split()[0] == "lo:")
    return int(received)


def bytes_received(pid: int) -> int:
    """What a process has received over the TCP connections that it has now."""
    done = subprocess.run(["ss", "-tinpOH"], check=True, capture_output=True, text=True)
    ours = (line for line in done.stdout.splitlines() if f"pid={pid}," in line)
    return sum(int(number) for line in ours for number in _RECEIVED.findall(line))
