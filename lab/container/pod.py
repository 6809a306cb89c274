"""A pod on a node, as kubelet treats it: restarted when it ends, asked by probes, ended in time."""

import subprocess
import threading
from collections.abc import Mapping

from lab.container import oci
from lab.container.manifests import Document
from lab.container.runc import Container
from lab.eventually import patience
from lab.image import Image
from lab.topology import Node

_BACK_OFF = 10.0  # seconds before the second restart, twice as many before each one after
_MOST_BACK_OFF = 300.0


class Pod:
    """A pod of one container, from a DaemonSet's template, until it is deleted.

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
        self._template = template
        self.image: str = self._spec["image"]
        self._node = node
        self._image = image
        self._environment = {
            **oci.environment(self._spec, image, options, node.name),
            **given,
        }
        self._log = node.namespace.run_folder / f"{daemon_set['metadata']['name']}.log"
        self._make_host_paths()
        self._deleted = threading.Event()
        self.restarts = 0
        self.container = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def delete(self) -> None:
        """End it: SIGTERM, and SIGKILL to what is there once its grace period is over."""
        self._deleted.set()
        self.container.signal("TERM")
        try:
            self.container.wait(patience(self._template.get("terminationGracePeriodSeconds", 30)))
        except subprocess.TimeoutExpired:
            self.container.signal("KILL")
            self.container.wait()
        self._keeper.join()

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

    def _start(self) -> Container:
        machine = self._node.namespace
        with self._log.open("ab") as log:
            return Container(machine, self._spec["name"], log, self._image, self._configuration)

    def _configuration(self, root: str) -> Document:
        return oci.configuration(self._template, self._spec, self._image, self._environment, root)

    def _keep(self) -> None:
        """restartPolicy Always, the only one that a DaemonSet's pods can have."""
        pause = 0.0
        while True:
            self.container.wait()
            if self._deleted.wait(pause):
                return
            pause = min(max(_BACK_OFF, 2 * pause), _MOST_BACK_OFF)
            self.restarts += 1
            self.container = self._start()

    def _make_host_paths(self) -> None:
        machine = self._node.namespace
        machine.run("mkdir", "-p", oci.ACCOUNT)
        for path in oci.host_paths(self._template).values():
            if path["type"] == "DirectoryOrCreate":
                machine.run("mkdir", "-p", path["path"])
            elif machine.attempt("test", "-c", path["path"]).returncode != 0:
                raise RuntimeError(f"{self._node.name} has no {path['path']}")
