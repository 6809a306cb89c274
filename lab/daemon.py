"""overlayd on a node of the lab."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import installed
from lab.device import KIND, Device
from lab.eventually import patience
from lab.namespaces import Process
from lab.topology import Node

STOP = patience(5.0)
"""Seconds that a daemon may take to stop: as promised, on an ordinary machine."""

_AHEAD = Path(__file__).with_name("ahead.py")


class Daemon:
    """`twistd overlayd` on one node; its log is one file over all its starts.

    `server` is the API server's URL; with None the daemon finds out as in a pod. `ahead` is by how
    many seconds its wall clock is ahead of the machine's. It and overlayctl are forked from a
    process that has imported them, unless they are to be `executed` as a person does, or `inside` a
    command that runs the daemon, such as one that makes a container.
    """

    def __init__(
        self,
        node: Node,
        server: str | None,
        *options: str,
        inside: Sequence[str] = (),
        executed: bool = False,
        ahead: int = 0,
    ) -> None:
        self.node = node
        self.device = Device(node.namespace)
        self._program = [
            *((str(_AHEAD), str(ahead)) if ahead else ()),
            *(installed.command("twistd"), "--nodaemon", "--pidfile=", "overlayd"),
            *(("--server", server) if server is not None else ()),
            *("--node-name", node.name, "--tunnel", KIND.value, *options),
        ]
        self._inside = inside
        self._executed = executed
        self._log = node.namespace.run_folder / "overlayd.log"
        self._process: Process | None = None

    def start(self) -> None:
        """Start it; it may take a second or two until it answers."""
        machine = self.node.namespace
        with self._log.open("ab") as log:
            if self._executed or self._inside:
                self._process = machine.start(self._command(), log)
            else:
                self._process = machine.start_python(self._program, log)

    def run(self, limit: float) -> subprocess.CompletedProcess[str]:
        """Execute another one on the same node, and wait for its end."""
        return self.node.namespace.attempt(*self._command(), limit=limit)

    def _command(self) -> list[str]:
        path = f"PYTHONPATH={installed.folder()}"
        return [*self._inside, "env", path, sys.executable, *self._program]

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process of the last start."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.signal(signal.SIGKILL)
        self.wait(STOP)

    def stop(self) -> None:
        """End it by SIGTERM.

        :raises subprocess.TimeoutExpired: it takes longer than it may.
        """
        self.signal(signal.SIGTERM)
        self.wait(STOP)

    def signal(self, number: int) -> None:
        """Send a signal to its process group, as a terminal does."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def wait(self, limit: float) -> int:
        assert self._process is not None
        return self._process.wait(limit)

    def ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `overlayctl` on the node."""
        if self._executed:
            return self.node.namespace.attempt(installed.command("overlayctl"), *arguments)
        return self._forked_ctl(*arguments)

    def _forked_ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.node.namespace.attempt_python(installed.command("overlayctl"), *arguments)

    def status(self) -> dict[str, Any] | None:
        """What `overlayctl status -o json` prints; None while it does not answer."""
        done = self._forked_ctl("status", "-o", "json")
        if not done.stdout.startswith("{"):
            return None
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def ready(self) -> bool:
        """Whether `overlayctl status --ready` says so."""
        return self._forked_ctl("status", "--ready").returncode == 0

    def log(self) -> str:
        """All that it has logged, over all its starts."""
        return self._log.read_text(errors="replace")
