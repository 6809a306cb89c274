"""One container on a node, run by runc: made, told, asked and ended."""

import itertools
import json
import subprocess
from collections.abc import Callable
from typing import IO

from lab import private
from lab.container.manifests import Document
from lab.eventually import patience
from lab.image import Image
from lab.namespaces import Namespace

RUNC = ("runc", "--root", "/run/runc")
_FOLDER = "/run/containers"
_LIMIT = patience(60.0)  # seconds for a command in a container

_PREPARE = """
mkdir -p "$1/upper" "$1/work" "$1/root" &&
    mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root" &&
    cat >"$1/config.json"
"""
_numbers = itertools.count(1)


class Container:
    """A container on a machine, running from the start until its process has ended.

    Its files are the image's with a layer of its own on top, as every runtime has it.
    """

    def __init__(
        self,
        machine: Namespace,
        name: str,
        log: IO[bytes],
        image: Image,
        configure: Callable[[str], Document],
    ) -> None:
        """`configure` answers its config.json for the folder that its files are in."""
        self._machine = machine
        self._id = f"{machine.name}-{name}-{next(_numbers)}"
        self._folder = f"{_FOLDER}/{self._id}"
        document = configure(f"{self._folder}/root")
        self._process = document["process"]
        document["linux"]["cgroupsPath"] = f"/overlayd-lab/{self._id}"
        prepare = ("sh", "-c", _PREPARE, "prepare", self._folder, str(image.root))
        machine.run(*prepare, given=json.dumps(document))
        self.process = machine.start([*RUNC, "run", "--bundle", self._folder, self._id], log)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def signal(self, name: str) -> bool:
        """Send a signal to its first process; whether there is one: it may not have begun."""
        return self._machine.attempt(*RUNC, "kill", self._id, name).returncode == 0

    def execute(self, *command: str, limit: float = _LIMIT) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as kubectl exec and kubelet's probes do."""
        if private.in_chroot():
            return self._machine.attempt(*self._entering(), *command, limit=limit)
        return self._machine.attempt(*RUNC, "exec", self._id, *command, limit=limit)

    def _entering(self) -> list[str]:
        """What `runc exec` does, in a chroot, where that ends in the root outside of it."""
        said = self._machine.attempt(*RUNC, "state", self._id).stdout
        pid = json.loads(said)["pid"] if said else 0
        granted = self._process["capabilities"]["bounding"]
        kept = "".join(f",+{name.removeprefix('CAP_').lower()}" for name in granted)
        user = self._process["user"]
        return [
            *("nsenter", "-t", str(pid), "--mount", "--pid", "--ipc", "--root", "--wd"),
            *("env", "-i", *self._process["env"], "setpriv", f"--bounding-set=-all{kept}"),
            *(f"--reuid={user['uid']}", f"--regid={user['gid']}", "--clear-groups"),
            "--no-new-privs",
        ]

    def wait(self, limit: float | None = None) -> int:
        """The exit status, once it has ended: 128 and a signal's number if that ended it.

        :raises subprocess.TimeoutExpired: it has not after so many seconds.
        """
        status = self.process.wait(limit)
        self._machine.attempt("umount", f"{self._folder}/root")
        return status
