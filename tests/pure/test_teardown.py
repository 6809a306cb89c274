"""What a teardown removes, in which order, and that it can be cut short anywhere."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import EndDevice, RemoveLink, RemovePeer, RemoveRoute, RemoveRule
from overlayd.model.machine import (
    ALIAS,
    PROTOCOL,
    Device,
    Link,
    Observed,
    OwnedRule,
    Peer,
    Route,
    Rule,
    RuleKind,
)
from overlayd.plan.teardown import TakeDown, take_down
from overlayd.testing.memory import any_key
from tests.pure.machine_in_memory import OUR_KEY, Machine, machine
from tests.pure.universes import SETTINGS, Universe, universes

law = settings(deadline=None, max_examples=200, derandomize=True)

OURS = Link(7, "wg0", "tun", ALIAS)
ETH = Link(2, "eth0", mtu=1500, up=True)
ROUTE = Route(SETTINGS.overlay, "wg0", protocol=PROTOCOL)
RULES = tuple(
    OwnedRule(Rule(network, kind), None) for network in SETTINGS.networks for kind in RuleKind
)


def decided(observed: Observed) -> TakeDown:
    return take_down("wg0", observed, {})


def torn_down(there: Machine) -> None:
    """Take down as a daemon does: look, remove, and look again before the rules go."""
    there.apply_all(decided(there.observe()).changes)
    left = decided(there.observe())
    assert not left.changes, left
    there.apply_all(left.rules)


def foreign_part(observed: Observed) -> Observed:
    """All that is not ours, and nothing else."""
    return evolve(
        observed,
        links={name: link for name, link in observed.links.items() if name != "wg0"},
        addresses=frozenset(a for a in observed.addresses if a.link != "wg0"),
        routes=frozenset(r for r in observed.routes if r.protocol != PROTOCOL and r.link != "wg0"),
        rules=(),
        device=None,
    )


class TeardownLaws(SynchronousTestCase):
    """Whatever a daemon made, and whatever somebody did to it by hand."""

    @law
    @given(universes())
    def test_nothing_of_ours_is_left(self, universe: Universe) -> None:
        """Device, routes and rules are gone, and all that is not ours is as it was."""
        there = Machine(universe.observed)
        foreign = foreign_part(there.observe())
        torn_down(there)
        self.assertEqual(there.observe(), foreign)
        self.assertEqual(decided(there.observe()), TakeDown((), ()))

    @law
    @given(universes(), st.data())
    def test_from_wherever_it_was_cut_short(self, universe: Universe, data: st.DataObject) -> None:
        """From every beginning of the list the next teardown comes to the same end."""
        there = Machine(universe.observed)
        foreign = foreign_part(there.observe())
        found = decided(there.observe())
        changes = (*found.changes, *found.rules)
        there.apply_all(changes[: data.draw(st.integers(0, len(changes)))])
        torn_down(there)
        self.assertEqual(there.observe(), foreign)

    @law
    @given(universes())
    def test_traffic_is_refused_while_it_runs(self, universe: Universe) -> None:
        """No rule goes as long as there is a device or a route of ours."""
        there = Machine(universe.observed)
        rules = there.observe().rules
        for change in decided(there.observe()).changes:
            there.apply(change)
            self.assertEqual(there.observe().rules, rules, str(change))
        left = there.observe()
        self.assertNotIn("wg0", left.links)
        self.assertFalse([r for r in left.routes if r.protocol == PROTOCOL])


class TeardownTests(SynchronousTestCase):
    def observed(
        self, link: Link | None, device: Device | None, rules: tuple[OwnedRule, ...] = RULES
    ) -> Observed:
        there = machine(ETH, *([link] if link else []), routes=[ROUTE])
        return evolve(there, device=device, rules=rules)

    def kinds(self, observed: Observed) -> list[str]:
        found = decided(observed)
        kinds = [type(change).__name__ for change in (*found.changes, *found.rules)]
        return [kind for n, kind in enumerate(kinds) if kind not in kinds[:n]]

    def test_order(self) -> None:
        """Peers go first, then routes, then the device, and the rules last."""
        peers = {key: Peer(key) for key in (any_key() for _ in range(5_000))}
        observed = self.observed(OURS, Device(OUR_KEY.public(), 51820, peers))
        expected: list[Callable[..., object]] = [RemovePeer, RemoveRoute, EndDevice, RemoveRule]
        self.assertEqual(self.kinds(observed), [kind.__name__ for kind in expected])
        gone = {c.key for c in decided(observed).changes if isinstance(c, RemovePeer)}
        self.assertEqual(gone, peers.keys())

    def test_refusing_rules_go_before_the_others(self) -> None:
        """A rule that refuses, alone, would cut this node off from its own pods."""
        kinds = [
            r.owned.rule.kind for r in decided(self.observed(OURS, None)).rules if r.owned.rule
        ]
        count = len(SETTINGS.networks)
        self.assertEqual(kinds, [RuleKind.REFUSE] * count + [RuleKind.KEEP_IN] * count)

    def test_names(self) -> None:
        """A peer goes with the name of its Node, where that is known."""
        key = any_key()
        observed = self.observed(OURS, Device(OUR_KEY.public(), 51820, {key: Peer(key)}))
        (change,) = (c for c in take_down("wg0", observed, {key: "b"}).changes[:1])
        self.assertEqual(change, RemovePeer("b", key, "teardown"))

    def test_link_without_its_process(self) -> None:
        """A link of ours that no tunnel answers for is removed itself."""
        changes = decided(self.observed(OURS, None)).changes
        self.assertEqual(changes[-1], RemoveLink("wg0", "teardown"))

    def test_half_made(self) -> None:
        """A device that was made and not marked yet is ours."""
        half = evolve(OURS, alias="")
        self.assertIn("EndDevice", self.kinds(self.observed(half, Device(None, 0, {}))))

    def test_foreign_link(self) -> None:
        """A link that is not ours is named and not touched; our routes and rules go."""
        theirs = evolve(OURS, alias="")
        peer = Peer(any_key())
        observed = self.observed(theirs, Device(any_key(), 51820, {peer.key: peer}))
        self.assertEqual(self.kinds(observed), ["RemoveRoute", "RemoveRule"])
        self.assertEqual(decided(observed).foreign, ("the link wg0",))

    def test_foreign_routes(self) -> None:
        """Routes of other protocols stay, also into our networks."""
        theirs = Route(ip_network("10.244.2.0/24"), "eth0", ip_address("10.0.0.9"))
        observed = evolve(self.observed(None, None, ()), routes=frozenset({theirs, ROUTE}))
        self.assertEqual(decided(observed).changes, (RemoveRoute(ROUTE, "teardown"),))

    def test_process_without_its_link(self) -> None:
        """A tunnel that answers here for a link elsewhere goes if its key is ours."""
        observed = self.observed(None, Device(OUR_KEY.public(), 51820, {}))
        ours = evolve(observed, remembered=OUR_KEY.public())
        self.assertIn("EndDevice", self.kinds(ours))
        for other in (observed, evolve(observed, device=Device(None, 0, {}))):
            self.assertEqual(self.kinds(other), ["RemoveRoute", "RemoveRule"])
            self.assertIn("a process that answers for wg0", decided(other).foreign[0])
