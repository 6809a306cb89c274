"""A daemon at one end of real AMP bytes, in memory, whose answers a test chooses."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.protocols import amp
from twisted.test.iosim import FakeTransport, IOPump, connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from overlayd.control.commands import List
from overlayd.control.connection import Connection, Connections
from overlayd.control.responders import Responders
from overlayd.model.keys import PublicKey
from overlayd.model.status import PassReport, PastPass, PeerStatus, Status
from overlayd.plan.result import Plan
from tests.services.answers import answers
from tests.statuses import ORDINARY


def hang_up(client: amp.AMP) -> None:
    assert client.transport is not None
    client.transport.loseConnection()


class ControlTestCase(SynchronousTestCase):
    """A daemon whose answers a test chooses, and a client of Twisted's own."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.status: Status | Exception = ORDINARY
        self.peers: Sequence[PeerStatus] = ()
        self.resyncs: list[Deferred[PassReport]] = []
        self.confirmed: list[list[PublicKey]] = []
        self.plans: list[Deferred[Plan]] = []
        self.history: Sequence[PastPass] = ()
        chosen = answers(
            status=self.get_status,
            peers=lambda: self.peers,
            resync=self.resync,
            confirm=self.confirm,
            plan=self.plan,
            history=lambda: self.history,
        )
        self.connections = Connections(self.clock, lambda: Responders(chosen))

    def get_status(self) -> Status:
        if isinstance(self.status, Exception):
            raise self.status
        return self.status

    def resync(self) -> Deferred[PassReport]:
        self.resyncs.append(Deferred())
        return self.resyncs[-1]

    def confirm(self, keys: Iterable[PublicKey]) -> Deferred[PassReport]:
        self.confirmed.append(list(keys))
        return self.resync()

    def plan(self) -> Deferred[Plan]:
        self.plans.append(Deferred())
        return self.plans[-1]

    def connect(self) -> tuple[amp.AMP, IOPump]:
        client, server, pump = connectedServerAndClient(self.build, amp.AMP)
        self.server: Connection = server
        return client, pump

    def connected(self) -> tuple[Connection, FakeTransport]:
        """A connection whose bytes a test writes itself."""
        _, server, _ = connectedServerAndClient(self.build, amp.AMP)
        transport: FakeTransport = server.transport
        return server, transport

    def build(self) -> Connection:
        connection = self.connections.buildProtocol(None)
        assert connection is not None
        return connection

    def ask(self, command: type[amp.Command], **arguments: Any) -> dict[str, Any]:
        client, pump = self.connect()
        return self.answer(client, pump, command, **arguments)

    def answer(
        self, client: amp.AMP, pump: IOPump, command: type[amp.Command], **arguments: Any
    ) -> dict[str, Any]:
        result: dict[str, Any] = self.successResultOf(
            self.asked(client, pump, command, **arguments)
        )
        return result

    def asked(
        self, client: amp.AMP, pump: IOPump, command: type[amp.Command], **arguments: Any
    ) -> Deferred[Any]:
        """What becomes of a question. It is a Deferred of our own: AMP drops the connection over
        an error that nobody handles at once."""
        answered: Deferred[Any] = Deferred()
        client.callRemote(command, **arguments).addCallbacks(answered.callback, answered.errback)
        pump.flush()
        return answered

    def refused(self, error: type[Exception], command: type[amp.Command], **arguments: Any) -> str:
        """Ask what is refused; return the message. The connection has to survive it."""
        client, pump = self.connect()
        answered = self.asked(client, pump, command, **arguments)
        message = str(self.failureResultOf(answered, error).value)
        self.answer(client, pump, List, what="peers", after=0, limit=1)
        return message

    def whole_list(
        self, client: amp.AMP, pump: IOPump, command: type[amp.Command], **arguments: Any
    ) -> list[Any]:
        items: list[Any] = []
        while True:
            page = self.answer(client, pump, command, after=len(items), limit=1000, **arguments)
            items += json.loads(page["items"])
            if page["next"] == 0:
                return items
            self.assertEqual(page["next"], len(items))
