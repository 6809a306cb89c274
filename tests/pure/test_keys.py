"""Keys: read strictly, shown only where they are public."""

import base64
import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.keys import PrivateKey, PublicKey

# RFC 7748, section 5.2, the first iteration: the base point times the scalar that is also 9.
NINE = bytes([9, *bytes(31)])
NINE_PUBLIC = bytes.fromhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")


class KeyTests(SynchronousTestCase):
    def test_public_key_of_a_private_one(self) -> None:
        """The public key is the one of RFC 7748."""
        self.assertEqual(PrivateKey(NINE).public(), PublicKey(NINE_PUBLIC))

    def test_a_private_key_has_no_text(self) -> None:
        """Neither str, repr nor format shows a byte of it."""
        key = PrivateKey.generate()
        for text in (str(key), repr(key), f"{key}", repr([key])):
            self.assertNotIn(key.raw.hex(), text)
            self.assertNotIn(base64.b64encode(key.raw).decode(), text)
            self.assertIn("PrivateKey(...)", text)

    @given(st.binary(min_size=32, max_size=32).filter(any))
    def test_text_form(self, raw: bytes) -> None:
        """A public key reads back from the text that it writes."""
        self.assertEqual(PublicKey.parse(str(PublicKey(raw))), PublicKey(raw))

    def test_refuses_what_is_no_key(self) -> None:
        """Other lengths, alphabets, line ends, slack bits and the zero key are refused."""
        good = str(PublicKey(NINE_PUBLIC))
        for bad in (
            "",
            good[:-1],
            good + "\n",
            " " + good,
            good.replace("=", ""),
            good[:-2] + chr(ord(good[-2]) + 1) + "=",
            base64.b64encode(bytes(31)).decode(),
            base64.b64encode(bytes(32)).decode(),
            "\N{LATIN SMALL LETTER E WITH ACUTE}" * 44,
        ):
            with self.assertRaises(ValueError, msg=repr(bad)) as caught:
                PublicKey.parse(bad)
            if bad:
                self.assertNotIn(bad, str(caught.exception))

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Whatever the text, it is a key or a ValueError."""
        with contextlib.suppress(ValueError):
            PublicKey.parse(text)
