"""Tables: with colour and folded columns on a terminal, plain and whole in a pipe."""

from collections.abc import Sequence

from overlayd.model.text import printable

STYLES = {
    "up": "green",
    "never": "yellow",
    "held": "yellow",
    "unknown": "yellow",
}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], terminal: bool) -> str:
    """The lines of `rows` under `head`. Cells are made printable: they may come from a cluster."""
    safe = [[printable(cell) or "-" for cell in row] for row in rows]
    return _coloured(head, safe) if terminal else _plain([head, *safe])


def _plain(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join("   ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)


def _coloured(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # Half of what overlayctl would import, and of no use in a pipe.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in head:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()
