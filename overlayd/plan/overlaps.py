"""Who has addresses of a prefix: a search that neither sorts nor compares all with all."""

from collections.abc import Iterable, Iterator

from overlayd.model.node import IPNetwork

_Place = tuple[int, int, int]  # IP version, prefix length, that many leading bits


class Overlaps:
    """Prefixes with the names of those who have them. Two prefixes overlap if one holds the other.

    All prefixes that are ever added or looked up have one of `lengths`, and a search takes one
    step for each different length, however many prefixes there are.
    """

    def __init__(self, prefixes: Iterable[IPNetwork]) -> None:
        self._lengths = sorted({p.prefixlen for p in prefixes})
        self._at: dict[_Place, list[tuple[IPNetwork, str]]] = {}
        self._under: dict[_Place, list[tuple[IPNetwork, str]]] = {}

    def add(self, prefix: IPNetwork, name: str) -> None:
        entry = (prefix, name)
        for place in self._places(prefix):
            found = self._at if place[1] == prefix.prefixlen else self._under
            found.setdefault(place, []).append(entry)

    def find(self, prefix: IPNetwork, other_than: str = "") -> tuple[IPNetwork, str] | None:
        """A prefix that shares addresses with this one, and who has it."""
        for place in self._places(prefix):
            for entry in self._at.get(place, ()):
                if entry[1] != other_than:
                    return entry
        for entry in self._under.get(place, ()):
            if entry[1] != other_than:
                return entry
        return None

    def _places(self, prefix: IPNetwork) -> Iterator[_Place]:
        """Where the prefix and all that hold it would be, the widest first."""
        number, longest = int(prefix.network_address), prefix.max_prefixlen
        for length in self._lengths:
            if length > prefix.prefixlen:
                return
            yield (prefix.version, length, number >> (longest - length))
