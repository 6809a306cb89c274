"""systemd as process 1 of a machine of the lab, with one unit to look after."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import uuid
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

_CGROUPS = Path("/sys/fs/cgroup/overlayd-lab")

# Its cgroups are below one of its own: what it leaves there can be found, and removed. Mounted
# anew from here, cgroup2 would lose options that the machine has set.
_BOOT = """
at=/sys/fs/cgroup
if [ -e $at/unified ]; then mount --bind $at/unified $at; fi
if [ ! -e $at/cgroup.procs ]; then mount -t cgroup2 none $at; fi
mkdir -p "$1"
echo 0 >"$1/cgroup.procs"
shift
exec "$@"
"""
_IN_ITS_OWN = (
    *("unshare", "--cgroup", "--mount", "--uts", "--pid", "--fork", "--kill-child"),
    "--mount-proc",
)
# What process 1 sets up for a whole machine is none of its business here: devices and console,
# the limit on open files, the machine's id. And what it would write to /tmp goes with it.
_APART = """
umount /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount --rbind -o ro /proc/sys/fs /proc/sys/fs
mount --rbind -o ro /proc/sys/kernel /proc/sys/kernel
mount --rbind -o ro /etc /etc
dev=/run/systemd-lab/dev
mkdir $dev
mount -t tmpfs dev $dev
mkdir $dev/net
for node in full net/tun null random tty urandom zero; do
    if [ ! -e /dev/$node ]; then continue; fi
    : >$dev/$node
    mount --bind /dev/$node $dev/$node
done
mount --rbind $dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs tmp /var/tmp
exec "$@"
"""
_WITHOUT = ("setpriv", "--bounding-set", "-sys_boot,-sys_module,-sys_time,-syslog")


def lacks() -> str | None:
    """Say in one line what keeps systemd from running here, and how to get it; or None."""
    if not os.path.exists(_PROGRAM) or shutil.which("systemctl") is None:
        return "needs systemd: apt-get install systemd"
    if "\tcgroup2\n" not in Path("/proc/filesystems").read_text():
        return "needs version 2 of cgroups, and this kernel has none"
    for folder in (Path(sys.prefix), installed.folder()):
        if folder.is_relative_to("/tmp") or folder.is_relative_to("/var/tmp"):
            return f"needs overlayd installed elsewhere: PrivateTmp hides {folder} from a unit"
    return None


class Systemd:
    """It runs a unit, which it has started once this is made. `close` ends all that it started.

    `settings` is what the administrator adds to the unit. It has cgroups, devices, mounts,
    processes and a host name of its own, and the machine's network and /run.
    """

    def __init__(self, machine: Namespace, unit: str, text: str, settings: str) -> None:
        self._machine = machine
        self._unit = unit
        self._cgroup = _CGROUPS / f"systemd-{machine.name}-{uuid.uuid4().hex[:8]}"
        self._write_units(text, settings)
        log = machine.run_folder / "systemd.log"
        with log.open("wb") as said:
            self._process = machine.start(self._command(), said)
        try:
            eventually(_LIMIT, f"{unit} is started", lambda: self.show("ActiveState") == "active")
        except AssertionError as error:
            self.close()
            raise AssertionError(f"{error}: {log.read_text()}") from None

    def show(self, name: str) -> str:
        """A property of the unit, as `systemctl show` has it; "" while systemd is not up."""
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
        ours = root / self._cgroup.relative_to("/")
        for folder, _, _ in os.walk(ours, topdown=False):
            eventually(_LIMIT, "all that it started has ended", partial(_removed, folder))
        with contextlib.suppress(OSError):  # it is others' too
            os.rmdir(ours.parent)

    def _attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # It answers nobody whose number it does not know.
        inside = ("nsenter", "-t", self._first(), "--pid", "--mount", "--root", "--wd")
        return self._machine.attempt(*inside, "systemctl", *arguments, limit=_LIMIT)

    def _first(self) -> str:
        """Process 1, by its number here: the child of unshare. "0", nobody, while there is none."""
        pid = self._process.pid
        try:
            return Path(f"/proc/{pid}/task/{pid}/children").read_text().strip() or "0"
        except OSError:
            return "0"

    def _command(self) -> list[str]:
        systemd = (
            *(*_WITHOUT, "env", "-i", "container=lab", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"),
            *(f"SYSTEMD_UNIT_PATH=/run/{_UNITS}", _PROGRAM, "--system", "--log-target=null"),
        )
        inner = (*_IN_ITS_OWN, "sh", "-ec", _APART, "apart", *systemd)
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
