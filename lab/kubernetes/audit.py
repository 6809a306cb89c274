"""What the API server was asked: its audit log."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import field, frozen

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch", "delete"],
            "resources": [{"group": "", "resources": ["nodes", "nodes/status"]}],
        },
        {"level": "Metadata"},
    ],
}
"""Everything, and of writes to Nodes also what was sent and what came of it."""

_BEGUN = b'"stage":"ResponseStarted"'


@frozen
class Asked:
    """One request, which got an answer.

    :ivar verb: get, list, watch, create, update, patch, delete, ...
    :ivar user: such as system:serviceaccount:NAMESPACE:NAME.
    :ivar node: the Node that the user's token is bound to, "" without.
    :ivar resource: such as nodes or nodes/status; "" for what is no resource (/version).
    :ivar name: of the object, "" for lists.
    :ivar query: of the URL, such as watch=true&resourceVersion=7.
    :ivar code: of the answer.
    :ivar sent: the body of a write to a Node.
    :ivar became: the Node after a write to it; a Status where that was refused.
    """

    verb: str
    user: str
    node: str
    resource: str
    name: str
    path: str
    query: str
    code: int
    agent: str
    sent: Any = field(default=None, repr=False)
    became: Any = field(default=None, repr=False)


class AuditLog:
    """The log of one API server over all its starts. A request is in it once it is answered.

    Of a watch that is the beginning of the answer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        """A place in the log: its end as it is now."""
        return self._path.stat().st_size if self._path.exists() else 0

    def since(self, mark: int = 0) -> list[Asked]:
        """What was asked after a mark, in the order of the answers."""
        # A watch has an event at its beginning and one at its end, which may come long after.
        seen = self._begun_before(mark)
        found = []
        for event in self._events(mark):
            if event["auditID"] not in seen:
                seen.add(event["auditID"])
                found.append(_asked(event))
        return found

    def counts(self, mark: int = 0, user: str = "") -> Counter[str]:
        """How often "VERB RESOURCE" was asked after a mark, by everyone or by one user."""
        return Counter(
            f"{asked.verb} {asked.resource}"
            for asked in self.since(mark)
            if user in ("", asked.user)
        )

    def _begun_before(self, mark: int) -> set[str]:
        """The watches that were under way, or over, at a mark."""
        with self._path.open("rb") as log:
            begun = [line for line in log.read(mark).splitlines() if _BEGUN in line]
        return {json.loads(line)["auditID"] for line in begun}

    def _events(self, mark: int) -> Iterator[dict[str, Any]]:
        with self._path.open("rb") as log:
            log.seek(mark)
            for line in log:
                if line.endswith(b"\n"):  # the last one may be being written
                    yield json.loads(line)


def _asked(event: dict[str, Any]) -> Asked:
    about = event.get("objectRef") or {}
    user = event["user"]
    path, _, query = event["requestURI"].partition("?")
    [node] = user.get("extra", {}).get("authentication.kubernetes.io/node-name", [""])
    parts = about.get("resource", ""), about.get("subresource", "")
    return Asked(
        verb=event["verb"],
        user=user.get("username", ""),
        node=node,
        resource="/".join(filter(None, parts)),
        name=about.get("name", ""),
        path=path,
        query=query,
        code=(event.get("responseStatus") or {}).get("code", 0),
        agent=event.get("userAgent", ""),
        sent=event.get("requestObject"),
        became=event.get("responseObject"),
    )
