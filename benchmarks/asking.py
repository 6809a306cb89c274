"""`overlayctl`, as a person and a readiness probe run it."""

import sys

from benchmarks.daemon import installed
from benchmarks.figures import Figure, median
from benchmarks.processes import Cost, cost

RUNS = 10
_STATUS = [installed("overlayctl"), "status"]
_READY = [*_STATUS, "--ready"]
_REACTOR = [sys.executable, "-c", "from twisted.internet import reactor"]
_PYTHON = [sys.executable, "-c", ""]


def figures() -> list[Figure]:
    """Run each command in turn, several times."""
    commands = (_STATUS, _READY, _REACTOR, _PYTHON)
    rounds: list[list[Cost]] = [[cost(command) for command in commands] for _ in range(RUNS)]
    status, ready, reactor, python = zip(*rounds, strict=True)
    return [
        Figure(
            "overlayctl status",
            median([each.wall for each in status]),
            "s",
            median([each.wall for each in reactor]),
            "Python importing the reactor",
            budget=0.3,
            elsewhere="none",
        ),
        Figure(
            "overlayctl status --ready, processor time",
            median([each.cpu for each in ready]),
            "s",
            median([each.cpu for each in python]),
            "Python doing nothing",
            budget=0.1,
            elsewhere="none",
        ),
    ]
