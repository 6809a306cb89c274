"""Writing to our own Node: annotations, and nothing else."""

import json
import time
from collections.abc import Mapping
from urllib.parse import quote

from attrs import frozen

from overlayd.kube.listing import NODES
from overlayd.kube.transport.api import Answer, ApiServer
from overlayd.model.errors import NotADocument, Unreachable
from overlayd.model.keys import PublicKey
from overlayd.plan.announce import withdrawal
from overlayd.plan.documents import node_from

OK, NOT_FOUND = 200, 404


@frozen
class Withdrawn:
    """The annotations that were removed; `refusal` is what the server answered where it did not."""

    names: tuple[str, ...] = ()
    refusal: Answer | None = None


def write_annotations(api: ApiServer, name: str, values: Mapping[str, str | None]) -> Answer:
    """Set these annotations of the Node `name`, or remove those that are None; keep all others.

    A merge PATCH: it neither needs nor checks what the Node looks like.

    :raises overlayd.model.errors.Unreachable: no answer came; it may have been written.
    """
    return api.patch(_path(name), _patch(values))


def withdraw_annotations(
    api: ApiServer, name: str, key: PublicKey | None, until: float
) -> Withdrawn:
    """Remove our annotations from the Node `name`, those that are there, with one PATCH.

    Where there is no such Node, there is nothing to remove. `key` is that of our device. After
    `until`, by the monotonic clock, nothing is asked any more: nobody waits for it.

    :raises overlayd.model.errors.Unreachable: no answer came in time; they may be removed.
    """
    answer = api.get(_path(name), timeout=_left(until))
    if answer.status == NOT_FOUND:
        return Withdrawn()
    if answer.status != OK:
        return Withdrawn(refusal=answer)
    try:
        values = withdrawal(node_from(answer.body).annotations, key)
    except NotADocument as error:
        raise Unreachable(f"what answers is no API server: {error}") from error
    if not values:
        return Withdrawn()
    answer = api.patch(_path(name), _patch(values), timeout=_left(until))
    if answer.status == NOT_FOUND:
        return Withdrawn()
    return Withdrawn(tuple(values)) if answer.status == OK else Withdrawn(refusal=answer)


def _path(name: str) -> str:
    return f"{NODES}/{quote(name, safe='')}"


def _patch(values: Mapping[str, str | None]) -> bytes:
    return json.dumps({"metadata": {"annotations": dict(values)}}).encode()


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise Unreachable("there was no time left to ask")
    return left
