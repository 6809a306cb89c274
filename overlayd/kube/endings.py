"""What an answer means for the node watch, in its words and in a person's."""

from overlayd.kube.transport.api import Stream
from overlayd.model.errors import OverlaydError, Unreachable
from overlayd.plan.answers import ServerStatus, status_from
from overlayd.plan.resume import Ending, How


def refused(status: int, body: bytes, retry_after: float | None, version: str | None) -> Ending:
    """An answer with a status that is not 200. `version` is the last one seen."""
    said = status_from(body) or ServerStatus()
    return _ending(status, said, retry_after, version, moved=False)


def refused_stream(stream: Stream, version: str | None) -> Ending:
    """The answer to a watch whose status is not 200."""
    try:
        body = stream.read_all()
    except Unreachable:
        body = b""  # the status says enough
    return refused(stream.status, body, stream.retry_after, version)


def failed(said: ServerStatus, version: str | None, moved: bool) -> Ending:
    """An ERROR event. One that gives no code is the server's fault."""
    return _ending(said.code or 500, said, said.retry_after, version, moved)


def unanswered(error: OverlaydError) -> Ending:
    """No answer, or one that cannot be read. What such errors quote is escaped already."""
    return Ending(How.NO_ANSWER, reason=str(error))


def _ending(
    code: int, said: ServerStatus, retry_after: float | None, version: str | None, moved: bool
) -> Ending:
    how = How.REFUSED
    if code == 410:
        how = How.EXPIRED
    elif said.too_large:
        how = How.TOO_LARGE
    return Ending(
        how,
        version=version,
        moved=moved,
        status=code,
        retry_after=retry_after,
        reason=_reason(code, said),
    )


def _reason(code: int, said: ServerStatus) -> str:
    words = f": {said.message}" if said.message else ""
    match code:
        case 401:
            return f"the API server does not accept our credentials (401){words}"
        case 403:
            return f"we may not list and watch nodes (403); allow get, list and watch{words}"
        case 410:
            return f"what we have seen last is too old for the API server (410){words}"
        case 429:
            return f"the API server asks us to slow down (429){words}"
        case _:
            return f"the API server answered {code}{words}"
