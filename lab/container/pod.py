"""A pod on a node, as kubelet treats it: restarted when it ends, asked by probes, ended in time."""

import subprocess
import threading
import time
from collections.abc import Mapping
from itertools import pairwise

from lab.container import oci
from lab.container.manifests import Document
from lab.container.runc import Container
from lab.eventually import patience
from lab.image import Image
from lab.topology import Node

_BACK_OFF = 10.0  # seconds before the second restart, twice as many before each one after
_MOST_BACK_OFF = 300.0
_LOOK = 0.1  # seconds between looks whether it has ended


class Pod:
    """A pod from a DaemonSet's template, until it is deleted: of one container, after others.

    `options` are what the ConfigMap has, `given` what no manifest has: where the API server is.
    """

    def __init__(
        self,
        node: Node,
        daemon_set: Document,
        image: Image,
        options: Mapping[str, str],
        given: Mapping[str, str],
    ) -> None:
        template = daemon_set["spec"]["template"]["spec"]
        (self._spec,) = template["containers"]
        self._initial = template.get("initContainers", [])
        self._template = template
        self.image: str = self._spec["image"]
        self._node = node
        self._image = image
        self._options = options
        self._given = given
        self._log = node.namespace.run_folder / f"{daemon_set['metadata']['name']}.log"
        self._make_host_paths()
        self._deleted = threading.Event()
        self.initialized = not self._initial
        self.restarts = 0
        self.container = self._start((*self._initial, self._spec)[0])
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def delete(self) -> None:
        """End it: SIGTERM, and SIGKILL to what is there once its grace period is over."""
        self._deleted.set()
        grace = patience(self._template.get("terminationGracePeriodSeconds", 30))
        limit, told = time.monotonic() + grace, None
        while self._keeper.is_alive():
            container = self.container
            if time.monotonic() > limit:
                container.signal("KILL")
            elif container is not told and container.signal("TERM"):
                told = container
            self._keeper.join(_LOOK)

    def probe(self, kind: str) -> bool:
        """Ask as its readinessProbe or livenessProbe says."""
        wanted = self._spec[kind]
        limit = patience(wanted.get("timeoutSeconds", 1))
        try:
            return self.container.execute(*wanted["exec"]["command"], limit=limit).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def log(self) -> str:
        """What all containers of its DaemonSet have printed on this node."""
        return self._log.read_text(errors="replace")

    def _start(self, spec: Document) -> Container:
        environment = oci.environment(spec, self._image, self._options, self._node.name)

        def configure(root: str) -> Document:
            given = {**environment, **self._given}
            return oci.configuration(self._template, spec, self._image, given, root)

        with self._log.open("ab") as log:
            return Container(self._node.namespace, spec["name"], log, self._image, configure)

    def _keep(self) -> None:
        """Start each init container until it succeeds, then the other one for ever.

        That is restartPolicy Always, the only one that a DaemonSet's pods can have.
        """
        for spec, after in pairwise((*self._initial, self._spec)):
            if not self._restart(spec, until_it_succeeds=True):
                return
            self.container = self._start(after)
        self.initialized = True
        self._restart(self._spec, until_it_succeeds=False)

    def _restart(self, spec: Document, until_it_succeeds: bool) -> bool:
        """Start the container again whenever it ends, with back-off; False once we are deleted."""
        pause = 0.0
        while True:
            status = self.container.wait()
            if self._deleted.is_set():
                return False
            if until_it_succeeds and status == 0:
                return True
            if self._deleted.wait(pause):
                return False
            pause = min(max(_BACK_OFF, 2 * pause), _MOST_BACK_OFF)
            self.restarts += 1
            self.container = self._start(spec)

    def _make_host_paths(self) -> None:
        machine = self._node.namespace
        machine.run("mkdir", "-p", oci.ACCOUNT)
        for path in oci.host_paths(self._template).values():
            if path["type"] == "DirectoryOrCreate":
                machine.run("mkdir", "-p", path["path"])
            elif machine.attempt("test", "-c", path["path"]).returncode != 0:
                raise RuntimeError(f"{self._node.name} has no {path['path']}")
