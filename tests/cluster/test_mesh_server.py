"""Kubernetes' own API server dies, hangs and forgets; the mesh goes on and asks for little."""

import signal
import time
from collections import Counter

from lab.eventually import SERVER_BACK, eventually
from lab.mesh import Member
from lab.topology import Place
from tests.cluster.mesh import KubernetesTestCase

MINUTE = 60.0

BEATS = 250
"""More than an empty store writes by itself: its versions are below what was seen."""

RESETS = 3


class ServerTests(KubernetesTestCase):
    def test_killed_and_back(self) -> None:
        """After SIGKILL the next server remembers no event: each daemon lists once at the most."""
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            self.cluster.kill()
            self.wait_until_told("refused")
            self.cluster.start()
            self.wait_until_heard()
            self.assert_gentle(mark, lists=1)

    def test_stopped_for_a_minute(self) -> None:
        """A server that is stopped for a minute is missed by nobody but a newcomer."""
        self.addCleanup(self.discard_mesh)
        with self.nothing_lost():
            pod_cidr = self.cluster.admit(Place.of(4))
            four = self.mesh.add_machine(4, pod_cidr=pod_cidr)
            mark = self.kubernetes.plane.audit.mark()
            began = time.monotonic()
            self.cluster.hang()
            self.addCleanup(self.cluster.resume)
            four.daemon.start()
            self.wait_until_told("nothing came in time", four)
            for member in self.members:
                self.assertTrue(member.ready())
            time.sleep(max(0.0, MINUTE - (time.monotonic() - began)))
            self.cluster.resume()
            eventually(SERVER_BACK, "the newcomer is ready", four.ready)
            self.mesh.wait_until_whole(SERVER_BACK)
            self.assert_gentle(mark, lists=0)

    def test_compacted(self) -> None:
        """A version that is no longer in the history, a 410, costs each daemon one list."""
        with self.nothing_lost():
            for member in self.members:
                member.daemon.signal(signal.SIGSTOP)
                self.addCleanup(member.daemon.signal, signal.SIGCONT)
            self.kubernetes.reset(*(member.node for member in self.members))
            self.kubernetes.beat("node1")
            self.kubernetes.plane.forget_history()
            mark = self.kubernetes.plane.audit.mark()
            with self.all_tell("too old for the API server (410)"):
                for member in self.members:
                    member.daemon.signal(signal.SIGCONT)
                self.wait_until_heard()
        for member in self.members:
            self.assertEqual(self.asked(member, mark), Counter(watches=1, streamed_lists=1))

    def test_another_store(self) -> None:
        """A store that is lost and made anew: lower versions, other uids, no token that counts.

        While its Nodes are missing, and while they announce nothing, no peer goes.
        """
        for _ in range(BEATS):
            self.kubernetes.beat("node1")
        before = {member.name: self._identity(member) for member in self.members}
        with self.nothing_lost():
            mark = self.kubernetes.plane.audit.mark()
            self.kubernetes.replace_store()
            self.wait_until_told("credentials (401)")
            with self.all_tell("the API server's history is not ours"):
                for member in self.members:
                    self.kubernetes.mount(member.name)
                for member in self.members:
                    self._wait_for_state(member, "node-missing")
            for member in self.members:
                self.cluster.create(member.node)
            for member in self.members:
                self._wait_for_state(member, "converged")
                self.wait_for_peers(member, *self.others(member))
            for member in self.members:
                version, uid = self._identity(member)
                self.assertLess(version, before[member.name][0])
                self.assertNotEqual(uid, before[member.name][1])
            self.assert_gentle(mark, lists=1, patches=1)

    def _identity(self, member: Member) -> tuple[int, str]:
        metadata = self.cluster.get(member.name)["metadata"]
        return int(metadata["resourceVersion"]), metadata["uid"]

    def _wait_for_state(self, member: Member, state: str) -> None:
        def stands() -> bool:
            return (member.daemon.status() or {}).get("state") == state

        eventually(SERVER_BACK, f"{member.name} is {state}", stands)


class LineTests(KubernetesTestCase):
    """The server is well, and the way to it is not."""

    def test_resets(self) -> None:
        """Each reset costs a watch, and no list."""
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            for _ in range(RESETS):
                self.kubernetes.reset(*(member.node for member in self.members))
                self.wait_until_heard()
            for member in self.members:
                self.assertGreaterEqual(self.asked(member, mark)["watches"], RESETS)
            self.assert_gentle(mark, lists=0)

    def test_a_black_hole(self) -> None:
        """Where nothing comes back any more, that is seen within a minute; nobody lists."""
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            with self.kubernetes.black_hole(*(member.node for member in self.members)):
                self.wait_until_told("no connection within 5 s", limit=MINUTE)
            self.wait_until_heard()
            self.assert_gentle(mark, lists=0)
