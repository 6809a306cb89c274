"""Pods come and go on a node, and its daemon writes: neither causes passes without need."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.eventually import REPAIR, eventually, patience
from overlayd.services.readings import SHORTEST_PERIOD
from tests.machine.mesh import MeshTestCase

PODS = round(50 / patience(1.0))

POD = """\
link add p{n} type veth peer name q{n}
link set p{n} master cni0 up
link set q{n} up
route add {address}/32 dev p{n} scope link
rule add to {address} lookup main priority 512
addr add {address}/32 dev q{n}
"""
POD_GONE = """\
rule del to {address} priority 512
route del {address}/32 dev p{n}
link del p{n}
"""


class QuietTests(MeshTestCase):
    """Passes on node 1, counted. One now and then is no harm: that is how drift is found."""

    def test_pods_come_and_go(self) -> None:
        """Pods that start and stop, with all that a CNI plugin makes for them, cause no pass."""
        with self.fault_on(self.one), self._passes_caused(0):
            for text in (POD, POD_GONE):
                for n in range(PODS):
                    address = self.one.node.pod_cidr[100 + n]
                    self.one.node.namespace.run(
                        "ip", "-batch", "-", given=text.format(n=n, address=address)
                    )

    def test_own_writes(self) -> None:
        """A repair causes one pass more, in which all is well, and no storm."""
        with self.fault_on(self.one), self._passes_caused(4):
            self.one.run("ip", "link", "set", "wg0", "mtu", "1300")
            eventually(REPAIR, "the MTU is right", lambda: "mtu 1420" in self._link())
            time.sleep(2 * SHORTEST_PERIOD)  # a storm would show

    @contextmanager
    def _passes_caused(self, most: int) -> Iterator[None]:
        """At most so many passes happen in the body beside those that time alone brings."""
        before, began = self._passes(), time.monotonic()
        yield
        passes, seconds = self._passes() - before, time.monotonic() - began
        self.assertLessEqual(passes, most + seconds // SHORTEST_PERIOD + 1)

    def _passes(self) -> int:
        status = self.one.daemon.status()
        assert status is not None
        number: int = status["lastPass"]["number"]
        return number

    def _link(self) -> str:
        return self.one.run("ip", "link", "show", "dev", "wg0")
