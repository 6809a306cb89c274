"""Prefixes with those who have them: who has addresses of one, found without comparing all."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

from attrs import field, frozen
from immutables import Map

from overlayd.model.addresses import IPNetwork

T = TypeVar("T", bound=Hashable)

Owners = tuple[T, ...]  # sorted; a frozenset would take four times the memory
Place = tuple[int, int]  # IP version and length
Level = Map[int, Owners[T]]  # the prefixes of one length, by their leading bits
Groups = Map[int, int]  # how many of them share all those bits but the last eight

_GROUP = 8  # bits


@frozen
class PrefixIndex(Generic[T]):
    """A value: adding and discarding make another one, which shares almost all with this one.

    A search takes one step for each length that occurs, where no longer prefix occurs, however
    many prefixes there are.
    """

    _levels: Map[Place, Level[T]] = field(factory=Map)
    _groups: Map[Place, Groups] = field(factory=Map)

    @staticmethod
    def of(pairs: Iterable[tuple[IPNetwork, T]]) -> "PrefixIndex[T]":
        """The same as adding each pair, and faster."""
        levels: dict[tuple[int, int], dict[int, Owners[T]]] = {}
        for prefix, owner in pairs:
            level = levels.setdefault((prefix.version, prefix.prefixlen), {})
            bits = _bits(prefix)
            level[bits] = _with(level[bits], owner) if bits in level else (owner,)
        groups = {place: Counter(b >> _GROUP for b in level) for place, level in levels.items()}
        return PrefixIndex(
            Map((place, Map(level)) for place, level in levels.items()),
            Map((place, Map(counted)) for place, counted in groups.items()),
        )

    def add(self, prefix: IPNetwork, owner: T) -> "PrefixIndex[T]":
        place, bits = (prefix.version, prefix.prefixlen), _bits(prefix)
        level = self._levels.get(place, Map())
        levels = self._levels.set(place, level.set(bits, _with(level.get(bits, ()), owner)))
        return PrefixIndex(levels, self._groups if bits in level else self._counted(place, bits, 1))

    def discard(self, prefix: IPNetwork, owner: T) -> "PrefixIndex[T]":
        """Without this owner of exactly this prefix, if it was one."""
        place, bits = (prefix.version, prefix.prefixlen), _bits(prefix)
        level = self._levels.get(place, Map())
        owners = level.get(bits, ())
        if owner not in owners:
            return self
        if rest := tuple(o for o in owners if o != owner):
            return PrefixIndex(self._levels.set(place, level.set(bits, rest)), self._groups)
        if len(level) > 1:
            levels = self._levels.set(place, level.delete(bits))
            return PrefixIndex(levels, self._counted(place, bits, -1))
        return PrefixIndex(self._levels.delete(place), self._groups.delete(place))

    def owners(self, prefix: IPNetwork) -> Owners[T]:
        """Those who have exactly this prefix."""
        level = self._levels.get((prefix.version, prefix.prefixlen))
        return level.get(_bits(prefix), ()) if level is not None else ()

    def overlapping(self, prefix: IPNetwork) -> Iterator[T]:
        """Those who have addresses of this prefix; in no order, and some of them repeatedly."""
        for _, _, owners in self._overlapping(prefix):
            yield from owners

    def entries(self, prefix: IPNetwork) -> Iterator[tuple[IPNetwork, Owners[T]]]:
        """The prefixes that share addresses with this one, the largest first, and who has them."""
        for length, bits, owners in sorted(self._overlapping(prefix)):
            yield type(prefix)((bits << prefix.max_prefixlen - length, length)), owners

    def other_than(self, owner: T, prefix: IPNetwork) -> tuple[IPNetwork, T] | None:
        """Somebody else who has addresses of this prefix, and of which one: the largest."""
        others = (
            (length, bits, other)
            for length, bits, owners in self._overlapping(prefix)
            for other in owners
            if other != owner
        )
        found = min(others, default=None)
        if found is None:
            return None
        length, bits, other = found
        return type(prefix)((bits << prefix.max_prefixlen - length, length)), other

    def _overlapping(self, prefix: IPNetwork) -> Iterator[tuple[int, int, Owners[T]]]:
        """The prefixes that share addresses with this one, by length and leading bits."""
        bits, length = _bits(prefix), prefix.prefixlen
        for place, level in self._levels.items():
            version, its_length = place
            if version != prefix.version:
                continue
            more = its_length - length
            if more <= 0:
                candidates: Iterable[int] = (bits >> -more,)
            elif more < _GROUP:
                candidates = range(bits << more, bits + 1 << more)
            else:
                found = _below(self._groups[place], bits, more - _GROUP)
                candidates = (b for group in found for b in _below(level, group, _GROUP))
            for its_bits in candidates:
                if owners := level.get(its_bits):
                    yield its_length, its_bits, owners

    def _counted(self, place: Place, bits: int, by: int) -> Map[Place, Groups]:
        """The groups after a prefix came or went."""
        groups: Groups = self._groups.get(place, Map())
        group = bits >> _GROUP
        count = groups.get(group, 0) + by
        return self._groups.set(place, groups.set(group, count) if count else groups.delete(group))


def _below(known: Map[int, object], bits: int, more: int) -> Iterator[int]:
    """Those of the known that begin with these bits and have so many more."""
    if more < len(known).bit_length():
        return (b for b in range(bits << more, bits + 1 << more) if b in known)
    return (b for b in known if b >> more == bits)


def _with(owners: Owners[T], owner: T) -> Owners[T]:
    return owners if owner in owners else tuple(sorted((*owners, owner)))  # type: ignore[type-var]


def _bits(prefix: IPNetwork) -> int:
    return int(prefix.network_address) >> prefix.max_prefixlen - prefix.prefixlen
