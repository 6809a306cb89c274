"""Whole passes over the kernel's WireGuard, in a cluster with a Node behind each peer."""

import subprocess
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from benchmarks.figures import median
from overlayd.linux.network import Network
from overlayd.model.changes import EndDevice, GrantPeer
from overlayd.model.node import Inventory, Node
from overlayd.model.settings import Settings
from overlayd.passes import PassResult, Work, run_pass
from overlayd.plan.claim_index import index_of
from overlayd.plan.result import Memory, Now
from overlayd.tunnel.kernel import KernelTunnel

_LINK, _UNDERLAY = "bench0", "under0"
_ADDRESS, _GATEWAY = "172.30.255.11", "172.30.255.1"
_SETTINGS = Settings(node_name="ours", wg_dev=_LINK, pods=(IPv4Network("10.0.0.0/8"),))
_UNCHANGED = 5


def measure(peers: Sequence[GrantPeer]) -> float:
    """Seconds of a pass that reads everything and finds nothing to do.

    :raises RuntimeError: the passes did other things than they should.
    """
    tunnel = KernelTunnel(_LINK)
    try:
        _underlay("add")
        return _unchanged(tunnel, _inventory(peers))
    finally:
        (ended,) = tunnel.apply([EndDevice(_LINK, "measured")])
        _underlay("del")
        if ended.error:
            raise RuntimeError(ended.error)


def _unchanged(tunnel: KernelTunnel, inventory: Inventory) -> float:
    network, times = Network(), []
    result = _pass(network, tunnel, Work(inventory, Memory(), _now()))
    if result.failures or len(result.outcomes) <= len(inventory.nodes):
        raise RuntimeError("the first pass did not make everything")
    for number in range(_UNCHANGED + 1):
        work = Work(inventory, result.plan.memory, _now(), result.standing)
        began = time.perf_counter()
        result = _pass(network, tunnel, work)
        if number:  # the first of them reads what the kernel made of the changes
            times.append(time.perf_counter() - began)
        if result.outcomes or result.plan.state:
            raise RuntimeError("a pass over what is right did something")
    return median(times)


def _pass(network: Network, tunnel: KernelTunnel, work: Work) -> PassResult:
    return run_pass(network, tunnel, _SETTINGS, work)


def _now() -> Now:
    return Now(time.monotonic(), time.time())


def _inventory(peers: Sequence[GrantPeer]) -> Inventory:
    ours = Node(
        _SETTINGS.node_name,
        uid="ours",
        address=IPv4Address(_ADDRESS),
        pod_cidrs=(IPv4Network("10.255.255.0/24"),),
    )
    others = map(_node, peers)
    nodes = {node.name: node for node in (ours, *others)}
    return Inventory(nodes, frozenset(nodes), "1", index=index_of(_SETTINGS, nodes.values()))


def _node(peer: GrantPeer) -> Node:
    assert peer.endpoint is not None
    return Node(
        peer.node,
        uid=peer.node,
        address=peer.endpoint.address,
        key=peer.key,
        overlay_addresses=tuple(p[0] for p in peer.prefixes if p.prefixlen == 32),
        pod_cidrs=tuple(p for p in peer.prefixes if p.prefixlen < 32),
    )


def _underlay(verb: str) -> None:
    commands = [f"link {verb} {_UNDERLAY} type dummy"]
    if verb == "add":
        commands += [
            f"addr add {_ADDRESS}/24 dev {_UNDERLAY}",
            f"link set {_UNDERLAY} up",
            f"route add default via {_GATEWAY}",
        ]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)
