"""A teardown as people read it. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from overlayd.ctl.render_passes import change_lines
from overlayd.ctl.words import counted, duration
from overlayd.model.text import printable

Document = Mapping[str, Any]


def teardown_lines(document: Document, node: str, offline: bool) -> Iterator[str]:
    """What was done, what was not, and what follows from it."""
    yield from map(printable, _annotations(document, node))
    report = document["machine"]
    if report["changeCount"]:
        took = duration(report["duration"])
        yield f"{counted(report['changeCount'], 'change')} to this machine, in {took}:"
    else:
        yield "There was nothing of ours on this machine"
    yield from change_lines(report)
    yield from (printable(f"Left alone, since it is not ours: {o}") for o in document["leftAlone"])
    if document["ipForward"] is not None:
        yield f"net.ipv4.ip_forward stays {int(document['ipForward'])}"
    if report["error"]:
        yield printable(f"FAILED: {report['error']}")
    if report["error"] or report["failureCount"]:
        yield "Not all is gone: run it again to go on"
    else:
        yield "Traffic for pods on other nodes is now neither encrypted nor refused"
    if not offline:
        yield "overlayd keeps out until it is restarted"


def _annotations(document: Document, node: str) -> Iterator[str]:
    withdrawn = document["withdrawn"]
    if document["notWithdrawn"] is not None:
        yield f"Our annotations stay on the Node: {document['notWithdrawn']}"
        yield f"  once it can be reached: {kubectl(node)}"
    elif withdrawn:
        yield f"Withdrew from the Node {node}: {', '.join(withdrawn)}"
    else:
        yield f"The Node {node} had no annotation of ours"


def kubectl(node: str) -> str:
    """The command that removes our annotations by hand."""
    # Not at the top: it brings libraries that no other command of overlayctl needs.
    from overlayd.model.node import ANNOTATIONS

    return f"kubectl annotate node {node} {' '.join(f'{name}-' for name in ANNOTATIONS)}"
