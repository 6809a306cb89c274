"""Watching a machine on which nobody changes anything."""

import time

from attrs import frozen

from benchmarks import processes, wireguard
from benchmarks.cluster import Cluster
from benchmarks.daemon import LINK, Daemon
from benchmarks.figures import Figure
from benchmarks.netlink import announcements
from benchmarks.parts import Parts

SECONDS = 60.0
_QUIET = 0.05  # of a core, in wireguard-go
_FOR = 15.0  # seconds: between two of its attempts it is quiet too
_LIMIT = 300.0


@frozen
class Watching:
    """Shares of a core; passes and what they did in `SECONDS`."""

    daemon: float
    tunnel: float
    passes: int
    writes: int
    requests: int


def settle() -> None:
    """Wait until wireguard-go has given up on nodes that do not exist: 90 s after we asked it."""
    pid, until = wireguard.pid(LINK), time.monotonic() + _LIMIT
    since = time.monotonic()
    while time.monotonic() < until:
        before = processes.cpu(pid)
        time.sleep(1)
        if processes.cpu(pid) - before > _QUIET:
            since = time.monotonic()
        elif time.monotonic() - since > _FOR:
            return
    raise TimeoutError("wireguard-go does not come to rest")


def watch(daemon: Daemon, cluster: Cluster) -> Watching:
    tunnel = wireguard.pid(LINK)
    number, requests = _passes(daemon), cluster.requests_of_daemons()
    time.sleep(1)  # what asking costs the daemon is no part of it
    with announcements() as heard:
        ours, theirs = daemon.cpu(), processes.cpu(tunnel)
        time.sleep(SECONDS)
        ours, theirs = daemon.cpu() - ours, processes.cpu(tunnel) - theirs
    return Watching(
        daemon=ours / SECONDS,
        tunnel=theirs / SECONDS,
        passes=_passes(daemon) - number,
        writes=len(heard),
        requests=cluster.requests_of_daemons() - requests,
    )


def figures(watched: Watching, parts: Parts) -> list[Figure]:
    each = watched.daemon * SECONDS / watched.passes
    return [
        Figure(
            "watching for drift, of a core",
            watched.daemon * 100,
            "%",
            watched.tunnel * 100,
            "wireguard-go's part",
            budget=1,
            elsewhere="never found",
        ),
        Figure(
            "- processor time of one look",
            each * 1000,
            "ms",
            parts.reading * 1000,
            "wireguard-go telling of all peers",
        ),
        Figure(f"- netlink writes in {SECONDS:.0f} s", watched.writes, "", budget=0),
        Figure(f"- API requests in {SECONDS:.0f} s", watched.requests, "", budget=0),
    ]


def _passes(daemon: Daemon) -> int:
    number: int = daemon.ask("status")["lastPass"]["number"]
    return number
