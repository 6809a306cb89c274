"""Many peers, with their Nodes or without, and what a plan lets go of them."""

from overlayd.model.changes import RemovePeer
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Peer
from overlayd.model.node import Node
from overlayd.plan.result import Now, Plan
from tests.pure.cluster import (
    WALL,
    node,
    peer,
)


def key(number: int) -> PublicKey:
    return PublicKey(bytes([100 + number]) * 32)


def crowd(count: int) -> list[Peer]:
    """Peers whose Nodes are gone."""
    return [peer(key(n), f"100.64.9.{n} 10.244.{100 + n}.0/24") for n in range(count)]


def staying(count: int) -> tuple[list[Peer], list[Node]]:
    """Peers, and the Nodes that they belong to."""
    peers, nodes = [], []
    for n in range(count):
        k, ip = PublicKey(bytes([200 + n]) * 32), f"10.0.7.{n}"
        nodes.append(node(f"s{n}", ip, k, f"100.64.7.{n}"))
        peers.append(peer(k, f"100.64.7.{n}", f"{ip}:51820"))
    return peers, nodes


def at(seconds: float) -> Now:
    return Now(seconds, WALL + seconds)


def gone(decided: Plan) -> set[PublicKey]:
    return {c.key for c in decided.changes if isinstance(c, RemovePeer)}
