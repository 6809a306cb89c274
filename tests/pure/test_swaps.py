"""Nodes that come back with each other's addresses: in pairs and in rings, in every order."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import Change
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Peer
from overlayd.model.node import Endpoint, Inventory, Node
from tests.pure.cluster import bare, endpoint, nets
from tests.pure.daemon import Daemon
from tests.pure.machine_in_memory import Machine, interface

NAMES = "bcdef"
BYSTANDER = 9
HELD = 301.0  # seconds after which the brake holds nothing any more


@frozen
class Place:
    """The addresses that one of them has: InternalIP, overlay address, podCIDR."""

    number: int

    def node(self, name: str, key: PublicKey | None, uid: str = "old") -> Node:
        """A Node in this place that is announced with this key."""
        bare = self.registered(name, uid)
        pods = (ip_network(f"10.244.{self.number}.0/24"),)
        if key is None:
            return evolve(bare, pod_cidrs=pods)
        overlay = (ip_address(f"100.64.0.{self.number}"),)
        return evolve(bare, pod_cidrs=pods, key=key, overlay_addresses=overlay)

    def registered(self, name: str, uid: str) -> Node:
        """The same before it has podCIDRs and a key."""
        return Node(name, uid, "2024-01-01", ip_address(f"10.0.0.{self.number}"))

    @property
    def endpoint(self) -> Endpoint:
        return endpoint(f"10.0.0.{self.number}:51820")


@frozen
class Returning:
    """One that comes back elsewhere: what is known of it before, and step by step until after.

    It goes and comes back, or its Node stays all the while, and so do its podCIDRs.
    """

    name: str
    old: Place
    new: Place
    old_key: PublicKey
    new_key: PublicKey
    stays: bool

    def steps(self) -> Iterator[Node | None]:
        if self.stays:
            yield evolve(self.before, address=self.after.address)
            yield self.after
            return
        yield None
        yield self.new.registered(self.name, "new")
        yield self.new.node(self.name, None, "new")
        yield self.after

    @property
    def before(self) -> Node:
        return self.old.node(self.name, self.old_key)

    @property
    def after(self) -> Node:
        if self.stays:
            moved = self.new.node(self.name, self.new_key, "old")
            return evolve(moved, pod_cidrs=self.before.pod_cidrs)
        return self.new.node(self.name, self.new_key, "new")


def ring(size: int, keys: str, ours: bool, stays: bool) -> list[Returning]:
    """Each goes where the next was: with its key, with another, or with that of the next.

    Our own Node is one of them, or not.
    """
    names = ["a", *NAMES][: size + (not ours)][not ours :]
    found = []
    for n, name in enumerate(names):
        following = (n + 1) % size
        number = {"kept": n, "changed": 50 + n, "swapped": following}[keys]
        found.append(
            Returning(
                name, Place(10 + n), Place(10 + following), _key(10 + n), _key(10 + number), stays
            )
        )
    return found


def _key(number: int) -> PublicKey:
    return PublicKey(bytes([number]) * 32)


class Watched(Machine):
    """A machine on which the bystander may lose nothing, whatever the change."""

    def apply(self, change: Change) -> None:
        had = self._bystander()
        super().apply(change)
        has = self._bystander()
        if had is not None:
            assert has is not None, change
            assert has.allowed_ips == had.allowed_ips, change

    def _bystander(self) -> Peer | None:
        return self.tunnel.device.peers.get(_key(BYSTANDER)) if self.tunnel.device else None


def begun(ring: list[Returning]) -> Daemon:
    """A daemon that follows our own Node, those that come back, and one that does not."""
    daemon = Daemon(Watched(bare()), Inventory(Map(), frozenset(), "1"))
    see(daemon, "a", Place(1).node("a", None))
    see(daemon, "z", Place(BYSTANDER).node("z", _key(BYSTANDER)))
    for one in ring:
        see(daemon, one.name, one.before)
    daemon.one_pass(reads=False)
    return daemon


def see(daemon: Daemon, name: str, node: Node | None) -> None:
    if node is not None and name == "a":  # our key is in our device, and nowhere else here
        node = evolve(node, key=None, overlay_addresses=())
    daemon.take(**{name: node})


def send_in_vain(daemon: Daemon) -> None:
    """Let traffic go to every peer, and nothing come back."""
    assert daemon.there.tunnel.device is not None
    peers = daemon.there.tunnel.device.peers
    peers.update({key: evolve(p, sent=p.sent + 100) for key, p in peers.items()})


_event = st.integers(0, 19)


class SwapTests(SynchronousTestCase):
    law = settings(deadline=None, max_examples=200, derandomize=True)

    @law
    @given(
        st.sampled_from([2, 3, 5]),
        st.sampled_from(["kept", "changed", "swapped"]),
        st.booleans(),
        st.booleans(),
        st.data(),
    )
    def test_all_end_up_right(
        self, size: int, keys: str, ours: bool, stays: bool, data: st.DataObject
    ) -> None:
        """Whatever the order, and whenever a pass or a restart comes between.

        The one that stays where it is loses nothing after any change.
        """
        returning = ring(size, keys, ours, stays)
        daemon = begun(returning)
        steps = {r.name: list(r.steps()) for r in returning}
        order = data.draw(st.permutations([name for name, left in steps.items() for _ in left]))
        pauses = data.draw(st.dictionaries(_event, st.sampled_from([1.0, 61.0, HELD]), max_size=2))
        unseen = data.draw(st.sets(_event, max_size=15))
        restarted = data.draw(st.none() | _event)
        for event, name in enumerate(order):
            see(daemon, name, steps[name].pop(0))
            daemon.later(pauses.get(event, 0.0))
            if event not in unseen:
                daemon.one_pass(reads=False)
            if event == restarted:
                daemon.restart()
        daemon.one_pass(reads=False)
        daemon.one_pass(reads=False)
        if restarted is not None:  # an endpoint of before looks learned
            daemon.one_pass(reads=True)
            send_in_vain(daemon)
            daemon.one_pass(reads=True)
        self.assert_right(daemon, returning)
        daemon.later(HELD)
        daemon.one_pass(reads=False)
        wanted = {r.new_key for r in returning if r.name != "a"} | {_key(BYSTANDER)}
        assert daemon.there.tunnel.device is not None
        self.assertEqual(set(daemon.there.tunnel.device.peers), wanted)
        self.assert_right(daemon, returning)

    def test_a_ring_that_the_brake_holds(self) -> None:
        """Held peers whose Nodes come back elsewhere are dialled there at once."""
        returning = ring(5, "kept", ours=False, stays=False)
        daemon = begun(returning)
        for one in returning:
            see(daemon, one.name, None)
        self.assertEqual(len(daemon.one_pass(reads=False).held), 5)
        daemon.one_pass(reads=False)
        for one in returning:
            see(daemon, one.name, one.after)
            daemon.one_pass(reads=False)
        self.assert_right(daemon, returning)

    def assert_right(self, daemon: Daemon, returning: list[Returning]) -> None:
        decided = daemon.one_pass(reads=True)
        self.assertEqual(([str(c) for c in decided.changes], decided.quarantines), ([], ()))
        held = {p for h in decided.held if (peer := daemon.peer(h.key)) for p in peer.allowed_ips}
        own = Place(1)
        for one in returning:
            if one.name == "a":
                own = one.new
                continue
            peer = daemon.peer(one.new_key)
            assert peer is not None
            prefixes = nets(f"100.64.0.{one.new.number} {one.after.pod_cidrs[0]}")
            self.assertEqual((peer.allowed_ips, peer.endpoint), (prefixes, one.new.endpoint))
            self.assertFalse(held & prefixes)
        observed = daemon.there.observe()
        self.assertEqual(observed.addresses_of("wg0"), {interface(f"100.64.0.{own.number}/32")})
        sources = {str(r.source) for r in observed.routes if r.link == "wg0"}
        self.assertEqual(sources, {f"100.64.0.{own.number}"})
