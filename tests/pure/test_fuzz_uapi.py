"""Whatever a tunnel answers, a device is read or one short line says what is malformed."""

from ipaddress import IPv4Address, IPv4Network

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import TunnelError
from overlayd.model.keys import PrivateKey, PublicKey
from overlayd.model.machine import Device, Peer
from overlayd.model.node import Endpoint
from overlayd.tunnel.reading import Reading
from overlayd.tunnel.uapi import check, parse
from tests.pure.hostile import fuzz, spoilt, texts
from tests.pure.test_uapi import SHARED, render

KEY = PrivateKey(bytes(range(8, 40)))


def peer(number: int) -> Peer:
    return Peer(
        key=PublicKey(bytes((number,)) * 32),
        endpoint=Endpoint(IPv4Address("192.0.2.1"), 51820 + number),
        allowed_ips=frozenset({IPv4Network((0x0AF40000 + 256 * number, 24))}),
        last_handshake=1.5,
        sent=1,
        received=2,
        preshared=True,
    )


DEVICE = Device(KEY.public(), 51820, {p.key: p for p in map(peer, range(1, 4))})
WHOLE = render(DEVICE, KEY)
READ = parse(WHOLE)

spoilt_answers = spoilt(WHOLE) | spoilt(WHOLE).map(lambda raw: raw + b"\nerrno=0\n\n")


class UapiFuzz(SynchronousTestCase):
    def read(self, answer: bytes, before: Reading | None = None) -> Reading | str:
        """The reading, or what is wrong with the answer; neither has a secret in it."""
        result: Reading | str
        try:
            result = parse(answer, before)
        except TunnelError as error:
            result = str(error)
            self.assertTrue(result.isprintable(), repr(result))
            self.assertLess(len(result), 100)
        for secret in (KEY.raw, SHARED):
            self.assertNotIn(secret.hex(), repr(result))
            self.assertNotIn(repr(secret)[2:-1], repr(result))
        return result

    @fuzz
    @given(spoilt_answers)
    @example(b"errno=" + b"9" * 4000 + b"\n\n")
    @example(b"errno=" + b"9" * 5000 + b"\n\n")
    @example(b"errno=1_0\n\n")
    @example(b"errno=-\n\n")
    @example(KEY.raw.hex().encode() + b"\nerrno=0\n\n")
    @example(b"private_key=" + KEY.raw.hex().encode()[:-1] + b"\nerrno=0\n\n")
    def test_any_answer(self, answer: bytes) -> None:
        """Any wrongs in an answer: no other error, and twice the same."""
        self.assertEqual(self.read(answer), self.read(answer))

    @fuzz
    @given(spoilt_answers)
    def test_with_what_was_read_before(self, answer: bytes) -> None:
        """What was read before saves time and changes nothing."""
        alone, with_before = self.read(answer), self.read(answer, READ)
        self.assertEqual(alone, with_before)
        if isinstance(alone, Reading):
            self.assertEqual(self.read(WHOLE, alone), READ)

    @fuzz
    @given(
        st.sampled_from(("listen_port", "rx_bytes", "tx_bytes", "errno", "endpoint", "allowed_ip")),
        texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
    )
    def test_any_value(self, name: str, value: bytes) -> None:
        """Any value of any line."""
        line = b"\n" + name.encode() + b"="
        before, _, after = WHOLE.partition(line)
        _, _, rest = after.partition(b"\n")
        self.read(before + line + value + b"\n" + rest)

    @fuzz
    @given(st.binary(max_size=40))
    def test_acknowledgement(self, answer: bytes) -> None:
        """Any bytes in place of the answer to a change."""
        for whole in (answer, b"errno=" + answer, b"errno=" + answer + b"\n\n"):
            try:
                check(whole)
            except TunnelError as error:
                self.assertTrue(str(error).isprintable())
                self.assertLess(len(str(error)), 100)
