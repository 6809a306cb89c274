"""Writing our annotations: what differs, when it differs, and how often when it does not work."""

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.transport.api import Answer
from overlayd.model.errors import Unreachable
from overlayd.model.node import Node
from overlayd.model.settings import Settings
from overlayd.plan.announce import Values
from overlayd.services.announcer import ECHO_LIMIT, LASTING, Announcer

WANTED: Values = {"wireguard-publickey": "key", "wireguard-ip": "100.64.0.1", "gone": None}
PRESENT = {"wireguard-publickey": "key", "wireguard-ip": "100.64.0.1"}
BARE = Node("a", uid="1")
RIGHT = evolve(BARE, annotations=PRESENT)


class AnnouncerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.writes: list[Values] = []
        self.answers: list[Deferred[Answer]] = []
        self.announcer = Announcer(
            self.clock, Settings(node_name="a"), self.write, lambda attempt: 2.0**attempt
        )
        self.announcer.startService()

    def write(self, values: Values) -> Deferred[Answer]:
        self.writes.append(values)
        self.answers.append(Deferred())
        return self.answers[-1]

    def answer(self, status: int, retry_after: float | None = None) -> None:
        self.answers[-1].callback(Answer(status, b"because", retry_after))

    def test_writes_what_differs(self) -> None:
        """Only the annotations that are missing or other are written."""
        self.announcer.follow(evolve(BARE, annotations={"wireguard-ip": "100.64.0.1"}), WANTED)
        self.assertEqual(self.writes, [{"wireguard-publickey": "key"}])

    def test_writes_nothing_when_right(self) -> None:
        """A Node that says what it should costs no request, and is announced."""
        self.announcer.follow(RIGHT, WANTED)
        self.assertEqual(self.writes, [])
        self.assertTrue(self.announcer.announced)

    def test_removes_what_must_not_be_there(self) -> None:
        """An annotation that should be absent is removed."""
        self.announcer.follow(evolve(BARE, annotations={**PRESENT, "gone": "x"}), WANTED)
        self.assertEqual(self.writes, [{"gone": None}])

    def test_waits_for_pod_cidrs(self) -> None:
        """While nothing may be announced, nothing is written, and the reason says so."""
        self.announcer.follow(BARE, None)
        self.assertEqual(self.writes, [])
        self.assertIn("podCIDRs", self.announcer.reason)

    def test_one_write_until_the_watch_shows_it(self) -> None:
        """Between the answer and the event nothing is written twice."""
        self.announcer.follow(BARE, WANTED)
        self.announcer.follow(BARE, WANTED)
        self.answer(200)
        self.announcer.follow(BARE, WANTED)
        self.clock.advance(ECHO_LIMIT / 2)
        self.assertEqual(len(self.writes), 1)
        self.announcer.follow(RIGHT, WANTED)
        self.clock.advance(ECHO_LIMIT * 2)
        self.assertEqual(len(self.writes), 1)

    def test_another_key_before_the_watch_shows_the_last(self) -> None:
        """A key that is rotated again meanwhile is announced at once."""
        self.announcer.follow(BARE, WANTED)
        self.answer(200)
        self.announcer.follow(RIGHT, {**WANTED, "wireguard-publickey": "newer"})
        self.answer(200)
        self.announcer.follow(RIGHT, {**WANTED, "wireguard-publickey": "newest"})
        self.assertEqual(
            [w["wireguard-publickey"] for w in self.writes], ["key", "newer", "newest"]
        )

    def test_a_write_that_never_shows_is_repeated(self) -> None:
        """What the watch does not show within its limit is written again."""
        self.announcer.follow(BARE, WANTED)
        self.answer(200)
        self.clock.advance(ECHO_LIMIT)
        self.assertEqual(len(self.writes), 2)

    def test_retries_with_back_off(self) -> None:
        """Each refusal and each silence waits longer; one that succeeds ends it."""
        self.announcer.follow(BARE, WANTED)
        self.answer(403)
        self.assertIn("403", self.announcer.reason)
        self.clock.advance(0.9)
        self.assertEqual(len(self.writes), 1)
        self.clock.advance(0.1)
        self.assertEqual(len(self.writes), 2)
        self.answers[-1].errback(Failure(Unreachable("refused")))
        self.clock.advance(1.9)
        self.assertEqual(len(self.writes), 2)
        self.clock.advance(0.1)
        self.answer(200)
        self.announcer.follow(RIGHT, WANTED)
        self.assertTrue(self.announcer.announced)
        self.assertEqual(len(self.writes), 3)

    def test_obeys_retry_after(self) -> None:
        """A busy server is asked again when it said, not earlier."""
        self.announcer.follow(BARE, WANTED)
        self.answer(429, retry_after=7.0)
        self.clock.advance(6.9)
        self.assertEqual(len(self.writes), 1)
        self.clock.advance(0.1)
        self.assertEqual(len(self.writes), 2)

    def test_written_again_on_a_node_made_anew(self) -> None:
        """A Node with another uid is announced at once, whatever the old one was just told."""
        self.announcer.follow(BARE, WANTED)
        self.answer(200)
        self.announcer.follow(RIGHT, WANTED)
        self.announcer.follow(evolve(BARE, uid="2"), WANTED)
        self.assertEqual(len(self.writes), 2)

    def test_backs_off_from_another_writer(self) -> None:
        """Who writes over ours is named, and each time ours is written again it takes longer."""
        self.announcer.follow(BARE, WANTED)
        other = evolve(BARE, annotations={**PRESENT, "wireguard-publickey": "other"})
        waits = []
        for _ in range(4):
            self.answer(200)
            self.announcer.follow(RIGHT, WANTED)
            self.announcer.follow(other, WANTED)
            self.assertIn("other", self.announcer.reason)
            written, waited = len(self.writes), 0.0
            while len(self.writes) == written:
                self.clock.advance(0.5)
                waited += 0.5
            waits.append(waited)
        self.assertEqual(waits, [1.0, 2.0, 4.0, 8.0])

    def test_a_late_overwrite_is_no_fight(self) -> None:
        """What stood for a minute is simply written again."""
        self.announcer.follow(BARE, WANTED)
        self.answer(200)
        self.announcer.follow(RIGHT, WANTED)
        self.clock.advance(LASTING)
        self.announcer.follow(BARE, WANTED)
        self.assertEqual(len(self.writes), 2)

    def test_new_values_are_written_at_once(self) -> None:
        """A new key or address does not wait for anything."""
        self.announcer.follow(BARE, WANTED)
        self.answer(200)
        self.announcer.follow(RIGHT, WANTED)
        self.announcer.follow(RIGHT, {**WANTED, "wireguard-publickey": "new"})
        self.assertEqual(self.writes[1:], [{"wireguard-publickey": "new"}])

    def test_stops(self) -> None:
        """A stopped announcer leaves no timer and writes nothing more."""
        self.announcer.follow(BARE, WANTED)
        self.answer(500)
        self.announcer.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.announcer.follow(BARE, WANTED)
        self.assertEqual(len(self.writes), 1)

    def test_stops_while_writing(self) -> None:
        """An answer that comes after the stop starts no timer."""
        self.announcer.follow(BARE, WANTED)
        self.announcer.stopService()
        self.answers[-1].errback(Failure(Unreachable("aborted")))
        self.assertEqual(self.clock.getDelayedCalls(), [])
