"""Figures as tables of Markdown."""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.figures import Figure

_HEAD = ("what", "measured", "budget", "the parts alone", "ratio", "wg-overlay (design)")
_MISSED = ", **missed**"


def of_one_size(figures: Sequence[Figure]) -> str:
    """All that is known of each figure."""
    return _table(
        _HEAD,
        (
            (
                figure.what,
                _amount(figure.value, figure.unit),
                _budget(figure),
                ""
                if figure.part is None
                else f"{_amount(figure.part, figure.unit)} ({figure.part_name})",
                "" if figure.ratio is None else f"{figure.ratio:.2f}",
                figure.elsewhere,
            )
            for figure in figures
        ),
    )


def of_growth(runs: Mapping[int, Sequence[Figure]]) -> str:
    """The figures of each number of Nodes beside each other, and the last by the first."""
    sizes = sorted(runs)
    head = ("what", *(f"{size:,} Nodes" for size in sizes), "growth")
    return _table(head, (_grown(row) for row in zip(*(runs[size] for size in sizes), strict=True)))


def _grown(row: Sequence[Figure]) -> tuple[str, ...]:
    first, last = row[0].value, row[-1].value
    amounts = (_amount(figure.value, figure.unit) for figure in row)
    return (row[0].what, *amounts, f"x {last / first:.1f}" if first else "")


def _budget(figure: Figure) -> str:
    if figure.budget is None:
        return ""
    most = _amount(figure.budget, figure.unit)
    return f"{'under ' if figure.budget else ''}{most}{_MISSED if figure.missed else ''}"


def _amount(value: float, unit: str) -> str:
    """Three digits, as much as such a measurement tells."""
    if not unit:
        return f"{value:,.0f}"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 or not value else 3
    return f"{value:,.{digits}f} {unit}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
