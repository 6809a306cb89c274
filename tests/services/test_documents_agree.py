"""README, --help, manifests and options agree."""

import re
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from overlayd.ctl.commands import overlayctl
from overlayd.model.node import ANNOTATIONS
from overlayd.model.status import StateName
from overlayd.options import Options

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
OPERATING = (ROOT / "docs/operating.md").read_text()


def options() -> dict[str, object]:
    """Every option of the daemon and its default."""
    return {
        **{str(p[0]): p[2] for p in Options.optParameters},
        **{str(f[0]): None for f in Options.optFlags},
    }


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

    def test_readme_lists_every_annotation(self) -> None:
        """The table of annotations is the wire contract."""
        section = README.partition("### Annotations")[2].partition("## Compared")[0]
        self.assertEqual(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE), list(ANNOTATIONS))

    def test_every_state_is_explained(self) -> None:
        """The operating guide tells of each state what to do."""
        section = OPERATING.partition("## States")[2].partition("## Peers")[0]
        self.assertEqual(
            set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)),
            {name.value for name in StateName},
        )

    def test_exit_codes(self) -> None:
        """The operating guide has the exit codes that `overlayctl --help` tells."""
        shown = CliRunner().invoke(overlayctl, ["--help"]).output
        told = re.findall(r"^ +(\d+) +(\S.*)$", shown.partition("Exit codes:")[2], re.MULTILINE)
        section = OPERATING.partition("## Exit codes")[2].partition("## ")[0]
        written = re.findall(r"^\| (\d+) \| (.*) \|$", section, re.MULTILINE)
        self.assertEqual([(n, t.replace("`", "")) for n, t in written], told)

    def test_help_has_every_option(self) -> None:
        """`twistd overlayd --help` shows each option."""
        usage = Options({}).getUsage()
        for name in options():
            self.assertIn(f"--{name}", usage)
