"""A machine of the lab: network, mount and host name namespaces, held by one process for life."""

import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO

from lab import preloaded
from lab.eventually import patience
from lab.preloaded import Forked
from lab.preloading import enter

_CLONE_FS = 0x00000200  # linux/sched.h: the root and working folder of a thread are its own
_AT_ONCE = 4  # commands of one machine
_LIMIT = patience(30.0)  # seconds for a command


Process = subprocess.Popen[bytes] | Forked


class Namespace:
    """A machine of its own on this one. `close` ends it, with every process started in it.

    It keeps one network and one mount namespace for its whole life, with a /run of its own and no
    resolvers; every start enters the same ones again.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._processes: list[Process] = []
        self._holder = preloaded.start(os.getpid(), ("-m", "lab.holding", name))
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"ready\n":
            raise RuntimeError(f"cannot make the namespaces of {name}")
        self._inside = ThreadPoolExecutor(_AT_ONCE, initializer=_move, initargs=(self.pid,))

    @property
    def pid(self) -> int:
        """The process that holds the namespaces."""
        return self._holder.pid

    @property
    def run_folder(self) -> Path:
        """Its /run, as seen from outside."""
        return Path(f"/proc/{self.pid}/root/run")

    def entering(self, command: Sequence[str]) -> list[str]:
        """The command that runs `command` in here."""
        return [*self.enter(self.pid), *command]

    @staticmethod
    def enter(pid: int) -> tuple[str, ...]:
        """The beginning of a command that runs in the namespaces of a process, and in its root."""
        return ("nsenter", "-t", str(pid), "--net", "--mount", "--uts", "--root", "--wd")

    def run(self, *command: str, given: str = "", limit: float = _LIMIT) -> str:
        """Run a command to its end; what it printed.

        :raises subprocess.CalledProcessError: its exit status is not 0.
        """
        done = self.attempt(*command, given=given, limit=limit)
        if done.returncode != 0:
            raise subprocess.CalledProcessError(
                done.returncode, f"{self.name}: {' '.join(command)}", done.stdout, done.stderr
            )
        return done.stdout

    def attempt(
        self, *command: str, given: str = "", limit: float = _LIMIT
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its exit status."""
        running = partial(
            subprocess.run,
            command,
            input=given,
            text=True,
            capture_output=True,
            cwd="/",
            timeout=limit,
        )
        done: subprocess.CompletedProcess[str] = self._inside.submit(running).result()
        return done

    def start(
        self, command: Sequence[str], log: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command as the leader of its own process group.

        What it prints goes to `log`; without one its standard input and output are pipes.
        """
        process = subprocess.Popen(
            self.entering(command),
            stdin=subprocess.DEVNULL if log else subprocess.PIPE,
            stdout=log or subprocess.PIPE,
            stderr=log,
            cwd="/",
            start_new_session=True,
            preexec_fn=_take_interrupts,
        )
        self._processes.append(process)
        return process

    def start_python(self, program: Sequence[str], log: IO[bytes] | None = None) -> Forked:
        """Start `python PROGRAM` as `start` does a command, at once: an installed script, or -m
        and a module."""
        process = preloaded.start(self.pid, program, log)
        self._processes.append(process)
        return process

    def attempt_python(
        self, *program: str, limit: float = _LIMIT
    ) -> subprocess.CompletedProcess[str]:
        """Run `python PROGRAM` to its end as `attempt` does a command, at once."""
        return preloaded.run(self.pid, program, limit)

    def socket(self, kind: int, protocol: int = 0) -> socket.socket:
        """A socket of this machine's network, for use out there."""
        return self._inside.submit(socket.socket, socket.AF_INET, kind, protocol).result()

    def close(self) -> None:
        """End everything in here, the daemons' detached children too, and the namespaces."""
        for process in self._processes:
            end(process, signal.SIGKILL)
        for pid in self.inhabitants():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._inside.shutdown()
        end(self._holder, signal.SIGKILL)

    def running(self, name: str) -> list[int]:
        """The processes in here whose command has this name."""
        return [pid for pid in self.inhabitants() if _name_of(pid) == name]

    def inhabitants(self) -> list[int]:
        """The processes in this network namespace, the holder among them."""
        here = os.stat(f"/proc/{self.pid}/ns/net").st_ino
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.stat(folder / "ns/net").st_ino == here:
                    found.append(int(folder.name))
            except OSError:
                continue
        return found


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""  # it has ended meanwhile


def _take_interrupts() -> None:
    """Let a command be interrupted even if we were started in the background of a script."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end(process: Process, number: int) -> None:
    """Send a signal to a process group that `Namespace` made, and wait for its leader."""
    if process.poll() is None:
        os.killpg(process.pid, number)
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def _move(pid: int) -> None:
    """Move this thread alone to where a process is: what it starts is there from the beginning."""
    ctypes.CDLL(None).unshare(_CLONE_FS)
    enter(pid)
