"""WireGuard keys: Curve25519, 32 bytes, base64 for people (wg(8)) and hex in the UAPI."""

import base64
import binascii
from functools import cached_property

from attrs import field, frozen
from nacl.public import PrivateKey as _Curve25519

LENGTH = 32


def _of_right_length(instance: object, attribute: object, value: bytes) -> None:
    if len(value) != LENGTH:
        raise ValueError(f"a WireGuard key has {LENGTH} bytes, not {len(value)}")


@frozen(order=True, repr=False)
class PublicKey:
    """The name under which peers know a device. The all-zero key means "none" and is refused."""

    raw: bytes = field(validator=_of_right_length)

    def __attrs_post_init__(self) -> None:
        if not any(self.raw):
            raise ValueError("the all-zero key is no key")

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Read the base64 form, as strictly as wg(8): 44 characters, no line end, no slack bits.

        :raises ValueError: it is not such a key; the message does not repeat the text.
        """
        try:
            raw = base64.b64decode(text.encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error, ValueError):
            raise ValueError("not a base64 WireGuard key") from None
        key = cls(raw)
        if str(key) != text:
            raise ValueError("not the canonical base64 of a WireGuard key")
        return key

    def __str__(self) -> str:
        return base64.b64encode(self.raw).decode("ascii")

    def __repr__(self) -> str:
        return f"PublicKey({self})"


@frozen(repr=False)
class PrivateKey:
    """A device's secret. It has no text form: it is never logged, shown, sent or written."""

    raw: bytes = field(validator=_of_right_length)

    @classmethod
    def generate(cls) -> "PrivateKey":
        return cls(bytes(_Curve25519.generate()))

    def public(self) -> PublicKey:
        return self._public

    @cached_property
    def _public(self) -> PublicKey:
        return PublicKey(bytes(_Curve25519(self.raw).public_key))

    def __repr__(self) -> str:
        return "PrivateKey(...)"
