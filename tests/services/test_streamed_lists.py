"""A list in one request that goes on as the watch, with the real client and a scripted server."""

from overlayd.kube.nodes import Heard, NodeSession
from overlayd.plan.resume import Attempt, Ending, How, Step
from overlayd.testing.apiserver.process import development_server
from tests.services.scripted import (
    NO_STREAMS,
    SETTINGS,
    Streamed,
    Whole,
    bookmark,
    client,
    event,
    initial_end,
    node,
    refusal,
    status,
)
from tests.services.session_case import LOOPBACK, SessionCase, inventory

STREAM = Attempt(Step.STREAM)
AB = (event("ADDED", node("a", 9)), event("ADDED", node("b", 2)))


class StreamedListTests(SessionCase):
    def streamed(
        self, answer: Whole | Streamed, attempt: Attempt = STREAM, known: tuple[str, ...] = ()
    ) -> Ending:
        self.reports.clear()
        self.server = self.serve(answer, streams=True)
        return self.attempt(self.server, attempt, inventory(*known) if known else None)

    def test_one_request(self) -> None:
        """The list and the watch that follows it are one consistent request with bookmarks."""
        server = self.serve(
            Streamed([*AB, initial_end(10), event("ADDED", node("c", 11)), bookmark(12)]),
            streams=True,
        )
        session = NodeSession(client(server.url), SETTINGS)
        ending = self.on(session, STREAM)
        self.assertEqual((ending.how, ending.version), (How.LISTED, "10"))
        (listed,) = self.inventories
        self.assertEqual((set(listed.nodes), listed.changed), ({"a", "b"}, {"a", "b"}))
        self.assertEqual((listed.resource_version, listed.servers), ("10", LOOPBACK))
        ending = self.on(session, Attempt(Step.WATCH, "10"), listed)
        self.assertEqual((ending.how, ending.version, ending.moved), (How.ENDED, "12", True))
        self.assertEqual(set(self.inventories[-1].nodes), {"a", "b", "c"})
        self.assertEqual(self.inventories[-1].changed, {"c"})
        self.assertEqual(
            [asked.query for asked in server.asked],
            [
                {
                    "watch": "true",
                    "sendInitialEvents": "true",
                    "resourceVersionMatch": "NotOlderThan",
                    "allowWatchBookmarks": "true",
                    "timeoutSeconds": "321",
                }
            ],
        )

    def test_not_older(self) -> None:
        """A later one is not older than what was seen; what changed is what differs."""
        answer = Streamed([event("ADDED", node("a", 9)), initial_end(50)])
        self.streamed(answer, Attempt(Step.STREAM, "42"), known=("a", "gone"))
        self.assertEqual(self.server.asked[0].query["resourceVersion"], "42")
        self.assertEqual([i.changed for i in self.inventories], [{"gone"}])

    def test_older(self) -> None:
        """One that is older than what was asked for is of another history, and not taken."""
        ending = self.streamed(
            Streamed([*AB, initial_end(41)]), Attempt(Step.STREAM, "42"), known=("a", "gone")
        )
        self.assertEqual(ending.how, How.WENT_BACK)
        self.assertEqual(self.inventories, [])

    def test_changes_before_the_end(self) -> None:
        """What changes while it is told is told too, before its end."""
        later = event("MODIFIED", node("b", 11, "192.0.2.7")), event("DELETED", node("a", 12))
        self.streamed(Streamed([*AB, *later, initial_end(12)]))
        (listed,) = self.inventories
        self.assertEqual({n: str(x.address) for n, x in listed.nodes.items()}, {"b": "192.0.2.7"})

    def test_goes_on_within_a_piece(self) -> None:
        """What follows the end in the same piece, whole or cut, is the watch's."""
        more = event("ADDED", node("c", 11)) + event("DELETED", node("a", 12))
        for cut in (0, 1, len(more) // 2, len(more)):
            first, second = b"".join(AB) + initial_end(10) + more[:cut], more[cut:]
            server = self.serve(Streamed([p for p in (first, second) if p]), streams=True)
            session = NodeSession(client(server.url), SETTINGS)
            self.reports.clear()
            self.on(session, STREAM)
            ending = self.on(session, Attempt(Step.WATCH, "10"), self.inventories[0])
            self.assertEqual(ending.version, "12")
            self.assertEqual(set(self.inventories[-1].nodes), {"b", "c"})

    def test_not_streamed(self) -> None:
        """A server shows in many ways that it streams no lists, and none makes an inventory."""
        unable = status(500, "the required storage feature RequestWatchProgress is disabled")
        for answer in (
            NO_STREAMS,
            refusal(400),
            Streamed([event("ERROR", unable)]),
            Streamed([*AB, bookmark(10)]),  # it knows no sendInitialEvents
            Streamed([bookmark(10)]),
        ):
            self.assertEqual(self.streamed(answer).how, How.NOT_STREAMED)
            self.assertEqual(self.reports, [])

    def test_other_refusals(self) -> None:
        """Other refusals mean what they mean for any list."""
        for answer, how, code in (
            (refusal(403), How.REFUSED, 403),
            (refusal(429, retry_after="9"), How.REFUSED, 429),
            (refusal(500), How.REFUSED, 500),
            (refusal(410), How.EXPIRED, 410),
            (Streamed([event("ERROR", status(410))]), How.EXPIRED, 410),
            (Streamed([*AB, event("ERROR", status(500))]), How.REFUSED, 500),
            (
                Streamed([event("ERROR", status(504, "no", "ResourceVersionTooLarge"))]),
                How.TOO_LARGE,
                504,
            ),
        ):
            ending = self.streamed(answer, Attempt(Step.STREAM, "7"), known=("a",))
            self.assertEqual((ending.how, ending.status), (how, code))
            self.assertEqual(self.reports, [])
        self.assertEqual(self.streamed(refusal(429, retry_after="9")).retry_after, 9.0)

    def test_unfinished(self) -> None:
        """One that ends before its end, wherever and however, is no inventory."""
        whole = b"".join(AB) + initial_end(10)
        for cut in (0, 1, len(AB[0]), len(AB[0]) + 9, len(b"".join(AB)), len(whole) - 1):
            for end in ("clean", "broken"):
                ending = self.streamed(Streamed([whole[:cut]] if cut else [], end), known=("a",))
                self.assertEqual(ending.how, How.UNFINISHED)
                self.assertEqual(self.reports, [])

    def test_garbage(self) -> None:
        """Nor is one with a line that is no event."""
        for line in (b"<html>\n", event("ADDED", {}), b'{"type":"ADDED"}\n'):
            ending = self.streamed(Streamed([*AB, line, initial_end(10)]), known=("a",))
            self.assertEqual(ending.how, How.UNFINISHED)
            self.assertIn("not come to its end", ending.reason)
            self.assertEqual(self.reports, [])

    def test_blank_lines(self) -> None:
        """Blank lines are nothing."""
        answer = Streamed([b"\n", AB[0], b"\r\n\n", AB[1], initial_end(10)])
        self.assertEqual(self.streamed(answer).how, How.LISTED)

    def test_silent_watch(self) -> None:
        """The list is no event of the watch that follows it."""
        server = self.serve(Streamed([*AB, initial_end(10)]), streams=True)
        session = NodeSession(client(server.url), SETTINGS)
        self.on(session, STREAM)
        ending = self.on(session, Attempt(Step.WATCH, "10"), self.inventories[0])
        self.assertEqual((ending.how, ending.moved), (How.ENDED, False))
        self.assertEqual(self.reports[1:], [Heard("10", False)])


class DevelopmentServerTests(SessionCase):
    def test_let_go(self) -> None:
        """Where something else than its watch comes next, the open answer is closed."""
        with development_server("--nodes", "3") as server:
            session = NodeSession(client(server.url), SETTINGS)
            for attempt in (Attempt(Step.PROBE), Attempt(Step.WATCH, "2"), STREAM):
                listed = self.on(session, STREAM)
                self.assertEqual((listed.how, len(self.inventories[-1].nodes)), (How.LISTED, 3))
                server.await_watches(1)
                if attempt.step is Step.WATCH:
                    server.fault("answer-next", count=1, status=500, verbs=["watch"])
                self.on(session, attempt)
                server.await_watches(1 if attempt is STREAM else 0)
