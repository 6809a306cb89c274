"""One measured figure: a line of the table."""

from attrs import frozen


@frozen
class Figure:
    """`part` is what a part of the daemon costs by itself, in the same unit, in the same run.

    `budget` is the most that the design allows, and `elsewhere` what it tells of wg-overlay, which
    is not measured here. Both are for 5,000 Nodes.
    """

    what: str
    value: float
    unit: str
    part: float | None = None
    part_name: str = ""
    budget: float | None = None
    elsewhere: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.part if self.part else None

    @property
    def missed(self) -> bool:
        return self.budget is not None and self.value > self.budget


def median(values: list[float]) -> float:
    return quantile(values, 0.5)


def quantile(values: list[float], share: float) -> float:
    """The smallest of the values that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
