"""The tiers of tests: what each runs, and what it needs."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TextIO

from attrs import frozen

from lab import guest, image, private
from lab.container import needs
from lab.device import TUNNEL
from lab.kubernetes.binaries import Missing, binaries
from overlayd.model.settings import TunnelKind
from overlayd.tunnel.kernel_device import kernel_has_wireguard
from tests.trials import ROOT, Counts, trial

PRIVATE = (sys.executable, "-m", "lab.private")
GUEST = (sys.executable, "-m", "lab.guest", "--timeout", "3600", "--")

OWN_FOLDER = ("--temp-directory", "/tmp/trial")
"""Guests share the checkout, where trial would put its files, and have a /tmp each."""

WITH_THE_DEVICE = ("adopt", "claims", "daemon", "fights", "peers", "pods", "routes", "teardown")
"""What of the mesh one guest runs besides `tests.kernel`; the other runs the rest of the mesh, in
about the same time."""

WIREGUARD_GO = ("external", "hanging", "process")
"""What is about the process that a device of the kernel does not have."""


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


def machine() -> Counts:
    """The tests that need devices and packets, in namespaces that end with them."""
    return trial("tests.machine", inside=PRIVATE)


def kernel() -> Counts:
    """WireGuard in the kernel: of this machine, or of two guests where it has none.

    An emulated processor is slow, and a test seldom uses more than one.
    """
    found = (ROOT / "tests/machine").glob("test_mesh_*.py")
    mesh = {path.stem.removeprefix("test_mesh_") for path in found}
    assert mesh >= {*WIREGUARD_GO, *WITH_THE_DEVICE}, "they are named otherwise now"
    mesh -= {*WIREGUARD_GO}
    if kernel_has_wireguard():
        return kernel_in(PRIVATE, "tests.kernel", *of_the_mesh(mesh))
    rest = mesh - {*WITH_THE_DEVICE}
    counts = trial("tests.guest")
    inside = (*GUEST, *PRIVATE)
    with ThreadPoolExecutor() as pool:
        said = io.StringIO()
        other = pool.submit(kernel_in, inside, *OWN_FOLDER, *of_the_mesh(rest), output=said)
        counts += kernel_in(inside, *OWN_FOLDER, "tests.kernel", *of_the_mesh(WITH_THE_DEVICE))
        counts += other.result()
    sys.stdout.write(said.getvalue())
    return counts


def of_the_mesh(parts: Iterable[str]) -> list[str]:
    return [f"tests.machine.test_mesh_{part}" for part in sorted(parts)]


def kernel_in(inside: Sequence[str], *packages: str, output: TextIO | None = None) -> Counts:
    return trial(
        *packages,
        inside=inside,
        environment={**os.environ, TUNNEL: TunnelKind.KERNEL.value},
        output=output,
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
