"""SIGKILL at any moment of a cold join."""

import os
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random, SystemRandom

from twisted.trial.unittest import SynchronousTestCase

from chaos.ghosts import document
from chaos.health import Health
from lab import private
from lab.eventually import FORMING, REPAIR, eventually, eventually_none
from lab.flow import Flow
from lab.mesh import Mesh, paths
from overlayd.model.keys import PrivateKey
from overlayd.model.node import KEY_ANNOTATION

INSTANTS = 50
GHOSTS = 10

SOCKET = Path("wireguard/wg0.sock")
"""Half of the instants count from when the device is there: on a slow machine most come before."""

LIMIT = 10.0  # seconds for it to be there


class KillTests(SynchronousTestCase):
    """Node 1 joins a mesh of two others, and of Nodes that have no machine."""

    skip = private.missing()

    def setUp(self) -> None:
        self.mesh = Mesh()
        self.addCleanup(self.mesh.close)
        self.cluster = self.mesh.cluster
        self.cluster.start()
        for number in range(GHOSTS):
            self.cluster.create_document(document(number, PrivateKey.generate().public()))
        self.mesh.join(2, 3)
        self.mesh.wait_until_whole()
        self.one = self.mesh.add_machine(1)
        self.cluster.create(self.one.node)
        self.health = Health(self.cluster)

    def test_fifty_instants_of_a_cold_join(self) -> None:
        """Killed at whatever moment of its first start, the next start makes the node whole.

        Others lose nothing meanwhile, and nothing is ever sent in the clear.
        """
        seed = int(os.environ.get("OVERLAYD_SEED") or SystemRandom().randrange(10**6))
        sys.stdout.write(f"the instants come from OVERLAYD_SEED={seed}\n")
        random, run = Random(seed), self.one.node.namespace.run_folder
        seen: Counter[str] = Counter()
        with Flow(self.mesh.members[2].pod, self.mesh.members[3].pod) as flow:
            self._join()  # and once more: the first one is slow
            self._leave()
            took = self._join()
            for number in range(INSTANTS):
                self._leave()
                once, longest = random.choice(((run, took), (run / SOCKET, took / 4)))
                instant = random.uniform(0.0, longest)
                self._run_for(instant, once)
                seen[self._reached()] += 1
                self.one.daemon.start()
                when = f"kill {number}, {instant:.3f} s after {once} was there, seed {seed}"
                self._wait_until_whole(when)
            there, back = flow.finish()
        sys.stdout.write(f"a join took {took:.2f} s; killed with {dict(seen)}\n")
        self.assertEqual((there.lost, back.lost), ((), ()), "bystanders lost packets")
        counts = self.mesh.capture.counts()
        self.assertEqual((counts.plaintext, counts.missed), (0, 0), str(counts.samples))

    def _join(self) -> float:
        """Join without being killed; how long it took until the node was announced."""
        began = time.monotonic()
        self.one.daemon.start()
        eventually(FORMING, "the node is announced", self._announced)
        took = time.monotonic() - began
        self._wait_until_whole("never killed")
        return took

    def _leave(self) -> None:
        """Leave nothing of the daemon on the node, and a new Node in the cluster."""
        self.one.daemon.kill()
        self.one.run("ip", "link", "del", "wg0")
        self.one.run("ip", "rule", "flush", "protocol", "87")
        self.one.node.forward(False)
        self.cluster.delete(self.one.name)
        self.cluster.create(self.one.node)

    def _run_for(self, seconds: float, once: Path) -> None:
        """Run a daemon and kill it so long after something is there."""
        self.one.daemon.start()
        limit = time.monotonic() + LIMIT
        while not once.exists() and time.monotonic() < limit:
            time.sleep(0.001)
        time.sleep(seconds)
        self.one.daemon.kill()

    def _reached(self) -> str:
        """How far the daemon had come that was killed."""
        if self._announced():
            return "announced"
        reading = self.one.daemon.device.read()
        if reading is not None:
            return "peers made" if reading.peers else "device made"
        rules = self.one.run("ip", "rule", "show", "protocol", "87")
        return "rules made" if rules else "nothing made"

    def _announced(self) -> bool:
        annotations = self.cluster.get(self.one.name)["metadata"].get("annotations", {})
        return KEY_ANNOTATION in annotations

    def _wait_until_whole(self, when: str) -> None:
        members = list(self.mesh.members.values())

        def wrongs() -> list[str]:
            return self.health.read_cluster() + self.health.wrongs(members)

        eventually_none(FORMING, f"the node is whole, {when}", wrongs)
        way = paths(self.one, self.mesh.members[2])[0]
        eventually(REPAIR, f"packets go from {way.name}, {when}", way.works)
