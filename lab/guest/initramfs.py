"""What the guest boots into: busybox, a few modules, and the scripts that mount the rest."""

import shlex
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from lab.guest.kernel import Kernel

_MODULES = ("virtio_pci", "virtio_console", "virtiofs", "overlay")
"""What it takes to see the shares. The others the guest loads itself, from there."""

_FOLDERS = ("bin", "dev", "lower", "modules", "new", "over", "proc", "sys")
_FOLDER, _FILE, _PROGRAM = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644, stat.S_IFREG | 0o755


@frozen
class _Entry:
    name: str
    mode: int
    content: bytes = b""


def initramfs(kernel: Kernel, busybox: Path, settings: Mapping[str, str]) -> bytes:
    """The archive. `settings` are variables for its scripts."""
    here = Path(__file__).parent
    modules = in_order(kernel, _MODULES)
    variables = "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
    names = "".join(f"{module.name}\n" for module in modules)
    return _cpio(
        [
            *(_Entry(folder, _FOLDER) for folder in _FOLDERS),
            _Entry("bin/busybox", _PROGRAM, busybox.read_bytes()),
            _Entry("init", _PROGRAM, (here / "init.sh").read_bytes()),
            _Entry("inside.sh", _FILE, (here / "inside.sh").read_bytes()),
            _Entry("settings.sh", _FILE, variables.encode()),
            _Entry("modules/order", _FILE, names.encode()),
            *(_Entry(f"modules/{m.name}", _FILE, m.read_bytes()) for m in modules),
        ]
    )


def in_order(kernel: Kernel, wanted: Sequence[str]) -> list[Path]:
    """The files of modules and of those that they need, each after what it needs.

    What modules.dep does not name is built into the kernel.
    """
    needs: dict[str, list[str]] = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        # The nearest one comes first.
        needs[Path(path).stem.replace("-", "_")] = [*reversed(needed.split()), path]
    order = dict.fromkeys(path for name in wanted for path in needs.get(name, ()))
    return [kernel.modules / path for path in order]


def _cpio(entries: Sequence[_Entry]) -> bytes:
    """An archive as the kernel unpacks it: cpio's "new ASCII" format (cpio(5))."""
    archive = bytearray()
    for number, entry in enumerate((*entries, _Entry("TRAILER!!!", 0)), 1):
        name = entry.name.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, 0, 0, len(name), 0)
        archive += b"070701" + b"".join(b"%08X" % value for value in fields) + name
        archive += bytes(-len(archive) % 4) + entry.content
        archive += bytes(-len(archive) % 4)
    return bytes(archive)
