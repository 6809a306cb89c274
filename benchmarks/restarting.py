"""A daemon that ends and starts again, on a device that has everything."""

from benchmarks.cluster import Cluster
from benchmarks.daemon import Daemon
from benchmarks.figures import Figure
from benchmarks.parts import Parts


def restart(daemon: Daemon, cluster: Cluster, parts: Parts) -> tuple[Daemon, list[Figure]]:
    """Its packets are counted where there are pods to send them: in tests/machine, and ./demo."""
    daemon.stop()
    again = Daemon(cluster.url)
    ready = again.logged(": state converged") - again.began
    return again, [
        Figure(
            "restart: process start to ready",
            ready,
            "s",
            parts.imports.wall + parts.listing + parts.reading,
            "imports, list and reading the device",
        ),
        Figure("- passes that changed something", len(again.ask("history")), "", budget=0),
    ]
