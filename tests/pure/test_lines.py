"""Lines put together from pieces of a stream."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.lines import LONGEST, Lines
from overlayd.model.errors import NotADocument

TEXT = 'one\nzwei ist Größe\n\n \r\n三\n{"a": 1}\n'.encode()
WHOLE = [line for line in TEXT.split(b"\n") if line.strip()]


def taken(*chunks: bytes) -> list[bytes]:
    lines = Lines()
    return [line for chunk in chunks for line in lines.take(chunk)]


class LinesTests(SynchronousTestCase):
    def test_any_cut(self) -> None:
        """A cut anywhere, also inside a character, changes nothing."""
        for cut in range(len(TEXT) + 1):
            self.assertEqual(taken(TEXT[:cut], TEXT[cut:]), WHOLE)

    def test_byte_by_byte(self) -> None:
        """Nor does a stream that comes byte by byte."""
        self.assertEqual(taken(*(TEXT[i : i + 1] for i in range(len(TEXT)))), WHOLE)

    def test_blank(self) -> None:
        """Blank lines are left out."""
        self.assertEqual(taken(b"\n\r\n  \na\n\n"), [b"a"])

    def test_unfinished(self) -> None:
        """What has no line end yet is no line."""
        self.assertEqual(taken(b'{"a": 1}'), [])
        self.assertEqual(taken(b'{"a": 1}', b"\n"), [b'{"a": 1}'])

    def test_endless(self) -> None:
        """A line longer than any Node is refused before it fills the memory."""
        lines = Lines()
        lines.take(b"x" * LONGEST)
        self.assertRaises(NotADocument, lines.take, b"x")

    @given(st.lists(st.binary(max_size=20), max_size=10))
    def test_law(self, chunks: list[bytes]) -> None:
        """The lines depend on the bytes alone, not on how they came."""
        whole = b"".join(chunks)
        expected = [line for line in whole.split(b"\n")[:-1] if line.strip()]
        self.assertEqual(taken(*chunks), expected)
