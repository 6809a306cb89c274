"""One number of Nodes, measured in the private namespaces that `__main__` starts this in.

Its arguments are the number of Nodes, their size, and the file that the figures go to.
"""

import json
import sys
from pathlib import Path

from attrs import asdict

from benchmarks import asking, drift, heartbeats, joins, parts, restarting, starting
from benchmarks.cluster import Cluster
from benchmarks.daemon import LINK
from benchmarks.figures import Figure
from benchmarks.underlay import underlay
from overlayd.testing.apiserver.process import development_server


def measure(cluster: Cluster) -> list[Figure]:
    """All figures, in the order in which the tables show them."""
    say("the parts that need no device")
    without_device = parts.before_the_daemon(cluster)
    cluster.create_own_node()
    say(f"starting the daemon {starting.RUNS} times")
    daemon, starts = starting.start_often(cluster)
    say("waiting until wireguard-go has given up on nodes that do not exist, about 90 s")
    drift.settle()
    say("the parts that are wireguard-go")
    of_parts = parts.Parts(**without_device, **parts.of_the_device(LINK))
    say(f"watching for drift, {drift.SECONDS:.0f} s")
    watched = drift.watch(daemon, cluster)
    say("events that change nothing")
    beats = heartbeats.figures(daemon, cluster, watched, of_parts)
    say(f"{joins.JOINS} Nodes join")
    joining = joins.joins(daemon, cluster, watched, of_parts)
    say("overlayctl")
    answers = asking.figures()
    say(f"{joins.LEAVES} of them leave, after a minute in which the brake forgets")
    leaving = joins.leaves(daemon, cluster, of_parts)
    peak = Figure(
        "memory at the most, at the end",
        daemon.memory("VmHWM"),
        "MiB",
        of_parts.imports.memory,
        "the imports",
        budget=90,
        elsewhere="175 to 222 MiB",
    )
    say("a restart")
    daemon, again = restarting.restart(daemon, cluster, of_parts)
    daemon.stop()
    begun = starting.figures(starts, of_parts)
    watching = drift.figures(watched, of_parts)
    return [*begun, peak, *beats, *joining, *leaving, *watching, *answers, *again]


def say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)


def main(nodes: str, node_size: str, file: str) -> None:
    gateway = underlay()
    with development_server("--nodes", nodes, "--node-size", node_size) as server:
        figures = measure(Cluster(server, int(nodes), int(node_size)))
    gateway.close()
    Path(file).write_text(json.dumps([asdict(figure) for figure in figures]))


if __name__ == "__main__":
    main(*sys.argv[1:])
