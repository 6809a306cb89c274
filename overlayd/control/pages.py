"""Documents as bytes, and lists of them in pages: an AMP value ends at 65,535 bytes."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Document = dict[str, Any]

PAGE_BYTES = 60_000


def encode(document: Document) -> bytes:
    """The JSON text. A lone surrogate, which UTF-8 cannot carry, becomes its JSON escape."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def page(
    items: Sequence[T], document: Callable[[T], Document], after: int, limit: int
) -> tuple[bytes, int]:
    """A JSON array of `items` after the first `after`: at most `limit`, and as many as fit.

    The number is what `after` is for the next page, 0 where this is the last.
    """
    encoded: list[bytes] = []
    room = PAGE_BYTES
    for item in items[after : after + limit]:
        text = encode(document(item))
        room -= len(text) + 1
        if room < 0:
            break
        encoded.append(text)
    reached = after + len(encoded)
    return b"[" + b",".join(encoded) + b"]", reached if reached < len(items) else 0
