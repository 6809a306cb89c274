"""Who has addresses of a prefix: a search that neither sorts nor compares all with all."""

from collections.abc import Iterable

from attrs import frozen

from overlayd.model.node import IPNetwork

_Entry = tuple[IPNetwork, str]
_Entries = dict[int, list[_Entry]]  # by the leading bits that they have in common


@frozen
class _Level:
    """Prefixes of one length, and the longer ones by their first bits of that length."""

    length: int
    shift: int
    there: _Entries
    inside: _Entries


class Overlaps:
    """Prefixes with the names of those who have them. Two prefixes overlap if one holds the other.

    All prefixes that are ever added or looked up have one of the lengths of `prefixes`, and a
    search takes one step for each different length, however many prefixes there are.
    """

    def __init__(self, prefixes: Iterable[IPNetwork]) -> None:
        self._levels: dict[int, list[_Level]] = {4: [], 6: []}
        for longest, length in sorted({(p.max_prefixlen, p.prefixlen) for p in prefixes}):
            levels = self._levels[4 if longest == 32 else 6]
            levels.append(_Level(length, longest - length, {}, {}))

    def add(self, prefix: IPNetwork, name: str) -> None:
        number, length = int(prefix.network_address), prefix.prefixlen
        for level in self._levels[prefix.version]:
            if level.length > length:
                break
            entries = level.there if level.length == length else level.inside
            entries.setdefault(number >> level.shift, []).append((prefix, name))

    def find(self, prefix: IPNetwork, other_than: str = "") -> _Entry | None:
        """A prefix that shares addresses with this one, and who has it."""
        number, length = int(prefix.network_address), prefix.prefixlen
        for level in self._levels[prefix.version]:
            if level.length > length:
                break
            bits = number >> level.shift
            for entry in level.there.get(bits, ()):
                if entry[1] != other_than:
                    return entry
            if level.length == length:
                for entry in level.inside.get(bits, ()):
                    if entry[1] != other_than:
                        return entry
        return None
