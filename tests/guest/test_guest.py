"""Commands in a guest: what they print and end with, and what is left of a guest."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.trial.unittest import SynchronousTestCase

from lab import guest
from lab.guest.kernel import Kernel

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT = 600.0  # seconds for a guest that does next to nothing


class GuestTests(SynchronousTestCase):
    """Each test boots one, and has a folder that the guest may write."""

    skip = guest.lacks()

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="of the test "))
        self.addCleanup(rmtree, self.folder)

    def _start(self, command: str, *options: str) -> subprocess.Popen[str]:
        """A guest that runs a command of sh(1). Its own folders are in `scratch` of ours."""
        scratch = self.folder / "scratch"
        scratch.mkdir()
        process = subprocess.Popen(
            [
                # What a shell runs in the background ignores Ctrl-C, and so does all it starts.
                *("env", "--default-signal=INT"),
                *(sys.executable, "-m", "lab.guest", "--timeout", str(LIMIT), *options),
                *("--share", str(self.folder), "--", "sh", "-c", command, "sh", str(self.folder)),
            ],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(scratch)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def _finished(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        """What it printed until its end, after which nothing of it is left."""
        output, errors = process.communicate(timeout=2 * LIMIT)
        self.assertEqual(list((self.folder / "scratch").iterdir()), [])
        self.assertEqual(_processes_of(self.folder), [])
        return output, errors

    def test_a_command(self) -> None:
        """It is root on Debian's kernel, in the same folder, and what it prints comes at once.

        What it writes comes out where that is shared, and is gone elsewhere.
        """
        lost = self.folder.with_name(f"{self.folder.name} lost")
        process = self._start(
            f"""
            id -u; uname -r; pwd
            until [ -e "$1/go" ]; do sleep 0.1; done
            echo seen >"$1/come"; echo gone >'{lost}' && cat '{lost}'; echo error >&2; exit 7
            """
        )
        kernel = Kernel.cached()
        assert kernel is not None
        assert process.stdout is not None
        first = [process.stdout.readline().rstrip() for _ in range(3)]
        self.assertEqual(first, ["0", kernel.release, str(ROOT)])
        (self.folder / "go").touch()
        self.assertEqual(self._finished(process), ("gone\nerror\n", ""))
        self.assertEqual(process.returncode, 7)
        self.assertEqual((self.folder / "come").read_text(), "seen\n")
        self.assertFalse(lost.exists())

    def test_its_kernel_has_what_the_tests_need(self) -> None:
        """WireGuard, and what nodes of the lab are made of, in a network namespace."""
        kinds = ("wireguard", "veth", "bridge")
        commands = (f"ip link add a-{kind} type {kind} && echo {kind}" for kind in kinds)
        text = "; ".join((*commands, "wireguard-go other0 2>/dev/null && echo wireguard-go"))
        process = self._start(f"mkdir -p /run/wireguard; unshare --net sh -c '{text}'")
        output, errors = self._finished(process)
        self.assertEqual(output.split(), [*kinds, "wireguard-go"], errors)

    def test_one_that_takes_too_long(self) -> None:
        """Its end is status 124 and says what it was."""
        process = self._start("sleep 600", "--timeout", "2")
        _, errors = self._finished(process)
        self.assertEqual(process.returncode, guest.TIMED_OUT)
        self.assertIn("took longer than 2 s", errors)

    def test_one_that_dies(self) -> None:
        """Its end is status 125 and shows the last that its console said."""
        process = self._start("echo before; echo c >/proc/sysrq-trigger; sleep 600")
        output, errors = self._finished(process)
        self.assertEqual((process.returncode, output), (guest.LOST, "before\n"))
        self.assertIn("Kernel panic - not syncing: sysrq triggered crash", errors)

    def test_one_that_is_ended(self) -> None:
        """SIGTERM and Ctrl-C end it with all that it is made of."""
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self._start("echo begun; sleep 600")
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), "begun\n")
            self.assertGreaterEqual(len(_processes_of(self.folder)), 3)
            process.send_signal(number)
            self.assertEqual(self._finished(process), ("", ""))
            self.assertEqual(process.returncode, 128 + number)
            (self.folder / "scratch").rmdir()


def _processes_of(folder: Path) -> list[str]:
    """The command lines, but for those of lab.guest itself, that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if str(folder) in line and "lab.guest" not in line:
            found.append(line)
    return found
