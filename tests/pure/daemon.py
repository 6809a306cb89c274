"""What the daemon does with a machine in memory, pass after pass, and nothing else of it."""

from attrs import evolve

from overlayd.model.changes import Outcome
from overlayd.model.keys import PublicKey
from overlayd.model.machine import Peer
from overlayd.model.node import Inventory, Node
from overlayd.plan.claim_index import follow, index_of
from overlayd.plan.decide import decide
from overlayd.plan.result import Memory, Now, Plan
from overlayd.plan.standing import Standing, holders_in, stand
from tests.pure.machine_in_memory import Machine
from tests.pure.universes import NOW, SETTINGS

PASSES_TO_REST = 5


class Daemon:
    """Passes over a machine in memory, each knowing where the one before left things."""

    def __init__(self, there: Machine, inventory: Inventory) -> None:
        self.there = there
        self.inventory = evolve(inventory, index=index_of(SETTINGS, inventory.nodes.values()))
        self.now = NOW
        self.about: list[frozenset[str] | None] = []
        self.restart()

    def restart(self) -> None:
        """Forget what passes before this one have left."""
        self.memory = Memory()
        self.standing: Standing | None = None

    def later(self, seconds: float) -> None:
        self.now = Now(self.now.monotonic + seconds, self.now.wall + seconds)

    def take(self, **changes: Node | None) -> None:
        """Nodes that are others now, or gone; with those of inventories that no pass has seen."""
        there, index = self.inventory.nodes, self.inventory.index
        for name, new in changes.items():
            index = follow(SETTINGS, index, there.get(name), new)
            there = there.set(name, new) if new is not None else there.delete(name)
        changed = frozenset(changes)
        if self.standing is not None and self.standing.inventory is not self.inventory:
            changed |= self.inventory.changed
        self.inventory = Inventory(there, changed, "2", index=index)

    def one_pass(self, reads: bool) -> Plan:
        """A pass about what changed; it `reads` the machine, or goes by what is known of it."""
        observed = self.there.observe()
        if self.standing is not None and not (reads or self.standing.network_changed):
            observed = self.standing.observed
        holders = holders_in(observed.device, self.standing)
        decided = decide(
            SETTINGS, self.inventory, observed, holders, self.memory, self.now, self.standing
        )
        self.there.apply_all(decided.changes)
        outcomes = [Outcome(change) for change in decided.changes]
        self.standing = stand(self.inventory, observed, holders, decided, outcomes)
        self.memory = decided.memory
        self.about.append(decided.about)
        return decided

    def rest(self, reads: bool = False) -> Plan:
        """Passes until one finds nothing to do."""
        for _ in range(PASSES_TO_REST):
            decided = self.one_pass(reads)
            if not decided.changes and self.standing is not None:
                return decided
        raise AssertionError(f"never comes to rest: {[str(c) for c in decided.changes]}")

    def peer(self, key: PublicKey) -> Peer | None:
        device = self.there.tunnel.device
        return device.peers.get(key) if device else None
