"""What the server does not do, said as a Kubernetes Status: code, reason and details."""

import http
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

Document = dict[str, Any]

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
"""The usual reason that Kubernetes gives with an HTTP status."""


@frozen
class FieldError:
    """One thing wrong in a document: where, the API's word for it, and why."""

    field: str
    reason: str  # FieldValueInvalid, FieldValueForbidden, FieldValueTooLong, ...
    message: str


@frozen
class Refusal(Exception):
    """A request ends with this Status. `retry_after` is in whole seconds, also a header."""

    code: int
    message: str
    reason: str = ""
    details: Mapping[str, Any] = field(factory=dict)
    retry_after: int | None = None
    resume: str = ""  # metadata.continue

    def __str__(self) -> str:
        return self.message

    def status(self) -> Document:
        details = dict(self.details)
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.resume} if self.resume else {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason or REASONS.get(self.code, ""),
            "details": details,
            "code": self.code,
        }


def _about(name: str) -> dict[str, str]:
    return {"name": name, "kind": "nodes"}


def planned(code: int, retry_after: int | None) -> Refusal:
    """The refusal that a test asked for."""
    known = code in http.HTTPStatus.__members__.values()
    phrase = http.HTTPStatus(code).phrase if known else "refused"
    return Refusal(code, f"{phrase} (as the test asked)", retry_after=retry_after)


def not_found(name: str) -> Refusal:
    return Refusal(404, f'nodes "{name}" not found', details=_about(name))


def no_such_path() -> Refusal:
    return Refusal(404, "the server could not find the requested resource")


def already_exists(name: str) -> Refusal:
    return Refusal(409, f'nodes "{name}" already exists', "AlreadyExists", _about(name))


def conflict(name: str, why: str) -> Refusal:
    text = f'Operation cannot be fulfilled on nodes "{name}": {why}'
    return Refusal(409, text, details=_about(name))


def modified(name: str) -> Refusal:
    return conflict(
        name,
        "the object has been modified; "
        "please apply your changes to the latest version and try again",
    )


def bad_request(message: str) -> Refusal:
    return Refusal(400, message)


def invalid(kind: str, name: str, errors: Sequence[FieldError]) -> Refusal:
    lines = [f"{error.field}: {error.message}" for error in errors]
    text = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    causes = [{"reason": e.reason, "message": e.message, "field": e.field} for e in errors]
    about = {key: value for key, value in (("name", name), ("kind", kind)) if value}
    return Refusal(422, f'{kind} "{name}" is invalid: {text}', details={**about, "causes": causes})


def streamed_lists_shut() -> Refusal:
    why = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
    where = FieldError("sendInitialEvents", "FieldValueForbidden", f"Forbidden: {why}")
    return invalid("ListOptions", "", [where])


def too_large_version(wanted: int, current: int) -> Refusal:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return Refusal(
        504,
        f"Timeout: Too large resource version: {wanted}, current: {current}",
        details={"causes": [cause]},
        retry_after=1,
    )


def expired_watch(wanted: int, oldest: int) -> Refusal:
    return Refusal(410, f"too old resource version: {wanted} ({oldest})")


def expired_list() -> Refusal:
    return Refusal(410, "The resourceVersion for the provided list is too old.")


def expired_continue(resume: str) -> Refusal:
    """The list cannot go on as it was; `resume` goes on with what is there now."""
    return Refusal(
        410,
        "The provided continue parameter is too old to display a consistent list result. You can "
        "start a new list without the continue parameter, or use the continue token in this "
        "response to retrieve the remainder of the results, which may then be inconsistent.",
        resume=resume,
    )
