"""Whatever the kernel answers, a device is read or one short line says what is malformed."""

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.errors import TunnelError
from overlayd.tunnel.reading import Reading
from overlayd.tunnel.wgnetlink import family_in, parse
from tests.pure.hostile import fuzz, spoilt
from tests.pure.test_fuzz_uapi import DEVICE, KEY
from tests.pure.test_uapi import SHARED
from tests.pure.test_wgnetlink import render

WHOLE = render(DEVICE, KEY, cut=2)
READ = parse(WHOLE)

spoilt_answers = st.tuples(*map(spoilt, WHOLE)).map(list) | spoilt(WHOLE[0]).map(
    lambda first: [first, *WHOLE[1:]]
)


class NetlinkFuzz(SynchronousTestCase):
    def read(self, answer: list[bytes], before: Reading | None = None) -> Reading | str:
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

    def test_whole(self) -> None:
        """What is spoilt here is a device when it is whole, in more messages than one."""
        self.assertEqual(READ.device, DEVICE)
        self.assertGreater(len(WHOLE), 1)
        self.assertIn(SHARED, b"".join(WHOLE))

    @fuzz
    @given(spoilt_answers)
    @example([])
    @example([b""])
    @example([b"\x00\x01"])
    def test_any_answer(self, answer: list[bytes]) -> None:
        """Any wrongs in an answer: no other error, and twice the same."""
        self.assertEqual(self.read(answer), self.read(answer))

    @fuzz
    @given(spoilt_answers)
    def test_with_what_was_read_before(self, answer: list[bytes]) -> None:
        """What was read before saves time and changes nothing."""
        alone, with_before = self.read(answer), self.read(answer, READ)
        self.assertEqual(alone, with_before)
        if isinstance(alone, Reading):
            self.assertEqual(self.read(WHOLE, alone), READ)

    @fuzz
    @given(st.binary(max_size=40))
    def test_any_family(self, answer: bytes) -> None:
        """Any bytes in place of the number of the family."""
        try:
            family_in(answer)
        except TunnelError as error:
            self.assertLess(len(str(error)), 100)
