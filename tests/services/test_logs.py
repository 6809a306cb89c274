"""Log lines: for people one line each, for machines all JSON, whatever the event."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from overlayd import logs
from overlayd.model.keys import PrivateKey

FORMATS = ("text", "json")

HOSTILE = "evil\x1b[2J\r\n2026-01-01T00:00:00.000Z info forged: line\x85\u2028\u202e\udc80"

TWISTD = "from twisted.scripts.twistd import run; run()"

PLUGIN = """
import sys, warnings
from twisted.application.service import Service, ServiceMaker
from twisted.logger import Logger
from twisted.python import log as old, usage
from overlayd import logs
from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin
from zope.interface import implementer

class Options(usage.Options):
    optParameters = [["log-format", None, "text", ""]]
    def postOptions(self):
        logs.install(self.parent, self["log-format"])

class Talker(Service):
    def startService(self):
        from twisted.internet import reactor
        Logger(namespace="a.b.Talker").info("hello {who}", who="you")
        print("printed")
        sys.stderr.write("written\\n")
        warnings.warn("warned")
        old.msg("of the old kind")
        old.err(ValueError("old error"))
        reactor.callLater(0, lambda: 1 / 0)
        reactor.callLater(0, reactor.callLater, 0, reactor.stop)

@implementer(IPlugin, IServiceMaker)
class Maker:
    tapname, description, options = "talker", "talks", Options
    def makeService(self, options):
        return Talker()

maker = Maker()
"""


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class LinesTests(SynchronousTestCase):
    """What the observers write for single events."""

    def written(self, log_format: str, format: str, **fields: Any) -> str:
        out = StringIO()
        event = {
            "log_level": LogLevel.info,
            "log_namespace": "overlayd.services.manager.PeerManager",
            "log_format": format,
            "log_time": 0.0,
        }
        logs.observer(log_format, out)(event | fields)
        return out.getvalue()

    def json_line(self, format: str, **fields: Any) -> dict[str, Any]:
        (line,) = self.written("json", format, **fields).splitlines()
        document: dict[str, Any] = json.loads(line)
        return document

    def test_text(self) -> None:
        """A line for people has time, level, the short name of who says it, and what it says."""
        line = self.written("text", "added {n} peers", n=3, log_time=1767225600.25)
        self.assertEqual(line, "2026-01-01T00:00:00.250Z info PeerManager: added 3 peers\n")

    def test_json(self) -> None:
        """A line for machines has the fields of the event beside the message."""
        line = self.json_line("added {n} peers", n=3, ratio=0.5, names=("a", "b"))
        self.assertEqual(
            line,
            {
                "time": "1970-01-01T00:00:00.000Z",
                "level": "info",
                "namespace": "overlayd.services.manager.PeerManager",
                "message": "added 3 peers",
                "n": 3,
                "ratio": 0.5,
                "names": ["a", "b"],
            },
        )

    def test_debug_is_left_out(self) -> None:
        """Events below info are not written in either format."""
        for log_format in FORMATS:
            self.assertEqual(self.written(log_format, "x", log_level=LogLevel.debug), "")

    def test_hostile_text_is_one_line(self) -> None:
        """Text from a cluster starts no line of its own and has no control character left."""
        line = self.written("text", "reason: {reason}", reason=HOSTILE)
        self.assertEqual(line.count("\n"), 1)
        self.assertTrue(line[:-1].isprintable(), line)
        self.assertIn("\\x1b[2J\\r\\n2026", line)

    def test_hostile_text_in_json(self) -> None:
        """A JSON line is ASCII, and who parses it gets the text as it was."""
        line = self.written("json", "reason: {reason}", reason=HOSTILE)
        self.assertTrue(line[:-1].isascii() and line[:-1].isprintable(), line)
        self.assertEqual(json.loads(line)["reason"], HOSTILE)

    def test_traceback(self) -> None:
        """A traceback follows its line, indented, so that no line of it passes for an event."""
        failure = Failure(ValueError(HOSTILE))
        lines = self.written("text", "broke", log_failure=failure).splitlines()
        self.assertTrue(lines[0].endswith(" PeerManager: broke"), lines)
        self.assertTrue(len(lines) > 1)
        for line in lines[1:]:
            self.assertTrue(line.startswith("    ") and line.isprintable(), line)

    def test_failure_in_json(self) -> None:
        """A failure is a field with its type, its message and the traceback."""
        line = self.json_line("broke", log_failure=Failure(ValueError("why")))
        self.assertEqual(line["failure"]["type"], "builtins.ValueError")
        self.assertEqual(line["failure"]["message"], "why")
        self.assertIn("ValueError: why", line["failure"]["traceback"])

    def test_private_key_is_not_shown(self) -> None:
        """A private key in an event or in a traceback's exception leaves no trace of its bytes."""
        key = PrivateKey(bytes(range(1, 33)))
        failure = Failure(ValueError(key))
        for log_format in FORMATS:
            text = self.written(log_format, "a {key}", key=key, log_failure=failure)
            self.assertIn("PrivateKey(...)", text)
            for secret in ("AQIDBAUG", "01020304", "\\x01\\x02", "\\u0001\\u0002"):
                self.assertNotIn(secret, text)

    def test_what_cannot_be_formatted(self) -> None:
        """An event whose values or format are broken still gives one valid line."""
        for fields in (
            {"format": "{missing}"},
            {"format": "{x}", "x": Unshowable()},
            {"format": "{", "x": 1},
            {"format": "x", "x": float("nan")},
            {"format": "x", "x": 10**5000},
            {"format": "x", "log_time": "yesterday"},
            {"format": "x", "x": b"\xff"},
            {"format": "x", "time": "taken", "message": Unshowable(), "level": "taken"},
        ):
            document = self.json_line(**fields)
            self.assertTrue(document["message"], fields)
            self.assertEqual(self.written("text", **fields).count("\n"), 1)


class TwistdTests(SynchronousTestCase):
    """The same under a real twistd with a service that talks in every way there is."""

    def twistd(self, *arguments: str, plugin: str = PLUGIN, **environ: str) -> tuple[int, str, str]:
        folder = Path(self.mktemp()).absolute()
        (folder / "twisted" / "plugins").mkdir(parents=True)
        (folder / "twisted" / "plugins" / "talker_plugin.py").write_text(plugin)
        self.folder = folder
        ours = str(Path(logs.__file__).parents[1])
        done = subprocess.run(
            [sys.executable, "-c", TWISTD, "--pidfile=", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{folder}:{ours}", "PYTHONDONTWRITEBYTECODE": "1"}
            | environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    def test_every_line_is_json(self) -> None:
        """Twisted's own events, prints, warnings and tracebacks are all JSON on standard output."""
        code, out, err = self.twistd("--nodaemon", "talker", "--log-format", "json")
        self.assertEqual((code, err), (0, ""))
        lines = [json.loads(line) for line in out.splitlines()]
        messages = [line["message"] for line in lines]
        for expected in ("hello you", "printed", "written", "of the old kind", "Unhandled Error"):
            self.assertIn(expected, messages)
        self.assertTrue([m for m in messages if "starting up" in m], messages)
        self.assertTrue([m for m in messages if m.endswith("UserWarning: warned")], messages)
        kinds = [line["failure"]["type"] for line in lines if "failure" in line]
        self.assertEqual(kinds, ["builtins.ValueError", "builtins.ZeroDivisionError"])

    def test_text_for_people(self) -> None:
        """Without an option the lines are for people."""
        code, out, err = self.twistd("--nodaemon", "talker")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^\S+Z info Talker: hello you$")
        self.assertRegex(out, r"(?m)^    builtins.ZeroDivisionError|^    ZeroDivisionError")

    def test_poor_encoding(self) -> None:
        """A character that the standard output cannot take is escaped; the line is not lost."""
        plugin = PLUGIN.replace('who="you"', 'who="\\u00e9"')
        code, out, err = self.twistd("-n", "talker", plugin=plugin, PYTHONIOENCODING="ascii")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("hello \\xe9", out)

    def test_log_file(self) -> None:
        """--logfile is obeyed: the file has the lines, standard output nothing."""
        code, out, err = self.twistd("-n", "--logfile", "l.log", "talker", "--log-format=json")
        self.assertEqual((code, out, err), (0, "", ""))
        lines = (self.folder / "l.log").read_text().splitlines()
        self.assertIn("hello you", [json.loads(line)["message"] for line in lines])

    def test_log_file_is_rotated(self) -> None:
        """SIGUSR1 begins a new file, as it does with every twistd."""
        plugin = PLUGIN.replace(
            "        reactor.callLater(0, lambda: 1 / 0)",
            "        import os, signal; os.kill(os.getpid(), signal.SIGUSR1)\n"
            "        reactor.callLater(0, lambda: 1 / 0)",
        )
        code, out, err = self.twistd("-n", "--logfile", "l.log", "talker", plugin=plugin)
        self.assertEqual((code, out, err), (0, "", ""))
        self.assertIn("hello you", (self.folder / "l.log.1").read_text())
        self.assertNotIn("hello you", (self.folder / "l.log").read_text())

    def test_logger_of_the_operator_wins(self) -> None:
        """--logger is obeyed, whatever --log-format says."""
        code, out, err = self.twistd(
            "-n", "--logger", "twisted.logger.STDLibLogObserver", "talker", "--log-format=json"
        )
        self.assertEqual((code, out), (0, ""), err)
