"""The check that is installed beside the daemon: pods that ask each other, as processes here."""

import http.client
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from lab.eventually import SERVER_BACK, eventually
from lab.kubernetes.component import start_here
from lab.namespaces import end
from tests.apiserver.client import MERGE_PATCH
from tests.cluster.installation import MANIFESTS, NAMESPACE, installation
from tests.manifests import daemonset

ADDRESSES = {"check-a": "127.0.0.21", "check-b": "127.0.0.22", "check-c": "127.0.0.23"}
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


class CheckTests(SynchronousTestCase):
    """Three nodes; a pod's address is one of this machine, where its program runs."""

    def setUp(self) -> None:
        self.cluster = installation()
        self.admin = self.cluster.admin
        self.cluster.apply(MANIFESTS / "check")
        self.addCleanup(self.cluster.kubectl, "delete", "-k", str(MANIFESTS / "check"))
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.addCleanup(self._end_all)
        self.log = self.cluster.plane.folder / "check.log"
        for node, address in ADDRESSES.items():
            self._make_pod(node, address)

    def test_all_answer(self) -> None:
        """Every pod is ready once all answer; the readiness probe asks where it listens."""
        for node in ADDRESSES:
            self._start(node)
        for node in ADDRESSES:
            self._wait_until_ready(node)
        self.assertIn("the pods of all 2 other nodes answer check-a\n", self.log.read_text())

    def test_one_does_not(self) -> None:
        """One that does not answer is named by those that ask, and keeps them from being ready."""
        for node in ("check-a", "check-b"):
            self._start(node)
        address = ADDRESSES["check-c"]
        eventually(SERVER_BACK, "it alone is named", lambda: self._said("check-a", address, 1))
        self._start("check-c")
        self._wait_until_ready("check-a")
        end(self.running["check-b"], signal.SIGKILL)
        eventually(SERVER_BACK, "it is missed", lambda: self._said("check-a", "check-b"))

    def test_no_address_yet(self) -> None:
        """A node whose pod has no address is not left out of the count."""
        for node in ADDRESSES:
            self._start(node)
        self._make_pod("check-d", "")
        eventually(SERVER_BACK, "it is named", lambda: self._said("check-a", "check-d has no"))

    def _end_all(self) -> None:
        for process in self.running.values():
            end(process, signal.SIGKILL)

    def _make_pod(self, node: str, address: str) -> None:
        pod = daemonset("check/daemonset.yaml")["spec"]["template"]
        pod["metadata"]["name"] = node
        pod["spec"]["nodeName"] = node
        pod["spec"]["containers"][0]["image"] = "none"
        made = self.admin.ask("POST", PODS, pod)
        self.assertEqual(made.status, 201, made.body)
        self.addCleanup(
            self.admin.ask, "DELETE", f"{PODS}/{node}", query={"gracePeriodSeconds": "0"}
        )
        status = {"status": {"podIP": address, "podIPs": [{"ip": address}] if address else []}}
        self.admin.ask("PATCH", f"{PODS}/{node}/status", status, MERGE_PATCH)

    def _start(self, node: str) -> None:
        """As its container is started, with the account that it has."""
        users = self.cluster.plane.users
        token = users.token(NAMESPACE, "overlayd-check")
        config = users.write_kubeconfig(f"check-{node}", {"token": token})
        environ = {
            "KUBECONFIG": str(config),
            "PYTHONPATH": os.environ.get("PYTHONPATH", str(MANIFESTS.parent)),
            "NODE_NAME": node,
            "POD_IP": ADDRESSES[node],
            "NAMESPACE": NAMESPACE,
        }
        variables = [f"{name}={value}" for name, value in environ.items()]
        command = ["env", *variables, sys.executable, str(MANIFESTS / "check/check.py")]
        with self.log.open("ab") as log:
            self.running[node] = start_here(command, log)

    def _said(self, node: str, part: str, lines: int | None = None) -> bool:
        """Whether a pod is not ready, and this is in what it says, of so many lines."""
        status, said = self._probe(node)
        return status == 503 and part in said and lines in (None, len(said.splitlines()))

    def _wait_until_ready(self, node: str) -> None:
        eventually(SERVER_BACK, f"{node} is ready", lambda: self._probe(node)[0] == 200)

    def _probe(self, node: str) -> tuple[int, str]:
        """What the readiness probe of the manifest is answered."""
        [container] = daemonset("check/daemonset.yaml")["spec"]["template"]["spec"]["containers"]
        probe: dict[str, Any] = container["readinessProbe"]["httpGet"]
        connection = http.client.HTTPConnection(ADDRESSES[node], probe["port"], timeout=5)
        with closing(connection):
            try:
                connection.request("GET", probe["path"])
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except OSError as error:
                return 0, json.dumps(str(error))
