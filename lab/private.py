"""Run a command in private namespaces: what it starts ends with it, what it changes stays inside.

    python -m lab.private COMMAND [ARGUMENT...]

The command is process 1 of its own process namespace, so its end, by whatever signal, ends every
daemon and every network namespace that it left. Its network, mounts, /run and /dev/shm are its own.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

MARK = "OVERLAYD_PRIVATE_NAMESPACES"
"""Set to 1 for what runs inside."""

CHROOT = "OVERLAYD_IN_CHROOT"
"""Set to 1 where that is a chroot."""

PROC = "OVERLAYD_OUTER_PROC"
"""The number of an open file: the /proc outside, where a person sees these processes."""

_PID_NUMBERS = re.compile(r"^NSpid:\s+(.*)$", re.MULTILINE)
_UNSHARE = (
    *("setpriv", "--pdeathsig", "KILL"),  # unshare itself does not die with us
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)
# In a chroot / is no mount point, and only a mount point can be cut off from the mounts outside.
# unshare has done so with /proc; the root is mounted once more, there, and becomes the root.
_IN_CHROOT = (
    *("--propagation", "unchanged", "sh", "-c"),
    'mount --rbind / /proc/sys && mount --make-rprivate /proc/sys && exec chroot /proc/sys "$@"',
    "chroot",
)
_BEGIN = (
    *("sh", "-c"),
    "mount -t tmpfs run /run && { [ ! -d /dev/shm ] || mount -t tmpfs shm /dev/shm; } && "
    'ip link set lo up && cd "$1" && shift && exec "$@"',
    "private",
)
_PROGRAMS = (
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("wg", "wireguard-tools"),
    ("wireguard-go", "wireguard-go"),
)


def inside() -> bool:
    """Whether this process already runs in private namespaces."""
    return os.environ.get(MARK) == "1"


def missing() -> str | None:
    """Say in one line what keeps nodes from being made here, and how to get it; None if nothing."""
    if not inside():
        return "needs private namespaces: run it with `python -m lab.private COMMAND`"
    return machine_lacks()


def machine_lacks() -> str | None:
    """Say in one line what this machine lacks for private namespaces with nodes in them."""
    if os.geteuid() != 0:
        return "needs root: run it with sudo"
    if lacking := lacks_programs():
        return lacking
    if not os.path.exists("/dev/net/tun"):
        return "needs /dev/net/tun: modprobe tun, or give the container that device"
    if not inside() and subprocess.run(_entering(["true"]), capture_output=True).returncode:
        return "needs to make namespaces: run it where root may (CAP_SYS_ADMIN)"
    return None


def lacks_programs() -> str | None:
    """Say in one line which program nodes need is not installed here."""
    for command, package in _PROGRAMS:
        if shutil.which(command) is None:
            return f"needs {command}: apt-get install {package}"
    return None


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command in private namespaces; its exit status.

    Ctrl-C is the command's to handle: the terminal sends it there too. SIGTERM ends it at once,
    and with it everything inside.
    """
    outer = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    chroot = {CHROOT: "1"} if in_chroot() else {}
    private = {**environment, MARK: "1", PROC: str(outer), **chroot}
    with subprocess.Popen(_entering(command), env=private, pass_fds=[outer]) as process:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: process.kill())
        status = process.wait()
    return 128 - status if status < 0 else status


def _entering(command: Sequence[str]) -> list[str]:
    return [*_UNSHARE, *(_IN_CHROOT if _root_is_no_mount() else ()), *_BEGIN, os.getcwd(), *command]


def in_chroot() -> bool:
    """Whether our root is not that of our mount namespace, which who enters that would get."""
    if not inside():
        return _root_is_no_mount()
    return os.environ.get(CHROOT) == "1"


def _root_is_no_mount() -> bool:
    with open("/proc/self/mountinfo") as mounts:
        return not any(line.split()[4] == "/" for line in mounts)


def outer_pid(pid: int) -> int:
    """The number that a process in here has for a person outside."""
    outer = Path(f"/proc/self/fd/{os.environ[PROC]}")
    ours = os.readlink(f"/proc/{pid}/ns/pid")
    for folder in outer.glob("[0-9]*"):
        try:
            numbers = _PID_NUMBERS.search((folder / "status").read_text())
            same = numbers is not None and numbers[1].split()[-1] == str(pid)
            if same and os.readlink(folder / "ns/pid") == ours:
                return int(folder.name)
        except OSError:
            continue  # it has ended meanwhile
    raise LookupError(f"process {pid} is not there")


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("lab.private: making namespaces needs root: run it with sudo")
    sys.exit(run(sys.argv[1:], os.environ))
