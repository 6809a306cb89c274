"""README, --help, manifests and options agree."""

import re
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from overlayd.control.encoding import status_document
from overlayd.ctl.asking import Exit
from overlayd.ctl.commands import overlayctl
from overlayd.ctl.render import status_lines
from overlayd.model.node import ANNOTATIONS
from overlayd.model.status import PEER_STATES, StateName
from overlayd.options import Options
from tests.statuses import ORDINARY, TROUBLED
from tests.tiers import TIERS

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
OPERATING = (ROOT / "docs/operating.md").read_text()


def options() -> dict[str, object]:
    """Every option of the daemon and its default."""
    return {
        **{str(p[0]): p[2] for p in Options.optParameters},
        **{str(f[0]): None for f in Options.optFlags},
    }


def rows(text: str, after: str) -> dict[str, str]:
    """The first cells of the tables in a section, and the last ones."""
    section = text.partition(f"## {after}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)`.*\|([^|]*)\|$", section, re.MULTILINE))


def labels(document: dict[str, object]) -> set[str]:
    """The names of the lines that a status shows."""
    return {line.partition(":")[0] for line in status_lines(document) if line[0] != " "}


class DocumentsTests(SynchronousTestCase):
    def test_readme_lists_every_option(self) -> None:
        """The table has each option once, with its variable, and its default where it has one."""
        rows = dict(re.findall(r"^\| `--([a-z-]+)` \| (.*)$", README, re.MULTILINE))
        self.assertEqual(rows.keys(), options().keys())
        for name, default in options().items():
            variable = "OVERLAYD_" + name.upper().replace("-", "_")
            self.assertTrue(rows[name].startswith(f"`{variable}` |"), rows[name])
            if default is not None:
                self.assertIn(f"| `{default}` |", rows[name])

    def test_tunnels(self) -> None:
        """README and `--help` name the same kinds of tunnel."""
        row = re.search(r"^\| `--tunnel` \| `[A-Z_]+` \| (.*) \|$", README, re.MULTILINE)
        assert row is not None
        usage = " ".join(Options({}).getUsage().split())
        said = re.search(r"WireGuard implementation: ([a-z, ]+)\.", usage)
        assert said is not None
        self.assertEqual(set(re.findall(r"`([a-z]+)`", row[1])), set(said[1].split(", ")))

    def test_readme_lists_every_annotation(self) -> None:
        """The table of annotations is the wire contract."""
        section = README.partition("### Annotations")[2].partition("## Compared")[0]
        self.assertEqual(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE), list(ANNOTATIONS))

    def test_every_state_is_explained(self) -> None:
        """The operating guide tells of each state what to do, where anything is wrong with it."""
        names = {name.value for name in StateName}
        told = {name: what for name, what in rows(OPERATING, "States").items() if name in names}
        self.assertEqual(told.keys(), names)
        self.assertEqual(
            {name for name, what in told.items() if not what.strip()}, {"converged", "stopping"}
        )

    def test_every_peer_state_is_explained(self) -> None:
        """So is the state of each peer."""
        self.assertEqual(tuple(rows(OPERATING, "Peers")), PEER_STATES)

    def test_every_line_of_trouble_is_explained(self) -> None:
        """The operating guide tells of each line that a status has only in trouble what to do."""
        troubled = status_document(TROUBLED) | {"held": []}
        lines = labels(troubled) - labels(status_document(ORDINARY)) - {"Next try"}
        told = {name for name in rows(OPERATING, "States") if name[0].isupper()}
        self.assertEqual(told, lines | {"API server"})

    def test_every_command_is_named(self) -> None:
        """README and the operating guide name each command of overlayctl."""
        asking = README.partition("### Asking it")[2].partition("### ")[0]
        listed = re.findall(r"^    overlayctl ([a-z]+)", asking, re.MULTILINE)
        self.assertEqual(sorted(listed), sorted(overlayctl.commands))
        for name in overlayctl.commands:
            self.assertRegex(OPERATING, rf"overlayctl\s+{name}\b")

    def test_what_is_named_is_there(self) -> None:
        """What README and the guide tell people to call exists, with its options."""
        for name, rest in re.findall(r"`(?:overlayctl )?([a-z]+)((?: --[a-z-]+)+)", OPERATING):
            if name in ("sysctl", "kubectl"):
                continue
            given = {o for p in overlayctl.commands[name].params for o in p.opts}
            self.assertLessEqual(set(rest.split()), given, name)
        for name in re.findall(r"`overlayctl ([a-z]+)", README + OPERATING):
            self.assertIn(name, overlayctl.commands)

    def test_every_annotation_is_removed(self) -> None:
        """The command that removes our annotations by hand removes each of them."""
        command = re.search(r"^    kubectl annotate node NAME (.*)$", OPERATING, re.MULTILINE)
        assert command is not None
        self.assertEqual(command[1].split(), [f"{name}-" for name in ANNOTATIONS])

    def test_tiers(self) -> None:
        """CONTRIBUTING tells of each tier what it needs."""
        section = CONTRIBUTING.partition("## Tiers\n")[2].partition("\n## ")[0]
        told = re.findall(r"^\| ([a-z]+) \|", section, re.MULTILINE)
        self.assertEqual(set(told) - {"tier"}, {tier.name for tier in TIERS})

    def test_demo(self) -> None:
        """`./demo --help` has the options of the demo and of the chaos run."""
        shown = _help("sh", str(ROOT / "demo"), "--help")
        programs = (_help(sys.executable, "-m", m, "--help") for m in ("lab.demo", "chaos"))
        self.assertEqual(_options(shown), set[str]().union(*map(_options, programs)))
        for word in re.findall(r"\./demo (?:chaos )?(--[a-z]+)", README):
            self.assertIn(word, shown)

    def test_exit_codes(self) -> None:
        """The operating guide has the exit codes that `overlayctl --help` tells."""
        shown = CliRunner().invoke(overlayctl, ["--help"]).output
        told = re.findall(r"^ +(\d+) +(\S.*)$", shown.partition("Exit codes:")[2], re.MULTILINE)
        section = OPERATING.partition("## Exit codes")[2].partition("## ")[0]
        written = re.findall(r"^\| (\d+) \| (.*) \|$", section, re.MULTILINE)
        self.assertEqual([(n, t.replace("`", "")) for n, t in written], told)
        self.assertLessEqual({str(code.value) for code in Exit}, {number for number, _ in told})

    def test_help_has_every_option(self) -> None:
        """`twistd overlayd --help` shows each option."""
        usage = Options({}).getUsage()
        for name in options():
            self.assertIn(f"--{name}", usage)


def _help(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def _options(shown: str) -> set[str]:
    return set(re.findall(r"^  (?:-h, )?(--[a-z]+)", shown, re.MULTILINE))
