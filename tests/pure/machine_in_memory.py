"""A machine in memory: the kernel's part around the tunnel in memory, strict in what it takes.

A change that the kernel would refuse is an error here: a plan must not contain it.
"""

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface

from attrs import evolve

from overlayd.model.changes import (
    AddAddress,
    AddRule,
    BringUp,
    Change,
    EnableForwarding,
    EndDevice,
    MakeDevice,
    RemoveAddress,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    SetAlias,
    SetMtu,
    SetRoute,
    TunnelChange,
)
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.machine import ALIAS, Address, Link, Observed, OwnedRule, Peer, Route
from overlayd.testing.memory import MemoryDevice, MemoryTunnel

OUR_KEY = PrivateKey(b"\x01" * 32)


class Machine:
    """A machine that can be read and changed; `copy` gives another one in the same condition."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        self.tunnel = MemoryTunnel(MemoryDevice(OUR_KEY))
        self.tunnel.observe()
        self.tunnel.remember()
        self.tunnel.device = None
        if observed.device is not None:
            self.tunnel.device = MemoryDevice(
                OUR_KEY if observed.device.public_key else None,
                observed.device.listen_port,
                dict(observed.device.peers),
            )

    def copy(self) -> "Machine":
        return Machine(self.observe())

    def observe(self) -> Observed:
        return evolve(
            self.observed, device=self.tunnel.observe(), remembered=self.tunnel.remembered()
        )

    def holder(self, prefix: object) -> PublicKey | None:
        """The peer that has exactly this prefix."""
        device = self.tunnel.device
        peers = device.peers.values() if device else ()
        return next((p.key for p in peers if prefix in p.allowed_ips), None)

    def apply_all(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self.apply(change)

    def apply(self, change: Change) -> None:
        if isinstance(change, TunnelChange):
            (outcome,) = self.tunnel.apply([change])
            assert outcome.error is None, outcome
            if isinstance(change, MakeDevice):
                assert change.link not in self.observed.links, "the name is taken"
                self._put_link(Link(99, change.link, "tun", mtu=1420))
            if isinstance(change, EndDevice):
                self._remove_link(change.link)
            return
        self._apply_to_network(change)

    def _apply_to_network(self, change: Change) -> None:
        seen = self.observed
        match change:
            case AddRule(rule):
                assert rule not in {owned.rule for owned in seen.rules}
                self.observed = evolve(seen, rules=(*seen.rules, OwnedRule(rule, None)))
            case RemoveRule(owned):
                rules = list(seen.rules)
                rules.remove(owned)
                self.observed = evolve(seen, rules=tuple(rules))
            case RemoveLink(name):
                self._remove_link(name)
            case SetAlias(name):
                self._put_link(evolve(seen.links[name], alias=ALIAS))
            case SetMtu(name, mtu):
                self._put_link(evolve(seen.links[name], mtu=mtu))
            case BringUp(name):
                self._put_link(evolve(seen.links[name], up=True))
            case AddAddress(name, interface):
                assert name in seen.links
                added = Address(name, interface)
                self.observed = evolve(seen, addresses=seen.addresses | {added})
            case RemoveAddress(name, interface):
                self._remove_address(Address(name, interface))
            case SetRoute(route):
                self._set_route(route)
            case RemoveRoute(route):
                assert route in seen.routes
                self.observed = evolve(seen, routes=seen.routes - {route})
            case EnableForwarding():
                self.observed = evolve(seen, forwarding=True)
            case _:
                raise TypeError(change)

    def _put_link(self, link: Link) -> None:
        self.observed = evolve(self.observed, links={**self.observed.links, link.name: link})

    def _remove_link(self, name: str) -> None:
        seen = self.observed
        self.tunnel.device = None
        self.observed = evolve(
            seen,
            links={n: link for n, link in seen.links.items() if n != name},
            addresses=frozenset(a for a in seen.addresses if a.link != name),
            routes=frozenset(r for r in seen.routes if r.link != name),
        )

    def _remove_address(self, address: Address) -> None:
        """The kernel drops the routes whose preferred source was the last such address."""
        seen = self.observed
        assert address in seen.addresses
        left = seen.addresses - {address}
        gone = address.interface.ip
        if gone not in {a.interface.ip for a in left}:
            kept = frozenset(r for r in seen.routes if r.source != gone)
            seen = evolve(seen, routes=kept)
        self.observed = evolve(seen, addresses=left)

    def _set_route(self, route: Route) -> None:
        seen = self.observed
        assert seen.links[route.link].up, "the network is down"
        own = {a.interface.ip for a in seen.addresses}
        assert route.source is None or route.source in own, "not an address of this machine"
        kept = frozenset(
            r for r in seen.routes if (r.destination, r.metric) != (route.destination, route.metric)
        )
        self.observed = evolve(seen, routes=kept | {route})


def machine(
    *links: Link,
    addresses: Iterable[tuple[str, str]] = (),
    routes: Iterable[Route] = (),
) -> Observed:
    """A machine with these links, and nothing of ours on it."""
    return Observed(
        links={link.name: link for link in links},
        addresses=frozenset(Address(link, interface(text)) for link, text in addresses),
        routes=frozenset(routes),
        rules=(),
        resolvers=frozenset(),
        forwarding=True,
    )


def interface(text: str) -> IPv4Interface | IPv6Interface:
    return IPv6Interface(text) if ":" in text else IPv4Interface(text)


def peers_by_key(peers: Iterable[Peer]) -> dict[PublicKey, Peer]:
    return {peer.key: peer for peer in peers}
