"""A complete list of the Nodes in one request, whose answer goes on as their watch (WatchList)."""

from collections.abc import Container

from attrs import evolve

from overlayd.kube.endings import failed, refused_stream, unanswered
from overlayd.kube.lines import Lines
from overlayd.kube.listing import NODES, Listing, Opened
from overlayd.kube.transport.api import ApiServer, Stream
from overlayd.model.errors import NotADocument, Unreachable
from overlayd.model.node import Node
from overlayd.plan.answers import Bookmark, Deleted, Event, Failed, Written, event_from
from overlayd.plan.resume import Ending, How

FORBIDDEN = (400, 422)
"""What a server answers that forbids the parameters, because it is too old or set up so."""

UNABLE = (500,)
"""What the first event says where the server's store is too old for streamed lists."""


class Gathering:
    """Nodes gathered from the bytes of a stream, until it says that it told them all."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.version = ""  # as of which these are all Nodes; "" while they are not
        self.rest = b""  # what came after the end
        self.ending: Ending | None = None  # set by what ends it before its end
        self._events = 0
        self._lines = Lines()

    def take(self, chunk: bytes) -> bool:
        """Take in what is whole now; return whether that was all, in one way or the other."""
        try:
            lines = self._lines.take(chunk)
            for position, line in enumerate(lines, 1):
                self._apply(event_from(line))
                if self.version:
                    self.rest = b"\n".join([*lines[position:], self._lines.unfinished])
                if self.version or self.ending is not None:
                    return True
        except NotADocument as error:
            self.ending = unfinished(str(error))
            return True
        return False

    def _apply(self, event: Event) -> None:
        # Versions are in no order here: each Node comes with its own.
        match event:
            case Written(node):
                self.nodes[node.name] = node
            case Deleted(name):
                self.nodes.pop(name, None)
            case Bookmark(version, initial_end=True):
                self.version = version
            case Bookmark():
                self.ending = Ending(How.NOT_STREAMED, reason="it ignores sendInitialEvents")
            case Failed(status):
                ending = failed(status, None, moved=False)
                self.ending = ending if self._events else _judged(ending, UNABLE)
        self._events += 1


def stream_list(
    api: ApiServer, not_older_than: str | None, seconds: int, silence: float
) -> Listing | Ending:
    """Read all the Nodes; None makes the list consistent. It is complete or it is not returned.

    What comes after it is the watch, which lasts for `seconds` at the most, the list included.

    :param silence: seconds without a byte after which the list ends.
    """
    query = {
        "watch": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(seconds),
    }
    if not_older_than is not None:
        query["resourceVersion"] = not_older_than
    try:
        stream = api.stream(NODES, query, silence)
    except Unreachable as error:
        return unanswered(error)
    try:
        if stream.status != 200:
            found: Listing | Ending = _judged(refused_stream(stream, not_older_than), FORBIDDEN)
        else:
            found = _gathered(stream)
    except BaseException:
        stream.close()
        raise
    if isinstance(found, Ending):
        stream.close()
    return found


def unfinished(reason: str) -> Ending:
    return Ending(How.UNFINISHED, reason=f"a streamed list did not come to its end: {reason}")


def _gathered(stream: Stream) -> Listing | Ending:
    gathering = Gathering()
    try:
        while chunk := stream.read():
            if gathering.take(chunk):
                break
        else:
            return unfinished("the API server ended it")
    except Unreachable as error:
        return unfinished(str(error))
    if gathering.ending is not None:
        return gathering.ending
    return Listing(gathering.nodes, gathering.version, opened=Opened(stream, gathering.rest))


def _judged(ending: Ending, incapable: Container[int]) -> Ending:
    """The ending of a refused list; some statuses mean that the server streams none at all."""
    if ending.how is How.REFUSED and ending.status in incapable:
        return evolve(ending, how=How.NOT_STREAMED)
    return ending
