"""Carries out a Dockerfile's steps in roots of our own, where no builder of images can run."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.image.base import base
from lab.image.dockerfile import Stage, Step

_IGNORED = shutil.ignore_patterns("__pycache__", "dropin.cache")
_ISOLATED = ("unshare", "--mount", "--propagation", "private")
_RUN = """
cd "$1" && mount --bind . . && cd "$1" || exit 1
mount -t proc proc proc && mount --rbind /dev dev || exit 1
: >etc/resolv.conf && mount --bind /etc/resolv.conf etc/resolv.conf || exit 1
while read -r file place; do
    mkdir -p "$(dirname ".$place")" && : >".$place" && mount --bind "$file" ".$place" || exit 1
done <"$2"
exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "cd $3 && $4"
"""


class StepFailed(Exception):
    """A step did not work; the last that it printed."""


def build(
    stages: tuple[Stage, ...], context: Path, secrets: Mapping[str, Path], scratch: Path, log: Path
) -> tuple[Path, dict[str, Any]]:
    """The root of the last stage, below `scratch`, and its configuration as an image has it.

    :raises StepFailed: a step failed; `log` has all that was printed.
    :raises lab.image.base.NoBase: what it builds on cannot be made.
    """
    roots: dict[str, Path] = {}
    for number, stage in enumerate(stages):
        root = scratch / f"stage{number}"
        root.mkdir()
        archive = base(stage.base, scratch.parent)
        subprocess.run(["tar", "-C", str(root), "-xf", str(archive)], check=True)
        building = _Stage(root, context, roots, secrets, log)
        for step in stage.steps:
            building.carry_out(step)
        roots[stage.name or str(number)] = root
    return root, building.configuration


class _Stage:
    """A root in the making, and what its image says of itself."""

    def __init__(
        self,
        root: Path,
        context: Path,
        roots: Mapping[str, Path],
        secrets: Mapping[str, Path],
        log: Path,
    ) -> None:
        self._root = root
        self._context = context
        self._roots = roots
        self._secrets = secrets
        self._log = log
        self._arguments: dict[str, str] = {}
        self.configuration: dict[str, Any] = {"Env": [], "Labels": {}, "WorkingDir": "/"}

    def carry_out(self, step: Step) -> None:
        """:raises StepFailed: it is none that is known here, or failed."""
        match step.keyword:
            case "RUN":
                self._run(step)
            case "COPY":
                self._copy(step)
            case "ENV":
                self.configuration["Env"] += step.words
            case "ARG":
                self._arguments |= dict([step.text.split("=", 1)])
            case "LABEL":
                labels = dict(word.split("=", 1) for word in step.words)
                for name, value in labels.items():
                    for argument, given in self._arguments.items():
                        value = value.replace(f"${argument}", given)
                    self.configuration["Labels"][name] = value
            case "WORKDIR":
                self.configuration["WorkingDir"] = step.text
                (self._root / step.text[1:]).mkdir(parents=True, exist_ok=True)
            case "USER":
                self.configuration["User"] = step.text
            case "ENTRYPOINT":
                self.configuration["Entrypoint"] = json.loads(step.text)
            case _:
                raise StepFailed(f"{step.keyword} is not known here")

    def _run(self, step: Step) -> None:
        mounts = []
        for flag, value in step.flags:
            options = dict(part.split("=", 1) for part in value.split(","))
            if flag == "mount" and (secret := self._secrets.get(options["id"])):
                mounts.append(f"{secret} {options['target']}\n")
        listed = self._root.with_name("mounts")
        listed.write_text("".join(mounts))
        command = [
            *(*_ISOLATED, "sh", "-c", _RUN, "step", str(self._root), str(listed)),
            *(self.configuration["WorkingDir"], step.text),
        ]
        with self._log.open("ab") as log:
            log.write(f"RUN {step.text}\n".encode())
            log.flush()
            status = subprocess.run(command, stdout=log, stderr=log).returncode
        if status != 0:
            last = self._log.read_text(errors="replace").strip().splitlines()[-1]
            raise StepFailed(f"a step of the Dockerfile ended with status {status}: {last}")

    def _copy(self, step: Step) -> None:
        *sources, place = step.words
        stage = step.flag("from")
        origin = self._context if stage is None else self._roots[stage]
        target = self._root / self.configuration["WorkingDir"][1:] / place.removeprefix("/")
        if place.startswith("/"):
            target = self._root / place[1:]
        for source in sources:
            path = origin / source.removeprefix("/")
            if path.is_dir():
                shutil.copytree(path, target, symlinks=True, ignore=_IGNORED, dirs_exist_ok=True)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
