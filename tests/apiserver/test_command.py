"""The development API server as a command: options, endings, and what it keeps."""

import http.client
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp
from unittest import SkipTest

from twisted.python.usage import UsageError

from overlayd.testing.apiserver.options import ServerOptions
from overlayd.testing.apiserver.process import ServerFailed, ServerProcess, development_server
from overlayd.testing.apiserver.realistic import realistic_nodes
from tests.apiserver.certificates import self_signed
from tests.apiserver.client import ServerUnderTest
from tests.apiserver.suite.case import NodeApiCase, annotated


class CommandCase(NodeApiCase):
    """Each test starts a server, or several, of its own."""

    process: ServerProcess
    tls: ssl.SSLContext | None = None

    def setUp(self) -> None:
        self.folder = Path(mkdtemp(dir="."))

    def start(self, *options: str, listen: str = "127.0.0.1:0") -> ServerProcess:
        self.process = self.enterContext(development_server(*options, listen=listen))
        super().setUp()
        return self.process

    def server(self) -> ServerUnderTest:
        return ServerUnderTest(self.process.url, tls=self.tls)


class EndingTests(CommandCase):
    def refused(self, *options: str) -> str:
        """Run it with options that cannot work; what it says on standard error."""
        command = [sys.executable, "-m", "overlayd.testing.apiserver", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_terminated(self) -> None:
        """SIGTERM ends it with status 0, with a watch open too."""
        self.start()
        self.watching()
        self.assertEqual(self.process.stop(), 0)

    def test_place_taken(self) -> None:
        """A port that is taken is one line that names it, and status 1."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            self.assertIn(port, self.refused("--listen", f"127.0.0.1:{port}"))

    def test_missing_file(self) -> None:
        """A file that is missing is one line that names it, and status 1."""
        self.assertIn("no-such.pem", self.refused("--tls-cert", "no-such.pem", "--tls-key", "k"))

    def test_wrong_options(self) -> None:
        """An option that cannot be right is refused with its value."""
        for option, value in (
            ("--listen", "nowhere"),
            ("--listen", "127.0.0.1:65536"),
            ("--allocate-pod-cidrs", "10.0.0.0/99"),
            ("--bookmark-interval", "-1"),
            ("--history", "0"),
            ("--tls-client-ca", "alone"),
        ):
            with self.assertRaises(UsageError) as caught:
                ServerOptions().parseOptions([option, value])
            self.assertEqual(str(caught.exception).count("\n"), 0)
            self.assertIn(option.lstrip("-"), str(caught.exception))

    def test_helper_tells(self) -> None:
        """A server that does not start raises with what it said."""
        with self.assertRaises(ServerFailed) as caught, development_server("--nodes", "many"):
            pass
        self.assertIn("many", str(caught.exception))

    def test_faults_are_switched_on(self) -> None:
        """Without --testing there is nothing under /testing/."""
        control = self.folder.joinpath("control").resolve()
        command = [sys.executable, "-m", "overlayd.testing.apiserver", "--until-stdin-closes"]
        command += ["--listen", "127.0.0.1:0", "--listen", f"unix:{control}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            url = process.stdout.readline().split()[2].decode()
            self.assertTrue(control.is_socket())
            connection = ServerUnderTest(url).connect()
            connection.request("GET", "/testing/counters")
            self.assertEqual(connection.getresponse().status, 404)
            connection.close()
        self.assertEqual(process.returncode, 0)


class StateTests(CommandCase):
    def test_killed_and_started(self) -> None:
        """With a state file a server that was killed comes back where it was, history included."""
        state = str(self.folder / "state")
        self.start("--state", state)
        self.api.create({"metadata": {"name": self.name("a")}})
        gone = self.api.create({"metadata": {"name": self.name("b")}}).document
        version = self.annotate(self.name("a"), "a", "1")
        self.api.delete(self.name("b"))
        quiet = {"resourceVersion": self.api.list().version, "timeoutSeconds": "3"}
        [_] = self.watching(allowWatchBookmarks="true", **quiet).rest()  # it takes a version
        node, listed = self.api.get(self.name("a")).document, self.api.list().version
        self.process.kill()
        a = self.name("a")
        with open(state, "ab") as file:
            file.write(b'{"node":{"meta')  # a write that the crash cut
        for _ in range(2):
            self.start("--state", state)
            self.assertEqual(self.api.get(a).document, node)
            self.assertEqual(self.api.list().version, listed)
            event = self.watching(resourceVersion=version).next()
            assert event is not None
            self.assertEqual(event["type"], "DELETED")
            self.assertEqual(event["object"]["metadata"]["uid"], gone["metadata"]["uid"])
            self.process.kill()

    def test_bounded_history(self) -> None:
        """Only so many writes are remembered: whoever is behind them is told 410."""
        self.start("--history", "3")
        self.created()
        behind = self.watching(resourceVersion=self.api.list().version)
        versions = []
        for number in range(60):
            filler = {"number": str(number), "filler": "x" * 250_000}
            reply = self.api.patch(self.name(), annotated(filler))
            self.assertEqual(reply.status, 200)
            versions.append(reply.version)
        oldest = self.watching(resourceVersion=versions[-4], timeoutSeconds="1").rest()
        self.assertEqual([event["type"] for event in oldest], ["MODIFIED"] * 3)
        [error] = self.watching(resourceVersion=versions[-5]).rest()
        self.assertStatus(error["object"], 410, "Expired")
        events = behind.rest()  # it did not read, and what it has not got is forgotten
        self.assertLess(len(events), 60)
        self.assertStatus(events[-1]["object"], 410, "Expired")


class OptionTests(CommandCase):
    def test_pod_cidrs(self) -> None:
        """A Node without podCIDRs is created so, and given the first free part soon after."""
        self.start("--allocate-pod-cidrs", "10.9.0.0/22", "--node-mask", "24")
        version = self.api.list().version
        self.created("a", spec={"podCIDR": "10.9.0.0/24"})
        for suffix in "bcde":
            self.assertNotIn("podCIDRs", self.created(suffix)["spec"])
        given = [
            event["object"]["spec"]["podCIDRs"]
            for event in self.watching(resourceVersion=version, timeoutSeconds="1").rest()
            if event["type"] == "MODIFIED"
        ]
        self.assertEqual(given, [["10.9.1.0/24"], ["10.9.2.0/24"], ["10.9.3.0/24"]])

    def test_no_streamed_lists(self) -> None:
        """It can refuse streamed lists, as a server with WatchList shut does, and nothing else."""
        self.start("--no-streamed-lists")
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "1"}
        streamed = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        status = self.assertRefused(self.api.list(**query, **streamed), 422, "Invalid")
        self.assertEqual(status["details"]["causes"][0]["field"], "sendInitialEvents")
        self.assertEqual(self.watching(**query).rest(), [])

    def test_realistic_nodes(self) -> None:
        """Nodes to begin with have about the size asked for, a key and networks of their own."""
        items = list(realistic_nodes(300, 10_000))
        sizes = [len(json.dumps(item, separators=(",", ":"))) for item in items]
        self.assertTrue(all(9_000 < size < 11_000 for size in sizes), (min(sizes), max(sizes)))
        networks = {cidr for item in items for cidr in item["spec"]["podCIDRs"]}
        self.assertEqual(len(networks), 600)
        keys = {item["metadata"]["annotations"]["wireguard-publickey"] for item in items}
        self.assertEqual(len(keys), 300)

    def test_ipv6(self) -> None:
        """It listens on IPv6 as well, says so in its URL, and begins with the Nodes asked for."""
        try:
            self.start("--nodes", "3", listen="[::1]:0")
        except ServerFailed as failed:
            raise SkipTest(f"no IPv6 on this machine: {failed}") from None
        self.assertTrue(self.process.url.startswith("http://[::1]:"))
        self.assertEqual(len(self.api.list().document["items"]), 3)

    def test_tls(self) -> None:
        """It serves HTTPS with the certificate it is given, watches and resets too."""
        certificate, key = self_signed(self.folder)
        self.start("--tls-cert", certificate, "--tls-key", key)
        self.tls = ssl.create_default_context(cafile=certificate)
        NodeApiCase.setUp(self)
        self.assertTrue(self.process.url.startswith("https://"))
        watch = self.watching(resourceVersion=self.api.list().version)
        self.created()
        event = watch.next()
        self.assertEqual(event and event["type"], "ADDED")
        self.process.fault("reset-watches")
        with self.assertRaises((OSError, http.client.HTTPException)):
            watch.next()
