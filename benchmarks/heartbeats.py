"""Node events that change nothing for us."""

import time

from benchmarks.cluster import Cluster, bytes_received
from benchmarks.daemon import Daemon
from benchmarks.drift import Watching
from benchmarks.figures import Figure
from benchmarks.netlink import announcements
from benchmarks.parts import Parts

EVENTS = 1000
_APART = 0.01  # seconds: one event wakes the daemon, as in a cluster, and not a handful


def figures(daemon: Daemon, cluster: Cluster, watched: Watching, parts: Parts) -> list[Figure]:
    """Send them; what watching for drift costs in that time is taken off."""
    requests, received = cluster.requests_of_daemons(), bytes_received(daemon.pid)
    with announcements() as heard:
        cpu, began = daemon.cpu(), time.monotonic()
        for number in range(EVENTS):
            cluster.heartbeat(number)
            time.sleep(_APART)
        time.sleep(1)
        cpu, lasted = daemon.cpu() - cpu, time.monotonic() - began
    received = bytes_received(daemon.pid) - received
    return [
        Figure(
            "a Node event that changes nothing, processor time",
            (cpu - watched.daemon * lasted) / EVENTS * 1000,
            "ms",
            parts.event * 1000,
            "decoding its line",
            budget=0.26,
            elsewhere="0.54 ms",
        ),
        Figure(f"- netlink writes for {EVENTS:,} of them", len(heard), "", budget=0),
        Figure(
            f"- API requests for {EVENTS:,} of them",
            cluster.requests_of_daemons() - requests,
            "",
            budget=0,
        ),
        Figure(
            "- bytes",
            received / EVENTS / 1000,
            "KB",
            parts.list_bytes / (cluster.nodes + 1) / 1000,
            "a Node of the list",
            budget=8.1 / 3,
            elsewhere="8.1 KB",
        ),
    ]
