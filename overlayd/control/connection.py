"""One client of the control socket, and how many of them there may be.

Only those who may open the socket get here, but they may be broken: a client that is silent, sends
garbage, sends without end or does not read what it asked for costs a bounded amount of memory, and
after a while its connection.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from overlayd.control.commands import COMMANDS, ERRORS, BadRequest, CannotAnswer
from overlayd.control.responders import Responders

IDLE_LIMIT = 10  # seconds for a client to ask something, and to read the answer
REQUEST_LIMIT = 4096  # bytes of a whole request; ours have less than 100
CONNECTION_LIMIT = 32  # that say nothing, and as many that wait for an answer
HEARD = 3  # turns of the reactor in which a question is read, and its answer written
FLOOD_LIMIT = 8 * CONNECTION_LIMIT  # for a moment, until those that are too many make room

_QUESTION = {amp.COMMAND, amp.ASK}
_ANSWER = {amp.ANSWER, amp.ERROR}
_COMMANDS = {command.commandName: command for command in COMMANDS}


class Connection(amp.BinaryBoxProtocol, amp.BoxDispatcher, TimeoutMixin):
    """Reads one request at a time and answers it; hangs up on what is none.

    `amp.AMP` is these parts and two lines in the log for each connection, which a readiness probe
    would fill the log with.
    """

    _log = Logger()
    transport: Any  # ITCPTransport and IConsumer: what Twisted's unix sockets are

    def __init__(
        self, clock: IReactorTime, responders: Responders, connections: "dict[Connection, None]"
    ) -> None:
        amp.BinaryBoxProtocol.__init__(self, self)
        amp.BoxDispatcher.__init__(self, responders)
        self._clock = clock
        self._request_size = 0
        self._asked = False  # in what was read last
        self.answering = False
        self.turns = 0  # of the reactor since something happened, counted while it is crowded
        self._connections = connections  # those that are open; first who was silent the longest

    def connectionMade(self) -> None:
        self._connections[self] = None
        # A client that does not read its answers is not asked for more requests.
        self.transport.registerProducer(self, True)
        self.setTimeout(IDLE_LIMIT)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._connections.pop(self, None)
        self.setTimeout(None)
        super().connectionLost(reason)

    def _happened(self) -> None:
        self.turns = 0
        self._connections[self] = self._connections.pop(self, None)

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        """What TimeoutMixin counts its time with; its own would be the global reactor."""
        return self._clock.callLater(period, func)

    def timeoutConnection(self) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """Drop the connection at once, with whatever the client has not read."""
        self.paused = True
        self._connections.pop(self, None)
        self.setTimeout(None)
        self.transport.abortConnection()

    # --- what comes in ---

    def dataReceived(self, data: bytes) -> None:
        self._asked = False
        super().dataReceived(data)

    def stringReceived(self, string: bytes) -> None:
        if self.state == "init":
            self._request_size = 0
        self._request_size += len(string) + 2
        if self._request_size > REQUEST_LIMIT:
            self.hang_up()
        else:
            super().stringReceived(string)

    def lengthLimitExceeded(self, length: int) -> None:
        self.hang_up()

    def ampBoxReceived(self, box: amp.AmpBox) -> None:
        # Who waits for each answer never has two requests in one read, and a thousand in one would
        # all be answered before anybody else is heard.
        impatient = self.answering or self._asked
        question = box.keys() >= _QUESTION and _ANSWER.isdisjoint(box)
        if impatient or not question:
            self.hang_up()
            return
        self._asked = self.answering = True
        self._happened()
        self.setTimeout(None)
        super().ampBoxReceived(box)

    # --- what goes out ---

    def dispatchCommand(self, box: amp.AmpBox) -> "Deferred[amp.AmpBox]":
        command = _COMMANDS.get(box[amp.COMMAND])
        if command is not None:
            try:
                command.parseArguments(box, self)
            except Exception as error:  # whatever parsing hostile bytes may raise
                return fail(_remote(BadRequest(f"wrong arguments: {type(error).__name__}")))
        answer: Deferred[amp.AmpBox] = super().dispatchCommand(box)
        return answer.addErrback(self._explain)

    def _explain(self, failure: Failure) -> Failure:
        """Answer what no command declares with an error that all of them declare."""
        if failure.check(amp.RemoteAmpError):
            return failure
        self._log.failure("a request over the control socket failed", failure)
        return Failure(_remote(CannotAnswer("the daemon failed; its log tells how")))

    def sendBox(self, box: amp.AmpBox) -> None:
        self.answering = False
        if self in self._connections:
            self.setTimeout(IDLE_LIMIT)
            self._happened()
            super().sendBox(box)


def _remote(error: BadRequest | CannotAnswer) -> amp.RemoteAmpError:
    return amp.RemoteAmpError(ERRORS[type(error)], str(error))


class Connections(ServerFactory):
    """Makes the connections, and knows those that are open."""

    noisy = False

    def __init__(self, clock: IReactorTime, responders: Callable[[], Responders]) -> None:
        self._clock = clock
        self._responders = responders
        self._open: dict[Connection, None] = {}
        self._crowded: IDelayedCall | None = None  # while there are too many
        self.port: Any = None  # where they come in

    def buildProtocol(self, addr: IAddress | None) -> Connection | None:
        """A connection, or None, which makes Twisted hang up, where there are far too many."""
        if len(self._open) >= FLOOD_LIMIT:
            return None
        if len(self._open) >= CONNECTION_LIMIT and self._crowded is None:
            self._crowded = self._clock.callLater(0, self._make_room)
        return Connection(self._clock, self._responders(), self._open)

    def _make_room(self) -> None:
        """Hang up on those that were silent the longest, and on those that waited the longest.

        Not before they had the time to ask and to get an answer out: whoever asks something is
        answered, however many open connections at the same moment and say nothing.
        """
        self._crowded = None
        for answering in (False, True):
            alike = [c for c in self._open if c.answering is answering]
            excess = max(0, len(alike) - CONNECTION_LIMIT)
            for connection in [c for c in alike if c.turns >= HEARD][:excess]:
                connection.hang_up()
                excess -= 1
            if excess and self._crowded is None:
                self._crowded = self._clock.callLater(0, self._make_room)
        for connection in self._open:
            connection.turns += 1
        if self._crowded is not None and self.port is not None:
            # Else Twisted accepts more and more at once, before anybody is heard.
            self.port.numberAccepts = min(self.port.numberAccepts, CONNECTION_LIMIT)

    def close(self) -> None:
        """Close them all, each as soon as its client has read its answer or its time is up."""
        if self._crowded is not None:
            self._crowded.cancel()
            self._crowded = None
        for connection in tuple(self._open):
            connection.transport.loseConnection()
