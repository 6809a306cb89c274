"""What else the API server says: pages of a list, lines of a watch, Status objects."""

from typing import Any

import msgspec
from attrs import frozen

from overlayd.model.errors import NotADocument
from overlayd.model.node import Node
from overlayd.model.text import shown
from overlayd.plan.documents import node_and_version
from overlayd.plan.salvage import UNDECODABLE

TOO_LARGE = "ResourceVersionTooLarge"
"""The cause in a Status that calls our resourceVersion one that the server has not reached."""

INITIAL_END = "k8s.io/initial-events-end"
"""Annotates the bookmark that ends the first part of a streamed list."""


@frozen
class Page:
    """One page of a list. `rest` is the token for the next one, "" in the last."""

    items: tuple[msgspec.Raw, ...]
    version: str
    rest: str


@frozen
class ServerStatus:
    """A Status object: why the API server does not do what was asked. `message` is escaped."""

    code: int = 0
    message: str = ""
    retry_after: float | None = None  # seconds
    too_large: bool = False  # our resourceVersion is from another history, or from the future


@frozen
class Written:
    """A Node was made, or changed, or is told anew."""

    node: Node
    version: str


@frozen
class Deleted:
    name: str
    version: str


@frozen
class Bookmark:
    """Nothing changed up to this version. `initial_end`: what came before it was the whole list."""

    version: str
    initial_end: bool = False


@frozen
class Failed:
    """The watch ends, and why."""

    status: ServerStatus


Event = Written | Deleted | Bookmark | Failed


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct):
    kind: str
    metadata: _ListMetadata
    items: list[msgspec.Raw] | None  # Go writes an empty list as null


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _Head(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Headed(msgspec.Struct):
    metadata: _Head


class _Mark(msgspec.Struct, rename="camel"):
    resource_version: Any = None
    annotations: dict[str, str] | None = None


class _Marked(msgspec.Struct):
    metadata: _Mark


class _Cause(msgspec.Struct):
    reason: str = ""


class _Details(msgspec.Struct, rename="camel"):
    causes: list[_Cause] | None = None
    retry_after_seconds: float = 0


class _Status(msgspec.Struct):
    kind: str
    code: int = 0
    message: str = ""
    details: _Details | None = None


_list = msgspec.json.Decoder(_List)
_line = msgspec.json.Decoder(_Line)
_headed = msgspec.json.Decoder(_Headed)
_marked = msgspec.json.Decoder(_Marked)
_status = msgspec.json.Decoder(_Status)


def page_from(raw: bytes) -> Page:
    """Read a page of a NodeList; its items are not looked at.

    :raises NotADocument: it is anything else. An empty object is no empty list.
    """
    try:
        page = _list.decode(raw)
    except UNDECODABLE as error:
        raise NotADocument(f"not a list of Nodes: {shown(str(error))}") from None
    if page.kind != "NodeList" or not page.metadata.resource_version:
        raise NotADocument("not a list of Nodes: another kind, or without a resourceVersion")
    return Page(tuple(page.items or ()), page.metadata.resource_version, page.metadata.continue_)


def status_from(raw: bytes | msgspec.Raw) -> ServerStatus | None:
    """Read a Status; None where it is something else, as the body of a proxy's error is."""
    try:
        status = _status.decode(raw)
    except UNDECODABLE:
        return None
    if status.kind != "Status":
        return None
    details = status.details or _Details()
    return ServerStatus(
        code=status.code,
        message=shown(status.message),
        retry_after=details.retry_after_seconds if details.retry_after_seconds > 0 else None,
        too_large=any(cause.reason == TOO_LARGE for cause in details.causes or ()),
    )


def event_from(line: bytes) -> Event:
    """Read a line of a watch.

    :raises NotADocument: it is no watch event.
    """
    try:
        read = _line.decode(line)
        if read.type in ("ADDED", "MODIFIED"):
            node, version = node_and_version(read.object)
            return Written(node, _known(version))
        if read.type == "DELETED":
            metadata = _headed.decode(read.object).metadata
            if not metadata.name:
                raise NotADocument("no watch event: a Node without a name")
            return Deleted(metadata.name, _known(metadata.resource_version))
        if read.type == "BOOKMARK":
            mark = _marked.decode(read.object).metadata
            ends = (mark.annotations or {}).get(INITIAL_END) == "true"
            return Bookmark(_known(mark.resource_version), ends)
    except UNDECODABLE as error:
        raise NotADocument(f"no watch event: {shown(str(error))}") from None
    status = status_from(read.object) if read.type == "ERROR" else None
    if status is None:
        raise NotADocument(f"no watch event: type {shown(read.type)}")
    return Failed(status)


def _known(version: str) -> str:
    if not version:
        raise NotADocument("no watch event: without a resourceVersion")
    return version
