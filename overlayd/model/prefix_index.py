"""Prefixes with those who have them: who has addresses of a prefix, found without comparing all."""

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

from attrs import field, frozen
from immutables import Map

from overlayd.model.addresses import IPNetwork

T = TypeVar("T", bound=Hashable)

Entry = tuple[IPNetwork, frozenset[T]]
Level = Map[int, Entry[T]]  # the prefixes of one length, by their leading bits


@frozen
class PrefixIndex(Generic[T]):
    """A value: adding and discarding make another one, which shares almost all with this one.

    A search takes one step for each length that occurs, where no longer prefix occurs, however
    many prefixes there are.
    """

    _levels: Map[tuple[int, int], Level[T]] = field(factory=Map)  # by IP version and length

    @staticmethod
    def of(pairs: Iterable[tuple[IPNetwork, T]]) -> "PrefixIndex[T]":
        """The same as adding each pair, and faster."""
        levels: dict[tuple[int, int], dict[int, Entry[T]]] = {}
        for prefix, owner in pairs:
            level = levels.setdefault((prefix.version, prefix.prefixlen), {})
            bits = _bits(prefix)
            there = level.get(bits)
            level[bits] = (prefix, there[1] | {owner} if there else frozenset((owner,)))
        return PrefixIndex(Map((place, Map(level)) for place, level in levels.items()))

    def add(self, prefix: IPNetwork, owner: T) -> "PrefixIndex[T]":
        place, bits = (prefix.version, prefix.prefixlen), _bits(prefix)
        level = self._levels.get(place, Map())
        there = level.get(bits)
        owners = there[1] | {owner} if there else frozenset((owner,))
        return PrefixIndex(self._levels.set(place, level.set(bits, (prefix, owners))))

    def discard(self, prefix: IPNetwork, owner: T) -> "PrefixIndex[T]":
        """Without this owner of exactly this prefix, if it was one."""
        place, bits = (prefix.version, prefix.prefixlen), _bits(prefix)
        level = self._levels.get(place, Map())
        there = level.get(bits)
        if there is None or owner not in there[1]:
            return self
        if owners := there[1] - {owner}:
            return PrefixIndex(self._levels.set(place, level.set(bits, (prefix, owners))))
        if len(level) > 1:
            return PrefixIndex(self._levels.set(place, level.delete(bits)))
        return PrefixIndex(self._levels.delete(place))

    def owners(self, prefix: IPNetwork) -> frozenset[T]:
        """Those who have exactly this prefix."""
        level = self._levels.get((prefix.version, prefix.prefixlen))
        there = level.get(_bits(prefix)) if level is not None else None
        return there[1] if there else frozenset()

    def overlapping(self, prefix: IPNetwork) -> Iterator[Entry[T]]:
        """Every prefix that shares addresses with this one, with its owners; in no order."""
        bits, length = _bits(prefix), prefix.prefixlen
        for (version, its_length), level in self._levels.items():
            if version != prefix.version:
                continue
            more = its_length - length
            if more <= 0:
                there = level.get(bits >> -more)
                if there is not None:
                    yield there
            elif more < len(level).bit_length():
                inside = range(bits << more, bits + 1 << more)
                yield from (entry for b in inside if (entry := level.get(b)) is not None)
            else:
                yield from (entry for b, entry in level.items() if b >> more == bits)

    def other_than(self, owner: T, prefix: IPNetwork) -> bool:
        """Whether somebody else has addresses of this prefix."""
        return any(len(have) > 1 or owner not in have for _, have in self.overlapping(prefix))


def _bits(prefix: IPNetwork) -> int:
    return int(prefix.network_address) >> prefix.max_prefixlen - prefix.prefixlen
