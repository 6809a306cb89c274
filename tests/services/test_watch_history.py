"""The node watch while the API server's history ends, goes back, or is another one."""

import json

from overlayd.kube.silence import Silence
from tests.services.test_watch_faults import AGAIN, LOST
from tests.services.watch_case import FaultCase, backoff, coroutine


class ExpiredTests(FaultCase):
    @coroutine
    async def test_gone_as_event(self) -> None:
        """A version that is forgotten costs one list, which shows what was missed."""
        await self.follow()
        self.server.fault("end-watches")
        await self.waits(backoff(0))
        port = await self.change()
        self.server.fault("forget-history")
        await self.backs_off(backoff(0), backoff(1))
        await self.sees(port)
        await self.goes_on()
        self.assertEqual(self.asked(), {"lists": 2, "probes": 0, "watches": 1})
        await self.told(LOST, AGAIN)

    @coroutine
    async def test_backwards(self) -> None:
        """Versions that go back are of another history: not applied, and listed anew."""
        await self.follow()
        gone = {"metadata": {"name": self.names[0], "resourceVersion": "1"}}
        self.server.fault("inject-line", line=json.dumps({"type": "DELETED", "object": gone}))
        await self.backs_off(backoff(0))
        await self.goes_on()
        self.assertEqual(self.asked(), {"lists": 2, "probes": 0, "watches": 0})
        await self.told(LOST, AGAIN)


class ReplacedCase(FaultCase):
    silence = Silence(listing=6.0, first=2.0)  # a list from the future is answered after 3 s

    async def replaced(self, version: int) -> None:
        """Follow, then have the store's data replaced."""
        await self.follow()
        await self.goes_on()
        self.uids = {node.uid for node in self.inventories[-1].nodes.values()}
        self.server.fault("replace-history", version=version)

    async def follows_the_other(self) -> None:
        await self.goes_on()
        uids = {node.uid for node in self.inventories[-1].nodes.values()}
        self.assertFalse(uids & self.uids)


class ReplacedTests(ReplacedCase):
    @coroutine
    async def test_lower(self) -> None:
        """With lower versions, while only connections broke: found when the watch stays silent."""
        await self.replaced(1)
        await self.backs_off(backoff(0), backoff(1))
        await self.follows_the_other()
        self.assertEqual(self.asked(), {"lists": 2, "probes": 1, "watches": 1})
        await self.told(LOST, "the API server's history is not ours", AGAIN)

    @coroutine
    async def test_lower_and_away(self) -> None:
        """With lower versions, from a server that was away too: found at once."""
        await self.follow()
        await self.goes_on()
        self.uids = {node.uid for node in self.inventories[-1].nodes.values()}
        self.server.fault("answer-next", count=1, status=503, verbs=["watch"])
        self.server.fault("replace-history", version=1)
        await self.backs_off(backoff(0), backoff(1))
        await self.follows_the_other()
        self.assertEqual(self.asked(), {"lists": 2, "probes": 1, "watches": 1})

    @coroutine
    async def test_higher(self) -> None:
        """With higher versions: ours is none of its history, which costs one list."""
        await self.replaced(1_000_000)
        await self.backs_off(backoff(0), backoff(1))
        await self.follows_the_other()
        self.assertEqual(self.asked(), {"lists": 2, "probes": 0, "watches": 1})

    @coroutine
    async def test_list_from_the_future(self) -> None:
        """A list that is due, not older than a version not reached yet, is made without it."""
        await self.replaced(1)
        self.server.fault("answer-next", count=1, status=410, verbs=["watch"])
        await self.backs_off(backoff(0), backoff(1), backoff(2))
        await self.follows_the_other()
        self.assertEqual(self.asked(), {"lists": 3, "probes": 0, "watches": 1})


class PagedReplacedTests(ReplacedCase):
    """On a server that streams no lists."""

    options = (*FaultCase.options, "--no-streamed-lists")

    @coroutine
    async def test_list_from_the_future(self) -> None:
        """Pages that are due, not older than a version not reached yet, are asked for without."""
        await self.replaced(1)
        self.server.fault("answer-next", count=1, status=410, verbs=["watch"])
        await self.backs_off(backoff(0), backoff(1), backoff(2))
        await self.follows_the_other()
        self.assertEqual(self.server.counters()["full_lists"], 3)
        self.assertEqual(self.asked()["probes"], 0)


class PageTests(FaultCase):
    """On a server that streams no lists, and with Nodes for several pages."""

    options = ("--nodes", "600", "--node-size", "2000", "--no-streamed-lists")

    @coroutine
    async def test_changes_between_pages(self) -> None:
        """A list whose history is gone between two pages is made again, and nothing came of it."""
        self.server.fault("delay", seconds=1.0)
        self.begin()
        await self.until(lambda: self.server.counters().get("list_pages") == 1)
        self.server.fault("replace-history", version=10_000)
        await self.waits(backoff(0))
        self.server.fault("clear")
        self.assertEqual(self.inventories, [])
        self.clock.advance(backoff(0))
        await self.until(lambda: bool(self.inventories))
        self.assertEqual(len(self.inventories[0].nodes), 600)
        self.assertEqual(self.server.counters()["full_lists"], 2)
