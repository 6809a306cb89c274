"""Builds an image with buildah, in a store of its own. Blocking."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.image.base import base
from lab.image.dockerfile import Stage

_NAME = "localhost/overlayd"


class Refused(Exception):
    """buildah cannot do it here; one line that says why."""


class Buildah:
    """A store of images below a folder. What it has of earlier builds makes the next one fast."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        """:raises Refused: buildah cannot keep images there, with any of its drivers."""
        self._folder = folder
        errors = []
        for driver in ("overlay", "vfs"):
            self._command = [
                *("buildah", "--root", str(folder / driver), "--runroot", str(scratch / driver)),
                *("--storage-driver", driver),
            ]
            try:
                self._run("info")
                self._run("rm", "--all")
                return
            except Refused as error:
                errors.append(str(error))
        raise Refused(errors[-1])

    def build(
        self,
        context: Path,
        stages: Sequence[Stage],
        secrets: Mapping[str, Path],
        tag: str,
        log: Path,
    ) -> None:
        """Build the Dockerfile of a folder, which has these stages, in place of earlier builds.

        Each stage is an image with a name: what has none is pruned, and made anew the next time.

        :raises Refused: it failed; `log` has all that was printed.
        :raises lab.image.base.NoBase: what it builds on cannot be made.
        """
        for name in {stage.base for stage in stages}:
            self._import(name)
        before, names = self._ours(), set()
        for number, stage in enumerate(stages):
            last = stage is stages[-1]
            name = f"{_NAME}:{tag}" if last else f"{_NAME}:{tag}-stage{number}"
            self._run(
                *("build", "--isolation=chroot", "--network=host", "--pull=never", "--layers"),
                *(f"--secret=id={name},src={path}" for name, path in secrets.items()),
                *(() if last else ("--target", stage.name)),
                *("--tag", name, str(context)),
                log=log,
            )
            names.add(name)
        for old in before - names:
            self._run("rmi", old)
        self._run("rmi", "--prune")

    def unpack(self, tag: str, root: Path) -> dict[str, Any]:
        """Copy an image's files to a folder, which is made; the image's configuration."""
        working = self._run("from", "--pull=never", f"{_NAME}:{tag}").strip()
        try:
            mounted = self._run("mount", working).strip()
            subprocess.run(["cp", "-a", mounted, str(root)], check=True)
        finally:
            self._run("rm", working)
        inspected = self._run("inspect", "--type", "image", f"{_NAME}:{tag}")
        configuration: dict[str, Any] = json.loads(inspected)["OCIv1"]["config"]
        return configuration

    def _import(self, name: str) -> None:
        """Give the store the image that a Dockerfile names, unless it has it."""
        full = f"docker.io/library/{name}"
        if full in self._names():
            return
        archive = base(name, self._folder.parent)
        working = self._run("from", "scratch").strip()
        self._run("add", "--quiet", working, str(archive), "/")
        self._run("config", "--cmd", "/bin/bash", working)
        self._run("commit", "--quiet", "--rm", working, full)

    def _names(self) -> set[str]:
        images = json.loads(self._run("images", "--json") or "[]")
        return {name for image in images or () for name in image.get("names") or ()}

    def _ours(self) -> set[str]:
        return {name for name in self._names() if name.startswith(f"{_NAME}:")}

    def _run(self, *arguments: str, log: Path | None = None) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True)
        if log is not None:
            with log.open("a") as file:
                file.write(done.stdout + done.stderr)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise Refused(f"buildah {arguments[0]} failed: {said[-1]}")
        return done.stdout
