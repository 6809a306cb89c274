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

from overlayd.testing.apiserver.process import ServerFailed, ServerProcess, development_server
from tests.apiserver.certificates import self_signed
from tests.apiserver.client import NODES, ServerUnderTest
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

    def test_wrong_options(self) -> None:
        """Options that cannot be right are one line that names the value."""
        self.assertIn("nowhere", self.refused("--listen", "nowhere"))
        self.assertIn("10.0.0.0/99", self.refused("--allocate-pod-cidrs", "10.0.0.0/99"))
        self.assertIn("no-such.pem", self.refused("--tls-cert", "no-such.pem", "--tls-key", "k"))

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
        """Only so many writes are remembered: the watch of an older version is 410."""
        self.start("--history", "3")
        self.created()
        versions = [self.annotate(self.name(), "a", str(number)) for number in range(5)]
        oldest = self.watching(resourceVersion=versions[1], timeoutSeconds="1").rest()
        self.assertEqual([event["type"] for event in oldest], ["MODIFIED"] * 3)
        [error] = self.watching(resourceVersion=versions[0]).rest()
        self.assertStatus(error["object"], 410, "Expired")

    def test_reader_left_behind(self) -> None:
        """A reader that stays behind the history is told 410 instead of being waited for."""
        self.start("--history", "3")
        self.created()
        watch = self.watching(resourceVersion=self.api.list().version)
        for number in range(60):
            filler = {"number": str(number), "filler": "x" * 250_000}
            self.assertEqual(self.api.patch(self.name(), annotated(filler)).status, 200)
        events = watch.rest()
        self.assertLess(len(events), 60)
        self.assertStatus(events[-1]["object"], 410, "Expired")


class OptionTests(CommandCase):
    def test_pod_cidrs(self) -> None:
        """A Node without podCIDRs is created so, and given the first free part soon after."""
        self.start("--allocate-pod-cidrs", "10.9.0.0/22", "--node-mask", "24")
        version = self.api.list().version
        self.created("a", spec={"podCIDR": "10.9.0.0/24"})
        for suffix in "bcde":
            self.assertEqual(self.created(suffix)["spec"], {})
        given = [
            event["object"]["spec"]["podCIDRs"]
            for event in self.watching(resourceVersion=version, timeoutSeconds="1").rest()
            if event["type"] == "MODIFIED"
        ]
        self.assertEqual(given, [["10.9.1.0/24"], ["10.9.2.0/24"], ["10.9.3.0/24"]])

    def test_realistic_nodes(self) -> None:
        """It can begin with Nodes of about a size, each with a key and networks of its own."""
        self.start("--nodes", "300", "--node-size", "10000")
        items = self.api.list().document["items"]
        self.assertEqual(len(items), 300)
        sizes = [len(json.dumps(item, separators=(",", ":"))) for item in items]
        self.assertTrue(all(9_000 < size < 11_000 for size in sizes), (min(sizes), max(sizes)))
        networks = {cidr for item in items for cidr in item["spec"]["podCIDRs"]}
        self.assertEqual(len(networks), 600)
        keys = {item["metadata"]["annotations"]["wireguard-publickey"] for item in items}
        self.assertEqual(len(keys), 300)

    def test_ipv6(self) -> None:
        """It listens on IPv6 as well, and says so in its URL."""
        try:
            self.start(listen="[::1]:0")
        except ServerFailed as failed:
            raise SkipTest(f"no IPv6 on this machine: {failed}") from None
        self.assertTrue(self.process.url.startswith("http://[::1]:"))
        self.assertEqual(self.api.list().status, 200)

    def test_paused(self) -> None:
        """A paused server takes connections and answers nothing until it is resumed."""
        self.start()
        self.process.pause()
        connection = self.api.server.connect(patience=0.3)
        self.addCleanup(connection.close)
        connection.request("GET", NODES)
        with self.assertRaises(TimeoutError):
            connection.getresponse()
        self.process.resume()
        self.assertEqual(self.api.list().status, 200)

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
