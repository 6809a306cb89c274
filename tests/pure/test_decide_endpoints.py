"""Where peers are dialled, and by which keys, over passes that look at what changed alone."""

from typing import Any

from attrs import evolve
from immutables import Map
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.changes import MoveEndpoint
from overlayd.model.node import Inventory
from overlayd.plan.result import Now
from tests.pure.cluster import NODE_B, NOW, OUR_NODE, PEER_B, WALL, B, endpoint, working
from tests.pure.daemon import Daemon
from tests.pure.machine_in_memory import Machine
from tests.pure.universes import SETTINGS

ROAMED = evolve(PEER_B, endpoint=endpoint("10.9.9.9:1234"), last_handshake=WALL)
LATER = Now(NOW.monotonic + 400, WALL + 400)
"""When a session of the first pass is over."""


class EndpointTests(SynchronousTestCase):
    """Node b has roamed; a pass looked at everything, and the ones after it do not."""

    def setUp(self) -> None:
        nodes = Map({"a": OUR_NODE, "b": NODE_B})
        there = Machine(working(ROAMED, settings=SETTINGS))
        self.daemon = Daemon(there, Inventory(nodes, frozenset(), "1"))
        self.daemon.one_pass(reads=True)

    def read(self, now: Now, **peer: Any) -> list[str]:
        """Where the peer is dialled anew after a reading that tells this of it."""
        device = self.daemon.there.tunnel.device
        assert device is not None
        device.peers[B] = evolve(device.peers[B], **peer)
        self.daemon.now = now
        changes = self.daemon.one_pass(reads=True).changes
        self.assertIsNotNone(self.daemon.about[-1], "it looked at everything")
        return [str(c.endpoint) for c in changes if isinstance(c, MoveEndpoint)]

    def test_dead_after_it_answered(self) -> None:
        """It answered after the pass over everything, and then no more: it is dialled anew."""
        self.assertEqual(self.read(NOW, sent=500, received=500), [])
        self.assertEqual(self.read(LATER, sent=600, received=500), ["10.0.0.2:51820"])

    def test_idle_since_it_was_sent_a_keepalive(self) -> None:
        """What was sent while the session was young is not held against it later."""
        self.assertEqual(self.read(NOW, sent=32), [])
        self.daemon.take(b=evolve(NODE_B, pod_cidrs=()))
        self.assertEqual(self.read(LATER), [])

    def test_a_pass_that_reads_nothing(self) -> None:
        """Between two readings, a pass about a Node judges no endpoint and forgets no reading."""
        self.assertEqual(self.read(NOW, sent=500, received=500), [])
        self.daemon.take(b=evolve(NODE_B, pod_cidrs=()))
        self.daemon.now = LATER
        self.daemon.one_pass(reads=False)
        self.assertEqual(self.read(LATER, sent=600), ["10.0.0.2:51820"])


class PresharedKeyTests(SynchronousTestCase):
    def test_set_by_hand(self) -> None:
        """It is taken away, once, by a pass that is about that peer alone."""
        nodes = Map({"a": OUR_NODE, "b": NODE_B})
        daemon = Daemon(
            Machine(working(PEER_B, settings=SETTINGS)), Inventory(nodes, frozenset(), "1")
        )
        daemon.rest(reads=True)
        assert daemon.there.tunnel.device is not None
        daemon.there.tunnel.device.preshare(B)
        changes = daemon.one_pass(reads=True).changes
        self.assertEqual([str(c) for c in changes], [f"take the preshared key from peer b {B}"])
        self.assertIsNotNone(daemon.about[-1], "it looked at everything")
        self.assertEqual(daemon.one_pass(reads=True).changes, ())
