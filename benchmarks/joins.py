"""Nodes that join and leave, one after the other."""

import random
import re
import time

from benchmarks import wireguard
from benchmarks.cluster import Cluster
from benchmarks.daemon import LINK, Daemon
from benchmarks.drift import Watching
from benchmarks.figures import Figure, median, quantile
from benchmarks.parts import Parts

JOINS = 200
LEAVES = 80
_APART = (0.15, 0.35)  # seconds, at random: in step with nothing that the daemon does by the clock
_BRAKE = 61.0  # seconds that the brake of promise 3 looks back: at 100 Nodes it would rightly hold
_LIMIT = 15.0


def joins(daemon: Daemon, cluster: Cluster, watched: Watching, parts: Parts) -> list[Figure]:
    before, cpu, began, took = wireguard.peer_count(LINK), daemon.cpu(), time.monotonic(), []
    for number in range(JOINS):
        name, answered = cluster.create(number)
        took.append(daemon.logged(f": add peer {name} ", _LIMIT) - answered)
        time.sleep(random.uniform(*_APART))
    cpu, lasted = daemon.cpu() - cpu, time.monotonic() - began
    _check(before + JOINS)
    round_trip = parts.round_trip * 1000
    return [
        Figure(
            f"a Node joins, from the server's answer to the device, median of {JOINS}",
            median(took) * 1000,
            "ms",
            round_trip,
            "wireguard-go taking one peer",
            elsewhere="0.8 ms",
        ),
        Figure(
            "- 95th percentile",
            quantile(took, 0.95) * 1000,
            "ms",
            round_trip,
            "the same",
            budget=2.3,
            elsewhere="2.3 ms",
        ),
        Figure(
            "- processor time, the second look included",
            (cpu - watched.daemon * lasted) / JOINS * 1000,
            "ms",
            parts.event * 1000 + round_trip,
            "decoding the event, and taking the peer",
        ),
    ]


def leaves(daemon: Daemon, cluster: Cluster, parts: Parts) -> list[Figure]:
    time.sleep(_BRAKE)
    before, took = wireguard.peer_count(LINK), []
    for number in range(LEAVES):
        name = f"newcomer-{number}"
        answered = cluster.delete(name)
        took.append(daemon.logged(f": remove peer {re.escape(name)} ", _LIMIT) - answered)
        time.sleep(random.uniform(*_APART))
    _check(before - LEAVES)
    round_trip = parts.round_trip * 1000
    return [
        Figure(
            f"a Node leaves, median of {LEAVES}",
            median(took) * 1000,
            "ms",
            round_trip,
            "wireguard-go taking one peer",
        ),
        Figure("- 95th percentile", quantile(took, 0.95) * 1000, "ms", round_trip, "the same"),
    ]


def _check(count: int) -> None:
    """The times are those of the log; here the device itself is asked."""
    found = wireguard.peer_count(LINK)
    if found != count:
        raise RuntimeError(f"{found} peers are in the device, not {count}")
