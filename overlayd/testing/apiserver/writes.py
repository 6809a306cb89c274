"""Creating, changing and deleting Nodes, with what a Kubernetes API server checks on the way."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from attrs import frozen

from overlayd.testing.apiserver.documents import Stored, cleaned, merged
from overlayd.testing.apiserver.refusals import (
    Document,
    FieldError,
    bad_request,
    conflict,
    invalid,
    modified,
)
from overlayd.testing.apiserver.store import NodeStore
from overlayd.testing.apiserver.validation import (
    errors_between,
    errors_in,
    with_matching_pod_cidrs,
)

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def new_node(document: Document, seconds: float) -> Document:
    """A checked document with an identity of its own, created at `seconds` (POSIX time).

    :raises ValueError: a field has a wrong type.
    :raises Refusal: 422.
    """
    node = with_matching_pod_cidrs(cleaned(document))
    created = datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    identity = {"uid": str(uuid4()), "creationTimestamp": created}
    node["metadata"] = {**node["metadata"], **identity}
    _refuse(node["metadata"].get("name", ""), list(errors_in(node)))
    return node


@frozen
class NodeWrites:
    """The writing half of /api/v1/nodes. `seconds` tells POSIX time."""

    store: NodeStore
    seconds: Callable[[], float]

    def create(self, document: Document) -> Stored:
        """:raises Refusal: 400, 409 or 422."""
        if (document.get("metadata") or {}).get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        try:
            node = new_node(document, self.seconds())
        except ValueError as error:
            raise bad_request(str(error)) from None
        return self.store.add(_tainted(node))

    def put(self, name: str, document: Document, status_only: bool) -> Stored:
        """:raises Refusal: 400, 404, 409 or 422."""
        current = self.store.get(name)
        try:
            wanted = with_matching_pod_cidrs(cleaned(document))
        except ValueError as error:
            raise bad_request(str(error)) from None
        if not wanted["metadata"].get("name"):
            raise bad_request("name must be provided")
        uid = wanted["metadata"].get("uid", current.uid)
        if uid != current.uid:
            raise conflict(
                name,
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
                f"{current.uid}",
            )
        return self._update(current, wanted, status_only)

    def patch(self, name: str, patch: Any, status_only: bool) -> Stored:
        """Apply a merge patch; one that changes nothing makes no version and no event.

        :raises Refusal: 400, 404, 409 or 422.
        """
        if not isinstance(patch, dict):
            raise bad_request("Invalid JSON Patch")
        current = self.store.get(name)
        try:
            wanted = with_matching_pod_cidrs(cleaned(merged(current.document, patch)))
        except ValueError as error:
            why = FieldError("patch", "FieldValueInvalid", f"Invalid value: {error}")
            raise invalid("", "", [why]) from None
        return self._update(current, wanted, status_only)

    def delete(self, name: str, preconditions: Document) -> Stored:
        """Delete a Node. `preconditions` may name a uid and a resourceVersion.

        :raises Refusal: 404 or 409.
        """
        current = self.store.get(name)
        for key, is_now in (("uid", current.uid), ("resourceVersion", current.version)):
            wanted = preconditions.get(key)
            if wanted and wanted != is_now:
                raise conflict(
                    name,
                    f"Precondition failed: {key} in precondition: {wanted}, in object meta: "
                    f"{is_now}",
                )
        return self.store.remove(name)

    def _update(self, current: Stored, wanted: Document, status_only: bool) -> Stored:
        name, old = current.name, current.document
        metadata = wanted["metadata"]
        if metadata.get("name", name) != name:
            raise bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL "
                f"({name})"
            )
        if metadata.get("resourceVersion", "0") not in ("0", current.version):
            raise modified(name)
        kept = {key: old["metadata"][key] for key in ("name", "creationTimestamp")}
        kept["resourceVersion"] = current.version
        new = {
            **wanted,
            "metadata": {"uid": current.uid, **metadata, **kept},
            # Labels and annotations can be changed through /status too, as kubelet does.
            **({"spec": old["spec"]} if status_only else {"status": old["status"]}),
        }
        _refuse(name, [*errors_in(new), *errors_between(old, new)])
        return current if new == old else self.store.put(new)


def _tainted(node: Document) -> Document:
    """A Node that is new is not ready, and an admission plugin says so before any controller."""
    taints = node["spec"].get("taints", [])
    if NOT_READY in taints:
        return node
    return {**node, "spec": {**node["spec"], "taints": [*taints, NOT_READY]}}


def _refuse(name: str, errors: list[FieldError]) -> None:
    if errors:
        raise invalid("Node", name, errors)
