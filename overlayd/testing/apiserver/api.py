"""The answers under /api/v1/nodes."""

from typing import Any

import msgspec
from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.http import Request

from overlayd.testing.apiserver.counters import Call
from overlayd.testing.apiserver.documents import Stored
from overlayd.testing.apiserver.following import Watching
from overlayd.testing.apiserver.listing import ListOptions, flag, page
from overlayd.testing.apiserver.refusals import (
    Document,
    Refusal,
    bad_request,
    no_such_path,
    streamed_lists_shut,
    too_large_version,
)
from overlayd.testing.apiserver.watches import refuse_watch
from overlayd.testing.apiserver.writes import NodeWrites
from overlayd.testing.apiserver.writing import JSON, Answer, body

NODES = "/api/v1/nodes"
MERGE_PATCH = "application/merge-patch+json"
BODY_LIMIT = 3 * 1024 * 1024

FRESH_WITHIN = 3.0
"""Seconds to wait for a version from the future, as the real one does."""
_FRESH_STEP = 0.05

_ITEM_VERBS = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def verb_of(method: str, path: str, query: dict[str, str]) -> str:
    """Kubernetes' word for a request; "" for one that is not about Nodes or not done."""
    if path == NODES:
        if method == "POST":
            return "create"
        if method == "GET":
            return "watch" if flag(query, "watch") else "list"
    if path.startswith(f"{NODES}/"):
        return _ITEM_VERBS.get(method, "")
    return ""


@frozen
class NodesApi:
    """Lists, watches, reads and writes."""

    clock: IReactorTime
    writes: NodeWrites
    watching: Watching
    streams_lists: bool

    async def answer(self, call: Call, request: Request) -> Answer | None:
        """The answer to a request under NODES; None for a watch, which has begun to answer.

        :raises Refusal: whatever is wrong with the request.
        """
        name, _, rest = call.path.removeprefix(NODES).removeprefix("/").partition("/")
        if rest not in ("", "status"):
            raise no_such_path()
        if not call.verb or (rest and call.verb == "delete"):
            raise Refusal(405, "the server does not allow this method on the requested resource")
        _acceptable(request.getHeader("Accept") or JSON)
        if call.verb in ("list", "watch"):
            return await self._read(call, request)
        if call.verb == "get":
            await self._fresh(ListOptions.of(call.query).version)
            return _whole(self.writes.store.get(name))
        if "dryRun" in call.query:
            raise bad_request("the development API server does no dry runs")
        return self._write(call.verb, name, rest == "status", request)

    async def _read(self, call: Call, request: Request) -> Answer | None:
        options = ListOptions.of(call.query)
        if call.verb == "watch":
            await self._watch(request, options)
            return None
        await self._fresh(options.version)
        return Answer(200, page(self.writes.store, options).chunks())

    async def _watch(self, request: Request, options: ListOptions) -> None:
        if options.initial_events and not self.streams_lists:
            raise streamed_lists_shut()
        try:
            await self._fresh(options.version if options.initial_events else None)
        except Refusal as refusal:
            # The real one has decided by then that this is a watch, whatever comes of it.
            refuse_watch(request, refusal)
        else:
            self.watching.open(request, options)

    def _write(self, verb: str, name: str, status_only: bool, request: Request) -> Answer:
        if verb == "patch":
            patch = _decoded(request, MERGE_PATCH)
            return _whole(self.writes.patch(name, patch, status_only))
        document = _document(request)
        if verb == "create":
            return _whole(self.writes.create(document), 201)
        if verb == "update":
            return _whole(self.writes.put(name, document, status_only))
        gone = self.writes.delete(name, document.get("preconditions") or {})
        return Answer.of(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": {"name": gone.name, "kind": "nodes", "uid": gone.uid},
            }
        )

    async def _fresh(self, version: int | None) -> None:
        store, until = self.writes.store, self.clock.seconds() + FRESH_WITHIN
        while version is not None and version > store.version:
            if self.clock.seconds() >= until:
                raise too_large_version(version, store.version)
            await deferLater(self.clock, _FRESH_STEP)


def _whole(node: Stored, status: int = 200) -> Answer:
    return Answer(status, (node.whole(), b"\n"))


def _acceptable(accept: str) -> None:
    for offer in accept.split(","):
        media, *parameters = (part.strip() for part in offer.split(";"))
        plain = not any(parameter.startswith("as=") for parameter in parameters)
        if media in (JSON, "application/*", "*/*") and plain:
            return
    raise Refusal(406, f"only the following media types are accepted: {JSON}")


def _document(request: Request) -> Document:
    document = _decoded(request, JSON)
    if not isinstance(document, dict):
        raise bad_request("the body of the request is no JSON object")
    return document


def _decoded(request: Request, media_type: str) -> Any:
    raw = body(request)
    given = (request.getHeader("Content-Type") or "").partition(";")[0].strip()
    if not raw and request.method == b"DELETE":
        return {}
    if given != media_type and (given or media_type != JSON):
        raise Refusal(
            415,
            "the body of the request was in an unknown format - accepted media types include: "
            f"{media_type}",
        )
    if len(raw) > BODY_LIMIT:
        raise Refusal(413, f"Request entity too large: limit is {BODY_LIMIT}")
    try:
        return msgspec.json.decode(raw)
    except ValueError as error:
        raise bad_request(f"error decoding JSON: {error}") from None
