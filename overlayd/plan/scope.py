"""What a change may concern: the Nodes and peers that share a claim, and nobody else."""

from collections.abc import Iterable

from attrs import evolve, frozen

from overlayd.model.keys import PublicKey
from overlayd.model.machine import Observed
from overlayd.model.node import Inventory, IPNetwork, Node
from overlayd.model.prefix_index import PrefixIndex
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
        self._first: frozenset[str] = frozenset()  # what is searched from
        self._names: set[str] = set()
        self._keys: set[PublicKey] = set()
        self._to_do: list[str | PublicKey] = []

    def reach(self, names: Iterable[str], keys: Iterable[PublicKey]) -> Scope:
        """All that these Nodes and peers share a claim with, near or far."""
        self._first = frozenset(names)
        self._add_names(self._first)
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
        for prefix in overlay_claims(self._settings, node):
            self._from_claim(node, prefix, self._after.index.overlay)
        for prefix in pod_claims(self._settings, node):
            self._from_claim(node, prefix, self._after.index.pods)

    def _from_claim(self, node: Node, prefix: IPNetwork, claims: PrefixIndex[str]) -> None:
        """All who have a part of it.

        A claim that has lost, of a Node that did not change, stays lost while one of those that
        hold a part of it stays. That one is enough: somebody who claims a whole network must not
        make each Node's change a matter of all Nodes.
        """
        if node.name not in self._first and not self._has(node, prefix):
            for part, names in claims.entries(prefix):
                for name in names:
                    other = self._after.nodes[name]
                    if name not in self._first and name != node.name and self._has(other, part):
                        self._add_names((name,))
                        return
        self._add_names(claims.overlapping(prefix))
        self._add_keys(self._holders.overlapping(prefix))

    def _has(self, node: Node, prefix: IPNetwork) -> bool:
        """Whether the device gives a Node this prefix, through the peer that is its own."""
        return (
            node.key is not None
            and self._memory.names.get(node.key) == node.name
            and node.key in self._holders.owners(prefix)
        )

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
