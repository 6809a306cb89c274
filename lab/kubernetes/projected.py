"""The files that a kubelet puts into a pod, and changes there as it does."""

import os
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path


class ProjectedVolume:
    """A folder whose files all change at one instant: `..data` is a link to those of now.

    So does the kubelet's AtomicWriter: the files are links through `..data`, which is swapped.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        folder.mkdir(parents=True)

    def write(self, files: Mapping[str, bytes]) -> None:
        """Let the folder hold these files, which are the same ones each time."""
        current, link = self._folder / "..data", self._folder / "..data_tmp"
        new = self._folder / f"..{next(self._numbers)}"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        old = os.readlink(current) if current.is_symlink() else None
        link.symlink_to(new.name)
        link.replace(current)
        for name in files:
            if not (self._folder / name).is_symlink():
                (self._folder / name).symlink_to(f"..data/{name}")
        if old is not None:
            shutil.rmtree(self._folder / old)
