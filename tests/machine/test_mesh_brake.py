"""Many Nodes go at once, in every way in which a cluster can lose them; their peers stay."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from lab.bare import BareNode
from lab.cluster import Document, node_document
from lab.eventually import CLUSTER, FORMING, SERVER_BACK, eventually
from lab.flow import Flow
from lab.mesh import Member
from overlayd.model.keys import PublicKey
from overlayd.model.node import ANNOTATIONS, KEY_ANNOTATION
from tests.machine.mesh import MeshTestCase

NEWER = 1000
"""How far a version is ahead that nobody has seen."""

FIRST = ("bare1", "bare2", "bare3")
"""As many as may go in a minute."""

REST = ("node2", "node3", "bare4", "bare5")

WIPED: Document = {"metadata": {"annotations": dict.fromkeys(ANNOTATIONS)}}


class BrakeTests(MeshTestCase):
    """Node 1 has seven peers: nodes 2 and 3, and five with no machine behind them.

    Its pods talk to those of node 2 all the while, and those of 2 and 3 to each other; not a packet
    is lost.
    """

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.discard_mesh)
        self.bare = [BareNode(number) for number in range(1, 6)]
        for node in self.bare:
            self.cluster.create(node)
        self.keys = {m.name: self.key(m) for m in (self.two, self.three)}
        self.keys |= {node.name: node.key for node in self.bare}
        self._wait_for_keys(*self.keys)

    def _wait_for_keys(self, *names: str, limit: float = CLUSTER) -> None:
        """Wait until these are node 1's peers, and no others."""
        wanted = {self.keys[name] for name in names}
        eventually(limit, f"the peers are {', '.join(names)}", lambda: set(self._had()) == wanted)

    def _had(self) -> dict[PublicKey, frozenset[str]]:
        reading = self.one.daemon.device.read()
        return reading.peers if reading else {}

    def _wait_until_held(self, *names: str, limit: float = CLUSTER) -> None:
        """Wait until node 1's status names exactly these as held; a whole pass later they are."""
        wanted = {str(self.keys[name]): name for name in names}
        eventually(limit, "status names what is held", lambda: _held(self.one) == wanted)
        self.assertEqual(self.one.daemon.ctl("resync").returncode, 0)
        self.assertEqual(_held(self.one), wanted)
        self.assertLessEqual({self.keys[name] for name in names}, set(self._had()))

    @contextmanager
    def _nothing_is_lost(self) -> Iterator[None]:
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod) as flow:
            flow.carry()
            yield
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))

    def _lose_the_store(self, other: bytes) -> None:
        """Let the server come back with other data."""
        self.cluster.kill()
        self.wait_until_missed()
        self.development.restore(other)
        self.cluster.start()

    def _is_announced(self) -> bool:
        return KEY_ANNOTATION in self.cluster.get("node1")["metadata"].get("annotations", {})

    def _version(self) -> int:
        version: int = self.development.state()["version"]
        return version

    def test_one_may_go(self) -> None:
        """A Node that is deleted alone costs its peer at once, and nothing is held."""
        with self._nothing_is_lost():
            self.cluster.delete("bare1")
            self._wait_for_keys("node2", "node3", "bare2", "bare3", "bare4", "bare5")
            self._wait_until_held()

    def test_by_events(self) -> None:
        """Of Nodes that are deleted one after the other, the first three go; the rest is held."""
        with self._nothing_is_lost():
            for name in FIRST:
                self.cluster.delete(name)
            self._wait_for_keys(*REST)
            for name in REST:
                self.cluster.delete(name)
            self._wait_until_held(*REST)
            self._wait_for_keys(*REST)

    def _lists(self) -> int:
        counters = self.cluster.counters()
        return counters.get("full_lists", 0) + counters.get("streamed_lists", 0)

    def test_by_a_new_list(self) -> None:
        """A list, after a 410, that has our own Node and no other; and a newcomer in that list.

        The newcomer gets the podCIDR that it claims, half of what a held peer has; that peer yields
        this prefix, and no other.
        """
        former, held = self.bare[0], ("node2", "node3", *(node.name for node in self.bare))
        newcomer = BareNode(9, next(former.pod_cidr.subnets()))
        before = self._lists()
        with self._nothing_is_lost():
            left = [self.cluster.get("node1"), node_document(newcomer)]
            self.development.replace(left, self._version() + NEWER)
            self._wait_until_held(*held)
            self.assertGreater(self._lists(), before)
            self.assertEqual(self._had()[newcomer.key], newcomer.prefixes)
            kept = former.prefixes - {str(former.pod_cidr)}
            self.assertEqual(self._had()[former.key], kept)
            for node in self.bare[1:]:
                self.assertEqual(self._had()[node.key], node.prefixes)

    def test_by_wiped_annotations(self) -> None:
        """The Nodes stay, and say no longer what overlayd and wg-overlay wrote; ours says it again.

        A newcomer gets what it claims of a Node that says nothing now.
        """
        former = self.bare[4]
        newcomer = BareNode(9, former.pod_cidr)
        with self._nothing_is_lost():
            for member in (self.two, self.three):
                member.daemon.kill()
            for name in FIRST:
                self.cluster.patch(name, WIPED)
            self._wait_for_keys(*REST)
            for name in (*REST, "node1"):
                self.cluster.patch(name, WIPED)
            self._wait_until_held(*REST)
            eventually(CLUSTER, "our own Node says it again", self._is_announced)
            self.cluster.create(newcomer)
            self.keys[newcomer.name] = newcomer.key
            self._wait_for_keys(*REST, newcomer.name)
            self.assertEqual(self._had()[newcomer.key], newcomer.prefixes)
            self.assertEqual(self._had()[former.key], former.prefixes - newcomer.prefixes)
            for member in (self.two, self.three):
                member.daemon.start()
            self._wait_until_held("bare4", "bare5", limit=FORMING)

    def test_by_a_lost_store(self) -> None:
        """The server comes back with no Node at all; then they register anew, ours first.

        Until ours is there everything is held, and afterwards what is not announced yet.
        """
        with self._nothing_is_lost():
            self._lose_the_store(b"")
            self._wait_until_held(*self.keys, limit=SERVER_BACK)
            self.assertEqual((self.one.daemon.status() or {})["state"], "node-missing")
            self.cluster.create(self.one.node)
            eventually(CLUSTER, "node 1 is ready", self.one.ready)
            self._wait_until_held(*self.keys)
            former = self.bare[0]
            newcomer = BareNode(9, former.pod_cidr)
            self.cluster.create(newcomer)
            self.keys[newcomer.name] = newcomer.key
            self._wait_for_keys(*self.keys)
            self.assertEqual(self._had()[former.key], former.prefixes - newcomer.prefixes)
            self.cluster.create(self.two.node)
            self.cluster.create(self.three.node)
            self._wait_until_held(*(node.name for node in self.bare))

    def test_by_another_store(self) -> None:
        """The server comes back with the Nodes of another cluster: all peers stay, none comes."""
        with self._nothing_is_lost():
            self._lose_the_store(_store(*(BareNode(number) for number in range(51, 60))))
            self._wait_until_held(*self.keys, limit=SERVER_BACK)
            self._wait_for_keys(*self.keys)

    def test_a_restart(self) -> None:
        """A daemon that starts while peers are held, and knows nothing of it, holds them too."""
        with self._nothing_is_lost():
            self.development.replace([self.cluster.get("node1")], self._version() + NEWER)
            self._wait_until_held(*self.keys)
            self.one.daemon.kill()
            self.one.daemon.start()
            eventually(FORMING, "node 1 is ready", self.one.ready)
            wanted = set(map(str, self.keys.values()))
            eventually(CLUSTER, "they are held", lambda: set(_held(self.one)) == wanted)
            self._wait_for_keys(*self.keys)


def _held(member: Member) -> dict[str, str]:
    """The peers that a node's status names as held: key and name."""
    status = member.daemon.status() or {}
    return {held["publicKey"]: held["node"] for held in status.get("held", ())}


def _store(*nodes: BareNode) -> bytes:
    """The data of a server that has had these Nodes since it began."""
    documents = [node_document(node) for node in nodes]
    for number, document in enumerate(documents, start=1):
        document["metadata"] |= {"uid": f"uid-{number}", "resourceVersion": str(number)}
        document["metadata"]["creationTimestamp"] = "2024-01-01T00:00:00Z"
    return json.dumps({"version": len(nodes), "nodes": documents}).encode() + b"\n"
