"""Whatever bytes come over the control socket, from a client or from what is no daemon."""

import json
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from overlayd.control import wire
from overlayd.control.client import ClientError, Daemon
from overlayd.control.commands import COMMANDS, GetStatus
from overlayd.control.connection import REQUEST_LIMIT
from tests.pure.hostile import fuzz, spoilt, texts
from tests.services.control_case import ControlTestCase
from tests.statuses import report


def request(command: bytes, arguments: Mapping[bytes, bytes]) -> bytes:
    return wire.encode({b"_ask": b"1", b"_command": command, **arguments})


COMMAND_NAMES = st.sampled_from([command.commandName for command in COMMANDS])
values = texts.map(lambda text: text.encode("utf-8", "surrogatepass")[:1000]) | st.sampled_from(
    (b"peers", b"0", b"1", b"-1", b"7", b"8")
)
arguments = st.dictionaries(
    st.sampled_from((b"what", b"after", b"limit", b"number", b"x" * 255, b"_answer", b"_error")),
    values,
    max_size=4,
)
requests = st.builds(
    request, COMMAND_NAMES | values.filter(lambda name: len(name) < 500), arguments
)


class RequestsFuzz(ControlTestCase):
    def assert_harmless(self, pieces: Sequence[bytes]) -> None:
        """A connection that gets these bytes lives on or not; another one is answered."""
        server, transport = self.connected()
        for piece in pieces:
            if not transport.disconnecting:
                server.dataReceived(piece)
        for resync in self.resyncs:
            resync.callback(report())
        self.resyncs.clear()
        for answer in amp.parseString(transport.getOutBuffer() or b""):
            self.assertTrue({b"_answer", b"_error"} & set(answer))
            said = answer.get(b"_error_description", b"").decode()
            self.assertTrue(said.isprintable(), repr(said))
            self.assertLess(len(said), 4 * REQUEST_LIMIT)
        self.ask(GetStatus)
        self.connections.close()
        self.assertEqual(self.flushLoggedErrors(), [])

    @fuzz
    @given(st.lists(st.binary(max_size=60) | requests | requests.flatmap(spoilt), max_size=5))
    @example([b"\0\4_ask\0\1\n\0\10_command\0\11GetStatus\0\0"])
    @example([request(b"List", {b"what": b"peers", b"after": b"9" * 3000, b"limit": b"1"})])
    @example([request(b"List", {b"what": b"\x1b" * 3000, b"after": b"0", b"limit": b"1"})])
    @example([request(b"ListChanges", {b"number": b"9" * 3000, b"after": b"0", b"limit": b"1"})])
    @example([request(b"\xff" * 300, {})])
    def test_any_requests(self, pieces: list[bytes]) -> None:
        """Any bytes, whole requests and spoilt ones, in any pieces."""
        self.assert_harmless(pieces)

    @fuzz
    @given(arguments, st.integers(1, 20))
    def test_pieces(self, given: dict[bytes, bytes], size: int) -> None:
        """A request is answered the same whole and cut into pieces."""
        raw = request(b"List", given)
        whole, cut = self.connected(), self.connected()
        whole[0].dataReceived(raw)
        for start in range(0, len(raw), size):
            cut[0].dataReceived(raw[start : start + size])
        self.assertEqual(whole[1].getOutBuffer(), cut[1].getOutBuffer())
        self.assertEqual(whole[1].disconnecting, cut[1].disconnecting)
        self.connections.close()


class WireFuzz(SynchronousTestCase):
    @fuzz
    @given(
        st.dictionaries(
            st.binary(min_size=1, max_size=255), st.binary(max_size=300), min_size=1, max_size=16
        )
    )
    def test_as_amp_does(self, box: dict[bytes, bytes]) -> None:
        """A box is written as AMP writes it, and read as it was written."""
        raw = wire.encode(box)
        self.assertEqual(amp.parseString(raw), [amp.Box(box)])
        left = bytearray(raw)

        def exactly(count: int) -> bytes:
            taken = bytes(left[:count])
            del left[:count]
            return taken

        self.assertEqual((wire.read(exactly), left), (box, b""))


STATUS = {"format": wire.FORMAT, "version": "1", "counts": {}}
ANSWERS = (
    wire.encode({b"_answer": b"1", b"status": json.dumps(STATUS).encode()}),
    wire.encode({b"_answer": b"1", b"items": b'[{"node":"a"}]', b"next": b"0"}),
    wire.encode({b"_answer": b"1", b"items": b'[{"node":"a"}]', b"next": b"1"}),
    wire.encode({b"_error": b"1", b"_error_code": b"UNHANDLED", b"_error_description": b"x"}),
)
documents = st.sampled_from(
    (b"", b"null", b"[]", b"{}", b"[1]", b"1e999", b"9" * 5000, b"[" * 9000, b'"\xff"', b"NaN")
)
answers = (
    st.sampled_from(ANSWERS)
    | st.sampled_from(ANSWERS).flatmap(spoilt)
    | st.binary(max_size=40)
    | st.builds(
        lambda status, items, following: wire.encode(
            {b"_answer": b"1", b"status": status, b"items": items, b"next": following}
        ),
        *(documents, documents, documents),
    )
)


class AnswersFuzz(SynchronousTestCase):
    """A server that says what a test wants, whatever it is asked, and then says no more."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "s")
        self.replies: Sequence[bytes] = ()
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.path)
        self.listening.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listening.close()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            with client:
                try:
                    client.sendall(b"".join(self.replies))
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(4096):
                        pass
                except OSError:
                    pass  # it did not want to hear all of it

    def asked(self, *replies: bytes) -> str:
        """How a client ends that asks for everything and gets these replies."""
        self.replies = replies
        try:
            with Daemon(self.path, 10) as daemon:
                daemon.status()
                daemon.peers()
                daemon.changes(1)
                daemon.resync()
        except ClientError as error:
            self.assertLess(len(str(error)), 1000)
            return str(error)
        return ""

    @fuzz
    @given(st.lists(answers, max_size=4))
    @example([ANSWERS[0], wire.encode({b"_answer": b"1", b"items": b"[{}]", b"next": b"-1"})])
    @example([ANSWERS[0], wire.encode({b"_answer": b"1", b"items": b"[{}]", b"next": b"true"})])
    @example(
        [wire.encode({b"_error": b"1", b"_error_code": b"X", b"_error_description": b"x" * 60_000})]
    )
    def test_any_answers(self, replies: list[bytes]) -> None:
        """Any answers: the client has what it asked for, or one error of its own."""
        self.asked(*replies)

    def test_list_without_end(self) -> None:
        """A list that goes on without going on is no list."""
        empty = wire.encode({b"_answer": b"1", b"items": b"[]", b"next": b"1"})
        self.assertIn("is not overlayd", self.asked(ANSWERS[0], ANSWERS[2], *[empty] * 10))
