"""Daemons that are killed at a moment of their life that is exact to the millisecond.

As a program, inside a node: it has imported overlayd already, so that a daemon begins at once. It
reads lines of JSON. {"arguments": [...]} starts `twistd` with these; with "for" it is killed after
so many seconds, counted from when the path "once" exists, if that is given. {} kills the last one.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence

import twisted.scripts.twistd

import overlayd.service
from lab.conversation import Conversation
from lab.topology import Node

_LIMIT = 10.0  # seconds for a path to be there

assert overlayd.service  # imported before any fork, all of it


class Forks:
    """Starts daemons on a node. One that was left running is ended by `kill`."""

    def __init__(self, node: Node, server: str) -> None:
        self._arguments = [
            *("twistd", "--nodaemon", "--pidfile=", "--logfile=/run/overlayd.log", "overlayd"),
            *("--server", server, "--node-name", node.name),
        ]
        self._program = Conversation(node.namespace, "tests.machine.forks")

    def run(self, seconds: float, once: str) -> None:
        """Start a daemon, and kill it after some time, or so long after a path is there."""
        order = {"for": seconds, "once": once, "arguments": self._arguments}
        self._program.ask(json.dumps(order))

    def start(self) -> None:
        """Start a daemon that goes on."""
        self._program.ask(json.dumps({"arguments": self._arguments}))

    def kill(self) -> None:
        """Kill the daemon that was started last."""
        self._program.ask(json.dumps({}))

    def close(self) -> None:
        self._program.close()


def _fork(arguments: Sequence[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    sys.argv = list(arguments)
    twisted.scripts.twistd.run()
    os._exit(0)


def _wait_for(path: str) -> None:
    limit = time.monotonic() + _LIMIT
    while not os.path.exists(path) and time.monotonic() < limit:
        time.sleep(0.001)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def main() -> None:
    """Start and kill daemons until standard input ends."""
    running = 0
    for line in sys.stdin:
        order = json.loads(line)
        if "arguments" in order:
            running = _fork(order["arguments"])
            if "for" in order:
                _wait_for(order["once"])
                time.sleep(order["for"])
                _end(running)
        else:
            _end(running)
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
