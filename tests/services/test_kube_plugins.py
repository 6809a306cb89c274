"""Credential plugins: what they are told, when they run, and what becomes of their failures."""

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

from overlayd.kube.abort import Abort
from overlayd.kube.config.context import Exec
from overlayd.kube.config.plugin import Plugin
from overlayd.model.errors import Unreachable
from tests.services.api_parts import (
    LIMIT,
    ReachingTestCase,
    Reply,
    embedded,
    exec_credential,
    kubeconfig,
)

VERSION = "client.authentication.k8s.io/v1"
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


class PluginTestCase(ReachingTestCase):
    """A plugin that is a shell script, whose every run adds a line to the file `runs`."""

    def user(self, script: str, **settings: object) -> dict[str, object]:
        runs = shlex.quote(str(self.folder / "runs"))
        self.plugin(f"echo >> {runs}\nn=$(wc -l < {runs})\n{script}")
        call = {"command": "./plugin", "apiVersion": VERSION, "interactiveMode": "Never"}
        return {"exec": {**call, **settings}}

    def printing(self, **status: str) -> dict[str, object]:
        """A user whose plugin prints this status; $n in it is the number of the run."""
        text = exec_credential(**status).replace("$", "'$").replace("$n", "$n'")
        return self.user(f"printf %s '{text}'")

    @property
    def runs(self) -> int:
        file = self.folder / "runs"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def sent(self) -> list[str]:
        return [r.headers.get("authorization", "") for r in self.server.requests]


class LimitTests(PluginTestCase):
    def test_too_slow(self) -> None:
        """A plugin that does not end in time is killed with all that it started, and said."""
        script = self.plugin(f"sleep 1000 & echo $! > {self.folder}/child\nwait")
        environ = {"PATH": os.environ["PATH"]}
        plugin = Plugin(Exec(str(script)), "{}", environ, lambda: NOW, Abort(), limit=2.0)
        error = self.in_thread(plugin.credential)()
        self.assertIsInstance(error, Unreachable)
        self.assertIn("did not end within 2 s", str(error))
        child = self.folder / "child"
        stat = Path("/proc", child.read_text().strip(), "stat")
        self.until(lambda: not stat.exists() or ") Z " in stat.read_text())


class TimeTests(PluginTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = NOW

    def clock(self) -> float:
        return self.now

    def get(self, user: dict[str, object]) -> Callable[[float], None]:
        """What asks the server at so many seconds after the start."""
        api = self.reach(kubeconfig(self.server.url, self.trusting, user), clock=self.clock)

        def ask(after: float) -> None:
            self.now = NOW + after
            api.get("/")

        return ask

    def test_kept_while_valid(self) -> None:
        """A token without an end is asked for once, and not before there is a request."""
        ask = self.get(self.printing(token="t$n"))
        self.assertEqual(self.runs, 0)
        ask(0)
        ask(1e8)
        self.assertEqual((self.runs, self.sent()), (1, ["Bearer t1"] * 2))

    def test_renewed_before_it_expires(self) -> None:
        """A token is renewed shortly before it expires, not after the server refused it."""
        ask = self.get(self.printing(token="t$n", expirationTimestamp="2027-01-15T09:00:00Z"))
        for after in (0, 3500, 3545):
            ask(after)
        self.assertEqual(self.sent(), ["Bearer t1", "Bearer t1", "Bearer t2"])

    def test_short_life(self) -> None:
        """A token that lives for seconds is still used for most of them."""
        ask = self.get(self.printing(token="t$n", expirationTimestamp="2027-01-15T08:00:10Z"))
        for after in (0, 8, 9.5):
            ask(after)
        self.assertEqual(self.sent(), ["Bearer t1", "Bearer t1", "Bearer t2"])

    def test_failure_while_valid(self) -> None:
        """A plugin that fails before the token has expired costs nothing; after it, the request."""
        text = exec_credential(token="t", expirationTimestamp="2027-01-15T09:00:00Z")
        ask = self.get(self.user(f"test $n = 1 || exit 3\necho '{text}'"))
        ask(0)
        ask(3590)
        error = self.assertRaises(Unreachable, ask, 3600)
        self.assertIn("ended with status 3", str(error))
        self.assertEqual((self.runs, len(self.server.requests)), (3, 2))


class PluginTests(PluginTestCase):
    def failure(self, user: dict[str, object]) -> str:
        api = self.reach(kubeconfig(self.server.url, self.trusting, user))
        return str(self.assertRaises(Unreachable, api.get, "/"))

    def test_refused(self) -> None:
        """A 401 is an answer, and before the next request the plugin is asked again."""
        api = self.reach(kubeconfig(self.server.url, self.trusting, self.printing(token="t$n")))
        self.server.answer = lambda r: Reply(
            200 if r.headers["authorization"] == "Bearer t2" else 401
        )
        self.assertEqual([api.get("/").status for _ in range(3)], [401, 200, 200])
        self.assertEqual(self.runs, 2)

    def test_refused_stream(self) -> None:
        """A stream that is refused renews the credential too."""
        api = self.reach(kubeconfig(self.server.url, self.trusting, self.printing(token="t$n")))
        self.server.answer = lambda r: Reply(401)
        stream = api.stream("/", {}, LIMIT)
        self.addCleanup(stream.close)
        self.assertEqual((stream.status, stream.read_all()), (401, b"{}"))
        api.get("/")
        self.assertEqual(self.sent(), ["Bearer t1", "Bearer t2"])

    def test_certificate(self) -> None:
        """A client certificate from a plugin is shown to the server, and renewed after a 401."""
        self.server.tls = self.pair.server_tls(self.folder, self.authority.certificate)
        for n in ("1", "2"):
            client = self.authority.issue(f"client-{n}")
            self.write(
                n,
                exec_credential(
                    clientCertificateData=client.certificate.decode(),
                    clientKeyData=client.key.decode(),
                ),
            )
        user = self.user(f"cat {shlex.quote(str(self.folder))}/$n")
        api = self.reach(kubeconfig(self.server.url, self.trusting, user))
        self.server.answer = lambda r: Reply(200 if r.client == "client-2" else 401)
        self.assertEqual([api.get("/").status for _ in range(2)], [401, 200])

    def test_what_it_is_told(self) -> None:
        """A plugin gets its arguments and variables, our environment, and the cluster."""
        script = 'echo "$1 $OWN $OURS" > said; echo "$KUBERNETES_EXEC_INFO" > info'
        script = (
            f"cd {shlex.quote(str(self.folder))}; {script}; echo '{exec_credential(token='t')}'"
        )
        user = self.user(
            script,
            args=["one"],
            env=[{"name": "OWN", "value": "two"}],
            provideClusterInfo=True,
        )
        extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
        cluster = {**self.trusting, "extensions": [extension], "tls-server-name": "127.0.0.1"}
        environ = {"OURS": "three", "PATH": os.environ["PATH"]}
        self.reach(kubeconfig(self.server.url, cluster, user), environ).get("/")
        self.assertEqual((self.folder / "said").read_text(), "one two three\n")
        self.assertEqual(
            json.loads((self.folder / "info").read_text()),
            {
                "apiVersion": VERSION,
                "kind": "ExecCredential",
                "spec": {
                    "interactive": False,
                    "cluster": {
                        "server": self.server.url,
                        "tls-server-name": "127.0.0.1",
                        "certificate-authority-data": embedded(self.authority.certificate),
                        "config": {"audience": "a"},
                    },
                },
            },
        )

    def test_bare_name(self) -> None:
        """A command without a slash is looked for in PATH."""
        user = self.printing(token="t")
        user["exec"]["command"] = "plugin"  # type: ignore[index]
        environ = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        self.reach(kubeconfig(self.server.url, self.trusting, user), environ).get("/")
        self.assertEqual(self.sent(), ["Bearer t"])

    def test_missing_command(self) -> None:
        """A command that is not there is named, with the hint of the kubeconfig."""
        user = self.printing(token="t")
        user["exec"] |= {"command": "none-such", "installHint": "Install\nit."}  # type: ignore
        text = self.failure(user)
        self.assertIn("none-such cannot be run: No such file or directory (Install\\nit.)", text)

    def test_failure(self) -> None:
        """A plugin that fails is named with its status and the first line it wrote, escaped."""
        text = self.failure(self.user("printf '\\033[2Jno login\\nsecond' >&2; exit 7"))
        self.assertIn("/plugin ended with status 7: \\x1b[2Jno login", text)
        self.assertNotIn("second", text)

    def test_nonsense(self) -> None:
        """What is no credential is an error that does not repeat what was printed."""
        for printed in (
            "",
            "secret",
            "[]",
            exec_credential(),
            exec_credential(clientKeyData="secret"),
            exec_credential(token="a\nsecret"),
            exec_credential(token="secret").replace("/v1", "/v1beta1"),
            exec_credential(token="secret", expirationTimestamp="tomorrow"),
            exec_credential(clientCertificateData="secret", clientKeyData="secret"),
        ):
            self.write("printed", printed)
            text = self.failure(self.user(f"cat {shlex.quote(str(self.folder / 'printed'))}"))
            self.assertNotIn("secret", text)
        self.assertEqual(self.server.requests, [])

    def test_abort(self) -> None:
        """An abort kills a plugin that hangs, and what it started."""
        fifo = self.folder / "fifo"
        os.mkfifo(fifo)
        started = f"echo $$ > {shlex.quote(str(fifo))}; exec sleep 60"
        user = self.user(f"sh -c {shlex.quote(started)}; true")
        api = self.reach(kubeconfig(self.server.url, self.trusting, user))
        failed = self.in_thread(lambda: api.get("/"))
        process = Path("/proc") / fifo.read_text().strip()
        api.abort()
        self.assertIsInstance(failed(), Unreachable)
        # Nobody but init may reap it, and some do so late.
        self.until(lambda: "State:\tZ" in _status(process))
        self.assertRaises(Unreachable, api.get, "/")
        self.assertEqual(self.runs, 1)


def _status(process: Path) -> str:
    try:
        return (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "State:\tZ"
