"""The tests that documents name are there."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = ("docs/faults.md", "CONTRIBUTING.md")
NAMED = re.compile(r"`(test_\w+)`")


class NamedTests(SynchronousTestCase):
    def test_they_exist(self) -> None:
        """Each is a module, or a test of the module before it in its line; nothing is a lie."""
        modules: dict[str, set[str]] = {}
        for path in (ROOT / "tests").rglob("*.py"):
            found = re.findall(r"def (test_\w+)\(", path.read_text())
            modules.setdefault(path.stem, set()).update(found)
        everywhere = set[str]().union(*modules.values())
        for document in DOCUMENTS:
            lines = [NAMED.findall(line) for line in (ROOT / document).read_text().splitlines()]
            self.assertTrue(any(lines), document)
            for names in lines:
                tests = everywhere
                for name in names:
                    tests = modules.get(name, tests)
                    self.assertTrue(name in modules or name in tests, f"{name} in {document}")
