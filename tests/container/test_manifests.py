"""What the lab reads of the manifests is what kustomize renders."""

import subprocess
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from lab.container.manifests import MANIFESTS, render
from lab.kubernetes.binaries import Missing, binaries

try:
    KUBECTL = str(binaries().kubectl)
    SKIP = None
except Missing as missing:
    SKIP = str(missing)


class RenderTests(SynchronousTestCase):
    skip = SKIP

    def test_as_kustomize_does(self) -> None:
        for folder in (".", "wireguard-go", "teardown"):
            command = [KUBECTL, "kustomize", str(MANIFESTS / folder)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            documents = list(yaml.safe_load_all(printed))
            wanted = {d["metadata"]["name"]: d for d in documents if d["kind"] == "DaemonSet"}
            found = render(MANIFESTS / folder)
            self.assertEqual(wanted.keys(), found.daemon_sets.keys())
            (options,) = (d for d in documents if d["kind"] == "ConfigMap")
            self.assertEqual(options["data"], found.options)
            for name, daemon_set in wanted.items():
                template = daemon_set["spec"]["template"]["spec"]
                ours = found.daemon_sets[name]["spec"]["template"]["spec"]
                self.assertEqual(self._generic(template), self._generic(ours))

    def _generic(self, document: Any) -> Any:
        """Without the order of lists that are no commands, and without the names that it gives."""
        match document:
            case dict():
                return {
                    key: self._generic(value)
                    for key, value in document.items()
                    if key not in ("image", "configMapRef")
                }
            case [dict(), *_]:
                return sorted(map(self._generic, document), key=str)
        return document
