"""What a change may concern: the Nodes and peers that share a claim, and nobody else."""

from collections.abc import Iterable

from attrs import evolve, frozen

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Observed
from overlayd.model.node import Inventory, Node
from overlayd.model.settings import Settings
from overlayd.plan.claim_index import overlay_claims, pod_claims
from overlayd.plan.result import Memory
from overlayd.plan.standing import Holders, Peers


@frozen
class Scope:
    """Names of Nodes, also of those that are gone, and keys, also of peers that are."""

    names: frozenset[str]
    keys: frozenset[PublicKey]

    def nodes(self, inventory: Inventory) -> Inventory:
        """The part of an inventory that this is about."""
        nodes = {name: inventory.nodes[name] for name in self.names if name in inventory.nodes}
        return evolve(inventory, nodes=nodes)

    def machine(self, observed: Observed) -> Observed:
        """The machine with those peers alone."""
        device = observed.device
        if device is None:
            return observed
        peers = {key: device.peers[key] for key in self.keys if key in device.peers}
        rest = len(device.peers) - len(peers)
        return evolve(observed, device=evolve(device, peers=peers, elsewhere=rest))


class Search:
    """Follows shared claims from Node to peer to Node, until nobody new is found.

    `before` and `after` are the inventories between which Nodes changed: what one claimed and
    claims no more concerns others as much as what it claims now.
    """

    def __init__(
        self,
        settings: Settings,
        before: Inventory,
        after: Inventory,
        peers: Peers,
        holders: Holders,
        memory: Memory,
    ) -> None:
        self._settings = settings
        self._before = before
        self._after = after
        self._peers = peers
        self._holders = holders
        self._memory = memory
        self._names: set[str] = set()
        self._keys: set[PublicKey] = set()
        self._to_do: list[str | PublicKey] = []

    def reach(self, names: Iterable[str], keys: Iterable[PublicKey]) -> Scope:
        """All that these Nodes and peers share a claim with, near or far."""
        self._add_names(names)
        self._add_keys(keys)
        while self._to_do:
            found = self._to_do.pop()
            if isinstance(found, str):
                before, after = self._before.nodes.get(found), self._after.nodes.get(found)
                if after is not None:
                    self._from_node(after)
                if before is not None and before is not after:
                    self._from_node(before)
            else:
                self._from_key(found)
        return Scope(frozenset(self._names), frozenset(self._keys))

    def _from_node(self, node: Node) -> None:
        if node.key is not None:
            self._add_keys((node.key,))
        index, find = self._after.index, self._holders.overlapping
        for prefix in overlay_claims(self._settings, node):
            self._add_names(index.overlay.overlapping(prefix))
            self._add_keys(find(prefix))
        for prefix in pod_claims(self._settings, node):
            self._add_names(index.pods.overlapping(prefix))
            self._add_keys(find(prefix))

    def _from_key(self, key: PublicKey) -> None:
        self._add_names(self._after.index.keys.get(key, ()))
        if (name := self._memory.names.get(key)) is not None:
            self._add_names((name,))
        if (peer := self._peers.get(key)) is None:
            return
        index = self._after.index
        for prefix in peer.allowed_ips:
            self._add_names(index.overlay.overlapping(prefix))
            self._add_names(index.pods.overlapping(prefix))
            self._add_keys(self._holders.overlapping(prefix))

    def _add_names(self, names: Iterable[str]) -> None:
        new = set(names) - self._names
        self._names |= new
        self._to_do += new

    def _add_keys(self, keys: Iterable[PublicKey]) -> None:
        new = set(keys) - self._keys
        self._keys |= new
        self._to_do += new
