"""A file that keeps the Nodes and their history while the server is away, killed or not.

One JSON value a line: first the state, then each write. A last line that was cut is left out.
"""

import os
from typing import Any

import msgspec

from overlayd.testing.apiserver.documents import Stored
from overlayd.testing.apiserver.refusals import Document
from overlayd.testing.apiserver.store import Event, NodeStore


class _State(msgspec.Struct):
    version: int
    nodes: list[Document]


class _Write(msgspec.Struct, omit_defaults=True):
    """A Node put in place, or the name of one deleted; neither where no Node was written."""

    node: dict[str, Any] | None = None
    deleted: str = ""


class Journal:
    """:raises OSError: from each method, the file cannot be read or written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._begun = False

    def restore(self, store: NodeStore) -> bool:
        """Fill an empty store from the file; false where there is none."""
        try:
            with open(self._path, "rb+") as file:
                content = file.read()
                file.truncate(content.rfind(b"\n") + 1)
        except FileNotFoundError:
            return False
        lines = content.split(b"\n")[:-1]
        if not lines:
            return False
        self._begun = True
        state = msgspec.json.decode(lines[0], type=_State)
        store.restore([Stored.of(d, _version(d)) for d in state.nodes], state.version)
        for line in lines[1:]:
            write = msgspec.json.decode(line, type=_Write)
            if write.deleted:
                store.remove(write.deleted)
            elif write.node is not None:
                store.put(write.node)
            else:
                store.pass_over()
        return True

    def keep(self, store: NodeStore) -> None:
        """Add every write from now on; a new file, or one after a replacement, begins anew."""

        def record(event: Event | None) -> None:
            if event is None:
                self._begin(store)
            else:
                self._append(_written(event))

        if not self._begun:
            self._begin(store)
        store.listen(record)

    def _begin(self, store: NodeStore) -> None:
        state = _State(store.version, [node.document for node in store.snapshot()])
        fresh = f"{self._path}.new"
        with open(fresh, "wb") as file:
            file.write(msgspec.json.encode(state) + b"\n")
        os.replace(fresh, self._path)

    def _append(self, write: _Write) -> None:
        with open(self._path, "ab") as file:
            file.write(msgspec.json.encode(write) + b"\n")


def _version(document: Document) -> int:
    return int(document["metadata"]["resourceVersion"])


def _written(event: Event) -> _Write:
    if event.after is not None:
        return _Write(node=event.after.document)
    return _Write(deleted=event.before.name if event.before is not None else "")
