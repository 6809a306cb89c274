"""Node documents: how they are merged, cleaned, and kept ready to be sent."""

from typing import Any

import msgspec
from attrs import frozen

from overlayd.testing.apiserver.refusals import Document

_KIND = b'{"kind":"Node","apiVersion":"v1",'


@frozen
class Stored:
    """One Node as it was after one write. The document is never changed in place."""

    document: Document
    item: bytes  # as a list carries it: JSON without kind and apiVersion

    @classmethod
    def of(cls, document: Document, version: int) -> "Stored":
        metadata = {**document["metadata"], "resourceVersion": str(version)}
        versioned = {**document, "metadata": metadata}
        return cls(versioned, msgspec.json.encode(versioned))

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])

    @property
    def version(self) -> str:
        return str(self.document["metadata"]["resourceVersion"])

    @property
    def uid(self) -> str:
        return str(self.document["metadata"]["uid"])

    def whole(self) -> bytes:
        """The JSON of the Node by itself, with kind and apiVersion."""
        return _KIND + self.item[1:]


def merged(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386); neither argument is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def cleaned(document: Document) -> Document:
    """Drop what a Node does not keep: nulls, empty fields, and its kind and apiVersion.

    :raises ValueError: it is no Node by its own words.
    """
    kept: Document = _without_nulls(document)
    for key, ours in (("kind", "Node"), ("apiVersion", "v1")):
        if kept.pop(key, "") not in ("", ours):
            raise ValueError(f"the object provided is unrecognized: its {key} is not {ours}")
    for part in ("metadata", "spec", "status"):
        fields = kept.get(part) or {}
        if isinstance(fields, dict):
            fields = {k: v for k, v in fields.items() if v not in ("", [], {})}
        kept[part] = fields
    return kept


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value]
    return value
