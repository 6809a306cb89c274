"""The lists of a cluster of 5,000 Nodes with the longest names, through every paged command."""

import json
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

from attrs import evolve, frozen
from twisted.protocols import amp

from overlayd.control.commands import (
    COMMANDS,
    Confirm,
    GetPlan,
    GetStatus,
    List,
    ListChanges,
    ListHistory,
    ListHistoryChanges,
    ListPlan,
    Resync,
    Teardown,
)
from overlayd.control.responders import LISTS, PLAN_LISTS
from overlayd.model.changes import RemovePeer
from overlayd.model.machine import Route
from overlayd.model.node import Claim
from overlayd.model.status import (
    ChangeReport,
    ForeignRoute,
    Held,
    PastPass,
    Quarantine,
    Repair,
)
from overlayd.plan.result import Memory, Plan
from tests.services.control_case import ControlTestCase
from tests.statuses import LONGEST_NAME, TROUBLED, key, peer, report

NODES = 5_000
VALUE_LIMIT = 65_535  # of AMP
# What one reader or another takes for more than text.
AWKWARD = "".join(map(chr, range(160))) + "\u2028\u202e\ufeff\ud800 \udfff \U0001f600[bold]%s{0}"


def name(number: int) -> str:
    """A name as long as one can be, which begins with its number."""
    return f"{number:04}{LONGEST_NAME[4:]}"


def text(number: int) -> str:
    return f"{number:04} {AWKWARD}"


def route(number: int) -> Route:
    return Route(IPv4Network((0x0AF40000 + 256 * number, 24)), link="x" * 15)


NUMBERS = range(NODES)
CHANGES = tuple(ChangeReport(text(n), text(n), text(n)) for n in NUMBERS)
STATUS = evolve(
    TROUBLED,
    quarantines=tuple(Quarantine(name(n), Claim.POD_CIDR, text(n), text(n)) for n in NUMBERS),
    held=tuple(Held(key(n + 1), name(n), 1.0, None) for n in NUMBERS),
    not_announced=tuple(name(n) for n in NUMBERS),
    not_carried=tuple(text(n) for n in NUMBERS),
    foreign_routes=tuple(ForeignRoute(route(n), text(n)) for n in NUMBERS),
    fights=tuple(text(n) for n in NUMBERS),
    repairs=tuple(Repair("2026-01-01T00:00:00Z", text(n), text(n)) for n in NUMBERS),
    last_pass=evolve(report(), changes=CHANGES),
)
PLAN = Plan(
    tuple(RemovePeer(name(n), key(n + 1), text(n)) for n in NUMBERS), Memory(), held=STATUS.held
)
HISTORY = tuple(
    PastPass(
        report=evolve(report(), number=n, why=text(n), changes=CHANGES if n == 7 else ()),
        change_count=NODES,
        failure_count=0,
    )
    for n in NUMBERS
)
PEERS = tuple(peer(n + 1, name(n)) for n in NUMBERS)


@frozen
class Paged:
    """A list: how it is asked for, and what in an item begins with its number."""

    command: type[amp.Command]
    arguments: dict[str, Any]
    begins: Callable[[dict[str, Any]], str]


PAGED = (
    Paged(List, {"what": "peers"}, lambda item: item["node"]),
    Paged(List, {"what": "quarantines"}, lambda item: item["reason"]),
    Paged(List, {"what": "held"}, lambda item: item["node"]),
    Paged(List, {"what": "notAnnounced"}, lambda item: item["name"]),
    Paged(List, {"what": "notCarried"}, lambda item: item["name"]),
    Paged(List, {"what": "foreignRoutes"}, lambda item: item["reason"]),
    Paged(List, {"what": "fights"}, lambda item: item["name"]),
    Paged(List, {"what": "repairs"}, lambda item: item["why"]),
    Paged(ListChanges, {"number": 7}, lambda item: item["change"]),
    Paged(ListPlan, {"what": "changes"}, lambda item: item["why"]),
    Paged(ListPlan, {"what": "held"}, lambda item: item["node"]),
    Paged(ListHistory, {}, lambda item: item["why"]),
    Paged(ListHistoryChanges, {"number": 7}, lambda item: item["change"]),
)
NOT_PAGED = {GetStatus, Resync, Confirm, GetPlan, Teardown}


class PagesTests(ControlTestCase):
    def test_table(self) -> None:
        """The table has every list, and every command that is paged."""
        self.assertEqual({p.command for p in PAGED}, set(COMMANDS) - NOT_PAGED)
        named = {p.arguments["what"] for p in PAGED if p.command is List}
        self.assertEqual(named, {"peers", *LISTS})
        planned = {p.arguments["what"] for p in PAGED if p.command is ListPlan}
        self.assertEqual(planned, set(PLAN_LISTS))

    def test_everything_arrives(self) -> None:
        """Every item arrives once, in order, and no page is larger than an AMP value can be."""
        self.status, self.peers, self.history = STATUS, PEERS, HISTORY
        client, pump = self.connect()
        self.answer(client, pump, GetStatus)
        planned = self.asked(client, pump, GetPlan)
        self.plans[-1].callback(PLAN)
        pump.flush()
        self.successResultOf(planned)
        for paged in PAGED:
            found: list[str] = []
            following = 0
            while following or not found:
                page = self.answer(
                    client, pump, paged.command, after=following, limit=1000, **paged.arguments
                )
                self.assertLessEqual(len(page["items"]), VALUE_LIMIT)
                found += [paged.begins(item)[:4] for item in json.loads(page["items"])]
                following = page["next"]
                self.assertIn(following, (0, len(found)))
            self.assertEqual(found, [f"{n:04}" for n in NUMBERS], paged.arguments)

    def test_text_survives(self) -> None:
        """What is awkward in a text comes out as it went in."""
        self.status = STATUS
        page = self.answer(*self.connect(), List, what="quarantines", after=4999, limit=1)
        (item,) = json.loads(page["items"])
        self.assertEqual((item["node"], item["reason"]), (name(4999), text(4999)))
