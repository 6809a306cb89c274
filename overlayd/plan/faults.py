"""Reading the claims of one Node: what cannot be read becomes a fault, and costs itself alone."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from overlayd.model.node import Claim, Fault
from overlayd.model.text import shown
from overlayd.plan.salvage import Unreadable

T = TypeVar("T")


class Claims:
    """Reads values of a JSON document, whatever they are. A `reader` raises ValueError."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def read(self, claim: Claim, value: Any, reader: Callable[[str], T]) -> T | None:
        """Read a claim; None and "" are one that is not made."""
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            self.fault(claim, "", f"{kind(value)} in place of text")
            return None
        try:
            return reader(value)
        except ValueError as error:
            self.fault(claim, shown(value), str(error))
            return None

    def each(
        self, claim: Claim, values: Sequence[Any], reader: Callable[[str], T]
    ) -> tuple[T, ...]:
        """Read each entry of a list. An empty one is a fault too: it stands for something."""
        found = []
        for value in values:
            if value is None or value == "":
                self.fault(claim, "", "an empty entry")
            elif (item := self.read(claim, value, reader)) is not None:
                found.append(item)
        return tuple(found)

    def text(self, field: str, value: Any) -> str:
        """Read a field that is plain text; "" where there is none."""
        if isinstance(value, str):
            return value
        if value is not None:
            self.fault(Claim.NODE, field, f"{kind(value)} in place of text")
        return ""

    def fault(self, claim: Claim, text: str, reason: str) -> None:
        self.faults.append(Fault(claim, text, reason))


def kind(value: Any) -> str:
    """What a value is, in the words of JSON."""
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "text"
        case bool():
            return "a truth value"
        case Unreadable():
            return "what cannot be read"
        case _:
            return "a number"
