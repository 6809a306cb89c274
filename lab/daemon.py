"""overlayd on a node of the lab, started as a person starts it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lab.device import DeviceSocket
from lab.topology import Node

STOP = 5.0
"""Seconds that a daemon may take to stop."""

_AHEAD = Path(__file__).with_name("ahead.py")


class Daemon:
    """`twistd overlayd` on one node; its log is one file over all its starts.

    `server` is the API server's URL; with None the daemon finds out as in a pod. `inside` is a
    command that runs it, such as one that makes a container. `ahead` is by how many seconds its
    wall clock is ahead of the machine's.
    """

    def __init__(
        self,
        node: Node,
        server: str | None,
        *options: str,
        inside: Sequence[str] = (),
        ahead: int = 0,
    ) -> None:
        self.node = node
        self.device = DeviceSocket(node.namespace)
        self._command = [
            *inside,
            *("env", f"PYTHONPATH={_installation()}"),
            *((sys.executable, str(_AHEAD), str(ahead)) if ahead else ()),
            *(_installed("twistd"), "--nodaemon", "--pidfile=", "overlayd"),
            *(("--server", server) if server is not None else ()),
            *("--node-name", node.name, *options),
        ]
        self._log = node.namespace.run_folder / "overlayd.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it may take a second or two until it answers."""
        with self._log.open("ab") as log:
            self._process = self.node.namespace.start(self._command, log)

    def run(self, limit: float) -> subprocess.CompletedProcess[str]:
        """Start another one on the same node, and wait for its end."""
        return self.node.namespace.attempt(*self._command, limit=limit)

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

        :raises subprocess.TimeoutExpired: it takes longer than the 5 s that are promised.
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
        return self.node.namespace.attempt(_installed("overlayctl"), *arguments)

    def status(self) -> dict[str, Any] | None:
        """What `overlayctl status -o json` prints; None while it does not answer."""
        done = self.ctl("status", "-o", "json")
        if not done.stdout.startswith("{"):
            return None
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def ready(self) -> bool:
        """Whether `overlayctl status --ready` says so."""
        return self.ctl("status", "--ready").returncode == 0

    def log(self) -> str:
        """All that it has logged, over all its starts."""
        return self._log.read_text(errors="replace")


def _installed(command: str) -> str:
    """The command that was installed with the Python that runs this."""
    return str(Path(sys.executable).with_name(command))


@cache
def _installation() -> Path:
    """The folder that overlayd is imported from: twistd finds plugins in folders that Python names.

    An editable installation is in none of them.
    """
    program = "import overlayd; print(overlayd.__file__)"
    done = subprocess.run([sys.executable, "-c", program], cwd="/", check=True, capture_output=True)
    return Path(done.stdout.decode().strip()).parent.parent
