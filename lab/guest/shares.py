"""Folders of this machine that the guest mounts, each served by a virtiofsd."""

import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""The beginning of a command whose process must not outlive us, however we end."""

_PLACES = (Path("/usr/lib/qemu/virtiofsd"), Path("/usr/libexec/virtiofsd"))
_LIMIT = 20.0  # seconds until a socket is there


@frozen
class Share:
    """A folder, at the same place in the guest, and the tag that the guest mounts it by."""

    tag: str
    folder: Path
    cache: str
    """As virtiofsd takes it: `always` for what does not change meanwhile."""

    def socket(self, scratch: Path) -> Path:
        return scratch / f"{self.tag}.socket"


def virtiofsd() -> Path | None:
    """Debian 12 has it with QEMU, later ones as a package of its own."""
    return next((place for place in _PLACES if place.exists()), None)


@contextmanager
def served(shares: tuple[Share, ...], scratch: Path) -> Iterator[None]:
    """Serve folders, each at its socket in the folder `scratch`.

    :raises RuntimeError: one could not be served; says what virtiofsd said.
    """
    servers: list[subprocess.Popen[bytes]] = []
    try:
        for share in shares:
            servers.append(_serve(share, scratch))
        for share, server in zip(shares, servers, strict=True):
            _wait_for(share, server, scratch)
        yield
    finally:
        for server in servers:
            server.kill()
            server.wait()


def _serve(share: Share, scratch: Path) -> subprocess.Popen[bytes]:
    # In a chroot the source "/" is the chroot's; its namespaces could not be made there.
    options = (f"source={share.folder}", f"cache={share.cache}", "sandbox=chroot", "log_level=err")
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (scratch / f"{share.tag}.log").open("wb") as log:
        return subprocess.Popen(
            [
                *(*DIES_WITH_US, str(virtiofsd()), f"--socket-path={share.socket(scratch)}"),
                f"--rlimit-nofile={most_files}",
                *(word for option in options for word in ("-o", option)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to handle
        )


def _wait_for(share: Share, server: subprocess.Popen[bytes], scratch: Path) -> None:
    limit = time.monotonic() + _LIMIT
    while not share.socket(scratch).exists():
        if server.poll() is not None or time.monotonic() > limit:
            said = (scratch / f"{share.tag}.log").read_text(errors="replace")
            raise RuntimeError(f"virtiofsd does not serve {share.folder}: {said.strip()}")
        time.sleep(0.02)
