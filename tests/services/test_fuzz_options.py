"""Whatever stands in an option or a variable, the daemon has settings or ends with one line."""

import io
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.options import Configuration, Options
from tests.pure.hostile import CANARY, LONGEST_TEXT, fuzz, texts

NAMES = [str(parameter[0]) for parameter in Options.optParameters]
URL = f"https://me:{CANARY}@192.0.2.1"
KUBECONFIG = f"""
current-context: x
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "https://192.0.2.1"}}}}]
users: [{{name: u, user: {{token: {CANARY}, username: {CANARY}}}}}]
"""

# What execve(2) can pass: any bytes but zeros.
arguments = texts.map(
    lambda text: text.replace("\0", "").encode("utf-8", "surrogatepass").decode("utf-8", "replace")
) | st.binary(max_size=20).map(
    lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)

urls = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(("", "https://", "gopher://", "//", "https:")),
    st.just(f"me:{CANARY}@") | st.just(f"{CANARY}@"),
    arguments,
    st.sampled_from(("", ":1", ":99999", ":x", "/path", "?query", "#")),
)


class OptionsFuzz(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "config"
        self.file.write_text(KUBECONFIG)

    def ended(self, command: list[str], environ: dict[str, str]) -> Configuration | str:
        """The configuration, or the line that the start ends with."""
        said = io.StringIO()
        options = Options({"HOME": "/nowhere", **environ})
        try:
            with redirect_stderr(said):
                options.parseOptions(command)
        except SystemExit as end:
            self.assertEqual(end.code, 1)
            line = said.getvalue()
            self.assertTrue(line.endswith("\n"))
            self.assertTrue(line[:-1].isprintable(), repr(line))
            self.assertLess(len(line), LONGEST_TEXT)
            self.assertNotIn(CANARY, line)
            return line
        return options.configuration

    @fuzz
    @given(st.sampled_from(NAMES), arguments, st.booleans())
    @example("listen-port", "9" * 5000, False)
    @example("mtu", "9" * 5000, True)
    @example("wg-dev", "\udcff", False)
    @example("pod-cidr", "1" * 100_000, True)
    @example("kubeconfig", "x" * 100_000, True)
    def test_value(self, name: str, value: str, as_variable: bool) -> None:
        """Any value of any option, on the command line or as a variable."""
        command = ["--server", "http://192.0.2.1"]
        environ = {}
        if as_variable:
            environ["OVERLAYD_" + name.upper().replace("-", "_")] = value
        else:
            command += [f"--{name}", value]
        first = self.ended(command, environ)
        second = self.ended(command, environ)
        if isinstance(first, Configuration) and isinstance(second, Configuration):
            self.assertEqual(first.settings, second.settings)
        else:
            self.assertEqual(first, second)

    @fuzz
    @given(st.lists(arguments, max_size=3))
    @example(["--\x1b[2J"])
    @example(["--" + "x" * 100_000])
    def test_command_line(self, command: list[str]) -> None:
        """Any words in place of options."""
        self.ended(command, {})

    @fuzz
    @given(
        st.dictionaries(st.sampled_from(("KUBECONFIG", "NO_PROXY", "HOME")), arguments),
        st.dictionaries(st.sampled_from(("HTTPS_PROXY", "OVERLAYD_SERVER")), urls),
    )
    def test_environment(self, files: dict[str, str], servers: dict[str, str]) -> None:
        """Any variables that say where the API server is; a password in them is not repeated."""
        self.ended([], {**files, **servers})

    def test_secrets(self) -> None:
        """Neither a password in a URL nor what is in a kubeconfig is repeated."""
        for command, environ in (
            (["--server", URL], {}),
            (["--server", "https://192.0.2.1"], {"HTTPS_PROXY": f"gopher://me:{CANARY}@h"}),
            (["--kubeconfig", str(self.file)], {}),
        ):
            self.assertIsInstance(self.ended(command, environ), str)

    def test_address_of_ours(self) -> None:
        """An address of ours that no other node would read in our annotation is refused."""
        for address in ("fe80::1", "fe80::1%eth0", "::ffff:127.0.0.1", "192.0.2.01", "224.0.0.1"):
            self.assertIsInstance(self.ended(["--node-ip", address, "--server", "h"], {}), str)

    def test_address_of_ours_in_a_network_of_ours(self) -> None:
        """Nor is one taken that lies in a network of ours, however it is written."""
        for address in ("10.244.0.9", "::ffff:10.244.0.9", "::FFFF:af4:9"):
            line = self.ended(["--node-ip", address, "--server", "h"], {})
            self.assertIn("goes through the tunnel", str(line))
