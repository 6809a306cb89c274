"""Kubeconfigs: what is taken from them, and what hostile or broken ones do."""

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.config.context import Context
from overlayd.kube.config.kubeconfig import read_context
from overlayd.model.errors import KubeConfigError

GOOD: dict[str, Any] = {
    "current-context": "here",
    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://[fd00::1]:6443/p/"}}],
    "users": [{"name": "u", "user": {"token": "secret"}}],
}

EXEC = {
    "command": "bin/get",
    "apiVersion": "client.authentication.k8s.io/v1",
    "interactiveMode": "IfAvailable",
}

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """The good kubeconfig with another value in one place."""
    document: dict[str, Any] = yaml.safe_load(yaml.safe_dump(GOOD))
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


CLUSTER = ("clusters", 0, "cluster")
USER = ("users", 0, "user")
PLACES = (
    *((name,) for name in GOOD),
    *((name, 0) for name in ("contexts", "clusters", "users")),
    ("contexts", 0, "context"),
    ("contexts", 0, "context", "user"),
    CLUSTER,
    USER,
    *(
        (*CLUSTER, name)
        for name in (
            "server",
            "certificate-authority",
            "certificate-authority-data",
            "insecure-skip-tls-verify",
            "tls-server-name",
            "proxy-url",
            "extensions",
        )
    ),
    *(
        (*USER, name)
        for name in (
            "client-certificate-data",
            "client-key",
            "token",
            "tokenFile",
            "username",
            "exec",
            "as",
            "as-groups",
            "as-user-extra",
        )
    ),
)


class KubeconfigTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def read(self, *contents: object) -> Context:
        """The context of these files, each as text, bytes, or a document."""
        files = []
        for number, content in enumerate(contents):
            file = self.folder / str(number)
            if not isinstance(content, bytes):
                content = content if isinstance(content, str) else yaml.dump(content)
                content = content.encode()
            file.write_bytes(content)
            files.append(file)
        return read_context(files)

    def refused(self, *contents: object) -> str:
        """The error that these files are, which is one line without the secret in them."""
        text = str(self.assertRaises(KubeConfigError, self.read, *contents))
        self.assertTrue(text.isprintable(), text)
        self.assertNotIn("secret", text)
        return text

    def test_server(self) -> None:
        """A server's URL may have an IPv6 literal and a path, and no port or scheme."""
        server = self.read(GOOD).cluster.server
        self.assertEqual((server.host, server.port, server.path), ("fd00::1", 6443, "/p"))
        for text, wanted in (
            ("https://kube", "https://kube:443"),
            ("http://kube", "http://kube:80"),
            ("kube:8080", "http://kube:8080"),
        ):
            server = self.read(changed((*CLUSTER, "server"), text)).cluster.server
            self.assertEqual(str(server), wanted)
        bare = changed(CLUSTER, {"server": "kube:6443", "insecure-skip-tls-verify": True})
        self.assertEqual(str(self.read(bare).cluster.server), "https://kube:6443")

    def test_merged(self) -> None:
        """Of several files the first that has an entry has all of it."""
        first = {"users": [{"name": "u", "user": {"username": "me"}}], "current-context": ""}
        context = self.read(first, GOOD, changed(("current-context",), "elsewhere"))
        self.assertEqual((context.user.login, context.user.token), (("me", ""), ""))

    def test_empty_among_several(self) -> None:
        """An empty file says nothing, and takes nothing from the others."""
        self.assertEqual(self.read("", GOOD, "# nothing").user.token, "secret")

    def test_no_user(self) -> None:
        """A context without a user is anonymous."""
        context = self.read(changed(("contexts", 0, "context"), {"cluster": "c"}))
        self.assertEqual(context.user.token, "")

    def test_command_paths(self) -> None:
        """A plugin with a slash in its name is relative to the file, another one is in PATH."""
        for command, wanted in (("bin/get", f"{self.folder}/bin/get"), ("get", "get")):
            context = self.read(changed((*USER, "exec"), {**EXEC, "command": command}))
            assert context.user.exec is not None
            self.assertEqual(context.user.exec.command, wanted)

    def test_says_what_is_wrong(self) -> None:
        """What contradicts itself or is missing is named."""
        for path, value, reason in (
            (("current-context",), "", "sets no current-context"),
            (("current-context",), "there", "no context is named 'there'"),
            (("users",), [], "no user is named 'u'"),
            (("users",), GOOD["users"] * 2, "has two users named u"),
            ((*CLUSTER, "server"), "", "no host"),
            ((*CLUSTER, "server"), "ftp://kube", "begins with none of http://, https://"),
            ((*CLUSTER, "server"), "https://kube:99999", "not a URL"),
            ((*CLUSTER, "server"), "https://me:secret@kube", "holds credentials"),
            ((*CLUSTER, "certificate-authority-data"), "?", "not base64"),
            ((*USER, "client-key"), "key", "only one of client-certificate and client-key"),
            ((*USER, "username"), "me", "a token and a username"),
            ((*USER, "auth-provider"), {"name": "gcp"}, "use exec"),
            ((*USER, "as-groups"), ["g"], "without a user"),
            ((*USER, "as"), "a\nb", "not printable"),
            ((*USER, "exec"), {**EXEC, "command": ""}, "no command"),
            ((*USER, "exec"), {**EXEC, "apiVersion": "v1alpha1"}, "apiVersion 'v1alpha1'"),
            ((*USER, "exec"), {**EXEC, "interactiveMode": None}, "sets no interactiveMode"),
            ((*USER, "exec"), {**EXEC, "interactiveMode": "Always"}, "no terminal"),
            ((*USER, "token"), 5, "Expected `str"),
        ):
            self.assertIn(reason, self.refused(changed(path, value)))
        contradicting = {"server": "h", "insecure-skip-tls-verify": True}
        contradicting["certificate-authority"] = "ca"
        self.assertIn("insecure-skip-tls-verify", self.refused(changed(CLUSTER, contradicting)))

    def test_hostile(self) -> None:
        """YAML that is broken, or that would make objects or much of little, is refused."""
        for content in (
            b"\x00",
            b"\xff\xfe\xff",
            b"PK\x03\x04secret",
            "token: secret: secret",
            "- secret",
            "secret",
            "5",
            "!!python/object/apply:os.system [secret]",
            "!!python/name:os.system secret",
            "!!timestamp secret",
            "!!bool secret",
            "!!int ''",
            "2026-99-99",
            "? [secret]\n: x",
            "&a [*a]",
            "users: &a [*a]",
            "*secret",
            "a: &a [secret]\nb: &b [*a, *a]\nusers: [*b, *b]",
            "[" * 5000,
            "{" * 5000,
            "\t- secret",
            '"\\x1b[2J": {"secret": ',
        ):
            self.refused(content)
        self.assertFalse((self.folder / "secret").exists())

    @settings(deadline=None)  # the first one imports yaml
    @given(st.sampled_from(PLACES), JUNK)
    def test_any_shape(self, path: tuple[str | int, ...], value: object) -> None:
        """Whatever stands anywhere, a kubeconfig is read or refused in one line."""
        try:
            self.read(changed(path, value))
        except KubeConfigError as error:
            self.assertTrue(str(error).isprintable(), str(error))

    @settings(deadline=None)
    @given(st.binary() | st.text().map(str.encode))
    def test_any_bytes(self, content: bytes) -> None:
        """Whatever bytes a file holds, it is refused in one line: none is a kubeconfig."""
        self.refused(content)
