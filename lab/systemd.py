"""systemd as process 1 of a machine of the lab, with one unit to look after."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from lab import installed
from lab.eventually import eventually, patience
from lab.namespaces import Namespace, end

_PROGRAM = "/usr/lib/systemd/systemd"
_LIMIT = patience(30.0)  # seconds for it to come up, and for what it is asked
_UNITS = "systemd-lab"  # below /run
_TARGETS = ("basic", "multi-user", "network-online", "shutdown", "sysinit")
"""Without what a whole machine has them start."""

# Its cgroups are below one of its own: what it leaves there can be found, and removed.
_BOOT = """
[ -e /sys/fs/cgroup/cgroup.procs ] || mount -t cgroup2 none /sys/fs/cgroup
mkdir -p "$1" && echo 0 >"$1/cgroup.procs" && shift && exec "$@"
"""
_IN_ITS_OWN = (
    *("unshare", "--cgroup", "--mount", "--uts", "--pid", "--fork", "--kill-child"),
    "--mount-proc",
)
# What it would write at its start, the machine's id among them, belongs to another systemd.
_FIRST = """
umount /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup &&
mount -t tmpfs tmp /tmp && mount -t tmpfs tmp /var/tmp && mount --bind -o ro /etc /etc &&
exec "$@"
"""


def lacks() -> str | None:
    """Say in one line what keeps systemd from running here, and how to get it; or None."""
    if not os.path.exists(_PROGRAM) or shutil.which("systemctl") is None:
        return "needs systemd: apt-get install systemd"
    for folder in (sys.prefix, installed.folder()):
        if Path("/tmp") in Path(folder).parents:
            return (
                f"needs overlayd installed elsewhere: a unit with PrivateTmp does not see {folder}"
            )
    return None


class Systemd:
    """It runs a unit, which it has started once this is made. `close` ends all that it started.

    `settings` is what the administrator adds to the unit. It has cgroups, mounts, processes and a
    host name of its own, and the machine's network and /run.
    """

    def __init__(self, machine: Namespace, unit: str, text: str, settings: str) -> None:
        self._machine = machine
        self._unit = unit
        self._cgroup = Path(f"/sys/fs/cgroup/overlayd-lab/systemd-{machine.name}")
        self._write_units(text, settings)
        with (machine.run_folder / "systemd.log").open("ab") as log:
            self._process = machine.start(self._command(), log)
        eventually(_LIMIT, "systemd is up", lambda: machine.running("systemd"))
        eventually(_LIMIT, f"{unit} is started", lambda: self.show("ActiveState") == "active")

    def show(self, name: str) -> str:
        """A property of the unit, as `systemctl show` has it."""
        done = self._attempt("show", "--value", "--property", name, self._unit)
        return done.stdout.strip()

    def ctl(self, verb: str) -> None:
        """Have systemctl do something to the unit, and wait until it is done."""
        done = self._attempt(verb, self._unit)
        if done.returncode != 0:
            raise AssertionError(f"systemctl {verb} {self._unit}: {done.stderr}")

    def close(self) -> None:
        end(self._process, signal.SIGKILL)
        root = Path(f"/proc/{self._machine.pid}/root")
        for folder, _, _ in os.walk(root / self._cgroup.relative_to("/"), topdown=False):
            eventually(_LIMIT, "all that it started has ended", partial(_removed, folder))

    def _attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # It answers nobody whose number it does not know.
        (first,) = self._machine.running("systemd")
        entering = (*self._machine.enter(first), "--pid")
        return self._machine.attempt(*entering, "systemctl", *arguments, limit=_LIMIT)

    def _command(self) -> list[str]:
        systemd = (
            *("env", "-i", "container=lab", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"),
            *(f"SYSTEMD_UNIT_PATH=/run/{_UNITS}", _PROGRAM, "--system", "--log-target=console"),
        )
        inner = (*_IN_ITS_OWN, "sh", "-ec", _FIRST, "first", *systemd)
        return ["sh", "-ec", _BOOT, "boot", str(self._cgroup), *inner]

    def _write_units(self, text: str, settings: str) -> None:
        folder = self._machine.run_folder / _UNITS
        wants, added = folder / "multi-user.target.wants", folder / f"{self._unit}.d"
        for new in (wants, added):
            new.mkdir(parents=True, exist_ok=True)
        for target in _TARGETS:
            (folder / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
        (folder / "default.target").symlink_to("multi-user.target")
        (folder / self._unit).write_text(text)
        (added / "lab.conf").write_text(settings)
        (wants / self._unit).symlink_to(f"../{self._unit}")


def _removed(cgroup: str) -> bool:
    try:
        os.rmdir(cgroup)
    except OSError:
        return False  # there are processes in it
    return True
