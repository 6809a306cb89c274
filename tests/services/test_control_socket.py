"""The control socket's file: who may open it, what is replaced, and what is left alone."""

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from overlayd.control.service import ControlService
from overlayd.control.socket import explained, private
from overlayd.model.errors import ControlError
from overlayd.model.settings import SOCKET_PATH_LIMIT
from tests.services.answers import answers

ANSWERS = answers()

# Another process that holds the lock, as a daemon does, until it is killed.
HOLDER = """
import socket, sys, time
from overlayd.control.socket import prepare
lock = prepare(sys.argv[1])
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
print("there", flush=True)
time.sleep(600)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


class ControlSocketTests(TestCase):
    def setUp(self) -> None:
        # Not in trial's folder: that one's path may be too long for a socket.
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, self.folder)
        self.path = self.folder / "control.sock"

    def service(self, path: Path | None = None) -> ControlService:
        return ControlService(reactor, str(path or self.path), ANSWERS)

    def started(self) -> ControlService:
        service = self.service()
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def assert_refused(self, part: str, path: Path | None = None) -> None:
        """Starting ends with one line that holds `part`, and leaves no lock behind."""
        service = self.service(path)
        error = self.assertRaises(ControlError, service.privilegedStartService)
        self.assertIn(part, str(error))
        self.assertNotIn("\n", str(error))

    def test_modes(self) -> None:
        """Only the daemon's user may open the socket and the lock, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        self.started()
        self.assertTrue(stat.S_ISSOCK(os.lstat(self.path).st_mode))
        self.assertEqual(mode(self.path), 0o600)
        self.assertEqual(mode(self.folder / "control.sock.lock"), 0o600)
        self.assertEqual(os.umask(0), 0)

    def test_never_open_to_others(self) -> None:
        """The socket has its mode from the moment it is there."""
        self.addCleanup(os.umask, os.umask(0))
        with private(), socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(self.path))
            self.assertEqual(mode(self.path), 0o600)
        self.assertEqual(os.umask(0), 0)

    def test_opened_with_the_privileges(self) -> None:
        """The socket is there before any service starts."""
        service = self.service()
        service.privilegedStartService()
        self.addCleanup(service.stopService)
        self.assertTrue(self.path.exists())

    async def test_clean_stop(self) -> None:
        """A clean stop removes the socket, and the next start is like the first."""
        for _ in range(2):
            service = self.service()
            service.startService()
            await service.stopService()
            self.assertFalse(self.path.exists())

    async def test_socket_removed_by_someone(self) -> None:
        """A stop is clean although someone has removed the socket before."""
        service = self.service()
        service.startService()
        self.path.unlink()
        await service.stopService()
        self.started()

    def test_live_daemon(self) -> None:
        """Where a daemon is alive, the second one ends with one line and the first goes on."""
        self.started()
        self.assert_refused("another overlayd is running")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.path))

    def test_killed_daemon(self) -> None:
        """What a daemon left that was killed is replaced; while it lives it is not."""
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, self.path], stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.assertEqual(holder.stdout.readline(), "there\n")
        self.assert_refused("another overlayd is running")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        self.assertTrue(self.path.exists())
        self.started()

    async def test_not_inherited(self) -> None:
        """A program that the daemon starts, and that outlives it, does not hold the lock."""
        service = self.service()
        service.startService()
        child = subprocess.Popen(["sleep", "600"], close_fds=False)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        await service.stopService()
        self.started()

    def test_another_program_listens(self) -> None:
        """A socket at which another program listens is left alone."""
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.path))
            other.listen()
            self.assert_refused("another program listens")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.path))

    def test_not_a_socket(self) -> None:
        """A file in the place of the socket is not deleted."""
        self.path.write_text("precious")
        self.assert_refused("not a socket")
        self.assertEqual(self.path.read_text(), "precious")

    def test_symlink(self) -> None:
        """A symbolic link in the place of the socket or of the lock is not followed."""
        target = self.folder / "target"
        self.path.symlink_to(target)
        self.assert_refused("not a socket")
        self.path.unlink()
        (self.folder / "control.sock.lock").unlink()
        (self.folder / "control.sock.lock").symlink_to(target)
        self.assert_refused("cannot open")
        self.assertFalse(target.exists())

    def test_folder_missing(self) -> None:
        """A folder that was given is not made."""
        self.assert_refused("does not exist", self.folder / "missing" / "control.sock")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_not_a_folder(self) -> None:
        """A file in the place of the folder is named as such."""
        (self.folder / "file").write_text("")
        self.assert_refused("is not a folder", self.folder / "file" / "control.sock")

    def test_read_only(self) -> None:
        """A file system that is read-only is named as such."""
        error = explained(str(self.path), OSError(errno.EROFS, "Read-only file system"))
        self.assertIn("read-only", str(error))

    def test_folder_open_to_others(self) -> None:
        """A folder in which others could put a socket of theirs is refused, with a way out."""
        self.folder.chmod(0o777)
        self.assert_refused("chmod 700")

    def test_path_too_long(self) -> None:
        """A path that no socket can have is refused before anything is made."""
        name = "s" * (SOCKET_PATH_LIMIT - len(str(self.folder)))
        self.assert_refused(str(SOCKET_PATH_LIMIT), self.folder / name)
        self.assertEqual(list(self.folder.iterdir()), [])
        longest = self.service(self.folder / name[1:])
        longest.privilegedStartService()
        self.addCleanup(longest.stopService)

    def test_lock_after_refusal(self) -> None:
        """A start that was refused lets go of the lock, so that the next one can succeed."""
        self.path.write_text("in the way")
        self.assert_refused("not a socket")
        self.path.unlink()
        self.started()
