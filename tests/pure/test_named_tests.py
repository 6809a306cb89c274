"""What documents name is there: tests, files, pages."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.node import ANNOTATIONS

ROOT = Path(__file__).parent.parent.parent
MANIFESTS = ROOT / "k8s/README.md"
DOCUMENTS = ("docs/faults.md", "CONTRIBUTING.md")
NAMED = re.compile(r"`(test_\w+)`")

FOLDERS = "overlayd|twisted|lab|tests|chaos|benchmarks|k8s|image|systemd|docs"
PATH = re.compile(rf"(?:`|^    )((?:{FOLDERS})/[\w./-]*)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


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


class NamedFiles(SynchronousTestCase):
    def test_they_exist(self) -> None:
        """A path in backquotes, or at the start of a line of a picture, is one of the checkout."""
        for document in self.documents():
            for path in set(PATH.findall(document.read_text())) - set(ANNOTATIONS):
                self.assertTrue((ROOT / path).exists(), f"{path} in {document}")

    def test_links(self) -> None:
        """A link leads to a page."""
        for document in [*self.documents(), MANIFESTS]:
            for link in LINK.findall(document.read_text()):
                self.assertTrue((document.parent / link).exists(), f"{link} in {document}")

    def test_every_page_is_linked(self) -> None:
        """From README, by one link or two."""
        read = {ROOT / "README.md"}
        for _ in range(2):
            links = {page.parent / link for page in read for link in LINK.findall(page.read_text())}
            read |= {link.resolve() for link in links if link.suffix == ".md"}
        self.assertLessEqual({*self.documents(), MANIFESTS}, read)

    def documents(self) -> list[Path]:
        return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
