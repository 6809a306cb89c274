"""Writing to our own Node: annotations, and nothing else."""

import json
from collections.abc import Mapping
from urllib.parse import quote

from overlayd.kube.api import Answer, ApiServer
from overlayd.kube.listing import NODES


def write_annotations(api: ApiServer, name: str, values: Mapping[str, str | None]) -> Answer:
    """Set these annotations of the Node `name`, or remove those that are None; keep all others.

    A merge PATCH: it neither needs nor checks what the Node looks like.

    :raises overlayd.model.errors.Unreachable: no answer came; it may have been written.
    """
    body = json.dumps({"metadata": {"annotations": dict(values)}}).encode()
    return api.patch(f"{NODES}/{quote(name, safe='')}", body)
