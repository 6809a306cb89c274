"""Text that came from the cluster is hostile; this is how it is shown."""


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
