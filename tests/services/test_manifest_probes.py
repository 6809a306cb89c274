"""The probes of the DaemonSet, run as the kubelet runs them, against a real control socket."""

import os
import sys
from pathlib import Path

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from overlayd.control.service import ControlService
from tests.manifests import daemonset, pod
from tests.services.answers import answers
from tests.services.overlayctl_case import OverlayctlTestCase
from tests.statuses import ORDINARY

[CONTAINER] = pod(daemonset("base/daemonset.yaml"))["containers"]


class ProbesTests(OverlayctlTestCase):
    patience = "25"  # seconds

    def setUp(self) -> None:
        super().setUp()
        self.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    async def assert_probed(self, ready: bool, alive: bool) -> None:
        for kind, wanted in (("readiness", ready), ("liveness", alive)):
            command = CONTAINER[f"{kind}Probe"]["exec"]["command"]
            patient = (
                part.replace("--timeout 25", f"--timeout {self.patience}") for part in command
            )
            done = await self.run_it(*patient)
            self.assertEqual(done.returncode == 0, wanted, f"{kind}: {done.stderr}")

    def answer(self, ready: bool) -> None:
        status = evolve(ORDINARY, ready=ready)
        service = ControlService(reactor, str(self.path), answers(status=lambda: status))
        service.startService()
        self.addCleanup(service.stopService)

    async def test_ready(self) -> None:
        """A daemon that is ready is ready and alive."""
        self.answer(ready=True)
        await self.assert_probed(ready=True, alive=True)

    async def test_not_ready(self) -> None:
        """One that is not ready is not restarted for that."""
        self.answer(ready=False)
        await self.assert_probed(ready=False, alive=True)

    async def test_gone(self) -> None:
        """Where nobody listens, it is neither."""
        await self.assert_probed(ready=False, alive=False)

    async def test_deaf(self) -> None:
        """Nor is one that lets people in and does not answer."""
        port = reactor.listenUNIX(str(self.path), Factory.forProtocol(Protocol))  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        self.patience = "1"
        await self.assert_probed(ready=False, alive=False)
