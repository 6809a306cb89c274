"""What the parts that overlayd is made of cost without it, for the same work."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
from attrs import frozen

from benchmarks import processes, wireguard
from benchmarks.cluster import NODES, Cluster
from benchmarks.figures import median
from benchmarks.processes import Cost

_LINK = "parts0"
_IMPORTS = """
import twisted.scripts.twistd, twisted.scripts._twistd_unix
from twisted.internet import reactor
import overlayd.service
"""
_PAGE = 250
_FEW, _MANY = 5, 200


class _Metadata(msgspec.Struct, gc=False):
    name: str
    annotations: dict[str, str] = {}


class _Spec(msgspec.Struct, gc=False):
    podCIDRs: list[str] = []


class _Address(msgspec.Struct, gc=False):
    type: str
    address: str


class _Status(msgspec.Struct, gc=False):
    addresses: list[_Address] = []


class _Node(msgspec.Struct, gc=False):
    metadata: _Metadata
    spec: _Spec
    status: _Status


class _ListMetadata(msgspec.Struct, rename={"rest": "continue"}):
    rest: str = ""


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[_Node]


class _Event(msgspec.Struct):
    type: str
    object: _Node


@frozen
class Parts:
    """Times in seconds."""

    imports: Cost  # Python importing all that the daemon imports
    listing: float  # the list, by http.client, decoded by msgspec
    list_bytes: int
    event: float  # decoding a line of a watch
    loading: float  # wireguard-go taking all peers in one request
    reading: float  # and telling of all of them
    round_trip: float  # wireguard-go taking one peer


def before_the_daemon(cluster: Cluster) -> dict[str, Any]:
    """Those that need no device."""
    times, sizes = zip(*(_list(cluster) for _ in range(_FEW)), strict=True)
    imports = [processes.cost([sys.executable, "-c", _IMPORTS]) for _ in range(_FEW)]
    return {
        "imports": Cost(
            median([cost.wall for cost in imports]),
            median([cost.cpu for cost in imports]),
            median([cost.memory for cost in imports]),
        ),
        "listing": median([*times]),
        "list_bytes": sizes[0],
        "event": _event(cluster),
    }


def of_the_device(link: str) -> dict[str, Any]:
    """Those of wireguard-go: reading this device, and loading one of its own with its peers."""
    request = wireguard.request_for(wireguard.get(link))
    loading = []
    for attempt in range(_FEW):
        wireguard.start(_LINK)
        loading.append(_timed(lambda: wireguard.ask(_LINK, request)))
        if attempt < _FEW - 1:
            wireguard.end(_LINK)
    one = [wireguard.one_peer() for _ in range(_MANY)]
    round_trips = [_timed(lambda each=each: wireguard.ask(_LINK, each)) for each in one]  # type: ignore[misc]
    wireguard.end(_LINK)
    return {
        "loading": median(loading),
        "reading": median([_timed(lambda: wireguard.get(link)) for _ in range(_FEW)]),
        "round_trip": median(round_trips),
    }


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _list(cluster: Cluster) -> tuple[float, int]:
    """Seconds and bytes of a whole list, in pages."""
    began, size, rest, found = time.perf_counter(), 0, "", 0
    while True:
        body = cluster.get(f"{NODES}?limit={_PAGE}{f'&continue={rest}' if rest else ''}")
        page = msgspec.json.decode(body, type=_List)
        size += len(body)
        found += len(page.items)
        rest = page.metadata.rest
        if not rest:
            break
    if found < cluster.nodes:
        raise RuntimeError(f"the list has {found} Nodes")
    return time.perf_counter() - began, size


def _event(cluster: Cluster) -> float:
    """Seconds for one line, of a Node as large as all."""
    node = json.loads(cluster.get(f"{NODES}/node-00000"))
    line = json.dumps({"type": "MODIFIED", "object": node}, separators=(",", ":")).encode()
    decoder = msgspec.json.Decoder(_Event)
    return median([_timed(lambda: decoder.decode(line)) for _ in range(_MANY)])
