"""Peers lose prefixes under 1,000 packets a second, and no packet is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

from lab.anycast import Anycast
from lab.bare import BareNode
from lab.cluster import Document, node_document
from lab.eventually import CLUSTER, eventually
from lab.flow import RATE as ORDINARY
from lab.flow import Flow
from lab.mesh import Member
from lab.topology import OVERLAY
from overlayd.model.node import ADDRESSES_ANNOTATION
from tests.machine.mesh import MeshTestCase

RATE = 5 * ORDINARY
ROUNDS = 10
NEWER = 1000
"""How far a version is ahead that nobody has seen."""

CONTESTED = OVERLAY[9 << 8 | 9]
EXTRA = tuple(OVERLAY[8 << 8 | number] for number in range(1, 31))
"""As many as a Node can claim beside its own."""


class TrimTests(MeshTestCase):
    """Node 1's peers shrink; the daemons of nodes 2 and 3 are away, so that we say what they claim.

    The mesh ends with the test: what those two say is never theirs again.
    """

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.discard_mesh)
        for member in (self.two, self.three):
            member.daemon.kill()

    @contextmanager
    def _nothing_is_lost(self) -> Iterator[None]:
        """Both ways between pods of nodes 1 and 2; on every path packets are to be expected."""
        with self.fault_on(self.one), Flow(self.one.pod, self.two.pod, RATE) as flow:
            flow.carry()
            yield
            flow.carry()
            there, back = flow.finish()
        self.assertGreater(there.sent, 2 * RATE)
        self.assertEqual((there.lost, back.lost), ((), ()))

    def _claim(self, member: Member, *addresses: IPv4Address) -> None:
        self.cluster.patch(member.name, _claiming(member, *addresses))

    def _wait_for(self, member: Member, *addresses: IPv4Address) -> None:
        """Wait until a node's peer has these addresses beside what is its own, and no more."""
        own = {str(member.node.pod_cidr), f"{member.node.overlay_address}/32"}
        wanted = frozenset(own | {f"{address}/32" for address in addresses})
        key = self.key(member)

        def has_them() -> bool:
            reading = self.one.daemon.device.read()
            return reading is not None and reading.peers.get(key) == wanted

        eventually(CLUSTER, f"{member.name} has {len(addresses)} more", has_them)

    def test_addresses_go(self) -> None:
        """A Node gives its extra overlay addresses up, again and again."""
        with self._nothing_is_lost():
            for _ in range(ROUNDS):
                self._claim(self.two, *EXTRA)
                self._wait_for(self.two, *EXTRA)
                self._claim(self.two, EXTRA[0])
                self._wait_for(self.two, EXTRA[0])

    def test_the_tunnel_itself(self) -> None:
        """Of a peer with thousands of prefixes, some go one by one, and then the rest at once."""
        self.one.daemon.kill()
        key = str(self.key(self.two))
        with self._nothing_is_lost():
            program = ("-m", "lab.trimming", key, "4000", "100")
            self.assertEqual(self.one.node.namespace.attempt_python(*program).returncode, 0)
            self._wait_for(self.two)

    def test_an_address_moves(self) -> None:
        """A Node gives an address up that another one claims too, in a list with many newcomers.

        The other gets it in the same pass, after those newcomers.
        """
        with self._moving() as nodes:
            nodes["node2"]["metadata"]["annotations"].pop(ADDRESSES_ANNOTATION)
        self._wait_for(self.two)
        self.assertEqual(self.report.lost, ())

    def test_a_node_goes_whose_address_another_claims(self) -> None:
        """The same, where the Node that had the address goes as a whole.

        WireGuard drops what it has queued for a peer that is removed. So what was already on its
        way to the Node that goes may be lost with it, and nothing before or after that. Packets
        cannot tell this from a gap between the two owners: that there is none, `test_plan_laws`
        and `test_request_gaps` show.
        """
        key = self.key(self.two)
        with self._moving() as nodes:
            nodes.pop("node2")
        on_their_way = range(self.at_two[-1] + 1, self.at_three[0])
        self.assertEqual([n for n in self.report.lost if n not in on_their_way], [])
        reading = self.one.daemon.device.read()
        assert reading is not None
        self.assertNotIn(key, reading.peers)

    @contextmanager
    def _moving(self) -> Iterator[dict[str, Document]]:
        """Let an address move from node 2 to node 3 by what is done to the Nodes in the body."""
        self._claim(self.two, CONTESTED)
        self._wait_for(self.two, CONTESTED)
        self._claim(self.three, CONTESTED)
        eventually(CLUSTER, "node 3's claim is refused", self._is_contested)
        machines = [self.two.node.namespace, self.three.node.namespace]
        with Anycast(self.one.pod, CONTESTED, machines, RATE) as packets:
            packets.carry()
            nodes = {document["metadata"]["name"]: document for document in self.cluster.nodes()}
            newcomers = [node_document(BareNode(number)) for number in range(1, 101)]
            yield nodes
            version = self.development.state()["version"] + NEWER
            self.development.replace([*nodes.values(), *newcomers], version)
            self._wait_for(self.three, CONTESTED)
            packets.carry()
            self.report, (self.at_two, self.at_three) = packets.finish()
        self.assertGreater(min(len(self.at_two), len(self.at_three)), RATE / 2)

    def _is_contested(self) -> bool:
        status = self.one.daemon.status() or {}
        return str(CONTESTED) in str(status.get("quarantines"))


def _claiming(member: Member, *addresses: IPv4Address) -> Document:
    own = member.node.overlay_address
    text = ",".join(map(str, (own, *addresses)))
    return {"metadata": {"annotations": {ADDRESSES_ANNOTATION: text if addresses else None}}}
