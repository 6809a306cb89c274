"""The profile that a container runtime takes for RuntimeDefault, as OCI has profiles. Pure.

containers-common ships the one that podman and CRI-O take, in a form with conditions; Docker's and
containerd's are the same rules.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

PROFILE = Path("/usr/share/containers/seccomp.json")
"""Debian's golang-github-containers-common has it."""

_ARCHITECTURES = ("amd64", "x86", "x32")
_MADE_OF = ("names", "action", "args", "errnoRet")


def runtime_default(capabilities: Collection[str]) -> dict[str, Any]:
    """What it allows a container with these capabilities."""
    profile = json.loads(PROFILE.read_text())
    native = profile["archMap"][0]
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": [native["architecture"], *native["subArchitectures"]],
        "syscalls": [
            {key: rule[key] for key in _MADE_OF if rule.get(key) not in (None, [])}
            for rule in profile["syscalls"]
            if _applies(rule.get("includes") or {}, capabilities)
            and not _excluded(rule.get("excludes") or {}, capabilities)
        ],
    }


def _applies(includes: dict[str, Any], capabilities: Collection[str]) -> bool:
    wanted, architectures = includes.get("caps") or (), includes.get("arches") or ()
    return set(wanted) <= set(capabilities) and (
        not architectures or bool(set(architectures) & set(_ARCHITECTURES))
    )


def _excluded(excludes: dict[str, Any], capabilities: Collection[str]) -> bool:
    return bool(
        set(excludes.get("caps") or ()) & set(capabilities)
        or set(excludes.get("arches") or ()) & set(_ARCHITECTURES)
    )
