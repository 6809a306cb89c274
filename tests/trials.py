"""Running trial in a process of its own, and its counts."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from attrs import frozen

ROOT = Path(__file__).parent.parent


@frozen
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def trial(
    *packages: str,
    inside: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    output: TextIO | None = None,
) -> Counts:
    """Run trial on test packages and read its own counts.

    What it prints is passed on as it comes, to standard output if not to `output`.
    """
    output = output or sys.stdout
    command = [*inside, sys.executable, "-m", "twisted.trial", *packages]
    running = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert running.stdout is not None
    last = ""
    for line in running.stdout:
        output.write(line)
        output.flush()
        last = line if line.startswith(("PASSED", "FAILED")) else last
    status = running.wait()
    counts = counted(last)
    if status != 0 and counts.failed == 0:
        output.write(f"{' '.join(packages)} ended with status {status} and without a count\n")
        counts += Counts(failed=1)
    return counts


def counted(line: str) -> Counts:
    """Read trial's last line: `PASSED (skips=1, successes=13)`."""
    number = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", line)}
    return Counts(
        passed=number.get("successes", 0) + number.get("expectedFailures", 0),
        failed=sum(number.get(n, 0) for n in ("failures", "errors", "unexpectedSuccesses")),
        skipped=number.get("skips", 0) + number.get("todos", 0),
    )
