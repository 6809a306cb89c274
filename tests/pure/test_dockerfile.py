"""The Dockerfile: what it names is pinned, and what it says of overlayd is so."""

import re
import tomllib
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import overlayd
from lab.image import dockerfile
from lab.image.dockerfile import Stage

CHECKOUT = Path(__file__).parent.parent.parent

_PINNED = re.compile(
    r"^([a-z0-9-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)


class DockerfileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stages = dockerfile.parse((CHECKOUT / "Dockerfile").read_text())

    def test_base(self) -> None:
        """Every stage builds on one release of Debian, by its tag, which a label tells."""
        (base,) = {stage.base for stage in self.stages}
        self.assertRegex(base, r"^debian:\d+\.\d+-slim$")
        labels = self._words("LABEL")
        self.assertIn(f"org.opencontainers.image.base.name=docker.io/library/{base}", labels)

    def test_version(self) -> None:
        self.assertIn(f"VERSION={overlayd.__version__}", self._words("ARG"))

    def test_ends_with_what_users_give_options_to(self) -> None:
        self.assertEqual(
            self._words("ENTRYPOINT"), ["twistd", "--nodaemon", "--pidfile=", "overlayd"]
        )

    def test_requirements(self) -> None:
        """Every package is pinned by hash, with all that pyproject.toml asks for among them."""
        text = (CHECKOUT / "image/requirements.txt").read_text()
        pinned = {name: version for name, version, _ in _PINNED.findall(text)}
        self.assertEqual(len(pinned), text.count("=="), "each line has its hashes")
        project: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())[
            "project"
        ]
        wanted = dict(line.split("==") for line in project["dependencies"])
        self.assertEqual({name: pinned.get(name) for name in wanted}, wanted)

    def test_build_requirements(self) -> None:
        text = (CHECKOUT / "image/build-requirements.txt").read_text()
        self.assertEqual(len(_PINNED.findall(text)), text.count("=="))

    def _words(self, keyword: str) -> list[str]:
        last: Stage = self.stages[-1]
        return [word for step in last.steps if step.keyword == keyword for word in step.words]


class ParseTests(SynchronousTestCase):
    def test_parse(self) -> None:
        """Comments and continued lines, flags, stages, and words in both forms."""
        first, second = dockerfile.parse(
            "# a comment\nFROM a:1 AS one\nRUN --mount=type=secret,id=x \\\n    # why\n    b && c\n"
            'FROM d\nCOPY --from=one /e /f\nLABEL g="h i"\nENTRYPOINT ["j", "k l"]\n'
        )
        self.assertEqual((first.base, first.name, second.base), ("a:1", "one", "d"))
        (run,) = first.steps
        self.assertEqual((run.flag("mount"), run.text), ("type=secret,id=x", "b && c"))
        copy, label, entrypoint = second.steps
        self.assertEqual((copy.flag("from"), copy.words), ("one", ["/e", "/f"]))
        self.assertEqual((label.words, entrypoint.words), (["g=h i"], ["j", "k l"]))
