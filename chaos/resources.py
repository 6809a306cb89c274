"""Memory, threads and descriptors of the daemons, which must stay flat.

A daemon is read at rest, after each round. Of a process that was read at least five times the first
two readings are its warming up; the least of the last two must not be above the most of the next
two by more than is tolerated. A daemon that is started again is another process.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from lab.mesh import Member

MEMORY = 16.0
"""MiB by which a process may grow after it is warm: for its first key, for a list that comes anew.

More is a leak: an hour has 400 rounds.
"""

THREADS = 1
DESCRIPTORS = 2
"""What the writer of annotations takes for good when it first has something to write."""

WARM = 2
ENOUGH = WARM + 3


@frozen
class Reading:
    """MiB, threads and open files of a process."""

    memory: float
    threads: int
    descriptors: int

    def __str__(self) -> str:
        return f"{self.memory:.1f} MiB, {self.threads} threads, {self.descriptors} descriptors"


class Resources:
    """All readings so far, by node and process."""

    def __init__(self) -> None:
        self._readings: dict[tuple[str, int], list[Reading]] = {}

    def read(self, member: Member) -> None:
        pid = member.daemon.pid
        self._readings.setdefault((member.name, pid), []).append(_read(pid))

    def rows(self) -> list[tuple[str, ...]]:
        """Each daemon that was read often enough: its node, how often, first warm reading, last."""
        return [
            (name, str(len(readings)), str(readings[WARM]), str(readings[-1]))
            for (name, _), readings in self._readings.items()
            if len(readings) >= ENOUGH
        ]

    def grown(self) -> Iterator[str]:
        """What is not flat."""
        for (name, _), readings in self._readings.items():
            for what in grown(readings):
                yield f"{name}'s daemon has more {what}: {readings[WARM]}, now {readings[-1]}"


def grown(readings: list[Reading]) -> Iterator[str]:
    """What of a process is not flat; nothing where the readings are too few to tell."""
    if len(readings) < ENOUGH:
        return
    early, late = readings[WARM : WARM + 2], readings[-2:]
    if min(r.memory for r in late) > max(r.memory for r in early) + MEMORY:
        yield "memory"
    if min(r.threads for r in late) > max(r.threads for r in early) + THREADS:
        yield "threads"
    if min(r.descriptors for r in late) > max(r.descriptors for r in early) + DESCRIPTORS:
        yield "descriptors"


def _read(pid: int) -> Reading:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return Reading(
        memory=int(status["VmRSS"].split()[0]) / 1024,
        threads=int(status["Threads"]),
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
    )
