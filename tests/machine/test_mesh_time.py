"""The machine's wall clock jumps, and everything goes on.

The clock is libfaketime's, for the daemon alone: the kernel has one wall clock for all namespaces.
What wireguard-go makes of a jump is not seen here.
"""

import time
from datetime import datetime
from pathlib import Path

from lab import private
from lab.cluster import Document
from lab.daemon import Daemon
from lab.eventually import (
    CLUSTER,
    FORMING,
    REPAIR,
    REPAIR_UNANNOUNCED,
    SERVER_BACK,
    eventually,
)
from overlayd.model.keys import PrivateKey, PublicKey
from tests.machine.mesh import MeshTestCase

HOUR, DAY = 3600, 86400

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class TimeTests(MeshTestCase):
    """Node 1 has a daemon whose wall clock is set while it runs."""

    skip = private.missing() or (
        None if _LIBRARIES else "needs libfaketime: apt-get install libfaketime"
    )

    def setUp(self) -> None:
        super().setUp()
        node = self.one.node
        self.clock = node.namespace.run_folder / "clock"
        self._set_clock(0)
        self.daemon = Daemon(
            node,
            self.cluster.url,
            inside=(
                "env",
                f"LD_PRELOAD={_LIBRARIES[0]}",
                "FAKETIME_TIMESTAMP_FILE=/run/clock",
                "FAKETIME_NO_CACHE=1",
                "FAKETIME_DONT_FAKE_MONOTONIC=1",
            ),
        )
        self.one.daemon.stop()
        self.addCleanup(self._run_again)
        self.daemon.start()
        eventually(FORMING, "the daemon is ready", self.daemon.ready)

    def _run_again(self) -> None:
        if self.daemon.running:
            self.daemon.kill()
        self.one.daemon.start()
        eventually(FORMING, "the daemon is ready", self.one.ready)

    def test_set_back_an_hour(self) -> None:
        """A clock that was wrong and is set back stops no timer."""
        self._everything_goes_on_after(-HOUR)

    def test_set_forward_a_day(self) -> None:
        """A machine that slept, or whose clock was never set, takes nothing for old."""
        self._everything_goes_on_after(DAY)

    def _everything_goes_on_after(self, jump: int) -> None:
        with self.fault_on(self.one):
            self._set_clock(jump)
            eventually(REPAIR_UNANNOUNCED, "a pass saw the jump", lambda: self._passed_at(jump))
            self._repairs()
            self._watches()
            self.assertEqual(self.daemon.ctl("resync").returncode, 0)
            self._ages_are_true()

    def _repairs(self) -> None:
        """What the kernel announces, and what only a timer finds."""
        before = self._rules()
        self.one.run("ip", "rule", "flush", "protocol", "87")
        eventually(REPAIR, "the rules are back", lambda: self._rules() == before)
        self.one.daemon.device.remove_peer(self.key(self.two))
        self.wait_for_peers(self.one, self.two, self.three, limit=REPAIR_UNANNOUNCED)

    def _watches(self) -> None:
        """A watch that was reset is begun again after a while, and hears of a new Node."""
        key = PrivateKey.generate().public()
        self.development.reset_watches()
        eventually(SERVER_BACK, "all watch", lambda: self.development.state()["open_watches"] == 3)
        self.cluster.request("POST", "/api/v1/nodes", _announced("new", key))
        eventually(CLUSTER, "it is a peer", lambda: key in (self._peers(self.one) or ()))
        self.cluster.delete("new")
        eventually(
            CLUSTER, "it is none any more", lambda: key not in (self._peers(self.one) or {key})
        )

    def _ages_are_true(self) -> None:
        status = self.daemon.status()
        assert status is not None
        api = status["api"]
        for age in (
            *(status["uptime"], status["lastPassAge"], status["inventory"]["age"]),
            *(api["connected"], api["heard"]),
        ):
            self.assertTrue(0 <= age < HOUR / 2, str(status))

    def _set_clock(self, jump: int) -> None:
        """Let the daemon's wall clock be so many seconds ahead of ours. It reads this each time."""
        new = self.clock.with_suffix(".new")
        new.write_text(f"{jump:+}\n")
        new.rename(self.clock)

    def _passed_at(self, jump: int) -> bool:
        report = (self.daemon.status() or {}).get("lastPass")
        return report is not None and abs(_seconds(report["began"]) - time.time() - jump) < HOUR / 2

    def _rules(self) -> str:
        return self.one.run("ip", "rule")


def _announced(name: str, key: PublicKey) -> Document:
    """A Node that has a key, and nobody behind it."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"wireguard-publickey": str(key)},
        },
        "spec": {"podCIDR": "10.244.77.0/24", "podCIDRs": ["10.244.77.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": "172.30.0.77"}]},
    }


def _seconds(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339).timestamp()
