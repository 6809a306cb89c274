"""Where Kubernetes' programs are: where everyone has them, or built here from Go modules.

The first of these that has a program decides: the folder in KUBEBUILDER_ASSETS,
/usr/local/kubebuilder/bin, and our cache, into which Go builds what is in none of them.
"""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from attrs import frozen

_TOOLS = Path(__file__).with_name("tools")
"""A Go module that is nothing but a list of tools, with the sums of all they are made of."""

_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
}
_USUAL = Path("/usr/local/kubebuilder/bin")
_HOW_TO_GET = (
    "install Go {wanted} or newer, which builds it once, or set KUBEBUILDER_ASSETS to a folder "
    "that holds it (`setup-envtest use -p path` prints one, without kube-controller-manager)"
)


class Missing(Exception):
    """A program is not here and cannot be built; the text is one line and says how to get it."""


@frozen
class Binaries:
    etcd: Path
    kubectl: Path
    apiserver: Path
    controller_manager: Path


def binaries() -> Binaries:
    """Find the programs; build those that are nowhere, which takes minutes, and says so.

    :raises Missing: at least one is not to be had.
    """
    found = _found(os.environ)
    missing = [name for name in _PACKAGES if name not in found]
    if missing:
        go_that_builds(missing)
        found |= _build(missing, cache_folder(os.environ))
    return Binaries(*(found[name] for name in _PACKAGES))


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where programs that were built are kept: another folder for other versions."""
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "/root", ".cache")
    version = hashlib.sha256((_TOOLS / "go.sum").read_bytes()).hexdigest()[:12]
    return Path(base, "overlayd", f"kubernetes-{version}")


def _found(environ: Mapping[str, str]) -> dict[str, Path]:
    folders = [_USUAL, cache_folder(environ)]
    if assets := environ.get("KUBEBUILDER_ASSETS"):
        folders.insert(0, Path(assets))
        for name in ("etcd", "kube-apiserver"):
            if not _runs(Path(assets, name)):
                raise Missing(f"KUBEBUILDER_ASSETS is {assets}, which holds no {name}")
    return {
        name: folder / name
        for name in _PACKAGES
        for folder in reversed(folders)
        if _runs(folder / name)
    }


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def go_that_builds(names: Collection[str]) -> None:
    """:raises Missing: there is no Go, or one that is too old."""
    wanted = _version(_line(r"^go (\S+)$", (_TOOLS / "go.mod").read_text()))
    lacking = f"needs {', '.join(names)}"
    how = _HOW_TO_GET.format(wanted=".".join(map(str, wanted[:2])))
    try:
        asked = _go("env", "GOVERSION")
    except FileNotFoundError:
        raise Missing(f"{lacking}, and there is no Go to build that: {how}") from None
    here = asked.stdout.strip() or asked.stderr.strip().splitlines()[-1]
    if asked.returncode != 0 or _version(here) < wanted:
        raise Missing(f"{lacking}, and the Go here is too old to build that ({here}): {how}")


def _build(names: Collection[str], folder: Path) -> dict[str, Path]:
    """Build into the cache, one program after the other, each whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another one may be building just this
        for name in names:
            if not _runs(folder / name):
                _build_one(name, folder)
    return {name: folder / name for name in names}


def _build_one(name: str, folder: Path) -> None:
    _say(f"building {name} with Go, once: all four take about six minutes on two cores")
    began = time.monotonic()
    module = "k8s.io/kubernetes"
    version = _line(rf"^\s*(?:require )?{module} (v\S+)", (_TOOLS / "go.mod").read_text())
    major, minor = _version(version)[:2]
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamps.items())
    with tempfile.TemporaryDirectory(dir=folder) as unfinished:
        built = Path(unfinished, name)
        done = _go(
            *("build", "-mod=readonly", "-buildvcs=false", "-ldflags", f"-s -w {flags}"),
            *("-o", str(built), _PACKAGES[name]),
        )
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise Missing(f"needs {name}, and building it with Go failed: {said[-1]}")
        built.replace(folder / name)
    _say(f"built {name} in {time.monotonic() - began:.0f} s")


def _go(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Go on the module, whatever workspace a person has."""
    environ = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    return subprocess.run(
        ["go", *arguments], cwd=_TOOLS, env=environ, capture_output=True, text=True
    )


def _line(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    assert found is not None
    return found[1]


def _version(text: str) -> tuple[int, ...]:
    """The numbers of go1.26.8, 1.26.0 or v1.36.2; nothing where there are none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(number or 0) for number in found.groups()) if found else ()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
