"""What holds for every plan, whatever the cluster claims and whatever was done to the machine."""

from collections.abc import Mapping
from ipaddress import ip_address
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.keys import PublicKey
from overlayd.model.machine import ALIAS, PROTOCOL, Device, Rule, RuleKind
from overlayd.model.node import Claim, Inventory, IPNetwork
from overlayd.plan.overlay import inside
from overlayd.plan.plan import plan
from overlayd.plan.result import Memory, Plan
from overlayd.tunnel.requests import Encoder
from overlayd.tunnel.uapi import request as request_for
from tests.pure.half_done import lines_of, obey, requests_in
from tests.pure.machine_in_memory import OUR_KEY, Machine, interface
from tests.pure.universes import NOW, SETTINGS, Universe, settle, universes

SPARE = PublicKey(b"\x63" * 32)
"""The throw-away peer of a request that trims."""

law = settings(deadline=None, max_examples=200, derandomize=True)


def planned(universe: Universe, there: Machine) -> Plan:
    return plan(SETTINGS, universe.inventory, there.observe(), Memory(), NOW)


def contested_keys(inventory: Inventory) -> bool:
    keys = [node.key for node in inventory.nodes.values() if node.key]
    return len(keys) != len(set(keys))


def owned(machine: Machine, names: Mapping[PublicKey, str]) -> dict[IPNetwork, str]:
    """Which Node has each prefix, by its peer in the device."""
    device = machine.tunnel.device
    peers = device.peers.values() if device else ()
    return {p: names[peer.key] for peer in peers if peer.key in names for p in peer.allowed_ips}


class PlanLaws(SynchronousTestCase):
    """Each is a sentence of the design."""

    @law
    @given(universes())
    def test_applying_the_changes_gives_the_desired_state(self, universe: Universe) -> None:
        """After one pass nothing is left to do; after two where Nodes quarrel about a key."""
        passes = settle(universe.inventory, Machine(universe.observed), Memory())
        self.assertLessEqual(passes, 2 if contested_keys(universe.inventory) else 1)

    @law
    @given(universes())
    def test_the_desired_state_is_a_working_one(self, universe: Universe) -> None:
        """The device ends up ours, keyed, up and routed, and no two peers share an address."""
        machine = Machine(universe.observed)
        settle(universe.inventory, machine, Memory())
        observed = machine.observe()
        link, device = observed.links["wg0"], observed.device
        assert device is not None
        self.assertEqual((link.alias, link.up, link.mtu), (ALIAS, True, 1420))
        self.assertEqual((device.listen_port, device.public_key is None), (51820, False))
        overlay = {i for i in observed.addresses_of("wg0") if i.ip in SETTINGS.overlay}
        self.assertEqual(overlay, {interface("100.64.0.1/32")})
        rules = sorted(str(owned.rule) for owned in observed.rules)
        self.assertEqual(
            rules, sorted(str(Rule(n, k)) for n in SETTINGS.networks for k in RuleKind)
        )
        for route in observed.routes:
            if route.protocol == PROTOCOL:
                self.assertIn(route.destination, SETTINGS.networks)
                self.assertEqual((route.link, route.source), ("wg0", ip_address("100.64.0.1")))
        prefixes = sorted(
            ((p, k.key) for k in device.peers.values() for p in k.allowed_ips),
            key=lambda found: (int(found[0].network_address), found[0].prefixlen),
        )
        for (one, its), (other, others) in pairwise(prefixes):
            self.assertFalse(its != others and one.overlaps(other), f"{one} {other}")

    @law
    @given(universes())
    def test_peers_get_what_their_nodes_claim(self, universe: Universe) -> None:
        """No peer that is not held ends up with anything that its readable Node does not claim."""
        machine = Machine(universe.observed)
        settle(universe.inventory, machine, Memory())
        decided = planned(universe, machine)
        device, held = machine.tunnel.device, {h.key for h in decided.held}
        assert device is not None
        for key, peer in device.peers.items():
            node = universe.inventory.nodes.get(decided.names.get(key, ""))
            if node is None or node.faults or key in held or key != node.key:
                continue
            claimed = {*map(str, node.pod_cidrs), *(f"{a}/32" for a in node.overlay_addresses)}
            self.assertLessEqual({str(p) for p in peer.allowed_ips}, claimed)
            self.assertTrue(all(inside(p, SETTINGS.networks) for p in peer.allowed_ips))

    @law
    @given(universes())
    def test_no_gap(self, universe: Universe) -> None:
        """A prefix that a Node has before and after, it has after every single change."""
        machine, names = Machine(universe.observed), planned_names(universe)
        before = owned(machine, names)
        done = machine.copy()
        changes = planned(universe, machine).changes
        done.apply_all(changes)
        after = owned(done, names)
        staying = {p: name for p, name in before.items() if after.get(p) == name}
        for change in changes:
            machine.apply(change)
            now = owned(machine, names)
            self.assertEqual({p: now.get(p) for p in staying}, staying, str(change))

    @law
    @given(universes())
    def test_what_moves_is_never_nobodys(self, universe: Universe) -> None:
        """A prefix that some peer has before and some peer has after, one has after each change."""
        machine = Machine(universe.observed)
        before = set(all_of(machine.observe().device))
        done = machine.copy()
        changes = planned(universe, machine).changes
        done.apply_all(changes)
        moving = before.intersection(all_of(done.observe().device))
        for change in changes:
            machine.apply(change)
            self.assertLessEqual(moving, set(all_of(machine.observe().device)), str(change))

    @law
    @given(universes())
    def test_no_claim_takes_from_a_holder(self, universe: Universe) -> None:
        """What the device gives to a Node that still claims it stays with that Node."""
        machine, names = Machine(universe.observed), planned_names(universe)
        before = owned(machine, names)
        quarrelling = without_their_key(planned(universe, machine))
        settle(universe.inventory, machine, Memory())
        after = owned(machine, names)
        quarrelling |= without_their_key(planned(universe, machine))
        for prefix, name in before.items():
            node = universe.inventory.nodes[name]
            claims = {*map(str, node.pod_cidrs), *(f"{a}/32" for a in node.overlay_addresses)}
            alone = not any(
                prefix != p and prefix.overlaps(p) for p in all_of(universe.observed.device)
            )
            if alone and str(prefix) in claims and name not in quarrelling:
                self.assertEqual(after.get(prefix), name, str(prefix))

    @law
    @given(universes(), st.randoms(use_true_random=False))
    def test_the_order_of_nodes_changes_nothing(self, universe: Universe, random: object) -> None:
        """Listed in any order, the same Nodes give the same plan."""
        nodes = list(universe.inventory.nodes.items())
        random.shuffle(nodes)  # type: ignore[attr-defined]
        shuffled = Inventory(dict(nodes), universe.inventory.changed, "1")
        there = universe.observed
        machine = Machine(there)
        one, other = planned(universe, machine), planned(Universe(shuffled, there), machine)
        self.assertEqual(one, other)
        self.assertEqual(list(one.names), list(other.names))

    @law
    @given(universes(), st.data())
    def test_a_pass_that_is_cut_short_is_finished_by_the_next(
        self, universe: Universe, data: st.DataObject
    ) -> None:
        """From every beginning of the list of changes a daemon, new or not, reaches the goal."""
        machine = Machine(universe.observed)
        decided = planned(universe, machine)
        made = data.draw(st.integers(0, len(decided.changes)))
        machine.apply_all(decided.changes[:made])
        self._finish(universe, machine, data.draw(st.sampled_from((Memory(), decided.memory))))

    @law
    @given(universes(), st.data())
    def test_a_request_that_is_half_done_is_finished_by_the_next_pass(
        self, universe: Universe, data: st.DataObject
    ) -> None:
        """From every beginning of a request's lines a daemon, new or not, reaches the goal."""
        machine = Machine(universe.observed)
        decided = planned(universe, machine)
        requests = list(requests_in(decided.changes))
        assume(requests)
        before, request = data.draw(st.sampled_from(requests))
        machine.apply_all(decided.changes[:before])
        device = machine.tunnel.device
        assert device is not None
        owners = {p: peer.key for peer in device.peers.values() for p in peer.allowed_ips}
        lines = lines_of(request_for(Encoder(OUR_KEY, SPARE, owners).steps(request)))
        obey(device, lines[: data.draw(st.integers(0, len(lines)))])
        self._finish(universe, machine, data.draw(st.sampled_from((Memory(), decided.memory))))

    def _finish(self, universe: Universe, machine: Machine, memory: Memory) -> None:
        """The next passes end where one that nothing stopped would have ended."""
        whole = Machine(universe.observed)
        settle(universe.inventory, whole, Memory())
        passes = settle(universe.inventory, machine, memory)
        self.assertLessEqual(passes, 2 if contested_keys(universe.inventory) else 1)
        if not planned(universe, whole).quarantines:
            self.assertEqual(machine.observe(), whole.observe())


def without_their_key(decided: Plan) -> set[str]:
    """Nodes that lost their key to another, and everything with it."""
    return {q.node for q in decided.quarantines if q.claim is Claim.KEY}


def planned_names(universe: Universe) -> Mapping[PublicKey, str]:
    return planned(universe, Machine(universe.observed)).names


def all_of(device: Device | None) -> list[IPNetwork]:
    return [p for peer in device.peers.values() for p in peer.allowed_ips] if device else []
