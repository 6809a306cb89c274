"""Debian's cloud kernel, unpacked in the cache: fetched once, and nothing touches /boot."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from attrs import frozen

_METAPACKAGE = "linux-image-cloud-amd64"
_PREFIX = "linux-image-"


class KernelNotFetched(Exception):
    """Debian's package could not be had; one line that says why."""


@frozen
class Kernel:
    """An unpacked kernel package with its modules' dependencies."""

    folder: Path
    release: str

    @property
    def image(self) -> Path:
        return self.folder / "boot" / f"vmlinuz-{self.release}"

    @property
    def modules(self) -> Path:
        return self.folder / "lib/modules" / self.release

    @classmethod
    def cached(cls) -> Self | None:
        """The kernel that is in the cache, the one that came last if there are more."""
        found = [folder for folder in _cache().glob("kernel-*") if folder.is_dir()]
        if not found:
            return None
        newest = max(found, key=lambda folder: folder.stat().st_mtime)
        return cls(newest, newest.name.removeprefix("kernel-"))

    @classmethod
    def fetch(cls) -> Self:
        """Download and unpack it. It gets its name in the cache once it is whole.

        :raises KernelNotFetched: Debian's archive does not answer, or has none.
        """
        _cache().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_cache(), prefix="fetching-") as scratch:
            folder = Path(scratch) / "kernel"
            folder.mkdir()
            try:
                package = _download(Path(scratch))
            except KernelNotFetched:  # the lists of packages may be missing, or old
                _run("apt-get", "-qq", "update")
                package = _download(Path(scratch))
            release = package.name.removeprefix(_PREFIX).partition("_")[0]
            _run("dpkg-deb", "-x", str(package), str(folder))
            # Not busybox's depmod: with what that writes the guest finds no module.
            _run("depmod", "-a", "-b", str(folder), release)
            kernel = cls(_cache() / f"kernel-{release}", release)
            try:
                folder.rename(kernel.folder)
            except OSError:  # another process was faster
                if not kernel.image.exists():
                    raise
        return kernel


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "overlayd"


def _download(folder: Path) -> Path:
    depends = _run("apt-cache", "depends", "--important", _METAPACKAGE)
    names = [word for word in depends.split() if word.startswith(_PREFIX) and word != _METAPACKAGE]
    if not names:
        raise KernelNotFetched(f"apt-cache knows no kernel that {_METAPACKAGE} stands for")
    # apt would download as its own user, who may not write here.
    _run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", names[0], folder=folder)
    return next(folder.glob(f"{names[0]}_*.deb"))


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise KernelNotFetched(f"{' '.join(command[:2])} failed: {said}")
    return done.stdout
