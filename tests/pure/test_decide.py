"""A pass that looks at what changed alone, against one that looks at everything."""

from collections.abc import Callable
from ipaddress import ip_network

from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Observed
from overlayd.model.node import IPNetwork, Node
from overlayd.plan.plan import plan
from overlayd.plan.result import Memory, Plan
from overlayd.plan.standing import holders_in
from tests.pure.daemon import PASSES_TO_REST, Daemon
from tests.pure.machine_in_memory import Machine
from tests.pure.universes import (
    DEEDS,
    KEYS,
    NOW,
    OWN_PODS,
    SETTINGS,
    Universe,
    move,
    moves,
    nodes,
    settle,
    universes,
    untouched,
)

law = settings(deadline=None, max_examples=60, derandomize=True)


def device_of(machine: Machine) -> dict[str, tuple[object, ...]]:
    device = machine.observe().device
    peers = device.peers.values() if device else ()
    return {str(p.key): (p.endpoint, p.allowed_ips, p.keepalive, p.preshared) for p in peers}


def released(memory: Memory) -> Memory:
    """Without the brake: no pass remembers how many peers there were."""
    return evolve(memory, populations=((NOW.monotonic, 1000),), departed={})


changes = st.dictionaries(st.sampled_from("bcde"), st.none() | nodes(), min_size=1, max_size=3)


@frozen
class Happening:
    """Nodes that change, our own among them, and what somebody does to the machine meanwhile."""

    nodes: dict[str, Node | None]
    own_pods: int | None
    deed: Callable[[Observed], Observed]
    moves: list[tuple[IPNetwork, PublicKey]]
    after: float
    reads: bool

    def to(self, daemon: Daemon) -> None:
        there = daemon.inventory.nodes
        found = {n: new for n, new in self.nodes.items() if new or n in there}
        changed = {
            n: evolve(new, name=n, uid=f"uid-{n}") if new else None for n, new in found.items()
        }
        if self.own_pods is not None:
            pods = tuple(map(ip_network, OWN_PODS[self.own_pods]))
            changed["a"] = evolve(there["a"], pod_cidrs=pods)
        if changed:
            daemon.take(**changed)
        if self.reads:
            observed = self.deed(daemon.there.observe())
            for prefix, key in self.moves:
                observed = move(observed, prefix, key)
            daemon.there = Machine(observed)


happenings = st.builds(
    Happening,
    nodes=st.just({}) | changes,
    own_pods=st.none() | st.integers(0, 2),
    deed=st.just(untouched) | st.sampled_from(DEEDS),
    moves=st.just([]) | moves,
    after=st.sampled_from([0.0, 0.5, 5.0, 59.0, 61.0, 299.0, 301.0]),
    reads=st.booleans(),
)


def remembered(memory: Memory) -> Memory:
    return evolve(memory, before=Map())


Unread = tuple[dict[str, Node | None], list[tuple[IPNetwork, PublicKey]], PublicKey | None]
"""Nodes that change, prefixes that somebody moves between peers, and a peer that is removed."""

unread: st.SearchStrategy[Unread] = st.tuples(changes, moves, st.none() | st.sampled_from(KEYS))


class ScopeLaws(SynchronousTestCase):
    def at_rest(self, universe: Universe) -> Daemon:
        daemon = Daemon(Machine(universe.observed), universe.inventory)
        daemon.memory = released(daemon.memory)
        daemon.rest(reads=True)
        daemon.memory = released(daemon.memory)
        return daemon

    @law
    @given(universes(), st.lists(changes, min_size=1, max_size=4))
    def test_events(self, universe: Universe, events: list[dict[str, Node | None]]) -> None:
        """After any events the device is the one that a pass over everything would have left."""
        daemon = self.at_rest(universe)
        for event in events:
            present = {n: e for n, e in event.items() if e or n in daemon.inventory.nodes}
            daemon.take(**{n: evolve(e, name=n) if e else None for n, e in present.items()})
            whole = Machine(daemon.there.observe())
            settle(daemon.inventory, whole, daemon.memory, PASSES_TO_REST)
            decided = daemon.rest()
            self.assertEqual(device_of(daemon.there), device_of(whole))
            self.assertEqual(told(decided), told(everything(daemon)))
            daemon.memory = released(daemon.memory)
            assert daemon.standing is not None
            self.assertEqual(
                daemon.standing.holders, holders_in(daemon.there.observe().device, None)
            )
            self.assertEqual(daemon.standing.observed.device, daemon.there.observe().device)

    @law
    @given(universes(), universes())
    def test_drift(self, universe: Universe, other: Universe) -> None:
        """What somebody did to peers and link is repaired as a pass over everything would."""
        daemon = self.at_rest(universe)
        daemon.there = Machine(disturbed(daemon.there.observe(), other.observed))
        whole = daemon.there.copy()
        settle(daemon.inventory, whole, daemon.memory, PASSES_TO_REST)
        daemon.rest(reads=True)
        self.assertEqual(daemon.there.observe(), whole.observe())


def disturbed(there: Observed, other: Observed) -> Observed:
    """Our machine with the peers that another one has, and its link narrower than it was."""
    links = dict(there.links)
    if SETTINGS.wg_dev in links:
        links[SETTINGS.wg_dev] = evolve(links[SETTINGS.wg_dev], mtu=1280)
    there = evolve(there, links=links)
    if there.device is None or other.device is None:
        return there
    return evolve(there, device=evolve(there.device, peers=other.device.peers))


def everything(daemon: Daemon) -> Plan:
    return plan(SETTINGS, daemon.inventory, daemon.there.observe(), daemon.memory, NOW)


def told(decided: Plan) -> tuple[object, ...]:
    """What people are told of a plan."""
    return (
        decided.quarantines,
        decided.held,
        decided.state,
        decided.own,
        dict(decided.names),
        decided.foreign_routes,
    )


class FullDaemon(Daemon):
    """The same, planning for everything in each pass."""

    def one_pass(self, reads: bool) -> Plan:
        self.standing = None
        return super().one_pass(reads)


class TogetherLaw(SynchronousTestCase):
    """Two daemons to whose clusters and machines the same happens."""

    @law
    @given(universes(), st.lists(happenings, min_size=1, max_size=4))
    def test_whatever_happens(self, universe: Universe, happened: list[Happening]) -> None:
        """One that always looks at everything ends each time with the same, brake and all."""
        scoped, full = (
            D(Machine(universe.observed), universe.inventory) for D in (Daemon, FullDaemon)
        )
        for daemon in (scoped, full):
            daemon.rest(reads=True)
        for one in happened:
            told_now = []
            for daemon in (scoped, full):
                daemon.later(one.after)
                one.to(daemon)
                told_now.append(told(daemon.rest(reads=one.reads)))
            self.assertEqual(device_of(scoped.there), device_of(full.there))
            self.assertEqual(scoped.there.observe(), full.there.observe())
            self.assertEqual(told_now[0], told_now[1])
            self.assertEqual(remembered(scoped.memory), remembered(full.memory))

    @law
    @given(
        universes(),
        st.lists(
            st.tuples(changes, moves, st.none() | st.sampled_from(KEYS)), min_size=1, max_size=4
        ),
    )
    def test_unread(self, universe: Universe, happened: list[Unread]) -> None:
        """What somebody did to peers while events were acted on unread is repaired by a reading."""
        daemon = Daemon(Machine(universe.observed), universe.inventory)
        daemon.rest(reads=True)
        for event, moved, lost in happened:
            observed = daemon.there.observe()
            for prefix, key in moved:
                observed = move(observed, prefix, key)
            if lost is not None and observed.device is not None and lost in observed.device.peers:
                kept = observed.device.peers.delete(lost)
                observed = evolve(observed, device=evolve(observed.device, peers=kept))
            daemon.there = Machine(observed)
            there = daemon.inventory.nodes
            daemon.take(
                **{n: evolve(e, name=n) if e else None for n, e in event.items() if e or n in there}
            )
            daemon.rest()
        whole = daemon.there.copy()
        settle(daemon.inventory, whole, daemon.memory, PASSES_TO_REST)
        decided = daemon.rest(reads=True)
        self.assertEqual(daemon.there.observe(), whole.observe())
        self.assertEqual(told(decided), told(everything(daemon)))
