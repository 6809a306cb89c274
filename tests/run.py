"""Runs the tiers of tests, one after the other, and ends with one line of counts.

    python -m tests.run [--tier NAME ...] [--require NAME ...]

A tier that cannot run here says in one line what is missing and how to get it. One that is
required and cannot run counts as a failure. The exit status follows the counts.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from lab import guest, image, private
from lab.container import needs
from lab.device import TUNNEL
from lab.kubernetes.binaries import Missing, binaries
from overlayd.model.settings import TunnelKind
from overlayd.tunnel.kernel_device import kernel_has_wireguard

ROOT = Path(__file__).parent.parent
PRIVATE = (sys.executable, "-m", "lab.private")
GUEST = (sys.executable, "-m", "lab.guest", "--timeout", "2700", "--")

WIREGUARD_GO = ("test_mesh_external", "test_mesh_hanging", "test_mesh_process")
"""What is about the process that a device of the kernel does not have."""


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


@frozen
class Tier:
    """`missing` says what the machine lacks for it, None where it can run."""

    name: str
    run: Callable[[], Counts]
    missing: Callable[[], str | None]


def lint() -> Counts:
    """Style and types, each counted as a test."""
    python = [sys.executable, "-m"]
    commands = [
        [*python, "ruff", "check", "."],
        [*python, "ruff", "format", "--check", "."],
        [*python, "mypy"],
    ]
    failed = sum(subprocess.run(command, cwd=ROOT).returncode != 0 for command in commands)
    return Counts(passed=len(commands) - failed, failed=failed)


def trial(
    *packages: str,
    inside: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> Counts:
    """Run trial on test packages and read its own counts."""
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
        sys.stdout.write(line)
        sys.stdout.flush()
        last = line if line.startswith(("PASSED", "FAILED")) else last
    status = running.wait()
    counts = counted(last)
    if status != 0 and counts.failed == 0:
        print(f"{' '.join(packages)} ended with status {status} and without a count")
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


def machine() -> Counts:
    """The tests that need devices and packets, in namespaces that end with them."""
    return trial("tests.machine", inside=PRIVATE)


def kernel() -> Counts:
    """WireGuard in the kernel: of this machine, or where it has none of a guest.

    One boot runs them all; before it the guest itself is tested.
    """
    if kernel_has_wireguard():
        return kernel_in(PRIVATE)
    return trial("tests.guest") + kernel_in((*GUEST, *PRIVATE))


def kernel_in(inside: Sequence[str]) -> Counts:
    mesh = sorted(path.stem for path in (ROOT / "tests/machine").glob("test_mesh_*.py"))
    return trial(
        "tests.kernel",
        *(f"tests.machine.{module}" for module in mesh if module not in WIREGUARD_GO),
        inside=inside,
        environment={**os.environ, TUNNEL: TunnelKind.KERNEL.value},
    )


def kernel_lacks() -> str | None:
    if kernel_has_wireguard():
        return private.machine_lacks()
    return guest.lacks() or private.lacks_programs()


def cluster() -> Counts:
    """The tests against Kubernetes' own control plane, with machines where there can be some."""
    alone = private.machine_lacks() is not None
    return trial("tests.cluster", inside=() if alone else PRIVATE)


def cluster_lacks() -> str | None:
    """Find Kubernetes' programs, or build them, which takes minutes and says so."""
    try:
        binaries()
    except Missing as missing:
        return str(missing)
    return None


def container() -> Counts:
    """The mesh from the image, in containers as the manifests want them."""
    return trial("tests.container", inside=PRIVATE)


def container_lacks() -> str | None:
    """Build the image if it is not there, which takes minutes and says so."""
    return needs.lacks() or image.lacks()


def nothing() -> None:
    return None


TIERS = (
    Tier("lint", lint, nothing),
    Tier("pure", lambda: trial("tests.pure"), nothing),
    Tier("services", lambda: trial("tests.services", "tests.apiserver"), nothing),
    Tier("machine", machine, private.machine_lacks),
    Tier("container", container, container_lacks),
    Tier("cluster", cluster, cluster_lacks),
    Tier("kernel", kernel, kernel_lacks),  # with the image, where there is one
)


def run(tiers: list[Tier], required: set[str]) -> Counts:
    total, remarks = Counts(), []
    for tier in tiers:
        print(f"\n=== tier {tier.name}", flush=True)
        missing = tier.missing()
        if missing is None:
            began = time.monotonic()
            counts = tier.run()
            remarks.append(f"tier {tier.name}: {counts} in {time.monotonic() - began:.0f} s")
        elif tier.name in required:
            counts = Counts(failed=1)
            remarks.append(f"tier {tier.name}: FAILED, it is required and cannot run: {missing}")
        else:
            counts = Counts(skipped=1)
            remarks.append(f"tier {tier.name}: SKIPPED: {missing}")
        total += counts
    print("\n" + "\n".join(remarks))
    return total


def main() -> int:
    names = [tier.name for tier in TIERS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", action="append", choices=names, help="run this tier only")
    parser.add_argument("--require", action="append", choices=names, default=[])
    arguments = parser.parse_args()
    chosen = [tier for tier in TIERS if tier.name in (arguments.tier or names)]
    total = run(chosen, set(arguments.require))
    print(total, flush=True)
    if counts_file := os.environ.get("OVERLAYD_COUNTS"):
        Path(counts_file).write_text(f"{total}\n")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
