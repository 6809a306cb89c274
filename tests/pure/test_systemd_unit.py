"""The systemd unit: what systemd makes of it, and that it has the rights of the DaemonSet."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from overlayd.model.places import DEFAULT_CONTROL
from overlayd.options import Options

CHECKOUT = Path(__file__).parent.parent.parent
UNIT = CHECKOUT / "systemd" / "overlayd.service"
DAEMON_SET = CHECKOUT / "k8s" / "base" / "daemonset.yaml"

MOST_EXPOSED = 35
"""In tenths, as `systemd-analyze security` counts: root and CAP_NET_ADMIN are most of it."""

ANALYZE = shutil.which("systemd-analyze")


def settings() -> Iterator[tuple[str, str]]:
    for line in UNIT.read_text().splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            yield name, value


class UnitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.settings = dict(settings())

    def test_command(self) -> None:
        """It starts what the DaemonSet starts, and every option is one that the daemon has."""
        program, *words = self.settings["ExecStart"].split()
        self.assertTrue(program.endswith("/twistd"))
        (container,) = self._daemon_set()["containers"]
        start = ["--nodaemon", "--pidfile=", "overlayd"]
        self.assertEqual((container["command"][1:], words[:3]), (start, start))
        options = Options({})
        known = {f"--{name}" for name, *_ in (*options.optParameters, *options.optFlags)}
        self.assertEqual({word.partition("=")[0] for word in words[3:]} - known, set())

    def test_rights(self) -> None:
        """The same capabilities as in a pod, and the folders of the sockets to write to."""
        (container,) = self._daemon_set()["containers"]
        wanted = [f"CAP_{name}" for name in container["securityContext"]["capabilities"]["add"]]
        self.assertEqual(self.settings["CapabilityBoundingSet"].split(), wanted)
        self.assertEqual(self.settings["NoNewPrivileges"], "yes")
        folders = [f"/run/{name}" for name in self.settings["RuntimeDirectory"].split()]
        self.assertIn(str(Path(DEFAULT_CONTROL).parent), folders)
        self.assertIn("/run/wireguard", folders)

    def test_the_tunnel_outlives_it(self) -> None:
        """Its end ends neither wireguard-go nor the sockets' folders; others' hunger not either."""
        for name, value in (
            ("KillMode", "process"),
            ("OOMPolicy", "continue"),
            ("RuntimeDirectoryPreserve", "yes"),
            ("Restart", "always"),
        ):
            self.assertEqual(self.settings[name], value)

    def test_forwarding_can_be_set(self) -> None:
        """What makes /proc/sys read-only is left out: no kubelet has seen to ip_forward there."""
        self.assertEqual(self.settings["ProtectKernelTunables"], "no")

    def test_systemd_takes_it(self) -> None:
        """systemd knows every word of it, and finds it as closed as it is meant to be."""
        folder = Path(self.mktemp())
        folder.mkdir()
        unit = folder / UNIT.name
        text = UNIT.read_text().replace("/opt/overlayd/bin/twistd", "/bin/true")
        unit.write_text(text)
        for command in (
            ("verify", "--man=no", str(unit)),
            ("security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(unit)),
        ):
            done = self._analyze(*command)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertNotIn(UNIT.name + ":", done.stderr)

    if ANALYZE is None:
        test_systemd_takes_it.skip = "needs systemd-analyze: apt-get install systemd"  # type: ignore[attr-defined]

    def _analyze(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(ANALYZE), *arguments], capture_output=True, text=True)

    def _daemon_set(self) -> dict[str, Any]:
        template: dict[str, Any] = yaml.safe_load(DAEMON_SET.read_text())["spec"]["template"][
            "spec"
        ]
        return template
