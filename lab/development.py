"""The lab's own API server, for development: on the management network, with faults built in."""

import signal
import socket
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection
from ipaddress import IPv4Network
from typing import Any

from lab.cluster import LIMIT, Cluster, Document, node_document
from lab.daemon import Daemon
from lab.eventually import eventually, patience
from lab.namespaces import Namespace, Process, end
from lab.topology import POD_PREFIX, PODS, Node, Place, Switch

PORT = 8080
_START_LIMIT = patience(20.0)


class DevelopmentCluster(Cluster):
    """The development API server, on the management network's switch, and its Nodes.

    It answers at `url`, and at every other address of the switch. Everyone may do everything.
    """

    def __init__(self, management: Switch) -> None:
        self._machine: Namespace = management.namespace
        self._address = str(management.gateway)
        self.url = f"http://{self._address}:{PORT}"
        self._state = self._machine.run_folder / "nodes"
        self._process: Process | None = None

    def start(self, allocate: bool = True) -> None:
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
        assert self._process is not None
        end(self._process, signal.SIGKILL)

    def hang(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """It ends with the switch."""

    def connect(self) -> HTTPConnection:
        connection = HTTPConnection(self._address, PORT)
        connection.sock = self._machine.socket(socket.SOCK_STREAM)
        connection.sock.settimeout(LIMIT)
        connection.sock.connect((self._address, PORT))
        return connection

    def admit(self, place: Place) -> IPv4Network:
        self.create_document(node_document(place))
        return place.pod_cidr

    def daemon(
        self, node: Node, *options: str, inside: Sequence[str] = (), executed: bool = False
    ) -> Daemon:
        return Daemon(node, self.url, *options, inside=inside, executed=executed)

    def counters(self) -> Counter[str]:
        return Counter(self.request("GET", "/testing/counters")["total"])

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
