"""One run of the guest, from its first file to its last process."""

import os
import select
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from lab.eventually import SLOWER
from lab.guest import qemu
from lab.guest.initramfs import initramfs
from lab.guest.kernel import Kernel
from lab.guest.needs import busybox
from lab.guest.shares import DIES_WITH_US, Share, served

TIMED_OUT = 124
"""The exit status of a guest that took too long, as timeout(1) has it."""

LOST = 125
"""That of one which ended and told no exit status."""

_FACTOR = "5"
"""How much longer tests have to wait in a guest."""

_PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LANG")
_PASSED_ON_PREFIXES = ("OVERLAYD_", "HYPOTHESIS_")
_CONSOLE_LINES = 100  # what a panic says of the stack comes after its reason


@frozen
class Wanted:
    """A command, and what it needs: memory as QEMU takes it, seconds, and folders to write."""

    command: Sequence[str]
    memory: str
    timeout: float
    folders: Sequence[Path]


def run(wanted: Wanted, environment: Mapping[str, str]) -> int:
    """Run a command in a guest, pass on what it prints as it comes, and return its exit status.

    Of the environment only what is named here is passed on.
    """
    kernel, static = Kernel.cached(), busybox()
    if kernel is None or static is None:
        raise LookupError("ask lab.guest.lacks() first")
    shares = (
        Share("root", Path("/"), "always"),
        *(Share(f"share{n}", folder, "auto") for n, folder in enumerate(wanted.folders)),
    )
    with tempfile.TemporaryDirectory(prefix="guest-") as folder:
        scratch = Path(folder)
        initrd = scratch / "initrd"
        initrd.write_bytes(
            initramfs(kernel, static, _settings(kernel, shares, wanted.command, environment))
        )
        command = qemu.command(kernel, initrd, shares, wanted.memory, scratch)
        with served(shares, scratch):
            in_time = _pass_on(command, wanted.timeout)
        told = _told(qemu.status(scratch))
        if told is None:
            _explain(in_time, wanted.timeout, qemu.console(scratch))
    if told is None:
        return LOST if in_time else TIMED_OUT
    return told


def _settings(
    kernel: Kernel,
    shares: Sequence[Share],
    command: Sequence[str],
    environment: Mapping[str, str],
) -> dict[str, str]:
    passed_on = {
        name: value
        for name, value in environment.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    inside = {SLOWER: _FACTOR, **passed_on}
    words = ["env", "-i", *(f"{name}={value}" for name, value in inside.items()), *command]
    return {
        "RELEASE": kernel.release,
        "MODULES": str(kernel.modules),
        "SHARES": "".join(f"{share.tag} {share.folder}\n" for share in shares[1:]),
        "FOLDER": os.getcwd(),
        "COMMAND": shlex.join(words),
    }


def _pass_on(command: Sequence[str], timeout: float) -> bool:
    """Run QEMU and copy what comes to our standard output; whether it ended in time."""
    limit = time.monotonic() + timeout
    process = subprocess.Popen(
        [*DIES_WITH_US, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is ours to handle
    )
    assert process.stdout is not None
    try:
        while (left := limit - time.monotonic()) > 0:
            if not select.select([process.stdout], [], [], left)[0]:
                break
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                return True
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
        return False
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _told(status: Path) -> int | None:
    try:
        return int(status.read_text())
    except (OSError, ValueError):
        return None


def _explain(in_time: bool, timeout: float, console: Path) -> None:
    what = "ended without an exit status" if in_time else f"took longer than {timeout:g} s"
    last = console.read_text(errors="replace").splitlines()[-_CONSOLE_LINES:]
    sys.stdout.flush()
    sys.stderr.write(f"lab.guest: the guest {what}; the last of its console:\n")
    sys.stderr.writelines(f"  {line}\n" for line in last)
