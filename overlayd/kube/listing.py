"""A complete list of the Nodes, in pages, and a look at where the API server's history stands."""

from attrs import frozen

from overlayd.kube.endings import refused, unanswered
from overlayd.kube.transport.api import ApiServer, Stream
from overlayd.model.errors import NotADocument, Unreachable
from overlayd.model.node import Node
from overlayd.plan.answers import page_from
from overlayd.plan.documents import node_from
from overlayd.plan.resume import Ending, How

NODES = "/api/v1/nodes"
PAGE = 250  # Nodes: 20 requests for 5,000 of them, and 2.5 MB in memory at a time


@frozen
class Opened:
    """A watch that is open already. `rest` has come of it, and was not looked at."""

    stream: Stream
    rest: bytes


@frozen
class Listing:
    """All the Nodes as of one version. `skipped` counts entries that not even have a name.

    One that was streamed comes with the watch that goes on from its version.
    """

    nodes: dict[str, Node]
    version: str
    skipped: int = 0
    opened: Opened | None = None


def read_list(api: ApiServer, not_older_than: str | None, silence: float) -> Listing | Ending:
    """Read all the Nodes; None makes the list consistent. It is complete or it is not returned.

    :param silence: seconds without a byte after which it ends.
    """
    query = {"limit": str(PAGE)}
    if not_older_than is not None:
        query |= {"resourceVersion": not_older_than, "resourceVersionMatch": "NotOlderThan"}
    nodes: dict[str, Node] = {}
    skipped, version = 0, ""
    try:
        while True:
            answer = api.get(NODES, query, silence)
            if answer.status != 200:
                return refused(answer.status, answer.body, answer.retry_after, not_older_than)
            page = page_from(answer.body)
            if version and page.version != version:
                raise NotADocument("the pages of a list are of different versions")
            version = page.version
            for item in page.items:
                try:
                    node = node_from(item)
                except NotADocument:
                    skipped += 1
                else:
                    nodes[node.name] = node
            if not page.rest:
                return Listing(nodes, version, skipped)
            query = {"limit": str(PAGE), "continue": page.rest}
    except (Unreachable, NotADocument) as error:
        return unanswered(error)


def probe(api: ApiServer, silence: float) -> Ending:
    """Read the version that the history has reached, consistently."""
    try:
        answer = api.get(NODES, {"limit": "1"}, silence)
        if answer.status != 200:
            return refused(answer.status, answer.body, answer.retry_after, None)
        return Ending(How.PROBED, version=page_from(answer.body).version)
    except (Unreachable, NotADocument) as error:
        return unanswered(error)
