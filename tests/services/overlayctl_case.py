"""Running `overlayctl` as people do, while the reactor of a test answers it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import IO

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

import overlayd

OVERLAYCTL = (sys.executable, "-m", "overlayd.ctl.main")


class OverlayctlTestCase(TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, self.folder)
        self.path = self.folder / "control.sock"
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(overlayd.__file__).parents[1]),
            "OVERLAYD_CONTROL": str(self.path),
            "PYTHONUTF8": "1",
        }

    async def run_it(
        self, *command: str, stdout: int | IO[str] = subprocess.PIPE
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end while the reactor of the test answers it."""

        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                command, env=self.environ, stdout=stdout, stderr=subprocess.PIPE, text=True
            )

        return await deferToThread(run)

    async def overlayctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await self.run_it(*OVERLAYCTL, *arguments)

    async def printed(self, *arguments: str, code: int = 0) -> str:
        """What overlayctl prints; it has to end with `code` and without a word about trouble."""
        done = await self.overlayctl(*arguments)
        self.assertEqual((done.returncode, done.stderr), (code, ""))
        return done.stdout

    async def assert_ends(self, code: int, part: str, *arguments: str) -> None:
        """overlayctl ends with `code` and one line on standard error that holds `part`."""
        done = await self.overlayctl(*arguments)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(part, done.stderr)
