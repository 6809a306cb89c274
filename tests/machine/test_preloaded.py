"""Python programs that are forked, and end as executed ones do."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.trial.unittest import SynchronousTestCase

from lab import installed, private
from lab.namespaces import Namespace

LIMIT = 30.0


class ForkedTests(SynchronousTestCase):
    skip = private.missing()

    def setUp(self) -> None:
        self.machine = Namespace("forked")
        self.addCleanup(self.machine.close)
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, self.folder)

    def _script(self, text: str) -> str:
        path = self.folder / "script.py"
        path.write_text(text)
        return str(path)

    def test_as_python_does(self) -> None:
        """Output, errors and exit status are those of the same script under Python."""
        for text in (
            "import sys; print(*sys.argv[1:]); sys.stderr.write('error\\n')",
            "print('before'); raise SystemExit(7)",
            "raise SystemExit('in words')",
            "import sys; sys.exit(None)",
            "import atexit; atexit.register(print, 'at the end'); print('first')",
            "import threading, time\n"
            "threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()",
            "print(__name__)",
        ):
            script = self._script(text)
            arguments = ("one", "two words")
            forked = self.machine.attempt_python(script, *arguments)
            executed = self.machine.attempt(sys.executable, script, *arguments)
            for name in ("stdout", "stderr", "returncode"):
                self.assertEqual(getattr(forked, name), getattr(executed, name), f"{name}: {text}")

    def test_an_exception_nobody_catches(self) -> None:
        done = self.machine.attempt_python(self._script("1 / 0"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("ZeroDivisionError", done.stderr)

    def test_installed_commands(self) -> None:
        """They say of themselves what they say when they are executed."""
        for command in ("overlayctl", "twistd"):
            path = installed.command(command)
            forked = self.machine.attempt_python(path, "--version")
            executed = self.machine.attempt(path, "--version")
            self.assertEqual(
                (forked.returncode, forked.stdout), (executed.returncode, executed.stdout)
            )

    def test_in_the_machine(self) -> None:
        """It is in the machine's namespaces, and leads a session of its own."""
        text = """
import os, socket
print(socket.gethostname(), os.listdir("/run"), socket.if_nameindex(), os.getsid(0) == os.getpid())
"""
        done = self.machine.attempt_python(self._script(text))
        self.assertEqual(
            done.stdout.strip(), "forked ['resolv.conf', 'wireguard'] [(1, 'lo')] True", done.stderr
        )

    def test_running(self) -> None:
        """It is asked and signalled as any process, and its end is told once it is there."""
        text = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
        process = self.machine.start_python((self._script(text),))
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"question\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"QUESTION\n")
        self.assertIsNone(process.poll())
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.1)
        process.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(LIMIT), -signal.SIGKILL)
        self.assertEqual((process.poll(), process.returncode), (-signal.SIGKILL,) * 2)

    def test_that_takes_too_long(self) -> None:
        """One that is run with a limit is ended by it."""
        text = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
        with self.assertRaises(subprocess.TimeoutExpired):
            self.machine.attempt_python(self._script(text), limit=1.0)
        self.assertEqual(len(self.machine.inhabitants()), 1)  # who holds it

    def test_without_the_machine(self) -> None:
        """A machine that is gone is an error, and the next program runs."""
        gone = Namespace("gone")
        pid = gone.pid
        gone.close()
        with self.assertRaises(RuntimeError) as raised:
            gone.attempt_python(self._script("pass"))
        self.assertIn(f"/proc/{pid}/", str(raised.exception))
        self.assertEqual(self.machine.attempt_python(self._script("pass")).returncode, 0)
        self.assertFalse(os.path.exists(f"/proc/{pid}/root"))
