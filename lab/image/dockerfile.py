"""A Dockerfile, as far as ours goes. Pure: text in, steps out."""

import json
import re
import shlex
from collections.abc import Iterator

from attrs import evolve, frozen


@frozen
class Step:
    """One instruction: its keyword, its flags as often as they are there, and the rest."""

    keyword: str
    flags: tuple[tuple[str, str], ...]
    text: str

    def flag(self, name: str) -> str | None:
        return next((value for flag, value in self.flags if flag == name), None)

    @property
    def words(self) -> list[str]:
        """The rest as words: a JSON array, or shell words."""
        if self.text.startswith("["):
            words: list[str] = json.loads(self.text)
            return words
        return shlex.split(self.text)


@frozen
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    steps: tuple[Step, ...] = ()


def parse(text: str) -> tuple[Stage, ...]:
    """The stages of a Dockerfile."""
    stages: list[Stage] = []
    for step in _steps(text):
        if step.keyword == "FROM":
            base, _, name = step.text.partition(" AS ")
            stages.append(Stage(base, name))
        else:
            stages[-1] = evolve(stages[-1], steps=(*stages[-1].steps, step))
    return tuple(stages)


def _steps(text: str) -> Iterator[Step]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        if line.strip():
            keyword, _, rest = line.strip().partition(" ")
            flags = []
            while found := re.match(r"--(\w+)=(\S+)\s+", rest):
                flags.append((found[1], found[2]))
                rest = rest[found.end() :]
            yield Step(keyword, tuple(flags), rest.strip())
