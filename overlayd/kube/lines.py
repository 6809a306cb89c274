"""The lines of a stream that comes in pieces."""

from overlayd.model.errors import NotADocument

LONGEST = 16 * 1024 * 1024
"""Bytes. A Node is smaller by far (etcd takes 1.5 MiB); what goes on for longer is no line."""


class Lines:
    """Puts lines together. What is left at the end was cut, and is no line."""

    def __init__(self) -> None:
        self._started: list[bytes] = []
        self._size = 0

    @property
    def unfinished(self) -> bytes:
        """What came after the last whole line."""
        return b"".join(self._started)

    def take(self, chunk: bytes) -> list[bytes]:
        """Return the lines that are whole now, without their ends; blank ones are left out.

        :raises NotADocument: a line is longer than any Node can be.
        """
        head, *others = chunk.split(b"\n")
        self._started.append(head)
        self._size += len(head)
        if self._size > LONGEST:
            raise NotADocument("no watch event: a line without an end")
        if not others:
            return []
        whole = [b"".join(self._started), *others[:-1]]
        self._started = [others[-1]]
        self._size = len(others[-1])
        return [line for line in whole if line.strip()]
