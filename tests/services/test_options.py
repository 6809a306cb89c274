"""The options: what they become, and how what is wrong with them is said."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from overlayd.options import Options

URL = "http://127.0.0.1:1"
TWISTD = str(Path(sys.executable).with_name("twistd"))


def parsed(*arguments: str, **environ: str) -> Options:
    options = Options(environ)
    options.parseOptions(["--server", URL, *arguments])
    return options


def twistd(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `twistd overlayd` as a person does, in a folder of its own."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [TWISTD, "--nodaemon", "--pidfile=", "overlayd", *arguments],
            capture_output=True,
            text=True,
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": home, **environ},
            timeout=60,
        )


class OptionsTests(SynchronousTestCase):
    def test_environment(self) -> None:
        """Each option has a variable; the command line wins, and an empty variable is none."""
        settings = parsed(
            "--wg-dev", "wg7", OVERLAYD_WG_DEV="wg8", OVERLAYD_MTU="1300", OVERLAYD_NODE_IP=""
        ).configuration.settings
        self.assertEqual((settings.wg_dev, settings.mtu, settings.node_ip), ("wg7", 1300, None))

    def test_several_pod_networks(self) -> None:
        """`--pod-cidr` takes a comma-separated list."""
        settings = parsed("--pod-cidr", "10.1.0.0/16,10.2.0.0/16").configuration.settings
        self.assertEqual(list(map(str, settings.pods)), ["10.1.0.0/16", "10.2.0.0/16"])

    def test_adopt(self) -> None:
        """It is off unless an option or a variable says otherwise."""
        for arguments, variable, adopt in (
            ((), "", False),
            ((), "no", False),
            ((), "1", True),
            (("--adopt",), "", True),
        ):
            settings = parsed(*arguments, OVERLAYD_ADOPT=variable).configuration.settings
            self.assertEqual(settings.adopt, adopt, (arguments, variable))

    def test_node_name_is_the_hosts(self) -> None:
        """Without `--node-name` it is the host's name in lower case, as the kubelet takes it."""
        self.assertEqual(
            parsed().configuration.settings.node_name, os.uname().nodename.strip().lower()
        )


class RefusalTests(SynchronousTestCase):
    def refused(self, value: str, *arguments: str, **environ: str) -> None:
        """One line on stderr that names the value, nothing on stdout, exit status 1."""
        ended = twistd(*arguments, **environ)
        self.assertEqual(ended.stdout, "")
        self.assertEqual(ended.stderr.count("\n"), 1, ended.stderr)
        self.assertIn(value, ended.stderr)
        self.assertEqual(ended.returncode, 1)

    def test_bad_values(self) -> None:
        """What the options alone show to be wrong ends the start."""
        for arguments in (
            ("--overlay-cidr", "100.64.0.1/16"),
            ("--overlay-cidr", "100.64.0.0"),
            ("--pod-cidr", "10.244.0.0/16,fd00::/48"),
            ("--listen-port", "70000"),
            ("--mtu", "9x"),
            ("--node-ip", "10.244.0.9"),
            ("--node-name", "Node_A"),
            ("--wg-dev", "a/b"),
            ("--tunnel", "magic"),
            ("--log-format", "xml"),
            ("--control", "relative.sock"),
            ("--control", "/" + "x" * 200),
        ):
            self.refused(arguments[1].rpartition(",")[2], *arguments)

    def test_unknown_options(self) -> None:
        """An unknown option or a stray word is one line too, without the whole help."""
        self.refused("bogus", "--bogus", "1")
        self.refused("stray", "stray")

    def test_bad_variables(self) -> None:
        """What is wrong in a variable is said like what is wrong in an option."""
        self.refused("nonsense", OVERLAYD_OVERLAY_CIDR="nonsense")

    def test_kubeconfig_missing(self) -> None:
        """A kubeconfig that is named and not there ends the start."""
        self.refused("/nowhere/config", "--kubeconfig", "/nowhere/config")
        self.refused("/nowhere/config", KUBECONFIG="/nowhere/config")

    def test_kubeconfig_unreadable(self) -> None:
        """One that is no kubeconfig does so too."""
        path = self.mktemp()
        Path(path).write_text("{[")
        self.refused(os.path.abspath(path), "--kubeconfig", os.path.abspath(path))

    def test_no_folder_for_the_control_socket(self) -> None:
        """A service that cannot start ends with one line, too."""
        ended = twistd("--server", URL, "--control", "/nowhere/control.sock")
        self.assertEqual(ended.returncode, 1)
        self.assertIn("/nowhere", ended.stderr)
        self.assertEqual(ended.stderr.count("\n"), 1, ended.stderr)
