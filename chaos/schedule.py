"""Which faults happen to whom, drawn from a seed: pure, and the same for the same seed."""

from collections.abc import Iterator, Sequence
from random import Random

from attrs import frozen

from chaos.fault import Fault

AT_ONCE = (1, 1, 2, 2, 3)
"""How many faults begin together, as often as they stand here."""

LASTS = (0.3, 4.0)
"""Seconds until what does not end by itself is ended."""

BYSTANDERS = 2
"""Nodes in each round that no fault may harm: traffic flows between them."""


@frozen
class Deal:
    """A fault, and the numbers of the nodes to which it happens."""

    fault: Fault
    nodes: tuple[int, ...]

    @property
    def harmed(self) -> frozenset[int]:
        return frozenset(self.nodes) if self.fault.harms else frozenset()

    def __str__(self) -> str:
        places = " and ".join(f"node{number}" for number in self.nodes)
        return f"{self.fault.name}{' on ' if places else ''}{places}"


@frozen
class Round:
    """What begins together, in its order; `bystanders` are two nodes that it must not harm."""

    number: int
    deals: tuple[Deal, ...]
    lasts: float
    bystanders: tuple[int, int]

    @property
    def of_server(self) -> bool:
        """Whether the API server is broken too."""
        return any(deal.fault.of_server for deal in self.deals)

    def __str__(self) -> str:
        return f"round {self.number}: {'; '.join(map(str, self.deals))}; for {self.lasts:.1f} s"


def rounds(seed: int, faults: Sequence[Fault], nodes: Sequence[int]) -> Iterator[Round]:
    """Rounds without end. Every fault comes once before any comes again."""
    random = Random(f"faults {seed}")
    deck: list[Fault] = []
    number = 0
    while True:
        number += 1
        deals: list[Deal] = []
        for _ in range(random.choice(AT_ONCE)):
            if not deck:
                deck = random.sample(faults, len(faults))
            deal = _draw(random, deck, deals, nodes)
            if deal is not None:
                deals.append(deal)
        deals.sort(key=_place)
        yield Round(number, tuple(deals), random.uniform(*LASTS), _bystanders(random, deals, nodes))


def _draw(
    random: Random, deck: list[Fault], deals: Sequence[Deal], nodes: Sequence[int]
) -> Deal | None:
    """Take from the deck the next fault that goes with those that are dealt, each on its node."""
    free = [n for n in nodes if all(n not in deal.nodes for deal in deals)]
    harmed = sum(len(deal.harmed) for deal in deals)
    for place, fault in enumerate(deck):
        harms = fault.places if fault.harms else 0
        room = fault.places <= len(free) and harmed + harms <= len(nodes) - BYSTANDERS
        if room and _goes_with(fault, [deal.fault for deal in deals]):
            del deck[place]
            return Deal(fault, tuple(random.sample(free, fault.places)))
    return None


def _bystanders(random: Random, deals: Sequence[Deal], nodes: Sequence[int]) -> tuple[int, int]:
    """Two nodes that are not harmed, one of them hit by a fault that harms nobody if one is."""
    harmed = {n for deal in deals for n in deal.harmed}
    hit = [n for deal in deals for n in deal.nodes if n not in harmed]
    one = random.choice(hit or [n for n in nodes if n not in harmed])
    return one, random.choice([n for n in nodes if n not in harmed and n != one])


def _goes_with(fault: Fault, others: Sequence[Fault]) -> bool:
    if others and (fault.alone or any(other.alone for other in others)):
        return False
    return not (fault.of_server and any(other.of_server for other in others))


def _place(deal: Deal) -> int:
    """What needs the API server to be caused comes before what breaks that."""
    return 2 if deal.fault.of_server else 1 if deal.nodes else 0
