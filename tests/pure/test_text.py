"""Hostile text is shown on one printable line."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.text import rfc3339, shown


class ShownTests(SynchronousTestCase):
    @given(st.text())
    def test_one_printable_line(self, text: str) -> None:
        """No control character, line end or terminal escape survives."""
        self.assertTrue(shown(text).isprintable())

    def test_escapes_cannot_be_forged(self) -> None:
        """Text that contains an escape looks different from the character it stands for."""
        self.assertNotEqual(shown("\n"), shown("\\n"))

    def test_limit(self) -> None:
        """Long text is cut, and its length told."""
        self.assertEqual(shown("a" * 300, limit=3), "aaa... (300 characters)")

    def test_time(self) -> None:
        """Times are RFC 3339 in UTC."""
        self.assertEqual(rfc3339(0.5), "1970-01-01T00:00:00.500Z")
