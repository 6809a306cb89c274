"""The image that our Dockerfile builds on, made by debootstrap as Debian makes its own."""

import shutil
import subprocess
import tempfile
from pathlib import Path

_SUITES = {"12": "bookworm", "13": "trixie"}
_SOURCES = """\
deb http://deb.debian.org/debian {suite} main
deb http://deb.debian.org/debian {suite}-updates main
deb http://deb.debian.org/debian-security {suite}-security main
"""
_EMPTIED = (
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale"),
    *("var/cache/apt", "var/lib/apt/lists", "var/log"),
)
"""What Debian's own slim images leave out; apt and dpkg make again what they need of it."""


class NoBase(Exception):
    """It could not be made; one line that says why."""


def base(name: str, cache: Path) -> Path:
    """The root of an image like `debian:12.15-slim` as a tar, out of the cache if it is there.

    What Debian publishes now is in it: of another point release, once the one named is history.

    :raises NoBase: debootstrap does not know it, or failed.
    """
    repository, _, tag = name.partition(":")
    suite = _SUITES.get(tag.partition(".")[0])
    if repository != "debian" or suite is None or not tag.endswith("-slim"):
        raise NoBase(f"debootstrap makes no {name}, which the Dockerfile builds on")
    archive = cache / f"base-{tag}.tar"
    if not archive.exists():
        with tempfile.TemporaryDirectory(dir=cache, prefix="base-") as scratch:
            root = Path(scratch, "root")
            _run("debootstrap", "--variant=minbase", suite, str(root))
            for folder in _EMPTIED:
                for path in Path(root, folder).iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            Path(root, "etc/apt/sources.list").write_text(_SOURCES.format(suite=suite))
            unfinished = Path(scratch, "tar")
            _run("tar", "-C", str(root), "--one-file-system", "-cf", str(unfinished), ".")
            unfinished.rename(archive)
    return archive


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise NoBase(f"{command[0]} failed: {said[-1]}")
