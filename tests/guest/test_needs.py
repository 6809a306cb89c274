"""What a machine lacks for a guest, told in one line that says how to get it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree, which

from twisted.trial.unittest import SynchronousTestCase

from lab import guest

ROOT = Path(__file__).resolve().parent.parent.parent
ASK = "import lab.guest; print(lab.guest.lacks())"

NO_ARCHIVE = """
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/apt";
"""


class NeedsTests(SynchronousTestCase):
    """A machine on which guests run, made poorer."""

    skip = guest.lacks()

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, self.folder)
        self.programs = self.folder / "programs"
        self.programs.mkdir()
        for folder in reversed(os.environ["PATH"].split(":")):
            for program in Path(folder).glob("*"):
                self._add(program.name, program)

    def _add(self, name: str, program: Path) -> None:
        link = self.programs / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)

    def _lacks(self, **environment: str) -> str:
        """What it lacks with only our programs."""
        given = {**os.environ, "PATH": str(self.programs), **environment}
        done = subprocess.run(
            [sys.executable, "-c", ASK], cwd=ROOT, env=given, capture_output=True, text=True
        )
        self.assertEqual(done.stderr, "")
        (line,) = done.stdout.splitlines()
        return line

    def test_nothing(self) -> None:
        self.assertEqual(self._lacks(), "None")

    def test_programs(self) -> None:
        """Each program that is not there is named, with the package that has it."""
        for program, package in (
            ("qemu-system-x86_64", "qemu-system-x86"),
            ("depmod", "kmod"),
            ("busybox", "busybox-static"),
        ):
            (self.programs / program).unlink()
            self.assertIn(f"apt-get install {package}", self._lacks())
            self._add(program, Path(which(program) or ""))

    def test_a_busybox_with_libraries(self) -> None:
        """One that is not static would not run before there is a root: it counts as none."""
        self._add("busybox", Path(which("ls") or ""))
        self.assertIn("apt-get install busybox-static", self._lacks())

    def test_another_distribution(self) -> None:
        """Without a kernel in the cache and apt-get it says what fetches it."""
        (self.programs / "apt-get").unlink()
        self.assertIn("run it on Debian", self._lacks(XDG_CACHE_HOME=str(self.folder)))
        self.assertEqual(self._lacks(), "None")

    def test_an_archive_that_does_not_answer(self) -> None:
        """A kernel that could not be fetched is none, and leaves nothing in the cache."""
        configuration = self.folder / "apt.conf"
        configuration.write_text(NO_ARCHIVE.format(folder=self.folder))
        for part in ("lists/partial", "apt"):
            (self.folder / part).mkdir(parents=True)
        line = self._lacks(XDG_CACHE_HOME=str(self.folder), APT_CONFIG=str(configuration))
        self.assertIn("needs Debian's cloud kernel, from a Debian archive that answers", line)
        self.assertEqual(list((self.folder / "overlayd").iterdir()), [])
