"""The control socket and other users of the machine, and file systems that take no socket."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from lab import private
from overlayd.control.service import ControlService
from tests.services.answers import answers

STARTS = 300
TWISTD = str(Path(sys.executable).with_name("twistd"))

# Another user, who tries the socket again and again until a signal asks what came of it.
STRANGER = """
import errno, os, signal, socket, stat, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
path = sys.argv[1]
seen = set()
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
print("begun", flush=True)
while not ended:
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        seen.add(errno.errorcode.get(client.connect_ex(path), "connected"))
    try:
        if stat.S_IMODE(os.lstat(path).st_mode) & 0o077:
            seen.add("mode")
    except OSError:
        pass
print(*sorted(seen), flush=True)
"""


class OtherUsersTests(TestCase):
    skip = private.missing()

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(rmtree, self.folder)

    async def test_never_open_to_others(self) -> None:
        """Another user who tries all the time, while the daemon starts and stops with a umask that
        forbids nothing, finds no socket or may not open it, and nothing else, not once."""
        self.folder.chmod(0o755)  # one that was given may be, and then the socket stands alone
        self.addCleanup(os.umask, os.umask(0))
        path = str(self.folder / "control.sock")
        stranger = subprocess.Popen(
            [sys.executable, "-c", STRANGER, path], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(stranger.communicate)
        self.addCleanup(stranger.kill)
        assert stranger.stdout is not None
        self.assertEqual(stranger.stdout.readline(), "begun\n")
        for _ in range(STARTS):
            service = ControlService(reactor, path, answers())
            service.startService()
            await service.stopService()
        stranger.terminate()
        self.assertEqual(stranger.stdout.readline(), "EACCES ENOENT\n")

    def test_read_only_file_system(self) -> None:
        """Where nothing can be written, the start ends with one line that says so."""
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro,mode=700", "none", self.folder], check=True
        )
        self.addCleanup(subprocess.check_call, ["umount", self.folder])
        ended = subprocess.run(
            [
                *(TWISTD, "--nodaemon", "--pidfile=", "overlayd", "--server", "http://127.0.0.1:1"),
                *("--control", f"{self.folder}/control.sock"),
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(ended.returncode, 1)
        self.assertEqual(ended.stderr.count("\n"), 1, ended.stderr)
        self.assertIn("is on a file system that is read-only", ended.stderr)
