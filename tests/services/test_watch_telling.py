"""The node watch: what it tells people in the log and the status."""

from tests.services.node_watch_case import WatchCase, backoff
from tests.services.scripted import (
    Streamed,
    bookmark,
    node,
    page,
    refusal,
)


class TellingTests(WatchCase):
    def test_one_line_for_each_change(self) -> None:
        """A line tells what is wrong once, another one that it is over."""
        self.start(
            *[refusal(403, "no")] * 5,
            page([node("a")], 10),
            Streamed([bookmark(11)]),
            *[refusal(403, "no")] * 3,
            page([], 11),  # where its history stands
            Streamed([bookmark(12)]),
            Streamed([bookmark(13)]),
        )
        while len(self.server.asked) < 13:
            self.clock.advance(self.waits())
        refused = (
            "not following the Nodes: we may not list and watch nodes (403); "
            "allow get, list and watch: no"
        )
        self.assertEqual(
            self.log()[1:],
            [
                refused,
                "read 1 Nodes at version 10",
                "following the Nodes again, from version 11",
                refused,
                "following the Nodes again, from version 12",
            ],
        )

    def test_another_reason(self) -> None:
        """Another reason is another line."""
        self.start(refusal(403), refusal(403), refusal(401), refusal(401))
        for _ in range(3):
            self.clock.advance(self.waits())
        self.assertEqual(len(self.log()), 3)  # the first one is that lists come in pages

    def test_flapping(self) -> None:
        """A watch that opens again and again and brings nothing is not told as one that works."""
        broken = Streamed([], "broken")
        self.start(page([], 10), broken, *(page([], 10), broken) * 5)
        while len(self.server.asked) < 12:
            self.clock.advance(self.waits())
        self.assertEqual(len(self.log()), 3)  # pages, the list, and the first break

    def test_nameless(self) -> None:
        """Entries that are no Node are said."""
        self.start(page([{"metadata": {}}], 10))
        self.assertIn("left out 1 Nodes without a name", self.log())

    def test_status(self) -> None:
        """The status tells since when it is up, what keeps it from that, and its counts."""
        self.start(refusal(503, "not yet\n"), page([], 10), Streamed([bookmark(11)]), refusal(401))
        before = self.watch.status()
        self.assertIsNone(before.connected)
        self.assertIn("503: not yet\\n", before.error or "")
        self.clock.advance(self.waits())
        up = self.watch.status()
        self.assertEqual((up.connected, up.heard, up.error), (0.0, 0.0, None))
        self.assertEqual((up.lists, up.watches), (2, 1))
        self.clock.advance(self.waits())
        down = self.watch.status()
        self.assertEqual((down.connected, down.heard), (None, backoff(0)))
        self.assertIn("401", down.error or "")
