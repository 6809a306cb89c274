"""Starting wireguard-go. It outlives us: a process of its own session, without our files."""

import os
import re
import subprocess
from typing import IO, NoReturn

from overlayd.model.errors import TunnelError

LIMIT = 10.0
"""Seconds for the link and the socket to exist; 20 ms are usual."""

_NEEDS_TUN = "there is no /dev/net/tun: modprobe tun, or give the container that device"
_NEEDS_ADMIN = "it may not make a link: it needs CAP_NET_ADMIN, and access to /dev/net/tun"
_HINTS = (
    ("/dev/net/tun does not exist", _NEEDS_TUN),
    ("no such device", _NEEDS_TUN),
    ("operation not permitted", _NEEDS_ADMIN),
    ("permission denied", _NEEDS_ADMIN),
    ("unix socket in use", "another process already answers for that name"),
    ("device or resource busy", "another process has a link of that name"),
    ("invalid argument", "a link of that name and another kind is in the way"),
)


def start(link: str) -> None:
    """Start it; it leaves to the background once its link and its socket exist.

    A socket that a dead process left behind is no obstacle.

    :raises TunnelError: it did not start; with what it said, and what to do about that.
    """
    # A file and not a pipe: nothing waits for whoever might keep its other end open.
    with open(os.memfd_create("wireguard-go"), "w+b") as said:
        try:
            status = _run(link, said)
        except FileNotFoundError:
            raise TunnelError(
                "wireguard-go is not installed: apt-get install wireguard-go"
            ) from None
        except subprocess.TimeoutExpired:
            raise TunnelError(f"wireguard-go {link} does not start within {LIMIT:g} s") from None
        except OSError as error:
            raise TunnelError(f"wireguard-go cannot be run: {error.strerror}") from None
        if status != 0:
            said.seek(0)
            raise TunnelError(explained(link, status, said.read().decode(errors="replace")))


def wait_for(link: str) -> NoReturn:
    """Start nothing: something else does, and it has not yet.

    :raises TunnelError: always.
    """
    raise TunnelError(
        f"no tunnel answers for {link} yet: with --tunnel external overlayd starts none, something "
        f"else runs `wireguard-go -f {link}`, such as the DaemonSet overlayd-wireguard-go"
    )


def explained(link: str, status: int, said: str) -> str:
    """What one says of a start that failed, from what wireguard-go printed."""
    errors = re.findall(r"^ERROR: \(.*?\) \S+ \S+ (.*)$", said, re.MULTILINE)
    reason = errors[-1] if errors else f"exit status {status}"
    hint = next((hint for text, hint in _HINTS if text in reason.lower()), None)
    return f"wireguard-go {link}: {reason}" + (f" ({hint})" if hint else "")


def _run(link: str, said: IO[bytes]) -> int:
    # Our environment may hold what changes wireguard-go (LOG_LEVEL, WG_TUN_FD), and secrets.
    return subprocess.run(
        ["wireguard-go", link],
        stdin=subprocess.DEVNULL,
        stdout=said,  # errors go here, warnings to standard error
        stderr=said,
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath)},
        start_new_session=True,
        timeout=LIMIT,
    ).returncode
