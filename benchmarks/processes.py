"""What a process costs, by the kernel's own accounts."""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

_SCHED = 2  # CPUCLOCK_SCHED of the kernel's posix-timers.h: the clock behind clock_getcpuclockid(3)


def cpu(pid: int) -> float:
    """Seconds of processor time of a process and all its threads so far, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | _SCHED)


def memory(pid: int, field: str) -> float:
    """MiB: VmRSS, resident now, or VmHWM, at the most so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has ended")


@frozen
class Cost:
    """What a command that ended took: seconds of wall and processor time, MiB at the most."""

    wall: float
    cpu: float
    memory: float


def cost(command: Sequence[str]) -> Cost:
    """Run a command, from anywhere but here: what is installed is measured, not what is in `.`.

    :raises subprocess.CalledProcessError: its exit status is not 0.
    """
    began = time.monotonic()
    process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
