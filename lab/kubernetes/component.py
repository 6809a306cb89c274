"""One program of the control plane, which can be killed, hung, and started again."""

import random
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from lab.eventually import eventually
from lab.namespaces import end

Start = Callable[[Sequence[str], IO[bytes]], subprocess.Popen[bytes]]
"""Starts a command as the leader of a process group; what it prints goes to the file."""

START_LIMIT = 240.0
"""Seconds until a program has to answer: the machine may have much else to do."""

_BELOW_CLIENTS = (20_000, 32_000)
"""Ports that the kernel gives to no client: a program that is started again finds its own free."""


def start_here(command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a command on this very machine; it ends with this process, however that ends."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


class Component:
    """A program that is started by `command`, and is up once `ready` says so."""

    def __init__(
        self, start: Start, command: Sequence[str], log: Path, ready: Callable[[], bool]
    ) -> None:
        self.name = Path(command[0]).name
        self._start = start
        self._command = command
        self._log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers.

        :raises AssertionError: it ended, or it does not answer.
        """
        with self._log.open("ab") as log:
            self._process = self._start(self._command, log)
        eventually(START_LIMIT, f"{self.name} answers", self._answers)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process of the last start."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it by SIGKILL, if it runs: SIGTERM waits for open watches."""
        if self._process is not None:
            end(self._process, signal.SIGKILL)

    def hang(self) -> None:
        """Keep it from running (SIGSTOP), with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """All that it has printed, over all its starts."""
        return self._log.read_text(errors="replace")

    def _answers(self) -> bool:
        if not self.running:
            last = self.log().strip().splitlines()[-5:]
            raise AssertionError("\n".join([f"{self.name} has ended:", *last]))
        return self._ready()


def free_ports(count: int) -> list[int]:
    """Different ports that nothing listens on in our network namespace."""
    ports: list[int] = []
    for port in random.sample(range(*_BELOW_CLIENTS), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise OSError("too few ports are free")
