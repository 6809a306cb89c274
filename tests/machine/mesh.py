"""What the mesh's tests stand on: three nodes, shared by all of them as long as they are whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from lab import private
from lab.cluster import Cluster
from lab.development import DevelopmentCluster
from lab.eventually import (
    CLUSTER,
    REPAIR_UNANNOUNCED,
    SERVER_BACK,
    eventually,
    eventually_none,
    patience,
)
from lab.flow import Flow
from lab.mesh import Member, Mesh
from lab.pinging import pings
from overlayd.model.keys import PublicKey

NODES = (1, 2, 3)

_LOG_LINES = 20

_shared: dict[type[Cluster], Mesh] = {}


def _whole_mesh(kind: type[Cluster], executed: bool) -> Mesh:
    """The mesh that the tests before left, if it is whole; otherwise a new one."""
    if kind in _shared and _shared[kind].executed is not executed:
        _shared.pop(kind).close()
    if kind in _shared:
        try:
            _shared[kind].wait_until_whole(CLUSTER)
            return _shared[kind]
        except AssertionError:
            _shared.pop(kind).close()
    mesh = Mesh(kind, executed)
    try:
        mesh.cluster.start()
        mesh.join(*NODES)
        mesh.wait_until_whole()
    except BaseException:
        mesh.close()
        raise
    _shared[kind] = mesh
    return mesh


class MeshTestCase(SynchronousTestCase):
    """A mesh of three nodes, whole at the start of each test; `kind` is its API server's."""

    kind: ClassVar[type[Cluster]] = DevelopmentCluster
    skip = private.missing()
    executed = False
    """Whether the tests are about `twistd overlayd` and `overlayctl` as processes."""

    def setUp(self) -> None:
        # A slow machine needs half a minute to execute one of them.
        self.mesh = _whole_mesh(type(self).kind, self.executed and patience(1.0) == 1.0)
        self.cluster = self.mesh.cluster
        self.one, self.two, self.three = (self.mesh.members[number] for number in NODES)

    def discard_mesh(self) -> None:
        """Let the tests after this one have a new mesh.

        For a test that lets nodes leave: of many in a minute, the daemons hold the last.
        """
        _shared.pop(type(self).kind).close()

    @property
    def development(self) -> DevelopmentCluster:
        """The development API server, for its own faults."""
        assert isinstance(self.cluster, DevelopmentCluster)
        return self.cluster

    @contextmanager
    def fault_on(self, member: Member) -> Iterator[None]:
        """Cause a fault in the body, wait there for its repair, and see whom it harmed.

        Two pods on other nodes talk all the while and lose nothing; nothing leaves in the clear;
        afterwards every path works. A failure shows the last lines of each daemon's log.
        """
        bystanders = [m for m in (self.one, self.two, self.three) if m is not member]
        before = self.mesh.capture.counts()
        with self._logs_shown(), Flow(bystanders[0].pod, bystanders[1].pod) as flow:
            flow.carry()
            yield
            self.wait_until_whole()
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()), "bystanders lost packets")
        after = self.mesh.capture.counts()
        self.assertEqual(after.plaintext - before.plaintext, 0, str(after.samples))
        self.assertEqual(after.missed, 0)
        self.assertGreater(after.encrypted - before.encrypted, there.sent + back.sent - 1)

    @contextmanager
    def _logs_shown(self) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            ends = (m.daemon.log().splitlines()[-_LOG_LINES:] for m in self.mesh.members.values())
            lines = (line for end in ends for line in ("", *end))
            raise AssertionError("\n".join((str(error), *lines))) from error

    @contextmanager
    def told_by(self, member: Member, *lines: str) -> Iterator[None]:
        """What happens in the body is in the log of a daemon: each line, with its reason."""
        before = len(member.daemon.log())
        yield
        eventually_none(
            REPAIR_UNANNOUNCED,
            "the log tells it",
            lambda: [line for line in lines if line not in member.daemon.log()[before:]],
        )

    def wait_until_whole(self, limit: float = CLUSTER) -> None:
        eventually_none(limit, "no path is broken", self.mesh.broken_paths)

    def wait_until_pinged(self, source: Member, destination: Member, limit: float) -> None:
        """Wait until pods of one node reach those of another, with traffic from there alone."""
        eventually(
            limit,
            f"pods of {source.name} reach those of {destination.name}",
            lambda: pings(source.pod.namespace, destination.pod.address),
        )

    def wait_for_peers(self, member: Member, *others: Member, limit: float = CLUSTER) -> None:
        """Wait until exactly these nodes are the peers of a device, with what is theirs."""
        wanted = {
            self.key(other): frozenset(
                (str(other.node.pod_cidr), f"{other.node.overlay_address}/32")
            )
            for other in others
        }
        eventually_none(limit, "the peers are right", lambda: self._wrong_peers(member, wanted))

    def wait_until_missed(self) -> None:
        """Wait until every daemon has tried to reach an API server that was killed.

        One that comes back before that, with other data, is found out only when a watch is silent
        for too long.
        """
        members = list(self.mesh.members.values())
        eventually(SERVER_BACK, "it is missed", lambda: all(map(_in_vain, members)))

    def key(self, member: Member) -> PublicKey:
        """The public key that a node's device has now."""
        reading = member.daemon.device.read()
        if reading is None or reading.key is None:
            self.fail(f"{member.name} has no device with a key")
        return reading.key

    def _peers(self, member: Member) -> dict[PublicKey, frozenset[str]] | None:
        reading = member.daemon.device.read()
        return None if reading is None else reading.peers

    def _wrong_peers(self, member: Member, wanted: dict[PublicKey, frozenset[str]]) -> list[str]:
        """What of a device's peers is not as wanted."""
        peers = self._peers(member)
        if peers is None:
            return [f"{member.name} has no device that answers"]
        return [
            f"{member.name}: {key} has {sorted(peers.get(key, ()))}"
            for key in peers.keys() | wanted.keys()
            if peers.get(key) != wanted.get(key)
        ]


def _in_vain(member: Member) -> bool:
    """Whether a daemon has tried to reach the API server, and none was there."""
    return "refused" in str((member.daemon.status() or {}).get("api"))


def what_is_ours(member: Member) -> str:
    """What of ours a node's kernel has, as text."""
    return "".join(
        member.run(*command)
        for command in (
            ("sh", "-c", "ip link show wg0 2>/dev/null || true"),
            ("ip", "route", "show", "table", "all", "proto", "87"),
            ("sh", "-c", "ip rule show | grep 'proto 87' || true"),
        )
    )
