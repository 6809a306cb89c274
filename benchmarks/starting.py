"""From the start of the process to all peers in the device, with a new device each time."""

from attrs import frozen

from benchmarks import wireguard
from benchmarks.cluster import Cluster, bytes_on_loopback
from benchmarks.daemon import LINK, Daemon
from benchmarks.figures import Figure, median
from benchmarks.parts import Parts

RUNS = 3


@frozen
class Start:
    """Seconds since the process started, and what it had cost once it was ready."""

    loaded: float
    ready: float
    cpu: float
    memory: float
    received: int


def start(cluster: Cluster) -> tuple[Daemon, Start]:
    """Start the daemon where there is no device yet, and wait until it is ready."""
    before = bytes_on_loopback()
    daemon = Daemon(cluster.url)
    loaded = daemon.logged(": add peer ")
    found = wireguard.peer_count(LINK)
    if found != cluster.nodes:
        raise RuntimeError(f"{found} peers are in the device, not {cluster.nodes}")
    ready = daemon.logged(": state converged")
    memory, cpu = daemon.memory("VmRSS"), daemon.cpu()
    received = bytes_on_loopback() - before
    return daemon, Start(loaded - daemon.began, ready - daemon.began, cpu, memory, received)


def start_often(cluster: Cluster) -> tuple[Daemon, list[Start]]:
    """Start it on a new device, several times; the last one runs on."""
    starts = []
    while True:
        daemon, started = start(cluster)
        starts.append(started)
        if len(starts) == RUNS:
            return daemon, starts
        daemon.stop()
        wireguard.end(LINK)


def figures(starts: list[Start], parts: Parts) -> list[Figure]:
    alone = parts.imports.wall + parts.listing + parts.loading
    return [
        Figure(
            "process start to all peers in the device",
            median([start.loaded for start in starts]),
            "s",
            alone,
            "imports, list and peers, one after the other",
            budget=1.75,
            elsewhere="3.5 s",
        ),
        Figure("- to ready", median([start.ready for start in starts]), "s"),
        Figure(
            "- processor time until ready",
            median([start.cpu for start in starts]),
            "s",
            parts.imports.cpu + parts.listing,
            "imports and list",
            elsewhere="1.9 s",
        ),
        Figure(
            "memory once ready",
            median([start.memory for start in starts]),
            "MiB",
            parts.imports.memory,
            "the imports",
            budget=90,
            elsewhere="175 to 222 MiB",
        ),
        Figure(
            "bytes of the first list, as sent over loopback",
            median([start.received / 1e6 for start in starts]),
            "MB",
            parts.list_bytes / 1e6,
            "the bodies of the list",
            budget=3.2 / 3,
            elsewhere="3.2 MB",
        ),
    ]
