"""As a program: make the namespaces of a machine of the lab, and hold them until input ends.

    python -m lab.holding NAME

It prints `ready` once the machine has its name, a /run of its own, loopback, and no resolvers.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

_NEW_MOUNTS, _NEW_UTS, _NEW_NET = 0x00020000, 0x04000000, 0x40000000  # linux/sched.h
_BIND, _REC, _PRIVATE = 4096, 16384, 1 << 18  # linux/mount.h
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h


def main(name: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def call(function: str, *arguments: bytes | int | None) -> None:
        if libc[function](*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{function}{arguments}: {os.strerror(number)}")

    call("unshare", _NEW_MOUNTS | _NEW_UTS | _NEW_NET)
    call("mount", b"none", b"/", None, _REC | _PRIVATE, None)
    call("mount", b"run", b"/run", b"tmpfs", 0, None)
    Path("/run/wireguard").mkdir()
    Path("/run/resolv.conf").touch()
    if Path("/etc/resolv.conf").exists():
        call("mount", b"/run/resolv.conf", b"/etc/resolv.conf", None, _BIND, None)
    socket.sethostname(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
