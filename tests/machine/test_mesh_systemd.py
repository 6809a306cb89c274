"""The daemon as the unit of `systemd/`, under systemd as it is on a machine without containers."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import installed, private, systemd
from lab.device import KIND
from lab.eventually import FORMING, REPAIR, eventually
from lab.flow import Flow
from lab.systemd import Systemd
from overlayd.model.settings import TunnelKind
from tests.machine.mesh import MeshTestCase

UNIT = installed.CHECKOUT / "systemd" / "overlayd.service"
NET_ADMIN = 1 << 12  # linux/capability.h
SETTINGS = """\
[Service]
StandardOutput=append:/run/overlayd.log
StandardError=inherit
"""
"""The log of all daemons of a node is one file."""


class SystemdTests(MeshTestCase):
    """Node 1's daemon is started by systemd, with the rights that its unit leaves it."""

    skip = private.missing() or systemd.lacks()

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.discard_mesh)
        self.one.daemon.stop()
        node = self.one.node
        options = {"SERVER": self.cluster.url, "NODE_NAME": node.name, "TUNNEL": KIND.value}
        environment = node.namespace.run_folder / "overlayd.env"
        lines = [f"OVERLAYD_{name}={value}\n" for name, value in options.items()]
        environment.write_text("".join([*lines, f"PYTHONPATH={installed.folder()}\n"]))
        self.systemd = Systemd(node.namespace, UNIT.name, self._unit(), SETTINGS)
        self.addCleanup(self.systemd.close)
        eventually(FORMING, "the daemon is ready", self.one.daemon.ready)

    def _unit(self) -> str:
        """As it is, but for where overlayd and its variables are."""
        programs = str(Path(installed.command("twistd")).parent)
        text = UNIT.read_text()
        for theirs, ours in (("/opt/overlayd/bin", programs), ("/etc/overlayd/", "/run/")):
            self.assertIn(theirs, text)
            text = text.replace(theirs, ours)
        return text

    def test_rights(self) -> None:
        """It has one capability, gains no other, and may not ask the kernel for everything."""
        status = Path(f"/proc/{self._pid()}/status").read_text()
        told = dict(re.findall(r"^(\w+):\s+(\S+)$", status, re.MULTILINE))
        for kind in ("CapPrm", "CapEff", "CapBnd"):
            self.assertEqual(int(told[kind], 16), NET_ADMIN, kind)
        self.assertEqual((told["NoNewPrivs"], told["Seccomp"]), ("1", "2"))

    def test_restarted(self) -> None:
        """A restart, a kill and a stop lose nothing, and none of them ends the tunnel."""
        key = self.key(self.one)
        with self._nothing_lost():
            self.systemd.ctl("restart")
            eventually(FORMING, "the daemon is ready", self.one.daemon.ready)
            before = self._pid()
            os.kill(before, signal.SIGKILL)
            eventually(FORMING, "systemd starts it again", lambda: self._pid() not in (0, before))
            eventually(FORMING, "the daemon is ready", self.one.daemon.ready)
            self.systemd.ctl("stop")
            self.assertEqual(self.systemd.show("ActiveState"), "inactive")
        self.assertEqual(self.key(self.one), key)

    def test_all_made_anew(self) -> None:
        """Where nothing of ours is left, its rights are enough to make all of it."""
        done = self.one.daemon.ctl("teardown")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.systemd.ctl("stop")
        self.one.node.forward(False)
        self.assertIsNone(self.one.daemon.device.read())
        self.systemd.ctl("start")
        eventually(FORMING, "the daemon is ready", self.one.daemon.ready)
        self.wait_until_whole(FORMING)
        self.assertEqual(self.one.run("cat", "/proc/sys/net/ipv4/ip_forward"), "1\n")
        goes = bool(self.one.node.namespace.running("wireguard-go"))
        self.assertIs(goes, KIND is TunnelKind.USERSPACE)
        with self._nothing_lost():
            self.systemd.ctl("restart")
            eventually(FORMING, "the daemon is ready", self.one.daemon.ready)
            eventually(REPAIR, "no path is broken", lambda: not self.mesh.broken_paths())

    def _pid(self) -> int:
        """The unit's main process, by its number here."""
        return next(iter(self.one.node.namespace.running("twistd")), 0)

    @contextmanager
    def _nothing_lost(self) -> Iterator[None]:
        with Flow(self.one.pod, self.two.pod) as flow:
            flow.carry()
            yield
            flow.carry()
            there, back = flow.finish()
        self.assertEqual((there.lost, back.lost), ((), ()))
