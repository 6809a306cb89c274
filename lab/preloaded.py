"""Python programs that begin at once in a machine of the lab: forked, and not executed.

To import all of overlayd takes longer than most of what a test then asks of it. One process has
done it (`lab.preloading`), and forks for each program: the child enters the machine's namespaces,
and runs the same installed script or module as Python itself would.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Any

from lab import installed
from lab.preloading import LONGEST

_STANDARD_ERROR = 2


class Forked:
    """A running program, in the words of `subprocess.Popen`."""

    def __init__(
        self, pid: int, server: "_Server", stdin: IO[bytes] | None, stdout: IO[bytes] | None
    ) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.returncode: int | None = None
        self._server = server
        self._process = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Its exit status if it has ended; a negative one is a signal's number."""
        return self.returncode if self._ends_within(0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended.

        :raises subprocess.TimeoutExpired: it has not after so many seconds.
        """
        if not self._ends_within(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._process, number)

    def _ends_within(self, seconds: float | None) -> bool:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._process, select.POLLIN)
            if not poll.poll(None if seconds is None else seconds * 1000):
                return False
            self.returncode = self._server.ask({"reap": self.pid})
            os.close(self._process)
        return True


class _Server:
    """The process that forks. It ends with this one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._socket, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        paths = f"{installed.folder()}:{installed.CHECKOUT}"
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lab.preloading", str(its.fileno())],
                env={**os.environ, "PYTHONPATH": paths},
                cwd="/",
                stdin=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                start_new_session=True,  # Ctrl-C is ours to handle
            )

    def ask(self, order: dict[str, Any], files: Sequence[int] = ()) -> Any:
        """The answer to an order.

        :raises RuntimeError: there is none: what went wrong is on standard error.
        """
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(order).encode()], files)
            answer = self._socket.recv(LONGEST)
        if not answer:
            raise RuntimeError(f"the process that has imported all has ended; asked: {order}")
        return json.loads(answer)


@cache
def _server() -> _Server:
    return _Server()


def start(beside: int, program: Sequence[str], log: IO[bytes] | None = None) -> Forked:
    """Start `python PROGRAM` in the namespaces of a process, as the leader of its own session.

    What it prints goes to `log`; without one its standard input and output are pipes.
    """
    if log is not None:
        with open(os.devnull, "rb") as nothing:
            pid = _fork(beside, program, nothing.fileno(), log.fileno(), log.fileno())
        return Forked(pid, _server(), None, None)
    (its_input, ours), (theirs, its_output) = os.pipe(), os.pipe()
    try:
        pid = _fork(beside, program, its_input, its_output, _STANDARD_ERROR)
    finally:
        os.close(its_input)
        os.close(its_output)
    return Forked(pid, _server(), open(ours, "wb"), open(theirs, "rb"))


def run(beside: int, program: Sequence[str], limit: float) -> subprocess.CompletedProcess[str]:
    """Run `python PROGRAM` to its end, whatever its exit status.

    :raises subprocess.TimeoutExpired: that took longer than so many seconds.
    """
    with TemporaryFile() as output, TemporaryFile() as errors, open(os.devnull, "rb") as nothing:
        pid = _fork(beside, program, nothing.fileno(), output.fileno(), errors.fileno())
        process = Forked(pid, _server(), None, None)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            raise
        said = []
        for file in (output, errors):
            file.seek(0)
            said.append(file.read().decode())
        return subprocess.CompletedProcess(program, process.wait(), *said)


def _fork(beside: int, program: Sequence[str], *files: int) -> int:
    """Its process id.

    :raises RuntimeError: the namespaces are not there.
    """
    answer = _server().ask({"run": list(program), "beside": beside}, files)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    pid: int = answer["pid"]
    return pid
