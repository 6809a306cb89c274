"""What the demo prints: steps, what held in them and how long it took; plain text in a pipe."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WIDTH = 100  # where the output has no width of its own


class Show:
    """The demo's output, and whether everything held so far."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = _WIDTH
        self._steps = 0
        self.failed = 0
        self._began = time.monotonic()

    def step(self, title: str) -> None:
        self._steps += 1
        self._console.print(f"\n[bold]{self._steps}. {escape(title)}[/bold]")

    def say(self, text: str) -> None:
        self._console.print(f"   {escape(text)}", soft_wrap=True)

    def held(self, text: str) -> None:
        self._console.print(f"   [green]ok[/green]  {escape(text)}", soft_wrap=True)

    def broke(self, text: str) -> None:
        self.failed += 1
        self._console.print(f"   [bold red]FAILED[/bold red]  {escape(text)}", soft_wrap=True)

    def check(self, text: str, holds: bool) -> None:
        """Print what held, or did not."""
        (self.held if holds else self.broke)(text)

    @contextmanager
    def timed(self, text: str) -> Iterator[None]:
        """Print `text` and how long the body took; an AssertionError of it is shown and goes on."""
        began = time.monotonic()
        with self._console.status(escape(text)):
            try:
                yield
            except AssertionError as error:
                self.broke(f"{text}: {error}")
                raise
        self.held(f"{text}: {time.monotonic() - began:.2f} s")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in columns:
            table.add_column(column, no_wrap=True)
        for row in rows:
            table.add_row(*map(escape, row))
        with_indent = Table.grid(padding=(0, 0, 0, 3))
        with_indent.add_row("", table)
        self._console.print(with_indent)

    def end(self, text: str) -> None:
        """Print the last line: the outcome, and the time of everything."""
        took = f"{time.monotonic() - self._began:.1f} s"
        colour = "red" if self.failed else "green"
        verdict = f"{self.failed} FAILED" if self.failed else "everything held"
        self._console.print(f"\n[bold {colour}]{verdict}[/bold {colour}]; {escape(text)}; {took}")
