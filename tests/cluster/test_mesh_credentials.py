"""What a daemon shows Kubernetes' own API server expires, is revoked, rotated, or means less."""

import json
import time
from datetime import UTC, datetime, timedelta

from lab.daemon import Daemon
from lab.eventually import CLUSTER, FORMING, eventually
from lab.kubernetes.accounts import GROUP, VERBS
from lab.kubernetes.authority import write
from lab.mesh import Member
from tests.cluster.mesh import KubernetesTestCase
from tests.services.api_parts import exec_credential

EXPIRED = 120.0
"""Seconds ago: the API server still takes a token for a minute after its time."""

UNAUTHORIZED = "does not accept our credentials (401)"


class TokenTests(KubernetesTestCase):
    def test_expired_and_rotated(self) -> None:
        """Tokens whose time is over are refused, and the next ones resume the watch."""
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            for member in self.members:
                token = self.kubernetes.accounts.token(member.name)
                expired = self.kubernetes.plane.tokens.expiring(token, time.time() - EXPIRED)
                self.kubernetes.mount(member.name, expired)
            self.kubernetes.reset(*(member.node for member in self.members))
            self.wait_until_told(UNAUTHORIZED)
            for member in self.members:
                self.assertTrue(member.ready())
                self.kubernetes.mount(member.name)
            self.wait_until_heard()
            for member in self.members:
                self.take_annotation(member)
                self.wait_for_annotation(member)
            self.assert_gentle(mark, lists=0, patches=1)

    def test_revoked(self) -> None:
        """With its pod a token ends before its time; the next pod's resumes the watch."""
        mark = self.kubernetes.plane.audit.mark()
        self.addCleanup(self.kubernetes.mount, "node1")
        with self.nothing_lost():
            token = self.kubernetes.accounts.token("node1")
            # One that was seen counts for some time more: wait for the end of the daemon's own.
            self.kubernetes.mount("node1", token)
            self.kubernetes.accounts.delete_pod("node1")
            self.wait_until_answered(401, token)
            self.kubernetes.reset(self.one.node)
            self.wait_until_told(UNAUTHORIZED, self.one)
            self.kubernetes.mount("node1")
            self.wait_until_heard(self.one)
            self.assert_gentle(mark, lists=0)


class RightsTests(KubernetesTestCase):
    """RBAC takes away what the daemons may do, and gives it back."""

    def setUp(self) -> None:
        super().setUp()
        self.token = self.kubernetes.accounts.token("node1")
        self.addCleanup(self.kubernetes.accounts.allow, *VERBS)

    def test_nothing_is_allowed(self) -> None:
        """Who may not list and watch goes on with what it knew, also from a new start."""
        mark = self.kubernetes.plane.audit.mark()
        with self.nothing_lost():
            self.kubernetes.accounts.allow()
            self.wait_until_answered(403, self.token)
            self.kubernetes.reset(*(member.node for member in self.members))
            with self.all_tell("we may not list and watch nodes (403)"):
                self.wait_until_told("we may not list and watch nodes (403)")
            self.one.daemon.kill()
            self.one.daemon.start()
            self.wait_until_told("we may not list and watch nodes (403)", self.one)
            self.assertFalse(self.one.ready())
            self.kubernetes.accounts.allow(*VERBS)
            self.wait_until_heard()
            eventually(CLUSTER, "node1 is ready", self.one.ready)
            self.assert_gentle(mark, lists=8)

    def test_no_writing(self) -> None:
        """Who may not patch says so, and writes once it may."""
        with self.nothing_lost():
            self.kubernetes.accounts.allow("get", "list", "watch")
            self.wait_until_answered(403, self.token, "PATCH")
            with self.told_by(self.one, "we may not patch our Node (403): give us patch on nodes"):
                self.take_annotation(self.one)
                self.wait_until_told("we may not patch our Node (403)", self.one)
            self.kubernetes.accounts.allow(*VERBS)
            self.wait_for_annotation(self.one)


class KubeconfigTests(KubernetesTestCase):
    """Node 1's daemon has a kubeconfig, and beside it the files that it names."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.one.node.namespace.run_folder / "kube"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._copy_authority()
        daemon = Daemon(self.one.node, None, "--kubeconfig", "/run/kube/config")
        self.member = Member(self.one.node, daemon)

    def _start(self, user: dict[str, object]) -> None:
        """Start node 1's daemon anew, as this user of its kubeconfig."""
        document = self.kubernetes.plane.users.kubeconfig(user)
        document["clusters"][0]["cluster"]["certificate-authority"] = "ca.crt"
        write(self.folder / "config", json.dumps(document).encode())
        self.one.daemon.stop()
        self.addCleanup(self._start_again)
        self.member.daemon.start()
        eventually(FORMING, "node1 is ready", self.member.ready)
        self.wait_until_heard(self.member)

    def _start_again(self) -> None:
        if self.member.daemon.running:
            self.member.daemon.stop()
        self.kubernetes.mount("node1")
        self.one.daemon.start()
        eventually(FORMING, "node1 is ready", self.one.ready)

    def _copy_authority(self) -> None:
        authority = self.kubernetes.plane.authority.certificate
        write(self.folder / "ca.crt", authority.read_bytes())

    def _copy_certificate(self) -> None:
        """Give the daemon the client certificate that is its own now."""
        for kind in ("key", "crt"):
            source = self.kubernetes.plane.authority.certificate.with_name(f"daemon.{kind}")
            write(self.folder / f"client.{kind}", source.read_bytes())

    def test_a_new_authority(self) -> None:
        """A new CA, and then a new client certificate, under the same paths are taken up."""
        plane = self.kubernetes.plane
        plane.users.certificate("daemon", GROUP)
        self._copy_certificate()
        self._start({"client-certificate": "client.crt", "client-key": "client.key"})
        with self.nothing_lost():
            plane.authority.renew()
            self.cluster.kill()
            self.cluster.start()
            self.wait_until_told("its certificate is not trusted")
            for member in (self.two, self.three):
                self.kubernetes.mount(member.name)
            self._copy_authority()
            self.wait_until_told(UNAUTHORIZED, self.member)
            self._copy_certificate()
            self.wait_until_heard()
        plane.controllers.kill()
        plane.controllers.start()

    def test_a_plugin(self) -> None:
        """A plugin is asked when its token expires, or is refused; one that fails is named."""
        plugin = self.folder / "plugin"
        write(plugin, b"#!/bin/sh\necho >>/run/kube/runs\nexec cat /run/kube/credential\n")
        plugin.chmod(0o700)
        first = self._give(5.0)
        execute = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "./plugin",
            "interactiveMode": "Never",
        }
        self._start({"exec": execute})
        with self.nothing_lost():
            self._revoke(first)
            second = self._give(3600.0)
            runs = self._runs()
            before = len(self.member.daemon.log())
            self.kubernetes.reset(self.one.node)
            self.wait_until_heard(self.member)
            self.assertGreater(self._runs(), runs)
            self.assertNotIn("401", self.member.daemon.log()[before:])
            self._revoke(second)
            (self.folder / "credential").unlink()
            self.kubernetes.reset(self.one.node)
            said = "credential plugin /run/kube/plugin ended with status 1"
            self.wait_until_told(said, self.member)
            self._give(3600.0)
            self.wait_until_heard(self.member)

    def _give(self, seconds: float) -> str:
        """Let the plugin print a new token, which it says to be good for so long."""
        token = self.kubernetes.accounts.token("node1")
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        credential = exec_credential(token=token, expirationTimestamp=expires.isoformat())
        write(self.folder / "credential", credential.encode())
        return token

    def _revoke(self, token: str) -> None:
        self.kubernetes.accounts.delete_pod("node1")
        self.wait_until_answered(401, token)

    def _runs(self) -> int:
        return len((self.folder / "runs").read_text().splitlines())
