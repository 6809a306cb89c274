"""Reading an answer's body: as it comes, unpacked, and never cut without a word."""

import http.client
import io
import zlib
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage, HTTPResponse

CHUNK = 65536
PART = 1 << 20
GZIP = 16 + zlib.MAX_WBITS  # as zlib.h names the format


def read_piece(response: HTTPResponse) -> bytes:
    """Return what has come, waiting for the first byte; b"" at the end.

    :raises http.client.IncompleteRead: it ended before its end. :raises OSError: it broke off.
    """
    piece = response.read1(CHUNK)
    # http.client notices a cut in a chunked body, but not in one of a known length.
    if not piece and response.length:
        raise http.client.IncompleteRead(piece, response.length)
    return piece


def at_end(response: HTTPResponse) -> bool:
    """Whether the whole body was read, so that another answer may follow it."""
    return response.isclosed() or response.length == 0


def read_body(response: HTTPResponse, limit: int | None = None) -> bytes:
    """Return the whole body, unpacked if it is gzip; of a longer one about `limit` bytes.

    Holds one copy of it, however large. Raises as `read_piece` does.
    """
    packed = response.headers.get("Content-Encoding", "").strip().lower() == "gzip"
    unpacker = zlib.decompressobj(GZIP) if packed else None
    whole = io.BytesIO()
    while piece := read_piece(response):
        for part in _unpacked(unpacker, piece) if unpacker else (piece,):
            whole.write(part)
        if limit is not None and whole.tell() >= limit:
            return whole.getvalue()
    if unpacker is not None and not unpacker.eof and whole.tell():
        raise http.client.IncompleteRead(b"")
    return whole.getvalue()


def _unpacked(unpacker: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
    """Unpack a piece in parts: a small one can become very large."""
    try:
        while piece:
            yield unpacker.decompress(piece, PART)
            piece = unpacker.unconsumed_tail
    except zlib.error:
        raise http.client.IncompleteRead(b"") from None


def retry_after(headers: HTTPMessage, now: float) -> float | None:
    """Seconds that a Retry-After asks for, None without one that can be read.

    A date is counted from the answer's own Date, where it has one: clocks differ.

    :param now: wall time in seconds since the epoch.
    """
    text = (headers.get("Retry-After") or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    until = _date(text)
    if until is None:
        return None
    sent = _date(headers.get("Date") or "")
    return max(0.0, until - (now if sent is None else sent))


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
