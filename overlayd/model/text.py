"""How text and times are shown. Text that came from the cluster is hostile."""

from datetime import UTC, datetime


def shown(text: str, limit: int = 200) -> str:
    """Return `text` on one line, printable, and no longer than about `limit` characters.

    Control characters, line ends, and what a terminal would not print become Python escapes. A
    backslash is doubled, so that an escape in the text itself cannot pass for ours.
    """
    cut = text[:limit]
    safe = "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii")
        for c in cut
    )
    return safe if len(text) <= limit else f"{safe}... ({len(text)} characters)"


def printable(text: str) -> str:
    """Return `text` on one line and printable, for output that may hold what `shown` returned.

    Backslashes stay as they are, so what is escaped already is not escaped twice.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def shortened(text: str, limit: int) -> str:
    """Return `text`, or its first `limit` characters and how many it had."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def rfc3339(wall: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(wall, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
