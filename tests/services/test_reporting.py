"""What the daemon says in the log of its state and of what is held."""

from typing import Any

from attrs import evolve
from immutables import Map
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.nodes import NodeSession
from overlayd.model.machine import Device, Peer
from overlayd.model.settings import Settings
from overlayd.model.status import Held, State, StateName
from overlayd.passes import PassResult
from overlayd.plan.result import Memory, Plan
from overlayd.services.announcer import Announcer
from overlayd.services.manager import PeerManager
from overlayd.services.reporting import NAMED, Reporting
from overlayd.services.watch import NodeWatch, Pace
from tests.bare_machine import BARE
from tests.services.scripted import client
from tests.statuses import key

SETTINGS = Settings(node_name="a")
UNTIL = "2026-01-01T00:05:00.000Z"


def held(count: int, until: str | None = UNTIL) -> tuple[Held, ...]:
    return tuple(Held(key(n), f"n{n}", 300.0, until) for n in range(1, count + 1))


WALL = 1_000_000.0


class ReportingTests(SynchronousTestCase):
    """Services that are built as the daemon builds them, with plans that a test chooses."""

    def setUp(self) -> None:
        clock = Clock()
        self.plan = Plan((), Memory())
        self.observed = BARE
        self.error: str | None = None
        manager = PeerManager(clock, lambda: WALL, self.thread, self.run_pass, lambda n: 1.0)
        session = NodeSession(client("http://127.0.0.1:1"), SETTINGS)
        watch = NodeWatch(clock, self.thread, session, manager.take, Pace(lambda n: 1.0, lambda: 0))
        announcer = Announcer(clock, SETTINGS, lambda values: Deferred(), lambda n: 1.0)
        self.reporting = Reporting(clock, SETTINGS, watch, manager, announcer, lambda: None)
        self.manager = manager
        manager.startService()
        self.observer = EventLoggingObserver.createWithCleanup(
            self,  # type: ignore[arg-type]
            globalLogPublisher,
        )

    def thread(self, function: Any, /, *args: Any, **kwargs: Any) -> Deferred[Any]:
        return succeed(function(*args, **kwargs))

    def run_pass(self, *_: object) -> PassResult:
        return PassResult(None, self.observed, self.plan, (), None, 0.0, error=self.error)

    def said(self, held: tuple[Held, ...], state: State | None = None) -> list[str]:
        """What is logged of held peers after a pass."""
        before = len(self.observer)
        self.plan = Plan((), Memory(), state, held=held)
        self.manager.want("test")
        self.reporting.note_state()
        lines = [formatEvent(event) for event in list(self.observer)[before:]]
        return [line for line in lines if "held" in line or "confirm" in line]

    def test_held_peers_are_named(self) -> None:
        """One line names them, and how to let them go; another names those that come to be held."""
        (line,) = self.said(held(2))
        self.assertIn("n1, n2", line)
        self.assertIn("`overlayctl confirm`", line)
        self.assertEqual(self.said(held(2)), [])
        self.assertEqual(self.said(held(1)), [])
        (line,) = self.said(held(2))
        self.assertTrue(line.endswith(": n2"), line)

    def test_many_held_peers(self) -> None:
        """A line names some of them, however many there are."""
        (line,) = self.said(held(5_000))
        self.assertTrue(line.endswith(f" and {5_000 - NAMED} more"), line)
        self.assertLess(len(line), 1_000)

    def test_without_our_node(self) -> None:
        """What would not help is not named then."""
        missing = State(StateName.NODE_MISSING, "there is none")
        (line,) = self.said(held(1, None), missing)
        self.assertIn("our own Node is missing", line)
        self.assertNotIn("confirm", line)

    def test_status(self) -> None:
        """The status shows what is held."""
        self.said(held(2))
        self.assertEqual(self.reporting.status().held, held(2))

    def test_handshakes_and_the_clock(self) -> None:
        """A handshake from the future, by a clock that was set back, is as old as it is ahead."""
        ages = (179.0, 180.0, -179.0, -3600.0, None)
        peers = {
            key(n): Peer(key(n), last_handshake=None if age is None else WALL - age)
            for n, age in enumerate(ages, 1)
        }
        self.observed = evolve(BARE, device=Device(key(100), 51820, Map(peers)))
        self.plan = Plan((), Memory(), names=Map({k: f"n{k}" for k in peers}))
        self.manager.want("test")
        states = {peer.peer.key: peer.state for peer in self.reporting.peers()}
        self.assertEqual(
            [states[key(n)] for n in range(1, 6)], ["up", "idle", "up", "idle", "never"]
        )

    def test_silent_device(self) -> None:
        """A device that could not be read is not said to be missing."""
        for error in (None, "it hangs"):
            self.error = error
            self.manager.want("test")
            device = self.reporting.status().device
            self.assertEqual((device.present, device.answers), (False, error is None))
