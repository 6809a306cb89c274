"""What an attacker or an accident writes: strategies for the tests that fuzz the parsers."""

from hypothesis import settings
from hypothesis import strategies as st

fuzz = settings(deadline=None, max_examples=150, derandomize=True)
"""The same examples in every run: what fails once fails again."""

CANARY = "cAnArY0123456789"
"""Stands for a secret: no text that a person reads may hold it."""

LONGEST_TEXT = 1500
"""Characters of an error, at the most: one line that a person can read."""

_PIECES = st.sampled_from(
    (
        *("", " ", "\t", "\n", "\r\n", "\x00", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u202e"),
        *("\ud800", "\udcff", "\ufeff", "\U0001f600", "\u0661", "é", "%", "%25", "%eth0", "\\"),
        *("0", "1", "-1", "+1", "1e999", "9" * 5000, "0x7f", "1_0", "/", "/0", "/33", "/129"),
        *(".", "..", ":", "::", "::1", "[", "]", ",", ",,", "=", "'", '"', "{", "}", "<<", "*a"),
        *("10.244.0.0/16", "192.0.2.1", "010.0.0.1", "::ffff:10.0.0.1", "fe80::1", "FD00::A"),
        *("a" * 300, "https://", "true", "null", "~", "!!python/name:os.system", "&a"),
    )
)

texts = st.lists(_PIECES, max_size=6).map("".join) | st.text(max_size=30)
"""Pieces that mean something to one parser or another, in any order, and any text at all."""


def spoilt(valid: bytes, most: int = 4) -> st.SearchStrategy[bytes]:
    """`valid` with up to `most` wrongs: bits flipped, parts cut out, doubled, or put in."""
    places = st.integers(0, len(valid))
    wrongs = st.one_of(
        st.tuples(st.just("flip"), places, st.integers(0, 7)),
        st.tuples(st.just("cut"), places, st.integers(1, 40)),
        st.tuples(st.just("double"), places, st.integers(1, 40)),
        st.tuples(st.just("put"), places, st.binary(max_size=8)),
        st.tuples(
            st.just("put"), places, texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
        ),
        st.tuples(st.just("end"), places, st.just(0)),
    )
    return st.lists(wrongs, min_size=1, max_size=most).map(lambda found: _with(valid, found))


def _with(valid: bytes, wrongs: list[tuple[str, int, int | bytes]]) -> bytes:
    made = bytearray(valid)
    for wrong, place, what in wrongs:
        at = min(place, len(made))
        match wrong, what:
            case "flip", int(bit) if at < len(made):
                made[at] ^= 1 << bit
            case "cut", int(length):
                del made[at : at + length]
            case "double", int(length):
                made[at:at] = made[at : at + length]
            case "put", bytes(junk):
                made[at:at] = junk
            case "end", _:
                del made[at:]
    return bytes(made)
