"""What can still be read of a JSON document in which something cannot: each field by itself."""

from collections.abc import Collection
from typing import Any

import msgspec

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises: for a misfit, for bytes that are no UTF-8, for nesting without end."""

NULL = msgspec.Raw(b"null")


class Unreadable:
    """Stands for a value that is there and cannot be read: a number or text out of all bounds."""


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def raw_fields(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw] | None:
    """The fields of an object, none of them read; None where it is no object."""
    try:
        return _fields.decode(raw)
    except UNDECODABLE:
        return None


def value(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNDECODABLE:
        return Unreadable()


def object_of(raw: msgspec.Raw, names: Collection[str]) -> Any:
    """An object with the named fields alone; what is no object as it is."""
    fields = raw_fields(raw)
    if fields is None:
        return value(raw)
    return {name: value(fields[name]) for name in names if name in fields}
