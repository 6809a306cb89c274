"""What this machine must have for a guest."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from lab.guest.kernel import Kernel, KernelNotFetched
from lab.guest.qemu import QEMU
from lab.guest.shares import virtiofsd

_PROGRAMS = (
    (QEMU, "qemu-system-x86"),
    ("depmod", "kmod"),
    ("setpriv", "util-linux"),
)
_FETCHING = ("apt-get", "apt-cache", "dpkg-deb")


def lacks() -> str | None:
    """Say in one line what keeps a guest from running here, and how to get it; None if nothing.

    The kernel is fetched if it is not in the cache yet.
    """
    if os.geteuid() != 0:
        return "needs root: run it with sudo"
    if platform.machine() != "x86_64":
        return f"needs a machine of type x86_64; this is {platform.machine()}"
    for command, package in _PROGRAMS:
        if shutil.which(command) is None:
            return f"needs {command}: apt-get install {package}"
    if virtiofsd() is None:
        return "needs virtiofsd: apt-get install virtiofsd (Debian 12: qemu-system-common)"
    if busybox() is None:
        return "needs a busybox that is linked statically: apt-get install busybox-static"
    return _lacks_kernel()


def busybox() -> Path | None:
    """The busybox that runs without any library."""
    path = shutil.which("busybox")
    if path is None or subprocess.run(["ldd", path], capture_output=True).returncode == 0:
        return None
    return Path(path)


def _lacks_kernel() -> str | None:
    if Kernel.cached() is not None:
        return None
    if any(shutil.which(program) is None for program in _FETCHING):
        return "needs Debian's cloud kernel, which apt-get fetches: run it on Debian"
    try:
        Kernel.fetch()
    except KernelNotFetched as error:
        return f"needs Debian's cloud kernel, from a Debian archive that answers: {error}"
    return None
