"""A well-formed Node document, and the same with one thing in it replaced."""

import base64
import json
from typing import Any

from overlayd.model.node import Node
from overlayd.plan.documents import node_from

KEY = base64.b64encode(bytes(range(32))).decode()

DOCUMENT: dict[str, Any] = {
    "kind": "Node",
    "metadata": {
        "name": "one",
        "uid": "7f9c",
        "creationTimestamp": "2026-10-01T01:02:03Z",
        "resourceVersion": "41",
        "labels": {"a": "b"},
        "annotations": {
            "wireguard-publickey": KEY,
            "wireguard-ip": "100.64.0.1",
            "overlayd/overlay-ips": "100.64.0.1, fd00::1",
            "overlayd/endpoint": "192.0.2.1:4500",
            "overlayd/pod-cidrs": "10.244.1.0/24",
            "somebody.else/key": "value",
        },
    },
    "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:10:0:0::/64"]},
    "status": {
        "addresses": [
            {"type": "Hostname", "address": "one"},
            {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "InternalIP", "address": "fd00:a::1"},
        ],
        "images": [{"names": ["x"], "sizeBytes": 1}],
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The document with one thing in it replaced; None removes it."""
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    place = document
    *parents, last = path.split("|")
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return document


def read(document: Any) -> Node:
    return node_from(json.dumps(document).encode())


def annotated(name: str, value: Any) -> Node:
    return read(changed(f"metadata|annotations|{name}", value))
