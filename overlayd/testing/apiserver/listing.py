"""Lists of Nodes: one consistent version over all pages, and what the parameters mean."""

import base64
from collections.abc import Mapping

import msgspec
from attrs import frozen

from overlayd.testing.apiserver.documents import Stored
from overlayd.testing.apiserver.refusals import (
    FieldError,
    Refusal,
    bad_request,
    expired_continue,
    invalid,
)
from overlayd.testing.apiserver.selectors import Selector, everything, selector
from overlayd.testing.apiserver.store import NodeStore

_NOW = -1
"""The version in a continue token that goes on with whatever is there now."""


class _Token(msgspec.Struct):
    v: str
    rv: int
    start: str


@frozen
class ListOptions:
    """The query of a list or a watch, read as the API does.

    `version` is None where none is given; 0 is "any", served like the newest.
    """

    version: int | None
    match: str
    limit: int
    resume: str  # the continue token
    selected: Selector
    watch: bool
    timeout: int | None  # seconds
    bookmarks: bool
    initial_events: bool

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "ListOptions":
        """:raises Refusal: 400 or 422."""
        options = cls(
            version=_number(query, "resourceVersion"),
            match=query.get("resourceVersionMatch", ""),
            limit=_number(query, "limit") or 0,
            resume=query.get("continue", ""),
            selected=selector(query.get("labelSelector", ""), query.get("fieldSelector", "")),
            watch=flag(query, "watch"),
            timeout=_number(query, "timeoutSeconds"),
            bookmarks=flag(query, "allowWatchBookmarks"),
            initial_events=flag(query, "sendInitialEvents"),
        )
        wrong = options._wrong()
        if wrong:
            where, why = wrong
            raise invalid("ListOptions", "", [FieldError(where, "FieldValueForbidden", why)])
        if options.resume and options.version:
            raise bad_request("specifying resource version is not allowed when using continue")
        return options

    def _wrong(self) -> tuple[str, str] | None:
        match = "resourceVersionMatch"
        if self.initial_events and not self.watch:
            return "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list"
        if self.initial_events and self.match != "NotOlderThan":
            return match, "Forbidden: sendInitialEvents requires NotOlderThan"
        if not self.match:
            return None
        if self.watch and not self.initial_events:
            return match, "Forbidden: forbidden for watch unless sendInitialEvents is provided"
        if self.version is None and not self.watch:
            return match, "Forbidden: forbidden unless resourceVersion is provided"
        if self.resume:
            return match, "Forbidden: forbidden when continue is provided"
        if self.match not in ("Exact", "NotOlderThan"):
            return match, f'Unsupported value: "{self.match}"'
        if self.match == "Exact" and self.version == 0:
            return match, 'Forbidden: "exact" is forbidden for resourceVersion "0"'
        return None

    @property
    def exact(self) -> bool:
        """With a limit and without a word, a version means exactly that one."""
        return self.match == "Exact" or bool(self.version and self.limit and not self.match)


@frozen
class Page:
    """A part of a list, or the whole of it."""

    version: int
    nodes: tuple[Stored, ...]
    resume: str
    remaining: int | None

    def chunks(self, per_chunk: int = 100) -> tuple[bytes, ...]:
        """The NodeList in JSON, in pieces, so that nobody has to join 50 MB."""
        metadata: dict[str, str | int] = {"resourceVersion": str(self.version)}
        if self.resume:
            metadata["continue"] = self.resume
        if self.remaining is not None:
            metadata["remainingItemCount"] = self.remaining
        head = b'{"kind":"NodeList","apiVersion":"v1","metadata":%s,"items":['
        pieces = [head % msgspec.json.encode(metadata)]
        for start in range(0, len(self.nodes), per_chunk):
            joined = b",".join(node.item for node in self.nodes[start : start + per_chunk])
            pieces.append(b"," + joined if start else joined)
        pieces.append(b"]}\n")
        return tuple(pieces)


def page(store: NodeStore, options: ListOptions) -> Page:
    """The page that the options ask for; a version from the future is the caller's to wait for.

    :raises Refusal: 400 for a token that is none, 410 for a version that is forgotten, 504 for
        one not reached yet.
    """
    start, version = "", options.version if options.exact else None
    if options.resume:
        token = _decoded(options.resume)
        start, version = token.start, None if token.rv == _NOW else token.rv
    try:
        nodes = store.snapshot(version)
    except Refusal as refusal:
        if options.resume and refusal.code == 410:
            raise expired_continue(_encoded(_NOW, start)) from None
        raise
    matching = tuple(n for n in nodes if n.name >= start and options.selected(n))
    shown_version = store.version if version is None else version
    # "0" means what the server's cache has, all of it: the real one ignores the limit there too.
    limit = 0 if options.version == 0 else options.limit
    if limit <= 0 or len(matching) <= limit:
        return Page(shown_version, matching, "", None)
    remaining = len(matching) - limit if options.selected is everything else None
    resume = _encoded(shown_version, matching[limit - 1].name + "\0")
    return Page(shown_version, matching[:limit], resume, remaining)


def _encoded(version: int, start: str) -> str:
    token = msgspec.json.encode(_Token("meta.k8s.io/v1", version, start))
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def _decoded(text: str) -> _Token:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Token)
    except (ValueError, UnicodeEncodeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from None


def flag(query: Mapping[str, str], name: str) -> bool:
    """Read a truth value as the API does: anything but nothing, "0" and "false" is true."""
    return query.get(name, "0").lower() not in ("0", "false")


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise bad_request(f'Invalid value: "{text}": {name} must be a number')
    return int(text)
