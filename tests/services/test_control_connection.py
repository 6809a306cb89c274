"""What a client of the control socket gets that asks wrongly, or that is broken."""

from twisted.protocols import amp

from overlayd.control import wire
from overlayd.control.commands import (
    BadRequest,
    CannotAnswer,
    Confirm,
    GetPlan,
    GetStatus,
    List,
    ListChanges,
    ListHistoryChanges,
    ListPlan,
    NoSuchPass,
    Resync,
)
from overlayd.control.connection import (
    CONNECTION_LIMIT,
    FLOOD_LIMIT,
    IDLE_LIMIT,
    REQUEST_LIMIT,
)
from overlayd.model.errors import Stopping, TunnelError
from tests.services.control_case import ControlTestCase, hang_up
from tests.statuses import past, report


class RefusalsTests(ControlTestCase):
    def test_no_such_list(self) -> None:
        """A list that there is not is refused by its name."""
        message = self.refused(BadRequest, List, what="\x00" * 200, after=0, limit=1)
        self.assertIn("\\x00", message)

    def test_no_such_page(self) -> None:
        """A page that cannot be is refused, for every list."""
        for after, limit in ((-1, 5), (0, 0), (0, -5)):
            self.refused(BadRequest, List, what="peers", after=after, limit=limit)
            self.refused(BadRequest, List, what="held", after=after, limit=limit)

    def test_page_beyond_the_end(self) -> None:
        """A page after the last item is empty and the last."""
        page = self.ask(List, what="peers", after=10**100, limit=10**100)
        self.assertEqual((page["items"], page["next"]), (b"[]", 0))

    def test_forgotten_pass(self) -> None:
        """The changes of a pass that is not the last are refused, not mistaken for others."""
        self.refused(NoSuchPass, ListChanges, number=6, after=0, limit=1)

    def test_nothing_was_seen(self) -> None:
        """What was not shown is not confirmed, and of no plan or history there is no page."""
        self.assertIn("ask for that first", self.refused(BadRequest, Confirm))
        self.assertEqual(self.confirmed, [])
        self.refused(BadRequest, ListPlan, what="changes", after=0, limit=1)
        self.refused(BadRequest, ListPlan, what="peers", after=0, limit=1)
        self.history = [past(1)]
        self.refused(NoSuchPass, ListHistoryChanges, number=1, after=0, limit=1)

    def test_no_plan(self) -> None:
        """Why there is no plan is told in the words of the daemon."""
        client, pump = self.connect()
        answered = self.asked(client, pump, GetPlan)
        self.plans[0].errback(TunnelError("wg0 cannot be read"))
        pump.flush()
        error = self.failureResultOf(answered, CannotAnswer)
        self.assertEqual(str(error.value), "wg0 cannot be read")

    def test_stopping(self) -> None:
        """What keeps the daemon from answering is told in its words."""
        client, pump = self.connect()
        answered = self.asked(client, pump, Resync)
        self.resyncs[0].errback(Stopping("overlayd is stopping"))
        pump.flush()
        error = self.failureResultOf(answered, CannotAnswer)
        self.assertEqual(str(error.value), "overlayd is stopping")

    def test_unexpected_exception(self) -> None:
        """A bug in an answer is logged, answered, and costs no connection."""
        self.status = ZeroDivisionError("a bug")
        message = self.refused(CannotAnswer, GetStatus)
        self.assertNotIn("a bug", message)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_wrong_arguments(self) -> None:
        """Arguments that are missing or of the wrong kind are refused, and cost no connection."""
        server, transport = self.connected()
        for arguments in ({}, {b"what": b"\xff", b"after": b"0", b"limit": b"1"}, {b"after": b""}):
            server.dataReceived(wire.encode({b"_ask": b"1", b"_command": b"List"} | arguments))
            (answer,) = amp.parseString(transport.getOutBuffer())
            self.assertEqual(answer[b"_error_code"], b"BAD_REQUEST")
        self.assertFalse(transport.disconnecting)

    def test_unknown_command(self) -> None:
        """A command of another version is refused as AMP does it."""
        server, transport = self.connected()
        server.dataReceived(wire.encode({b"_ask": b"1", b"_command": b"Rejoin"}))
        (answer,) = amp.parseString(transport.getOutBuffer())
        self.assertEqual(answer[b"_error_code"], b"UNHANDLED")
        self.assertFalse(transport.disconnecting)


class BrokenClientsTests(ControlTestCase):
    """A broken client loses its connection, and nothing else happens."""

    def assert_hung_up(self, *pieces: bytes) -> None:
        server, transport = self.connected()
        for piece in pieces:
            if not transport.disconnecting:
                server.dataReceived(piece)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence(self) -> None:
        """A client that asks nothing is hung up on after a while."""
        _, transport = self.connected()
        self.clock.advance(IDLE_LIMIT - 1)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)

    def test_trickle(self) -> None:
        """So is one that sends a byte now and then, but never a whole request."""
        server, transport = self.connected()
        for byte in wire.encode({b"_ask": b"1", b"_command": b"GetStatus"})[:4]:
            server.dataReceived(bytes([byte]))
            self.clock.advance(IDLE_LIMIT / 4)
        self.assertTrue(transport.disconnecting)

    def test_patience(self) -> None:
        """One that asks within the limit again and again stays."""
        client, pump = self.connect()
        for _ in range(5):
            self.clock.advance(IDLE_LIMIT - 1)
            self.answer(client, pump, GetStatus)

    def test_garbage(self) -> None:
        """A client of another protocol is hung up on."""
        self.assert_hung_up(b"GET / HTTP/1.1\r\n\r\n")

    def test_large_value(self) -> None:
        """A request over the limit is not kept until it is whole."""
        self.assert_hung_up(wire.encode({b"_ask": b"1", b"_command": b"x" * REQUEST_LIMIT}))

    def test_endless_box(self) -> None:
        """A box that never ends is dropped at the limit, also where its values are empty."""

        names = (b"%x" % n for n in range(REQUEST_LIMIT))
        self.assert_hung_up(*(b"\0%c%s\0\0" % (len(name), name) for name in names))

    def test_no_request(self) -> None:
        """Boxes that ask nothing, among them answers to what nobody asked, are hung up on."""
        for box in (
            {b"_answer": b"1"},
            {b"_error": b"1", b"_error_code": b"x", b"_error_description": b"x"},
            {b"_command": b"GetStatus"},
            {b"_ask": b"1", b"_command": b"GetStatus", b"_answer": b"1"},
            {b"_ask": b"1", b"_command": b"GetStatus", b"_error": b"1"},
            {b"a": b"b"},
        ):
            self.assert_hung_up(wire.encode(box))
        self.assert_hung_up(b"\0\0")

    def test_impatience(self) -> None:
        """A client that asks again before it is answered is hung up on, so no queue can grow."""
        box = wire.encode({b"_ask": b"1", b"_command": b"Resync"})
        self.assert_hung_up(box * 1000)
        self.assertEqual(len(self.resyncs), 1)
        self.assert_hung_up(box, box)
        self.assertEqual(len(self.resyncs), 2)

    def test_a_thousand_questions_at_once(self) -> None:
        """Of those that come in one piece one is answered: others would have to wait for all."""
        server, transport = self.connected()
        server.dataReceived(wire.encode({b"_ask": b"1", b"_command": b"GetStatus"}) * 1000)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(amp.parseString(transport.getOutBuffer())), 1)

    def test_answers_that_nobody_reads(self) -> None:
        """While a client's answers wait to be read, its next questions wait too."""
        server, transport = self.connected()
        producer = transport.producer
        assert producer is not None
        producer.pauseProducing()  # what a transport does whose buffer is full
        server.dataReceived(wire.encode({b"_ask": b"1", b"_command": b"GetStatus"}))
        self.assertIs(transport.getOutBuffer(), None)
        producer.resumeProducing()
        self.assertEqual(len(amp.parseString(transport.getOutBuffer())), 1)

    def test_gone_while_waiting(self) -> None:
        """A client that hangs up before its answer leaves no timer and no error behind."""
        client, pump = self.connect()
        answered = self.asked(client, pump, Resync)
        hang_up(client)
        pump.flush()
        self.resyncs[0].callback(report())
        self.failureResultOf(answered)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many(self) -> None:
        """Over the limit the connection that was silent the longest makes room for the next."""
        transports = [self.connected()[1] for _ in range(CONNECTION_LIMIT)]
        for gone in (1, 2):
            self.ask(GetStatus)
            self.clock.advance(0)
            self.assertEqual([t.disconnecting for t in transports].index(False), gone)

    def test_far_too_many(self) -> None:
        """However many there are at one moment, in the next there are no more than there may be."""
        transports = [self.connected()[1] for _ in range(FLOOD_LIMIT)]
        self.assertIs(self.connections.buildProtocol(None), None)
        self.clock.advance(0)
        there = [t for t in transports if not t.disconnecting]
        self.assertEqual(there, transports[-CONNECTION_LIMIT:])

    def test_who_waits_is_spared(self) -> None:
        """Not who waits for an answer, or asked something since, but who said nothing."""
        asking, pump = self.connect()
        answered = self.asked(asking, pump, Resync)
        patient, patient_pump = self.connect()
        silent = [self.connected()[1] for _ in range(CONNECTION_LIMIT - 1)]
        self.answer(patient, patient_pump, GetStatus)
        self.ask(GetStatus)
        self.clock.advance(0)
        self.assertEqual([t.disconnecting for t in silent], [True] + [False] * (len(silent) - 1))
        self.resyncs[0].callback(report())
        pump.flush()
        self.successResultOf(answered)
        self.answer(patient, patient_pump, GetStatus)

    def test_all_wait(self) -> None:
        """Of too many that wait for an answer, the one that has waited the longest makes room."""
        pairs = [self.connect() for _ in range(CONNECTION_LIMIT)]
        answers = [self.asked(client, pump, Resync) for client, pump in pairs]
        other, other_pump = self.connect()
        self.asked(other, other_pump, Resync)
        self.ask(GetStatus)
        self.clock.advance(0)
        self.resyncs[0].callback(report())
        pairs[0][1].flush()
        self.failureResultOf(answers[0])
        self.assertNoResult(answers[1])
