"""Kubernetes' own API server dies, hangs and forgets; the mesh goes on and asks for little."""

import signal
import time

from lab.eventually import SERVER_BACK, eventually
from lab.topology import Place
from tests.cluster.mesh import KubernetesTestCase

MINUTE = 60.0
BEATS = 300
"""More than an empty store writes by itself: its versions are below what was seen."""

TRIES = 12
"""Requests that a daemon may make in vain, or for a look at the history, while a server is away
for less than a minute: the back-off doubles from half a second to thirty."""


class ServerTests(KubernetesTestCase):
    def test_killed_and_back(self) -> None:
        """After SIGKILL the watch is resumed: status names it, and nobody lists."""
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            self.cluster.kill()
            self.wait_until_told("refused")
            self.cluster.start()
            self.wait_until_heard()
        for member in self.members:
            print(self.asked(member, mark))

    def test_stopped_for_a_minute(self) -> None:
        """A server that is stopped for a minute is missed by nobody but a newcomer."""
        self.addCleanup(self.discard_mesh)
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            began = time.monotonic()
            pod_cidr = self.cluster.admit(Place.of(4))
            four = self.mesh.add_machine(4, pod_cidr=pod_cidr)
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
        for member in self.members:
            print(self.asked(member, mark))
        print(self.asked(four, mark))

    def test_compacted(self) -> None:
        """A version that is no longer in the history costs each daemon one list."""
        with self.nothing_lost():
            for member in self.members:
                member.daemon.signal(signal.SIGSTOP)
                self.addCleanup(member.daemon.signal, signal.SIGCONT)
            self.kubernetes.reset(*(m.node for m in self.members))
            self.kubernetes.beat("node1")
            self.kubernetes.plane.forget_history()
            mark = self.kubernetes.plane.audit.mark()
            for member in self.members:
                member.daemon.signal(signal.SIGCONT)
            self.wait_until_heard()
        for member in self.members:
            print(self.asked(member, mark))
        for a in self.kubernetes.asked(mark):
            print(a)

    def test_another_store(self) -> None:
        """A store that is lost and made anew: lower versions, other uids, no token that counts."""
        before = {m.name: self.cluster.get(m.name) for m in self.members}
        for _ in range(BEATS // 3):
            for member in self.members:
                self.kubernetes.beat(member.name)
        with self.nothing_lost():
            mark = self.kubernetes.plane.audit.mark()
            self.kubernetes.replace_store()
            self.wait_until_told("credentials (401)")
            for member in self.members:
                self.kubernetes.mount(member.name)
            for member in self.members:
                eventually(
                    SERVER_BACK,
                    "it misses its Node",
                    lambda m=member: (m.daemon.status() or {}).get("state") == "node-missing",
                )
            for member in self.members:
                self.cluster.create(member.node)
            for member in self.members:
                self.wait_for_peers(member, *self.others(member), limit=SERVER_BACK)
            self.wait_until_heard()
        for member in self.members:
            print(self.asked(member, mark))
            print(
                before[member.name]["metadata"]["resourceVersion"],
                self.cluster.get(member.name)["metadata"]["resourceVersion"],
            )


class LineTests(KubernetesTestCase):
    def test_resets(self) -> None:
        """Each reset costs a watch, and no list."""
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            for _ in range(3):
                self.kubernetes.reset(*(m.node for m in self.members))
                self.wait_until_heard()
        for member in self.members:
            print(self.asked(member, mark))

    def test_a_black_hole(self) -> None:
        """A server from which nothing comes any more is missed within a minute."""
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            began = time.monotonic()
            with self.kubernetes.black_hole(*(m.node for m in self.members)):
                self.wait_until_told("imed out", limit=MINUTE)
                print(time.monotonic() - began, self.told(self.one))
                self.wait_until_told("no connection within", limit=MINUTE)
                print(time.monotonic() - began, self.told(self.one))
            self.wait_until_heard()
        for member in self.members:
            print(self.asked(member, mark))
