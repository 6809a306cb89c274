"""What this machine must have for containers."""

import shutil

from lab import private
from lab.container.seccomp import PROFILE


def lacks() -> str | None:
    """Say in one line what keeps containers from running here, and how to get it; or None."""
    if shutil.which("runc") is None:
        return "needs runc: apt-get install runc"
    if not PROFILE.exists():
        return f"needs {PROFILE}: apt-get install golang-github-containers-common"
    return private.machine_lacks()
