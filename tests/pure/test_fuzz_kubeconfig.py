"""Whatever a kubeconfig holds, it is read or refused in one short line without a secret."""

import base64
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from overlayd.kube.config.access import find_access
from overlayd.kube.config.context import Context
from overlayd.kube.config.kubeconfig import read_context
from overlayd.model.errors import KubeConfigError
from tests.pure.hostile import CANARY, LONGEST_TEXT, fuzz, spoilt, texts

ENCODED = base64.b64encode(CANARY.encode()).decode()

WHOLE = f"""
apiVersion: v1
kind: Config
current-context: here
preferences: {{}}
contexts:
- name: here
  context: {{cluster: c, user: token, namespace: x}}
clusters:
- name: c
  cluster:
    server: http://[fd00::1]:6443/p/
    proxy-url: "http://me:{CANARY}@proxy:3128"
    extensions: [{{name: client.authentication.k8s.io/exec, extension: {{a: &a [1], b: *a}}}}]
users:
- name: token
  user:
    token: {CANARY}
    client-certificate-data: {ENCODED}
    client-key-data: {ENCODED}
    as: someone
    as-groups: [a, b]
    as-user-extra: {{x: [y]}}
- name: login
  user: {{username: me, password: {CANARY}}}
- name: plugin
  user:
    exec:
      command: bin/get
      apiVersion: client.authentication.k8s.io/v1
      interactiveMode: Never
      args: [--password, {CANARY}]
      env: [{{name: PASSWORD, value: {CANARY}}}]
""".encode()

USERS = (b"token", b"login", b"plugin")


def of_user(user: bytes) -> bytes:
    return WHOLE.replace(b"user: token,", b"user: %s," % user)


def aliases(first: str, following: str, last: str) -> bytes:
    """A document in which each line has the one before twice, thirty times over."""
    lines = [first, *(following.format(at=i, of=i - 1) for i in range(1, 30)), last.format(of=29)]
    return "\n".join(lines).encode()


class KubeconfigFuzz(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "config"

    def read(self, content: bytes) -> Context | str:
        """The context, or the line that refuses it; neither shows a secret."""
        self.file.write_bytes(content)
        result: Context | str
        try:
            result = read_context([self.file])
            find_access(None, str(self.file), {})
        except KubeConfigError as error:
            result = str(error)
            self.assertTrue(result.isprintable(), repr(result))
            self.assertLess(len(result), LONGEST_TEXT)
        for secret in (CANARY, ENCODED):
            self.assertNotIn(secret, repr(result))
        return result

    def test_whole(self) -> None:
        """As it is, each of its users is read, and shown without what is secret."""
        for user in USERS:
            self.file.write_bytes(of_user(user))
            self.assertNotIn(CANARY, repr(read_context([self.file])))

    @fuzz
    @given(st.sampled_from(USERS).flatmap(lambda user: spoilt(of_user(user), most=2)))
    @example(aliases("a0: &a0 [x, x]", "a{at}: &a{at} [*a{of}, *a{of}]", "users: *a{of}"))
    @example(aliases("a0: &a0 {x: y}", "a{at}: &a{at} {{<<: [*a{of}, *a{of}]}}", "users: 1"))
    @example(b"contexts: " + b"[" * 900)
    @example(b"current-context: " + b"9" * 5000)
    @example(b"users: " + b"x" * 100_000)
    @example(b"? {" + CANARY.encode() + b": 1}\n: 2")
    @example(b"users: !" + CANARY.encode())
    @example(b"users: %" + CANARY.encode())
    @example(b"users: @" + CANARY.encode())
    @example(b"- a: " + CANARY.encode() + b"\n b: c: d")
    @example(b"%" + CANARY.encode() + b" 1\n---\n")
    @example(b"users: [{name: x, user: " + CANARY.encode() + b"}]")
    @example(b"users: &" + CANARY.encode() + b" &" + CANARY.encode())
    @example(b"users: *" + CANARY.encode())
    @example(b"a: &" + CANARY.encode() + b" 1\nb: &" + CANARY.encode() + b" 2")
    def test_any_bytes(self, content: bytes) -> None:
        """Any wrongs in any place: no other error, and twice the same."""
        self.assertEqual(self.read(content), self.read(content))

    @fuzz
    @given(
        st.sampled_from(
            (
                *(b"server: http://[fd00::1]:6443/p/", b"token: " + CANARY.encode()),
                *(b"command: bin/get", b"apiVersion: client.authentication.k8s.io/v1"),
                *(b"interactiveMode: Never", b"as: someone", b"as-groups: [a, b]"),
                *(b"username: me", b"current-context: here"),
            )
        ),
        texts,
        st.sampled_from(USERS),
    )
    def test_any_value(self, line: bytes, text: str, user: bytes) -> None:
        """Any text as the value of any line, quoted as YAML wants it."""
        name = line.partition(b":")[0]
        quoted = "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in text)
        self.read(of_user(user).replace(line, b'%s: "%s"' % (name, quoted.encode())))
