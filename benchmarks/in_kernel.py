"""Where the kernel's figures come from: here, or from a guest where the kernel here has none."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

import lab.guest
from benchmarks.figures import Figure
from lab import private
from lab.guest.run import Wanted
from overlayd.tunnel.kernel_device import kernel_has_wireguard

_LIMIT = 3600.0  # seconds
_GUEST = (
    "The kernel's figures come from a guest whose processors are emulated: only the ratios of what "
    "runs in the kernel tell something, and Python is slower there than it is elsewhere."
)


@frozen
class OfTheKernel:
    """Figures by number of peers; none where they cannot be had. `remark` is for people."""

    figures: Mapping[int, Sequence[Figure]]
    remark: str = ""


def measured(counts: Sequence[int]) -> OfTheKernel:
    """Measure each number of peers, all of them in one guest if it needs one."""
    if shutil.which("wg") is None:
        return _left_out("needs wg: apt-get install wireguard-tools")
    here = kernel_has_wireguard()
    if not here and (missing := lab.guest.lacks()):
        return _left_out(f"the kernel here has no WireGuard, and a guest {missing}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "benchmarks.kernel", str(file), *map(str, counts)]
        if here:
            status = private.run(command, os.environ)
        else:
            status = lab.guest.run(Wanted(command, "1G", _LIMIT, [Path(folder)]), os.environ)
        if status:
            return _left_out(f"the measurement ended with status {status}")
        found = json.loads(file.read_text())
    figures = {int(count): [Figure(**figure) for figure in found[count]] for count in found}
    return OfTheKernel(figures, "" if here else _GUEST)


def _left_out(why: str) -> OfTheKernel:
    return OfTheKernel({}, f"The kernel's figures are left out: {why}.")
