"""wireguard-go processes as the machine shows them."""

import os
import select
import signal
from pathlib import Path

from lab.eventually import eventually, patience

LIMIT = patience(10.0)
"""Seconds for a process to end."""


def tunnel_process(link: str, beside: int | str = "self") -> int:
    """The process id of the one wireguard-go that runs for a link of our own network namespace.

    `beside` is a process of another one.

    :raises LookupError: there is none, or more than one.
    """
    command = b"wireguard-go\0" + link.encode() + b"\0"
    found = [
        process
        for process in Path("/proc").glob("[0-9]*")
        if _read(process / "cmdline") == command and _beside(process, beside)
    ]
    if len(found) != 1:
        raise LookupError(f"{len(found)} processes of wireguard-go {link}")
    return int(found[0].name)


def _beside(process: Path, other: int | str) -> bool:
    """Whether two processes are in one network namespace; each of the lab's nodes has its own."""
    try:
        return os.path.samefile(process / "ns/net", f"/proc/{other}/ns/net")
    except OSError:
        return False


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal and wait until the process is gone."""
    with Ending(pid):
        os.kill(pid, number)


def stop(pid: int) -> None:
    """Stop a process, all its threads: a signal alone lets them run for a moment more."""
    os.kill(pid, signal.SIGSTOP)
    eventually(LIMIT, "all threads are stopped", lambda: _states(pid) == {b"T"})


class Ending:
    """What is done in this context ends a process; it is left once the process is gone."""

    def __init__(self, pid: int) -> None:
        self._process = os.pidfd_open(pid)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        ended = poll.poll(LIMIT * 1000)
        os.close(self._process)
        assert ended, "the process did not end"


def _states(pid: int) -> set[bytes]:
    """How the threads stand; the state follows the name in parentheses (proc(5))."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return {_read(thread).rpartition(b") ")[2][:1] for thread in threads}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
