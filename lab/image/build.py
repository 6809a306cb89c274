"""The image as files and words, built once for each state of what it is made of."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from attrs import frozen

from lab.image import chroot, dockerfile
from lab.image.base import NoBase
from lab.image.buildah import Buildah, Refused
from lab.image.settings import write_secrets
from lab.installed import CHECKOUT

_MADE_OF = (
    *("Dockerfile", ".dockerignore", "pyproject.toml", "setup.py", "README.md", "LICENSE"),
    *("image", "overlayd", "twisted"),
)
_IGNORED = ("*.pyc", "dropin.cache")
_KEPT = 2
"""How many images stay: another checkout may be at work, too."""


class NotBuilt(Exception):
    """There is no image, and none could be made; one line that says why."""


@frozen
class Image:
    """Its files, which are nobody's to write to, and its configuration as OCI has it."""

    root: Path
    configuration: dict[str, Any]
    builder: str

    @classmethod
    def load(cls, folder: Path) -> Self:
        said = json.loads((folder / "image.json").read_text())
        return cls(folder / "root", said["configuration"], said["builder"])

    @property
    def entrypoint(self) -> tuple[str, ...]:
        return tuple(self.configuration["Entrypoint"])

    @property
    def environment(self) -> dict[str, str]:
        return dict(variable.split("=", 1) for variable in self.configuration["Env"])


def built() -> Image:
    """The image of this checkout, out of the cache.

    :raises NotBuilt: it is not there.
    """
    folder = _folder()
    if not folder.exists():
        raise NotBuilt("the image is not built: run `python -m lab.image`")
    return Image.load(folder)


def build() -> Image:
    """The image of this checkout, built if it is not there, which takes minutes, and says so.

    :raises NotBuilt: it could not be built.
    """
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another one may be building just this
        if not folder.exists():
            _build_into(folder)
    return Image.load(folder)


def lacks() -> str | None:
    """Say in one line what keeps the image from being here; None where it is, be it only now."""
    if os.geteuid() != 0:
        return "needs root: run it with sudo"
    if shutil.which("debootstrap") is None:
        return "needs debootstrap: apt-get install debootstrap"
    try:
        build()
    except NotBuilt as error:
        return str(error)
    return None


def _build_into(folder: Path) -> None:
    began, cache = time.monotonic(), folder.parent
    log = cache / "image.log"
    log.write_text("")
    _say("building the image; the first time takes some minutes")
    with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as scratch:
        made = Path(scratch, "image")
        made.mkdir()
        try:
            builder, configuration = _build(made / "root", folder.name, Path(scratch), log)
        except (Refused, NoBase, chroot.StepFailed, subprocess.CalledProcessError) as error:
            raise NotBuilt(f"the image cannot be built: {error} ({log} has the rest)") from None
        said = {"configuration": configuration, "builder": builder}
        (made / "image.json").write_text(json.dumps(said))
        made.rename(folder)
    images = sorted(cache.glob("image-*"), key=lambda path: path.stat().st_mtime)
    for old in images[:-_KEPT]:
        shutil.rmtree(old)
    _say(f"built the image by {builder} in {time.monotonic() - began:.0f} s")


def _build(root: Path, tag: str, scratch: Path, log: Path) -> tuple[str, dict[str, Any]]:
    """By buildah; by hand where buildah cannot run, which is not to say where a step fails."""
    stages = dockerfile.parse((CHECKOUT / "Dockerfile").read_text())
    secrets = write_secrets(scratch)
    try:
        buildah = Buildah(scratch.parent / "images", scratch)
    except (Refused, FileNotFoundError) as error:
        _say(f"not by buildah ({error}): the same steps in roots of our own")
    else:
        buildah.build(CHECKOUT, stages, secrets, tag, log)
        return "buildah", buildah.unpack(tag, root)
    made, configuration = chroot.build(stages, CHECKOUT, secrets, scratch, log)
    made.rename(root)
    return "chroot", configuration


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or "/root", ".cache")
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(f"{path.relative_to(CHECKOUT)}\n".encode() + path.read_bytes())
    return Path(cache, "overlayd", f"image-{digest.hexdigest()[:12]}")


def _sources() -> Iterator[Path]:
    for name in _MADE_OF:
        path = CHECKOUT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not any(file.match(pattern) for pattern in _IGNORED):
                yield file


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
