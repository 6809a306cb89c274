"""Every kind of credential that the daemon takes, at the server that made them."""

import base64
import json
import shlex
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lab.eventually import eventually
from lab.kubernetes.users import User
from overlayd.kube.config.access import Access, find_access
from overlayd.kube.nodes import Report
from overlayd.kube.own_node import withdraw_annotations, write_annotations
from overlayd.model.keys import PrivateKey
from overlayd.model.node import ADDRESS_ANNOTATION, KEY_ANNOTATION, Inventory
from overlayd.plan.resume import Attempt, Step
from tests.cluster.client_case import WATCH_SECONDS, ClientCase
from tests.cluster.plane import NAMESPACE, NODES_ROLE

DAEMON = f"system:serviceaccount:{NAMESPACE}:daemon"
LOGGED = 10.0
"""Seconds until what was answered is in the audit log."""

FORGOTTEN = 10.0 + 10.0
"""Seconds until a token that was taken is looked at again."""


class CredentialTests(ClientCase):
    def works(self, access: Access, user: str) -> None:
        """List, watch, write and take back, as that user, with no request more than that takes."""
        mark = self.plane.audit.mark()
        api, writer = self.api(access), self.api(access)
        session = self.session(api)
        listed = session.run(Attempt(Step.STREAM), None, WATCH_SECONDS, self.reports.append)
        self.assertTrue(listed.good, listed)
        known = self.inventories[-1]
        self.assertIn(self.name, known.nodes)
        key = PrivateKey.generate().public()
        values = {KEY_ANNOTATION: str(key), ADDRESS_ANNOTATION: "100.64.0.9"}
        self.assertEqual(write_annotations(writer, self.name, values).status, 200)
        self.assertEqual(self.annotations(), values)

        def seen(report: Report) -> None:
            if isinstance(report, Inventory) and report.nodes[self.name].key is not None:
                self.reports.append(report)
                session.abort()

        session.run(Attempt(Step.WATCH, listed.version), known, WATCH_SECONDS, seen)
        self.assertEqual(self.inventories[-1].nodes[self.name].key, key)
        withdrawn = withdraw_annotations(writer, self.name, key, time.monotonic() + 10)
        self.assertEqual(set(withdrawn.names), {KEY_ANNOTATION, ADDRESS_ANNOTATION})
        self.assertEqual(self.annotations(), {})
        expected = {"watch nodes": 1, "patch nodes": 2, "get nodes": 1}
        counted = partial(self.plane.audit.counts, mark, user)
        eventually(LOGGED, f"{user} asked {expected}", lambda: counted() == expected)

    def certified(self) -> User:
        user = self.users.certificate("daemon")
        self.users.allow("daemon", NODES_ROLE)
        return user

    def test_certificate(self) -> None:
        """A client certificate and key in files, and the CA's in one."""
        self.works(self.access(self.certified()), "daemon")

    def test_embedded(self) -> None:
        """All of it as data in the kubeconfig itself."""
        document = self.users.kubeconfig(self.certified())
        embed(document["clusters"][0]["cluster"], "certificate-authority")
        embed(document["users"][0]["user"], "client-certificate", "client-key")
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(document))
        self.works(find_access(None, str(path), {}), "daemon")

    def test_token(self) -> None:
        """A token in the kubeconfig, bound to our Node; the log knows which."""
        self.works(self.access({"token": self.token()}), DAEMON)
        asked = self.plane.audit.since()
        self.assertEqual(
            {a.node for a in asked if a.name == self.name and a.user == DAEMON}, {self.name}
        )

    def test_token_file(self) -> None:
        """A token in a file."""
        path = self.folder / "token"
        path.write_text(f"{self.token()}\n")
        self.works(self.access({"tokenFile": str(path)}), DAEMON)

    def test_service_account(self) -> None:
        """What a pod finds: an address and port in the environment, a folder with token and CA."""
        (self.folder / "token").write_text(self.token())
        (self.folder / "ca.crt").write_bytes(self.plane.authority.certificate.read_bytes())
        environ = {
            "KUBERNETES_SERVICE_HOST": self.plane.address,
            "KUBERNETES_SERVICE_PORT": str(self.plane.port),
        }
        self.works(find_access(None, None, environ, service_account=self.folder), DAEMON)

    def test_plugin_with_a_token(self) -> None:
        """A credential plugin that prints a token."""
        self.works(self.access(self.plugin({"token": self.token()})), DAEMON)

    def test_plugin_with_a_certificate(self) -> None:
        """A credential plugin that prints a certificate and its key."""
        user = self.certified()
        status = {
            "clientCertificateData": Path(user["client-certificate"]).read_text(),
            "clientKeyData": Path(user["client-key"]).read_text(),
        }
        self.works(self.access(self.plugin(status)), "daemon")

    def plugin(self, status: Mapping[str, str]) -> User:
        """A program that prints such a credential."""
        version = "client.authentication.k8s.io/v1"
        printed = {"apiVersion": version, "kind": "ExecCredential", "status": dict(status)}
        answer, program = self.folder / "answer", self.folder / "plugin"
        answer.write_text(json.dumps(printed))
        program.write_text(f"#!/bin/sh\nexec cat {shlex.quote(str(answer))}\n")
        program.chmod(0o700)
        call = {"command": str(program), "apiVersion": version, "interactiveMode": "Never"}
        return {"exec": call}


class RefusedTests(ClientCase):
    def test_expired_token(self) -> None:
        """A token past its time is 401; the one that is then in the file is taken up."""
        path = self.folder / "token"
        token = self.token()
        path.write_text(self.plane.tokens.expiring(token, time.time() - 1))
        api = self.api(self.access({"tokenFile": str(path)}))
        self.assertEqual(write_annotations(api, self.name, {}).status, 401)
        path.write_text(token)
        self.assertEqual(write_annotations(api, self.name, {}).status, 200)

    def test_token_of_a_node_that_is_gone(self) -> None:
        """A token that is bound to a Node ends with it, for good."""
        api = self.api(self.access({"token": self.token()}))
        self.assertEqual(write_annotations(api, self.name, {}).status, 200)
        self.core.delete_node(self.name)
        self.create_node()
        refused = lambda: write_annotations(api, self.name, {}).status == 401  # noqa: E731
        eventually(FORGOTTEN, "the token is refused", refused)

    def test_nobody(self) -> None:
        """An account without a role is 403, and may neither list nor write."""
        api = self.api(self.access({"token": self.token("nobody", None)}))
        ending = self.session(api).run(Attempt(Step.STREAM), None, 5, self.reports.append)
        self.assertEqual(ending.status, 403)
        self.assertIn("allow get, list and watch", ending.reason)
        self.assertEqual(write_annotations(api, self.name, {}).status, 403)

    def test_kubelet(self) -> None:
        """A kubelet may write to its own Node and list none: the daemon needs its own account."""
        api = self.api(self.access(self.users.kubelet(self.name)))
        ending = self.session(api).run(Attempt(Step.STREAM), None, 5, self.reports.append)
        self.assertEqual(ending.status, 403)
        self.assertEqual(write_annotations(api, self.name, {"a": "1"}).status, 200)
        other = self.api(self.access(self.users.kubelet("another")))
        self.assertEqual(write_annotations(other, self.name, {"a": "2"}).status, 403)


def embed(document: dict[str, Any], *names: str) -> None:
    """Put the contents of files in the place of their names."""
    for name in names:
        content = Path(document.pop(name)).read_bytes()
        document[f"{name}-data"] = base64.b64encode(content).decode()
