"""The control socket's file: where it may be, who may open it, and the lock that says it is in use.

The lock is a flock on a file beside the socket. The kernel lets go of it when the process that
holds it dies, however it dies, so whoever gets it knows that a socket left there is stale. The lock
file itself is never removed: two daemons could then hold one each.
"""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from overlayd.model.errors import ControlError
from overlayd.model.places import DEFAULT_CONTROL
from overlayd.model.settings import SOCKET_PATH_LIMIT

SOCKET_MODE = 0o600
FOLDER_MODE = 0o700


def prepare(path: str) -> int:
    """Make `path` free for a socket of ours; return the descriptor that holds the lock.

    The folder of the default path is made, any other must be there.

    :raises ControlError: there can be no socket, or it is not ours to replace.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise ControlError(
            f"--control {path!r} is longer than the {SOCKET_PATH_LIMIT} bytes a socket's path has"
        )
    with _told(path):
        _prepare_folder(path)
        lock = _take_lock(path)
        if lock is None:
            raise ControlError(
                f"another overlayd is running here: it holds {_lock_of(path)!r}; "
                f"give this one another --control and another --wg-dev"
            )
        try:
            _remove_stale(path)
        except BaseException:
            os.close(lock)
            raise
    return lock


def keep_daemon_out(path: str) -> int | None:
    """Hold the lock of the daemon that would have `path`, so that none starts; its descriptor.

    None where there is no folder, and thus no daemon.

    :raises ControlError: one is running.
    """
    if not os.path.isdir(os.path.dirname(path) or "."):
        return None
    with _told(path):
        lock = _take_lock(path)
    if lock is None:
        raise ControlError(f"overlayd is running: it holds {_lock_of(path)!r}; leave --offline out")
    return lock


@contextmanager
def private() -> Iterator[None]:
    """Let no one else open what is made in here, not even before its mode can be set.

    The mask belongs to the whole process; at worst another thread's file is too private.
    """
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _told(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explained(path, error) from error


def explained(path: str, error: OSError) -> ControlError:
    """Return what a person needs to know about `error`, on one line."""
    folder = os.path.dirname(path) or "."
    reasons = {
        errno.ENOENT: f"the folder {folder!r} does not exist",
        errno.ENOTDIR: f"{folder!r} is not a folder",
        errno.EEXIST: f"{folder!r} is not a folder",
        errno.EROFS: f"{folder!r} is on a file system that is read-only",
        errno.EACCES: f"permission denied in {folder!r}",
        errno.EPERM: f"permission denied in {folder!r}",
    }
    reason = reasons.get(error.errno or 0) or error.strerror or str(error)
    return ControlError(f"cannot open the control socket {path!r}: {reason}")


def _prepare_folder(path: str) -> None:
    folder = os.path.dirname(path) or "."
    if path == DEFAULT_CONTROL:
        os.makedirs(folder, FOLDER_MODE, exist_ok=True)
        os.chmod(folder, FOLDER_MODE)
        return
    found = os.stat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ControlError(
            f"cannot open the control socket {path!r}: others may write in {folder!r} and could "
            f"put their own socket there; chmod 700 it, or give another --control"
        )


def _lock_of(path: str) -> str:
    return f"{path}.lock"


def _take_lock(path: str) -> int | None:
    """The descriptor that holds the lock; None where somebody else has it."""
    # Not inherited, like every descriptor that Python opens: the tunnel's process outlives us.
    lock = os.open(_lock_of(path), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, SOCKET_MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(
            f"cannot open the control socket {path!r}: something is there that is not a socket"
        )
    if _answers(path):
        raise ControlError(
            f"cannot open the control socket {path!r}: another program listens there"
        )
    os.unlink(path)


def _answers(path: str) -> bool:
    """Whether someone listens at a socket; one with a full queue does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path) in (0, errno.EAGAIN, errno.EPROTOTYPE)
