"""What the mesh's tests on Kubernetes' own API server stand on."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from lab import private
from lab.cluster import NODES as NODES_PATH
from lab.eventually import CLUSTER, SERVER_BACK, eventually
from lab.flow import Flow
from lab.kubernetes.binaries import Missing, binaries
from lab.kubernetes.cluster import KubernetesCluster, counted_as
from lab.mesh import Member
from overlayd.model.node import POD_CIDRS_ANNOTATION
from tests.machine.mesh import NODES, MeshTestCase

REVOKED = 20.0
"""Seconds: the API server takes a token that it has seen for 10 more."""

TRIES = 10
"""Watches, or looks at the history, in a fault of a minute: the waits between them grow to 30 s."""


def _missing() -> str | None:
    if why := private.missing():
        return why
    try:
        binaries()
    except Missing as missing:
        return str(missing)
    return None


class KubernetesTestCase(MeshTestCase):
    """Three nodes on a real control plane, shared by all tests as long as they are whole."""

    kind = KubernetesCluster
    skip = _missing()

    def setUp(self) -> None:
        super().setUp()
        if not all(_follows(member) for member in self.mesh.members.values()):
            super().discard_mesh()  # a test has failed and left it so
            super().setUp()
        assert isinstance(self.cluster, KubernetesCluster)
        self.kubernetes = self.cluster
        self.members = (self.one, self.two, self.three)
        for member in self.members:
            eventually(SERVER_BACK, "nobody else is a peer", lambda m=member: self._settles(m))  # type: ignore[misc]

    def _settles(self, member: Member) -> bool:
        """Whether a device has no peer of a node that came in a test before.

        Of many that go within a minute the daemons hold the last, until that is confirmed.
        """
        if (member.daemon.status() or {}).get("held"):
            member.daemon.ctl("confirm")
        return len(self._peers(member) or ()) == len(NODES) - 1

    def discard_mesh(self) -> None:
        """Take away the nodes that came in the test, and their Nodes; the control plane stays."""
        for number in set(self.mesh.members) - set(NODES):
            self.mesh.remove_machine(number)
        known = {member.name for member in self.mesh.members.values()}
        for document in self.cluster.nodes():
            if document["metadata"]["name"] not in known:
                self.cluster.delete(document["metadata"]["name"])

    @contextmanager
    def nothing_lost(self) -> Iterator[None]:
        """All pods talk to each other while the body runs; not a packet is lost, none is clear."""
        with self.fault_on(self.three), Flow(self.one.pod, self.three.pod) as flow:
            flow.carry()
            yield
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))

    def asked(self, member: Member, mark: int) -> Counter[str]:
        """How often a node's daemon asked for what after a mark of the audit log."""
        return Counter(
            counted_as(asked) for asked in self.kubernetes.asked(mark) if asked.node == member.name
        )

    def asked_for_more(self, member: Member, mark: int) -> Counter[str]:
        """The same without one watch: every five to ten minutes each is renewed."""
        return self.asked(member, mark) - Counter(watches=1)

    def assert_gentle(self, mark: int, lists: int, patches: int = 0) -> None:
        """Since a mark of the audit log each daemon asked for at most this, and little else."""
        for member in self.members:
            asked = self.asked(member, mark)
            self.assertLessEqual(asked.pop("streamed_lists", 0), lists, member.name)
            self.assertLessEqual(asked.pop("patches", 0), patches, member.name)
            self.assertLessEqual(asked.pop("watches", 0), TRIES, member.name)
            self.assertLessEqual(asked.pop("single_lists", 0), TRIES, member.name)
            self.assertEqual(asked, Counter(), member.name)

    def told(self, member: Member) -> str:
        """What a daemon's status says of the API server, or of what it could not write."""
        status = member.daemon.status() or {}
        return f"{status.get('api')} {status.get('announcement')}"

    def wait_until_told(self, what: str, *members: Member, limit: float = SERVER_BACK) -> None:
        for member in members or self.members:
            eventually(
                limit,
                f"the status of {member.name} says {what!r}",
                lambda member=member: what in self.told(member) or None,  # type: ignore[misc]
            )

    @contextmanager
    def all_tell(self, line: str) -> Iterator[None]:
        """What happens in the body is in the log of every daemon."""
        with ExitStack() as stack:
            for member in self.members:
                stack.enter_context(self.told_by(member, line))
            yield

    def wait_until_answered(self, status: int, token: str, method: str = "GET") -> None:
        """Wait until a token gets this answer: what is granted and revoked takes a while."""
        path = NODES_PATH if method == "GET" else f"{NODES_PATH}/node1"

        def answer() -> bool:
            return self.kubernetes.answer_to(token, method, path) == status

        eventually(REVOKED, f"{method} is answered with {status}", answer)

    def take_annotation(self, member: Member) -> None:
        """Take an annotation from a Node that its daemon has to write again."""
        taken = {"annotations": {POD_CIDRS_ANNOTATION: None}}
        self.cluster.patch(member.name, {"metadata": taken})

    def wait_for_annotation(self, member: Member) -> None:
        def written() -> bool:
            return POD_CIDRS_ANNOTATION in self.cluster.get(member.name)["metadata"]["annotations"]

        eventually(SERVER_BACK, f"{member.name} has written", written)

    def others(self, member: Member) -> list[Member]:
        """The other two of the three."""
        return [other for other in self.members if other is not member]

    def wait_until_heard(self, *members: Member, limit: float = SERVER_BACK) -> None:
        """Wait until the watch of these, or of all, brings what is written from now on."""
        began = time.monotonic()
        for member in members or self.members:
            eventually(limit, f"{member.name} follows", lambda m=member: self._hears(m, began))  # type: ignore[misc]

    def _hears(self, member: Member, since: float) -> bool:
        """Let a kubelet write, and see whether a daemon has heard of something since then."""
        self.kubernetes.beat("node3")
        heard = ((member.daemon.status() or {}).get("api") or {}).get("heard")
        return heard is not None and heard < time.monotonic() - since


def _follows(member: Member) -> bool:
    """Whether a daemon's watch is open, or will be soon."""
    try:
        eventually(CLUSTER, f"{member.name} follows", lambda: _connected(member))
    except AssertionError:
        return False
    return True


def _connected(member: Member) -> bool:
    api = (member.daemon.status() or {}).get("api") or {}
    return api.get("connected") is not None
