"""Attempts of a node session on a scripted server, and what they reported."""

import json
from ipaddress import IPv4Address

from overlayd.kube.nodes import NodeSession, Report
from overlayd.model.node import Inventory
from overlayd.plan.documents import node_from
from overlayd.plan.resume import Attempt, Ending
from tests.services.scripted import (
    SETTINGS,
    ScriptedCase,
    ScriptedServer,
    client,
    node,
)

LOOPBACK = frozenset({IPv4Address("127.0.0.1")})
WATCH_SECONDS = 321


class SessionCase(ScriptedCase):
    """Each attempt is one of a new session, unless a test makes one."""

    def setUp(self) -> None:
        self.reports: list[Report] = []

    def attempt(
        self, server: ScriptedServer, attempt: Attempt, known: Inventory | None = None
    ) -> Ending:
        return self.on(NodeSession(client(server.url), SETTINGS), attempt, known)

    def on(self, session: NodeSession, attempt: Attempt, known: Inventory | None = None) -> Ending:
        return session.run(attempt, known, WATCH_SECONDS, self.reports.append)

    @property
    def inventories(self) -> list[Inventory]:
        return [report for report in self.reports if isinstance(report, Inventory)]


def inventory(*names: str) -> Inventory:
    nodes = {name: node_from(json.dumps(node(name)).encode()) for name in names}
    return Inventory(nodes, frozenset(names), "10", LOOPBACK)
