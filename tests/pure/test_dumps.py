"""Asking over rtnetlink, with the kernel's side of the conversation written beforehand."""

import errno
import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import NetworkError
from overlayd.netlink.conversation import ATTEMPTS, Netlink
from overlayd.netlink.rtnetlink import GETLINK, MESSAGE, NEWLINK

ERROR, DONE = 2, 3
INTERRUPTED = 0x10


def message(kind: int, body: bytes, flags: int = 0) -> bytes:
    return MESSAGE.pack(MESSAGE.size + len(body), kind, flags, 0, 0) + body


def number(value: int) -> bytes:
    return struct.pack("=i", value)


END = message(DONE, number(0))


class DumpTests(SynchronousTestCase):
    def answered(self, *answers: bytes) -> Netlink:
        """A conversation in which each read gets the next of these."""
        ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(ours.close)
        self.addCleanup(kernel.close)
        ours.settimeout(10)
        for answer in answers:
            kernel.send(answer)
        return Netlink(ours)

    def test_several_reads(self) -> None:
        """An answer in several reads is one list."""
        first = message(NEWLINK, b"one.") + message(NEWLINK, b"two.")
        kernel = self.answered(first, message(NEWLINK, b"six."), END)
        self.assertEqual(kernel.dump(GETLINK, b""), [b"one.", b"two.", b"six."])

    def test_interrupted(self) -> None:
        """What changed while it was read is read again, and the first reading forgotten."""
        for broken in (
            (message(NEWLINK, b"old.", INTERRUPTED), END),
            (message(NEWLINK, b"old."), message(DONE, number(0), INTERRUPTED)),
        ):
            kernel = self.answered(*broken, message(NEWLINK, b"new."), END)
            self.assertEqual(kernel.dump(GETLINK, b""), [b"new."])

    def test_interrupted_for_ever(self) -> None:
        """A table that changes during every reading is an error in the end."""
        broken = message(NEWLINK, b"old.", INTERRUPTED) + END
        with self.assertRaises(NetworkError):
            self.answered(*[broken] * ATTEMPTS).dump(GETLINK, b"")

    def test_refused(self) -> None:
        """What the kernel refuses is an error with its reason."""
        kernel = self.answered(message(ERROR, number(-errno.EPERM)))
        with self.assertRaises(NetworkError) as caught:
            kernel.dump(GETLINK, b"")
        self.assertIn("Operation not permitted", str(caught.exception))

    def test_fails_at_the_end(self) -> None:
        """A dump whose end carries an error is no answer."""
        kernel = self.answered(message(NEWLINK, b"one.") + message(DONE, number(-errno.ENOMEM)))
        with self.assertRaises(NetworkError):
            kernel.dump(GETLINK, b"")

    def test_no_table_yet(self) -> None:
        """A table that was never used is empty."""
        kernel = self.answered(message(ERROR, number(-errno.ENOENT)))
        self.assertEqual(kernel.dump(GETLINK, b""), [])

    def test_request(self) -> None:
        """A request that is acknowledged is done; one that is not raises what the kernel says."""
        self.answered(message(ERROR, number(0))).request(NEWLINK, b"")
        with self.assertRaises(PermissionError):
            self.answered(message(ERROR, number(-errno.EPERM))).request(NEWLINK, b"")
