"""The control protocol, as real AMP bytes: what is answered, and that everything fits."""

import json

from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from overlayd.control import commands
from overlayd.control.commands import (
    COMMANDS,
    BadRequest,
    CannotAnswer,
    Confirm,
    GetPlan,
    GetStatus,
    List,
    ListChanges,
    ListHistory,
    ListHistoryChanges,
    ListPlan,
    NoSuchPass,
    Resync,
)
from overlayd.control.connection import IDLE_LIMIT
from overlayd.control.responders import LISTS, PLAN_LISTS
from tests.services.control_case import ControlTestCase
from tests.statuses import (
    LONGEST_NAME,
    ORDINARY,
    QUARANTINE,
    TROUBLED,
    hostile,
    hostile_past,
    hostile_peer,
    hostile_plan,
    key,
    past,
    peer,
    plan,
    report,
)


class CommandsTests(SynchronousTestCase):
    def test_attributes(self) -> None:
        """No command has a misspelled attribute: AMP would ignore it and answer {}."""
        known = {"arguments", "response", "errors"}
        made_by_amp = {"commandName", "reverseErrors", "allErrors"}
        for command in COMMANDS:
            own = {name for name in vars(command) if not name.startswith("__")}
            self.assertEqual(own - known - made_by_amp, set(), command)

    def test_all_are_listed(self) -> None:
        """Each command of the module is among those whose arguments are checked."""
        defined = {
            value
            for value in vars(commands).values()
            if isinstance(value, type) and issubclass(value, amp.Command)
        }
        self.assertEqual(defined, set(COMMANDS))

    def test_errors(self) -> None:
        """Every command declares every error, and answers something."""
        for command in COMMANDS:
            self.assertEqual(set(command.errors), {BadRequest, NoSuchPass, CannotAnswer})
            self.assertTrue(command.response, command)


class AnswersTests(ControlTestCase):
    def test_status(self) -> None:
        """The status is one document with how long each list is."""
        self.status = TROUBLED
        document = json.loads(self.ask(GetStatus)["status"])
        self.assertEqual(document["state"], "retrying")
        self.assertEqual(document["device"]["addresses"], ["100.64.0.1/32"])
        self.assertEqual(document["peers"]["up"], 2)
        self.assertEqual(document["lastPass"]["failureCount"], 1)
        self.assertEqual(
            document["counts"],
            {
                "quarantines": 1,
                "held": 1,
                "notAnnounced": 2,
                "notCarried": 1,
                "foreignRoutes": 1,
                "fights": 1,
                "repairs": 1,
            },
        )

    def test_every_list_is_counted(self) -> None:
        """Whatever the status counts can be listed, and the list is as long as it says."""
        self.status = TROUBLED
        client, pump = self.connect()
        counts = json.loads(self.answer(client, pump, GetStatus)["status"])["counts"]
        self.assertEqual(set(counts), set(LISTS))
        for what, count in counts.items():
            items = self.whole_list(client, pump, List, what=what)
            self.assertEqual(len(items), count, what)

    def test_quarantine(self) -> None:
        """A quarantine is listed with its reason."""
        self.status = TROUBLED
        page = self.ask(List, what="quarantines", after=0, limit=10)
        self.assertEqual(
            json.loads(page["items"]),
            [
                {
                    "node": QUARANTINE.node,
                    "claim": "podCIDR",
                    "text": QUARANTINE.text,
                    "reason": QUARANTINE.reason,
                }
            ],
        )

    def test_peer(self) -> None:
        """A peer is listed with raw numbers."""
        self.peers = [peer(1)]
        page = self.ask(List, what="peers", after=0, limit=10)
        (document,) = json.loads(page["items"])
        self.assertEqual(document["allowedIPs"], ["10.244.1.0/24"])
        self.assertEqual(document["endpoint"], "192.0.2.1:51820")
        self.assertEqual((document["received"], document["sent"]), (2048, 148))
        self.assertIs(document["latestHandshake"], None)

    def test_limit(self) -> None:
        """A page has no more items than asked for, and says where the next one begins."""
        self.peers = [peer(n) for n in range(1, 6)]
        client, pump = self.connect()
        pages = [
            self.answer(client, pump, List, what="peers", after=after, limit=2)
            for after in (0, 2, 4)
        ]
        names = [[item["node"] for item in json.loads(page["items"])] for page in pages]
        self.assertEqual(names, [["n1", "n2"], ["n3", "n4"], ["n5"]])
        self.assertEqual([page["next"] for page in pages], [2, 4, 0])

    def test_pages_show_one_moment(self) -> None:
        """Peers that come and go between two pages neither repeat nor hide another."""
        self.peers = [peer(n) for n in range(1, 5)]
        client, pump = self.connect()
        self.answer(client, pump, List, what="peers", after=0, limit=2)
        self.peers = self.peers[1:]
        page = self.answer(client, pump, List, what="peers", after=2, limit=2)
        self.assertEqual([item["node"] for item in json.loads(page["items"])], ["n3", "n4"])

    def test_lists_belong_to_the_status(self) -> None:
        """A list is that of the status which the connection was given, not of a later one."""
        self.status = TROUBLED
        client, pump = self.connect()
        self.answer(client, pump, GetStatus)
        self.status = ORDINARY
        self.assertEqual(len(self.whole_list(client, pump, List, what="quarantines")), 1)
        self.assertEqual(len(self.whole_list(client, pump, ListChanges, number=7)), 1)

    def test_resync(self) -> None:
        """A resync is answered once its pass is done, and its changes can be listed."""
        client, pump = self.connect()
        answered = self.asked(client, pump, Resync)
        self.assertNoResult(answered)
        self.clock.advance(IDLE_LIMIT * 10)
        self.resyncs[0].callback(report(number=8, changes=3))
        pump.flush()
        document = json.loads(self.successResultOf(answered)["report"])
        self.assertEqual((document["number"], document["changeCount"]), (8, 3))
        changes = self.whole_list(client, pump, ListChanges, number=8)
        self.assertEqual(
            [c["change"] for c in changes], ["add peer n0", "add peer n1", "add peer n2"]
        )

    def test_confirm(self) -> None:
        """What goes is what the status of this connection showed as held, and nothing else."""
        self.status = TROUBLED
        client, pump = self.connect()
        self.answer(client, pump, GetStatus)
        self.status = hostile(3)
        answered = self.asked(client, pump, Confirm)
        self.assertEqual(self.confirmed, [[key(5)]])
        self.assertNoResult(answered)
        self.resyncs[0].callback(report(number=9, changes=1))
        pump.flush()
        self.assertEqual(json.loads(self.successResultOf(answered)["report"])["number"], 9)
        self.assertEqual(len(self.whole_list(client, pump, ListChanges, number=9)), 1)

    def test_held(self) -> None:
        """A held peer is listed with the time when it goes."""
        self.status = TROUBLED
        (held,) = json.loads(self.ask(List, what="held", after=0, limit=10)["items"])
        self.assertEqual((held["node"], held["remaining"]), ("n5", 240.0))
        self.assertEqual(held["until"], "2026-01-01T00:04:00.000Z")

    def test_plan(self) -> None:
        """A plan is a document with how long its lists are, and the lists."""
        client, pump = self.connect()
        answered = self.asked(client, pump, GetPlan)
        self.plans[0].callback(plan())
        pump.flush()
        document = json.loads(self.successResultOf(answered)["plan"])
        self.assertEqual(
            document, {"state": None, "message": "", "counts": {"changes": 2, "held": 1}}
        )
        self.assertEqual(set(document["counts"]), set(PLAN_LISTS))
        self.assertEqual(
            self.whole_list(client, pump, ListPlan, what="changes"),
            [
                {"change": "bring wg0 up", "why": "it was down"},
                {"change": "set private key", "why": "it has none"},
            ],
        )
        (held,) = self.whole_list(client, pump, ListPlan, what="held")
        self.assertEqual(held["node"], "n5")

    def test_history(self) -> None:
        """Each pass is listed with its counts; what is known of its changes is another list."""
        self.history = [past(1), past(2, kept=1)]
        client, pump = self.connect()
        first, second = self.whole_list(client, pump, ListHistory)
        self.assertEqual((first["number"], first["why"]), (1, "2 nodes changed"))
        self.assertEqual((first["changeCount"], first["changesKept"]), (2, 2))
        self.assertEqual((second["changeCount"], second["changesKept"]), (2, 1))
        self.assertEqual((second["repeated"], second["repeatedAt"]), (0, None))
        self.history = []
        changes = self.whole_list(client, pump, ListHistoryChanges, number=2)
        self.assertEqual([c["change"] for c in changes], ["add peer n0"])


class SizesTests(ControlTestCase):
    """Whatever the values, an answer fits into an AMP value of 65,535 bytes."""

    def test_status(self) -> None:
        """A status of nothing but the longest hostile text is answered."""
        self.status = hostile(5_000)
        document = json.loads(self.ask(GetStatus)["status"])
        self.assertEqual(document["counts"]["quarantines"], 5_000)

    def test_lists(self) -> None:
        """So is every list, in pages, and none of its items is lost."""
        self.status = hostile(100)
        client, pump = self.connect()
        for what in LISTS:
            self.assertEqual(len(self.whole_list(client, pump, List, what=what)), 100, what)

    def test_changes(self) -> None:
        """So is what a pass changed."""
        self.status = hostile(100)
        client, pump = self.connect()
        self.answer(client, pump, GetStatus)
        self.assertEqual(len(self.whole_list(client, pump, ListChanges, number=7)), 100)

    def test_plan(self) -> None:
        """So is a plan."""
        client, pump = self.connect()
        answered = self.asked(client, pump, GetPlan)
        self.plans[0].callback(hostile_plan(100))
        pump.flush()
        self.successResultOf(answered)
        for what in PLAN_LISTS:
            self.assertEqual(len(self.whole_list(client, pump, ListPlan, what=what)), 100, what)

    def test_history(self) -> None:
        """So is the history, and what each of its passes changed."""
        self.history = [hostile_past(n, 100) for n in range(100)]
        client, pump = self.connect()
        self.assertEqual(len(self.whole_list(client, pump, ListHistory)), 100)
        changes = self.whole_list(client, pump, ListHistoryChanges, number=99)
        self.assertEqual(len(changes), 100)

    def test_many_peers(self) -> None:
        """So are 5,000 peers with the longest names, each of them once."""
        self.peers = [peer(n, LONGEST_NAME) for n in range(1, 5_001)]
        client, pump = self.connect()
        items = self.whole_list(client, pump, List, what="peers")
        self.assertEqual(
            [item["publicKey"] for item in items], [str(p.peer.key) for p in self.peers]
        )

    def test_large_peer(self) -> None:
        """Of a peer with more prefixes than a page could hold some are left out, and counted."""
        self.peers = [hostile_peer(1)]
        (document,) = json.loads(self.ask(List, what="peers", after=0, limit=1)["items"])
        self.assertEqual(document["allowedIPCount"], 5_000)
        self.assertEqual(len(document["allowedIPs"]), 1_000)
