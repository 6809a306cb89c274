"""The mesh forms on Kubernetes' own API server, and goes on as nodes come, go and change."""

import json
import time
from collections import Counter

from lab.eventually import CLUSTER, FORMING, REPAIR_UNANNOUNCED, eventually
from lab.mesh import Member
from overlayd.model.keys import PrivateKey
from overlayd.model.node import (
    ADDRESS_ANNOTATION,
    ENDPOINT_ANNOTATION,
    KEY_ANNOTATION,
    POD_CIDRS_ANNOTATION,
)
from tests.cluster.mesh import KubernetesTestCase

FIRST: Counter[str] = Counter(streamed_lists=1, patches=1)
"""What a daemon asks for that is new to the cluster: its list goes on as its watch."""

NOTHING: Counter[str] = Counter()

QUIET = 10.0
"""Seconds in which nothing is asked: a hundredth of what a heartbeat every few seconds would be."""

BEATS = 10


class FormingTests(KubernetesTestCase):
    """Everybody's token is bound to a pod of its node; podCIDRs come from the controller manager.

    The audit log tells what the daemons ask for.
    """

    def test_a_node_joins_and_leaves(self) -> None:
        """A newcomer lists once and writes once, to its own Node alone; the others ask nothing."""
        self.addCleanup(self.discard_mesh)
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            self.mesh.join(4)
            four = self.mesh.members[4]
            self.mesh.wait_until_whole()
            for member in self.members:
                self.wait_for_peers(member, *self.others(member), four)
            self.assertEqual(self.asked(four, mark), FIRST)
            (written,) = [a for a in self.kubernetes.asked(mark) if a.verb == "patch"]
            self.assertEqual((written.name, written.node), ("node4", "node4"))
            annotations = {
                KEY_ANNOTATION: str(self.key(four)),
                ADDRESS_ANNOTATION: str(four.node.overlay_address),
                ENDPOINT_ANNOTATION: f"{four.node.address}:51820",
                POD_CIDRS_ANNOTATION: str(four.node.pod_cidr),
            }
            self.assertEqual(written.sent, {"metadata": {"annotations": annotations}})
            self.discard_mesh()
            for member in self.members:
                self.wait_for_peers(member, *self.others(member))
                self.assertEqual(self.asked(member, mark), NOTHING)

    def test_pod_cidrs(self) -> None:
        """The podCIDRs are those of the controller manager, and what peers send there arrives."""
        for member in self.members:
            spec = self.cluster.get(member.name)["spec"]
            self.assertEqual(spec["podCIDRs"], [str(member.node.pod_cidr)])
        managed = [
            asked.name
            for asked in self.kubernetes.plane.audit.since()
            if asked.verb == "patch" and "podCIDRs" in (asked.sent or {}).get("spec", {})
        ]
        self.assertLessEqual({member.name for member in self.members}, set(managed))

    def test_a_key_is_rotated(self) -> None:
        """Of a new key one write tells, with nothing in it but the key."""
        mark = self.kubernetes.plane.audit.mark()
        key = PrivateKey.generate()
        with self.fault_on(self.one):
            self.one.daemon.device.rotate(key)
            for member in (self.two, self.three):
                self.wait_for_peers(member, *self.others(member), limit=REPAIR_UNANNOUNCED)
        self.assertEqual(self.key(self.one), key.public())
        (written,) = self.kubernetes.asked(mark)
        self.assertEqual((written.verb, written.name, written.node), ("patch", "node1", "node1"))
        changed = {"annotations": {KEY_ANNOTATION: str(key.public())}}
        self.assertEqual(written.sent, {"metadata": changed})

    def test_restarted(self) -> None:
        """A daemon that starts again, killed or stopped, lists once and writes nothing."""
        for end in (self.one.daemon.kill, self.one.daemon.stop):
            mark = self.kubernetes.plane.audit.mark()
            with self.nothing_lost():
                end()
                self.one.daemon.start()
                eventually(FORMING, "the daemon is ready", self.one.ready)
            self.assertEqual(self.asked(self.one, mark), Counter(streamed_lists=1))

    def test_heartbeats_and_quiet(self) -> None:
        """What kubelets write, and time, make no daemon ask for anything."""
        mark = self.kubernetes.plane.audit.mark()
        passes = [self._passes(member) for member in self.members]
        for _ in range(BEATS):
            for member in self.members:
                self.kubernetes.beat(member.name)
        self.wait_until_heard(*self.members)
        time.sleep(QUIET)
        self.assertEqual(self.kubernetes.asked(mark), [])
        self.assertEqual([self._passes(member) for member in self.members], passes)

    def test_a_node_made_anew(self) -> None:
        """A Node that is registered again, with a new uid, is written to once."""
        mark = self.kubernetes.plane.audit.mark()
        with self.fault_on(self.one):
            self.cluster.delete("node1")
            self.cluster.create(self.one.node)
            eventually(CLUSTER, "it is announced", self._is_announced)
        self.assertEqual(self.asked(self.one, mark), Counter(patches=1))

    def _is_announced(self) -> bool:
        annotations = self.cluster.get("node1")["metadata"].get("annotations", {})
        return bool(annotations.get(KEY_ANNOTATION) == str(self.key(self.one)))

    @staticmethod
    def _passes(member: Member) -> int:
        """How many passes a daemon has made, but for those that it makes anyway."""
        document: list[object] = json.loads(member.daemon.ctl("history", "-o", "json").stdout)
        return len(document)
