"""What a pass repairs while there is no inventory, or our own Node is not in it."""

from ipaddress import ip_address

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.node import Inventory
from overlayd.model.status import StateName
from overlayd.plan.result import Memory
from tests.pure.cluster import (
    NODE_B,
    OLD,
    PEER_B,
    PEER_C,
    C,
    bare,
    peer,
    planned,
    state,
    texts,
    with_address,
    with_routes,
    without_route,
    working,
)
from tests.pure.universes import link_gone


class WithoutInventory(SynchronousTestCase):
    """Unknown is not empty."""

    def test_nothing_is_made_from_nothing(self) -> None:
        """On a machine on which we never were, nothing is made before the first list."""
        decided = planned(bare(), None)
        self.assertEqual((state(decided), decided.changes), (StateName.STARTING, ()))

    def test_peers_and_addresses_are_left_alone(self) -> None:
        """A working device stays as it is, with peers that no list has confirmed yet."""
        there = with_address(working(PEER_B, peer(OLD)), "wg0", "100.64.3.3/32")
        decided = planned(there, None)
        self.assertEqual((state(decided), decided.changes), (StateName.STARTING, ()))

    def test_what_settings_and_device_tell_is_repaired(self) -> None:
        """Rules first, then the device, its key, MTU, up, and the routes from its own address."""
        there = working(PEER_B)
        assert there.device is not None
        link = evolve(there.links["wg0"], alias="overlayd", up=False, mtu=1300)
        broken = evolve(
            there,
            links={**there.links, "wg0": link},
            device=evolve(there.device, public_key=None, listen_port=9),
            rules=(),
            routes=frozenset(r for r in there.routes if r.link != "wg0"),
        )
        self.assertEqual(
            texts(planned(broken, None))[4:],
            [
                "set private key",
                "listen on UDP port 51820",
                "set MTU of wg0 to 1420",
                "bring wg0 up",
                "route 100.64.0.0/16 through wg0 from 100.64.0.1",
                "route 10.244.0.0/16 through wg0 from 100.64.0.1",
            ],
        )

    def test_a_device_that_vanished_is_made(self) -> None:
        """Rules that outlived it show that we were here; it gets no address and no peer yet."""
        self.assertEqual(
            texts(planned(link_gone(working(PEER_B)), None)),
            [
                "make device wg0",
                "mark link wg0 as ours",
                "set private key",
                "listen on UDP port 51820",
                "set MTU of wg0 to 1420",
                "bring wg0 up",
                "route 100.64.0.0/16 through wg0",
                "route 10.244.0.0/16 through wg0",
            ],
        )

    def test_a_route_keeps_its_source(self) -> None:
        """Which overlay address is ours is not known yet."""
        there = without_route(working(PEER_B), "10.244.0.0/16")
        old = next(r for r in working().routes if str(r.destination) == "10.244.0.0/16")
        there = with_routes(there, evolve(old, source=ip_address("100.64.0.9")))
        self.assertEqual(planned(there, None).changes, ())

    def test_what_is_held_stays_held(self) -> None:
        """The memory of the brake outlives a time without an inventory."""
        memory = Memory(held={OLD: 900.0, C: 900.0})
        decided = planned(working(peer(OLD)), None, memory)
        self.assertEqual(decided.memory.held, {OLD: 900.0})
        self.assertEqual([(h.key, h.remaining) for h in decided.held], [(OLD, 200.0)])


class WithoutOurNode(SynchronousTestCase):
    def setUp(self) -> None:
        self.others = Inventory({"b": NODE_B}, frozenset(), "1")

    def test_it_is_named(self) -> None:
        """The message says which Node is missing and how to name another."""
        decided = planned(bare(), self.others)
        assert decided.state is not None
        self.assertEqual((state(decided), decided.changes), (StateName.NODE_MISSING, ()))
        self.assertIn("no Node a", decided.state.message)
        self.assertIn("--node-name", decided.state.message)

    def test_it_repairs_and_touches_no_peer(self) -> None:
        """What can be repaired without an inventory is; no peer comes and none goes."""
        there = without_route(working(PEER_C), "10.244.0.0/16")
        decided = planned(there, self.others)
        self.assertEqual(texts(decided), ["route 10.244.0.0/16 through wg0 from 100.64.0.1"])
        self.assertEqual([h.key for h in decided.held], [C])

    def test_api_server_is_checked(self) -> None:
        """The API server's addresses are known, and so not cut off."""
        cluster = evolve(self.others, servers=frozenset({ip_address("100.64.0.10")}))
        self.assertEqual(state(planned(working(), cluster)), StateName.CUTS_OFF_NODE)
