"""The cgroups that a container's runtime works with, where this machine shows it none."""

import contextlib
import os
import subprocess
from pathlib import Path

_FOLDER = Path("/sys/fs/cgroup")
_OURS = _FOLDER / "overlayd-lab"


def provide() -> None:
    """Let the mounts of this process, and of machines made after this, have version 2 of them.

    To be called in private namespaces. What containers of an earlier run left is removed.
    """
    if not (_FOLDER / "cgroup.procs").exists():
        # Mounted anew from here, it would lose options that the machine has set.
        there = _FOLDER / "unified"
        how = ["--bind", str(there)] if there.exists() else ["-t", "cgroup2", "none"]
        subprocess.run(["mount", *how, str(_FOLDER)], check=True)
    for folder in _OURS.glob("*"):
        with contextlib.suppress(OSError):  # there is a container of another run in it
            os.rmdir(folder)
