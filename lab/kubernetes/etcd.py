"""Asking etcd what only it can do, over the JSON that it speaks beside gRPC."""

import http.client
import json
from typing import Any

_LIMIT = 10.0  # seconds for an answer


def healthy(address: str, port: int) -> bool:
    """Whether it takes writes."""
    try:
        return bool(_ask(address, port, "GET", "/health").get("health") == "true")
    except (OSError, http.client.HTTPException, ValueError):
        return False


def compact(address: str, port: int) -> int:
    """Forget every revision but the newest, which is returned: it is Kubernetes' version."""
    revision = int(_ask(address, port, "POST", "/v3/maintenance/status")["header"]["revision"])
    _ask(address, port, "POST", "/v3/kv/compaction", {"revision": revision, "physical": True})
    return revision


def _ask(
    address: str, port: int, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    connection = http.client.HTTPConnection(address, port, timeout=_LIMIT)
    try:
        connection.request(method, path, None if method == "GET" else json.dumps(body or {}))
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"etcd answers {answer.status}: {content.decode(errors='replace')}")
    document: dict[str, Any] = json.loads(content)
    return document
