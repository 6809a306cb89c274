"""A whole cluster of the lab: networks, API server, nodes with their daemons, and the capture."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from attrs import frozen

from lab.capture import Capture
from lab.cluster import Cluster
from lab.daemon import Daemon
from lab.development import DevelopmentCluster
from lab.eventually import FORMING, eventually, eventually_none
from lab.namespaces import Namespace
from lab.pinging import pings
from lab.topology import MANAGEMENT, UNDERLAY, Node, Place, Pod, Switch

_AT_ONCE = 9  # pings: those of three nodes, one way


@frozen
class Member:
    """A node of the mesh and the daemon on it."""

    node: Node
    daemon: Daemon

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def pod(self) -> Pod:
        return self.node.pod

    def ready(self) -> bool:
        """Whether its daemon says that it is ready.

        :raises AssertionError: there is none: it has ended.
        """
        if not self.daemon.running:
            raise AssertionError(f"{self.name}'s daemon has ended")
        return self.daemon.ready()

    def run(self, *command: str) -> str:
        """Run a command on the node; what it printed."""
        return self.node.namespace.run(*command)


@frozen
class Path:
    """From a machine to an address of another node."""

    source: Namespace
    name: str
    destination: IPv4Address

    def works(self) -> bool:
        return pings(self.source, self.destination)


class Mesh:
    """A cluster without nodes; they `join`. `close` ends everything.

    `cluster` is the kind of its API server, on the management network. Its daemons, and overlayctl,
    are `executed` as a person does, or forked.
    """

    def __init__(self, cluster: type[Cluster] = DevelopmentCluster, executed: bool = False) -> None:
        self.executed = executed
        self.underlay = Switch("underlay", UNDERLAY)
        self.management = Switch("management", MANAGEMENT)
        self.cluster = cluster(self.management)
        self.capture = Capture(self.underlay.namespace)
        self.members: dict[int, Member] = {}

    def add_machine(
        self,
        number: int,
        *options: str,
        name: str | None = None,
        pod_cidr: IPv4Network | None = None,
    ) -> Member:
        """Wire a node up, without a Node in the cluster and with its daemon not started."""
        node = Node(number, self.underlay, self.management, name, pod_cidr)
        member = Member(node, self.cluster.daemon(node, *options, executed=self.executed))
        self.members[number] = member
        return member

    def join(self, *numbers: int) -> None:
        """Let nodes join, all at once: the Node, its machine, its daemon."""
        for number in numbers:
            pod_cidr = self.cluster.admit(Place.of(number))
            self.add_machine(number, pod_cidr=pod_cidr).daemon.start()

    def remove_machine(self, number: int) -> None:
        """Switch a node off for good. Its Node stays in the cluster."""
        self.members.pop(number).node.close()

    def wait_until_whole(self, limit: float = FORMING) -> None:
        """Wait until every daemon is ready and every path works."""
        for member in self.members.values():
            eventually(limit, f"{member.name} is ready", member.ready)
        eventually_none(limit, "no path is broken", self.broken_paths)

    def broken_paths(self) -> list[str]:
        """Which paths between the members do not work now."""
        pairs = list(combinations(self.members.values(), 2))
        return broken(
            (path for one, other in pairs for path in paths(one, other)),
            (path for one, other in pairs for path in paths(other, one)),
        )

    def close(self) -> None:
        for number in list(self.members):
            self.remove_machine(number)
        self.capture.close()
        self.cluster.close()
        self.underlay.close()
        self.management.close()


def paths(source: Member, destination: Member) -> tuple[Path, Path, Path]:
    """The three ways that traffic takes: pod to pod, node to pod, node to overlay address."""
    here, pod = source.node, destination.pod
    overlay = destination.node.overlay_address
    return (
        Path(here.pod.namespace, f"{here.pod.name} to {pod.name}", pod.address),
        Path(here.namespace, f"{here.name} to {pod.name}", pod.address),
        Path(here.namespace, f"{here.name} to {destination.name}'s overlay address", overlay),
    )


def broken(*ways: Iterable[Path]) -> list[str]:
    """The names of the paths that do not work now: those of one way tried all at the same time.

    Paths and those back are two ways, one after the other: of two handshakes that cross none may
    succeed, and the next comes after 5 s, with wireguard-go even after 15.
    """
    found = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for wanted in map(list, ways):
            works = pool.map(Path.works, wanted)
            found += [path.name for path, up in zip(wanted, works, strict=True) if not up]
    return found
