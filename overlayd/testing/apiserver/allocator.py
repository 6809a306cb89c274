"""Gives Nodes their podCIDRs, as kube-controller-manager does with --allocate-node-cidrs."""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network, ip_network

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from overlayd.testing.apiserver.refusals import Refusal
from overlayd.testing.apiserver.store import Event, NodeStore
from overlayd.testing.apiserver.validation import parsed_cidr
from overlayd.testing.apiserver.writes import NodeWrites

SOON = 0.05
"""Seconds between a Node's creation and its podCIDR: long enough that a client can be between."""


@frozen
class PodNetwork:
    """The network that is divided, and the prefix length of each Node's part."""

    network: IPv4Network | IPv6Network
    node_mask: int

    @classmethod
    def parse(cls, text: str, node_mask: int) -> "PodNetwork":
        """:raises ValueError: no network, or one that a part does not fit into."""
        network = ip_network(text)
        if not network.prefixlen <= node_mask <= network.max_prefixlen:
            raise ValueError(f"a /{node_mask} is no part of {network}")
        return cls(network, node_mask)

    def free(self, taken: Collection[str]) -> str | None:
        """The first part that overlaps nothing taken; None when the network is used up."""
        held = [c for c in map(parsed_cidr, taken) if c and c.version == self.network.version]
        same = {c for c in held if c.prefixlen == self.node_mask}
        other = [c for c in held if c.prefixlen != self.node_mask]
        for part in self.network.subnets(new_prefix=self.node_mask):
            if part not in same and not any(part.overlaps(c) for c in other):
                return str(part)
        return None


class Allocator:
    """Watches the store, and writes a podCIDR into each Node that has none, one write a Node."""

    def __init__(self, clock: IReactorTime, writes: NodeWrites, network: PodNetwork) -> None:
        self._clock = clock
        self._writes = writes
        self._network = network
        writes.store.listen(self._changed)

    def _changed(self, event: Event | None) -> None:
        nodes = self._store.snapshot() if event is None else filter(None, [event.after])
        for node in nodes:
            if not node.document["spec"].get("podCIDRs"):
                self._clock.callLater(SOON, self._give, node.name)

    def _give(self, name: str) -> None:
        nodes = self._store.snapshot()
        taken = [cidr for n in nodes for cidr in n.document["spec"].get("podCIDRs", [])]
        part = self._network.free(taken)
        try:
            if part and not self._store.get(name).document["spec"].get("podCIDRs"):
                spec = {"podCIDR": part, "podCIDRs": [part]}
                self._writes.patch(name, {"spec": spec}, status_only=False)
        except Refusal:
            return  # deleted meanwhile, or made unwritable by hand

    @property
    def _store(self) -> NodeStore:
        return self._writes.store
