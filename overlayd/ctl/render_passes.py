"""Passes as people read them: done, planned, past, and what the brake holds. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from overlayd.ctl.words import counted, duration
from overlayd.model.text import printable

Document = Mapping[str, Any]


def pass_summary(report: Document) -> str:
    """One line about a pass."""
    did = counted(report["changeCount"], "change")
    if report["failureCount"]:
        did += f", {report['failureCount']:,} of them failed"
    if report["error"]:
        did = f"failed: {report['error']}"
    return printable(
        f"number {report['number']}, took {duration(report['duration'])}, "
        f"because {report['why']}: {did}"
    )


def change_lines(report: Document) -> Iterator[str]:
    """The changes of a pass that the document holds, and how many more there were."""
    changes = report.get("changes", [])
    yield from map(_change, changes)
    yield from more(report["changeCount"] - len(changes))


def _change(change: Document) -> str:
    failed = f", FAILED: {change['error']}" if change["error"] else ""
    return printable(f"  {change['change']} ({change['why']}){failed}")


def pass_lines(report: Document) -> Iterator[str]:
    """A pass that was waited for, with its changes."""
    yield f"Pass {pass_summary(report)}"
    yield from change_lines(report)


def plan_lines(plan: Document) -> Iterator[str]:
    """What a pass would do now."""
    if plan["state"] is not None:
        yield printable(f"{plan['state']}: {plan['message']}")
    changes, held = plan["changes"], plan["held"]
    if changes:
        yield f"A pass now would make {counted(len(changes), 'change')}:"
        yield from (printable(f"  {change['change']} ({change['why']})") for change in changes)
    else:
        yield "A pass now would change nothing"
    if held:
        yield f"It would hold {counted(len(held), 'peer')}:"
        yield from (printable(f"  {held_text(peer)}") for peer in held)
        yield from held_hint(held)


def past_lines(past: Document) -> Iterator[str]:
    """A pass of the history."""
    yield f"{past['began']} {pass_summary(past)}"
    yield from map(_change, past["changes"])
    left_out = past["changeCount"] - len(past["changes"])
    if left_out:
        yield f"  and {left_out:,} more, which are not kept"
    if past["repeated"]:
        again = counted(past["repeated"], "time")
        yield printable(f"  the same again {again}, the last at {past['repeatedAt']}")


def confirmed_line(held: Sequence[Document]) -> str:
    names = ", ".join(peer["node"] or f"(no node) {peer['publicKey']}" for peer in held)
    return printable(f"Confirmed that {counted(len(held), 'held peer')} may go: {names}")


def held_text(held: Document) -> str:
    """A held peer, and until when."""
    name = f"{held['node'] or '(no node)'} {held['publicKey']}"
    if held["until"] is None:
        return f"{name} for as long as our own Node is missing"
    return f"{name} until {held['until']}, {duration(held['remaining'])} more"


def held_hint(held: Sequence[Document]) -> Iterator[str]:
    """How to let go what is held."""
    if any(peer["until"] is not None for peer in held):
        yield "  overlayctl confirm lets them go now"


def more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"  and {count:,} more; -o json shows all"
