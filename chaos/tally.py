"""What a run has seen of each fault."""

from collections.abc import Iterable

from attrs import define

from chaos.schedule import Deal
from lab.flow import Report

COLUMNS = ("fault", "times", "longest repair", "lost by its node at the most")


@define
class Count:
    """One fault. Times are in seconds; `outage` is the longest run of packets lost."""

    times: int = 0
    repair: float = 0.0
    lost: int = 0
    outage: float = 0.0
    harmed: bool = False


class Tally:
    """Counts by the name of the fault, in the order in which they first came."""

    def __init__(self) -> None:
        self._counts: dict[str, Count] = {}
        self.bystanders_sent = 0
        self.bystanders_lost = 0

    def repaired(self, deal: Deal, seconds: float) -> None:
        count = self._count(deal)
        count.times += 1
        count.repair = max(count.repair, seconds)

    def bystanders(self, reports: Iterable[Report]) -> None:
        for report in reports:
            self.bystanders_sent += report.sent
            self.bystanders_lost += len(report.lost)

    def harmed(self, deal: Deal, reports: Iterable[Report]) -> None:
        """What a flow lost that no other fault could harm."""
        count = self._count(deal)
        count.harmed = True
        for report in reports:
            count.lost = max(count.lost, len(report.lost))
            count.outage = max(count.outage, report.outage)

    def rows(self) -> list[tuple[str, ...]]:
        return [
            (
                name,
                str(count.times),
                f"{count.repair:.1f} s",
                f"{count.lost} packets, {count.outage:.2f} s" if count.harmed else "-",
            )
            for name, count in sorted(self._counts.items())
        ]

    def _count(self, deal: Deal) -> Count:
        return self._counts.setdefault(deal.fault.name, Count())
