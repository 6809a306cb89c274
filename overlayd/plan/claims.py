"""Who holds which prefix, where Nodes claim the same addresses."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from attrs import frozen

from overlayd.model.node import Claim, IPNetwork, Node
from overlayd.model.prefix_index import PrefixIndex
from overlayd.model.settings import Settings
from overlayd.model.status import Quarantine
from overlayd.plan.holding import Holding
from overlayd.plan.overlay import host_prefix, inside, overlay_prefix, unmapped
from overlayd.plan.owners import Age, Owners, age

_HELD, _NOT_HELD, _LEFT_OVER = range(3)  # a left-over one yields to every claim


@frozen
class PrefixClaim:
    """One prefix that a Node says is its own, or that is only left over from its old peer."""

    node: Node
    claim: Claim
    prefix: IPv4Network
    left_over: bool

    def quarantined(self, reason: str) -> Quarantine:
        return Quarantine(self.node.name, self.claim, _text(self.claim, self.prefix), reason)


@frozen
class Settled:
    """Who has which prefixes, and what is left out, with the reason."""

    prefixes: Holding
    quarantines: tuple[Quarantine, ...]


def settle(settings: Settings, claimants: Iterable[Node], owners: Owners, held: Holding) -> Settled:
    """Give each prefix to its holder; none that overlaps one given before.

    First comes who has it already (`held`), then for an overlay address the Node whose own address
    computes to it, then the older Node. `claimants` are in any order.
    """
    claims: dict[Claim, list[PrefixClaim]] = {Claim.OVERLAY_ADDRESS: [], Claim.POD_CIDR: []}
    outside: list[Quarantine] = []
    for node in claimants:
        has = held.get(node.name, frozenset())
        for claim, prefix, left_over in _prefixes(settings, node, owners, has):
            if not isinstance(prefix, IPv4Network):
                continue  # not carried
            made = PrefixClaim(node, claim, prefix, left_over)
            if reason := _outside(settings, claim, prefix):
                outside.append(made.quarantined(reason))
            else:
                claims[claim].append(made)
    prefixes: dict[str, list[IPNetwork]] = {}
    lost: list[Quarantine] = []
    for of_one_kind in claims.values():  # overlay and pod networks have no address in common
        contested = _give_uncontested(of_one_kind, prefixes)
        contested.sort(key=lambda c: _rank(settings, held, c))
        lost += _give_in_order(contested, prefixes)
    return Settled(
        {name: frozenset(found) for name, found in prefixes.items()},
        (*outside, *lost),
    )


def not_carried(nodes: Iterable[Node]) -> tuple[str, ...]:
    """One line for each kind of claim in a family that no option names, however many make it."""
    ipv6 = [
        (claim, node.name, _text(claim, prefix))
        for node in nodes
        if node.key is not None
        for claim, prefix in _said(node)
        if isinstance(prefix, IPv6Network)
    ]
    lines = []
    for kind in (Claim.OVERLAY_ADDRESS, Claim.POD_CIDR):
        found = [(name, text) for claim, name, text in ipv6 if claim is kind]
        if found:
            name, text = min(found)
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            lines.append(f"IPv6 {kind.value} {text} of {name}{more}")
    return tuple(lines)


def _give_uncontested(
    claims: list[PrefixClaim], prefixes: dict[str, list[IPNetwork]]
) -> list[PrefixClaim]:
    """Give what nobody else claims a part of, and answer the rest: few have to be sorted."""
    claimed = PrefixIndex.of((c.prefix, c.node.name) for c in claims)
    contested = []
    for claim in claims:
        if claimed.other_than(claim.node.name, claim.prefix) is not None:
            contested.append(claim)
        else:
            prefixes.setdefault(claim.node.name, []).append(claim.prefix)
    return contested


def _rank(settings: Settings, held: Holding, claim: PrefixClaim) -> tuple[int, bool, Age, object]:
    """Sorts the holder first."""
    node, prefix = claim.node, claim.prefix
    has = prefix in held.get(node.name, ())
    status = _LEFT_OVER if claim.left_over else _HELD if has else _NOT_HELD
    own = claim.claim is Claim.OVERLAY_ADDRESS and prefix == overlay_prefix(settings, node)
    return (status, not own, age(node), prefix)


def _give_in_order(
    claims: list[PrefixClaim], prefixes: dict[str, list[IPNetwork]]
) -> Iterator[Quarantine]:
    given: PrefixIndex[str] = PrefixIndex()
    for claim in claims:
        other = given.other_than(claim.node.name, claim.prefix)
        if other is None:
            given = given.add(claim.prefix, claim.node.name)
            prefixes.setdefault(claim.node.name, []).append(claim.prefix)
        elif not claim.left_over:
            prefix, holder = other
            what = "it" if prefix == claim.prefix else _text(claim.claim, prefix)
            how = "" if prefix == claim.prefix else ", which overlaps it"
            yield claim.quarantined(f"{holder} holds {what}{how}")


def _prefixes(
    settings: Settings, node: Node, owners: Owners, has: frozenset[IPNetwork]
) -> Iterator[tuple[Claim, IPNetwork, bool]]:
    """What a Node claims, and whether it is only left over from a peer with another key.

    Of a claim that cannot be read, what its peer has counts. A Node whose key cannot be read gets
    nothing new: it keeps what its peer has, where nobody claims it, and the address by which that
    peer is known to be its own in any case.
    """
    if node.name == settings.node_name:
        yield from ((claim, prefix, False) for claim, prefix in _said_by_us(settings, node))
        return
    keeps = node.name in owners.keeping
    known_by = overlay_prefix(settings, node) if keeps else None
    said = list(_said(node))
    for claim, prefix in said:
        if not keeps or prefix in has or isinstance(prefix, IPv6Network):
            yield claim, prefix, False
    for claim in (Claim.OVERLAY_ADDRESS, Claim.POD_CIDR):
        unreadable = node.unreadable(claim)
        if keeps or unreadable:
            for prefix in has:
                if (claim, prefix) not in said and _may_be(settings, claim, prefix):
                    yield claim, prefix, not unreadable and prefix != known_by


def _said_by_us(settings: Settings, node: Node) -> Iterator[tuple[Claim, IPNetwork]]:
    """Our annotations are what we wrote; what we claim is the address that we compute."""
    computed = overlay_prefix(settings, node)
    if computed is not None:
        yield Claim.OVERLAY_ADDRESS, computed
    for prefix in node.pod_cidrs:
        yield Claim.POD_CIDR, prefix


def _said(node: Node) -> Iterator[tuple[Claim, IPNetwork]]:
    for address in node.overlay_addresses:
        plain = unmapped(address)
        if isinstance(plain, IPv4Address):
            yield Claim.OVERLAY_ADDRESS, host_prefix(plain)
        else:
            yield Claim.OVERLAY_ADDRESS, IPv6Network((plain, 128))
    for prefix in node.pod_cidrs:
        yield Claim.POD_CIDR, prefix


def _may_be(settings: Settings, claim: Claim, prefix: IPNetwork) -> bool:
    """Whether a prefix in the device can be such a claim, read another time."""
    single = prefix.prefixlen == prefix.max_prefixlen
    fits = single or claim is not Claim.OVERLAY_ADDRESS
    return fits and not _outside(settings, claim, prefix)


def _outside(settings: Settings, claim: Claim, prefix: IPNetwork) -> str:
    """Why such a prefix is none of those that may be claimed; "" if it is one."""
    if claim is Claim.OVERLAY_ADDRESS:
        if inside(prefix, (settings.overlay,)):
            return ""
        return f"it lies outside the overlay network {settings.overlay}"
    if inside(prefix, settings.pods):
        return ""
    pods = ", ".join(map(str, settings.pods))
    return f"it lies outside the pod network{'s' if len(settings.pods) > 1 else ''} {pods}"


def _text(claim: Claim, prefix: IPNetwork) -> str:
    """As people write it: an overlay address is an address."""
    single = claim is Claim.OVERLAY_ADDRESS and prefix.prefixlen == prefix.max_prefixlen
    return str(prefix.network_address) if single else str(prefix)
