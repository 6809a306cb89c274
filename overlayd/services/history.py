"""The last passes that changed something or failed: what they did, and why."""

from collections.abc import Sequence

from attrs import evolve, frozen

from overlayd.model.status import ChangeReport, PassReport, PastPass
from overlayd.model.text import shortened

PASSES = 100
CHANGES = 2_000  # of all of them together; the oldest lose theirs first
CHANGES_OF_ONE = 500
TEXT_LIMIT = 900  # characters: cluster text can be long


@frozen
class _Entry:
    past: PastPass
    did: int  # tells what it did from what others did, also where not all of that is kept


class History:
    """Remembers passes, in bounded memory.

    A pass that does the same as the one before is counted there. So is one that fails like another
    since which every pass has failed: what is tried again and again pushes nothing out.
    """

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    @property
    def passes(self) -> tuple[PastPass, ...]:
        """What is remembered, oldest first."""
        return tuple(entry.past for entry in self._entries)

    def note(self, report: PassReport) -> None:
        """Take the report of the newest pass."""
        if not report.changes and report.error is None:
            return
        did = hash((report.error, frozenset((c.text, c.error) for c in report.changes)))
        at = self._repeated(did, report)
        if at is None:
            self._entries = _bounded([*self._entries, _Entry(_past(report), did)])
        else:
            past = self._entries[at].past
            past = evolve(past, repeated=past.repeated + 1, repeated_at=report.began)
            self._entries[at] = _Entry(past, did)

    def _repeated(self, did: int, report: PassReport) -> int | None:
        """Which entry the pass repeats."""
        for at in reversed(range(len(self._entries))):
            entry = self._entries[at]
            if entry.did == did:
                return at
            if not (report.failed and entry.past.failed):
                return None
        return None


def _past(report: PassReport) -> PastPass:
    kept = evolve(
        report,
        why=shortened(report.why, TEXT_LIMIT),
        error=_shortened(report.error),
        changes=tuple(
            ChangeReport(
                shortened(c.text, TEXT_LIMIT), shortened(c.why, TEXT_LIMIT), _shortened(c.error)
            )
            for c in _some(report.changes, CHANGES_OF_ONE)
        ),
    )
    return PastPass(
        report=kept, change_count=len(report.changes), failure_count=len(report.failures)
    )


def _shortened(text: str | None) -> str | None:
    return None if text is None else shortened(text, TEXT_LIMIT)


def _some(changes: tuple[ChangeReport, ...], most: int) -> tuple[ChangeReport, ...]:
    """As many changes as may be kept; where those are not all, first what failed."""
    if len(changes) <= most:
        return changes
    return tuple(sorted(changes, key=lambda c: c.error is None)[:most])


def _bounded(entries: Sequence[_Entry]) -> list[_Entry]:
    """The newest entries, and of their changes the newest."""
    room, bounded = CHANGES, []
    for entry in reversed(entries[-PASSES:]):
        report = entry.past.report
        kept = _some(report.changes, room)
        room -= len(kept)
        past = evolve(entry.past, report=evolve(report, changes=kept))
        bounded.append(_Entry(past, entry.did))
    return bounded[::-1]
