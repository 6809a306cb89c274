"""AMP's boxes as bytes, without Twisted, and what both ends of the control socket must agree on.

A box is pairs of key and value, each after its length in two bytes, and ends with an empty key.
"""

import struct
from collections.abc import Callable, Mapping

FORMAT = 1
"""Of the documents. It goes up when a field goes or means something else, not with a new one."""

KEY_LIMIT = 255
PAIRS_LIMIT = 16  # more than any answer has

_LENGTH = struct.Struct("!H")


class NotABox(Exception):
    """What came is no AMP box."""


def encode(box: Mapping[bytes, bytes]) -> bytes:
    """Return the bytes of a box with at least one pair."""
    parts = [
        part for pair in box.items() for text in pair for part in (_LENGTH.pack(len(text)), text)
    ]
    return b"".join([*parts, _LENGTH.pack(0)])


def read(exactly: Callable[[int], bytes]) -> dict[bytes, bytes]:
    """Read a box. `exactly` returns as many bytes as it is asked for, or raises.

    :raises NotABox: the bytes are something else.
    """
    box: dict[bytes, bytes] = {}
    while True:
        (length,) = _LENGTH.unpack(exactly(2))
        if length == 0 and box:
            return box
        if not 0 < length <= KEY_LIMIT or len(box) == PAIRS_LIMIT:
            raise NotABox
        key = exactly(length)
        (length,) = _LENGTH.unpack(exactly(2))
        box[key] = exactly(length)
