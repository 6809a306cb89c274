"""`twistd overlayd` under measurement."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.underlay import NAME, PODS

LINK = "wg0"
_LIMIT = 300.0  # seconds for whatever is waited for
_END_LIMIT = 10.0


def installed(command: str) -> str:
    """The command that was installed with the Python that runs this."""
    return str(Path(sys.executable).with_name(command))


class Daemon:
    """One run of it. A line of its log counts as written when it arrives here: never too early."""

    def __init__(self, server: str) -> None:
        self.lines: list[tuple[float, str]] = []  # with the time of a monotonic clock
        self._news = threading.Condition()
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [
                *(installed("twistd"), "--nodaemon", "--pidfile=", "overlayd"),
                *("--server", server, "--node-name", NAME, "--pod-cidr", PODS),
            ],
            cwd="/",
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        """Seconds of processor time so far, without wireguard-go."""
        return processes.cpu(self.pid)

    def memory(self, field: str) -> float:
        return processes.memory(self.pid, field)

    def logged(self, pattern: str, limit: float = _LIMIT) -> float:
        """Wait until a line is logged, now or before, that a pattern fits; when it was.

        :raises TimeoutError: it was not.
        """
        found: Callable[[str], object] = re.compile(pattern).search
        seen = 0
        until = time.monotonic() + limit
        with self._news:
            while True:
                for at, line in self.lines[seen:]:
                    if found(line):
                        return at
                seen = len(self.lines)
                if not self._news.wait(until - time.monotonic()) or not self._reader.is_alive():
                    last = "".join(line for _, line in self.lines[-5:])
                    raise TimeoutError(f"the daemon did not log {pattern!r}; its last:\n{last}")

    def ask(self, *command: str) -> Any:
        """What `overlayctl` prints as JSON."""
        done = subprocess.run(
            [installed("overlayctl"), *command, "-o", "json"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        return json.loads(done.stdout)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(_END_LIMIT)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.lines.append((time.monotonic(), line))
                self._news.notify_all()
