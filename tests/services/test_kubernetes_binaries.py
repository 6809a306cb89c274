"""Where the cluster tier looks for Kubernetes' programs, and what it says without them."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

_ASKING = """
from lab.kubernetes.binaries import Missing, binaries
try:
    print(binaries())
except Missing as missing:
    print(f"missing: {missing}")
"""
_CHECKOUT = Path(__file__).resolve().parent.parent.parent


class BinariesTests(SynchronousTestCase):
    """The programs here are empty, and Go is a script."""

    def setUp(self) -> None:
        self.folder = Path(mkdtemp(dir=".")).absolute()
        self.assets = self.folder / "assets"
        for name in ("etcd", "kube-apiserver", "kubectl", "kube-controller-manager"):
            self.program(self.assets / name, "")

    def program(self, path: Path, script: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)

    def go(self, script: str) -> None:
        (self.assets / "kube-controller-manager").unlink()
        self.program(self.folder / "bin/go", script)

    def found(self) -> str:
        """What is printed of them: one line, whatever else is said meanwhile."""
        environ = {
            "PATH": str(self.folder / "bin"),
            "PYTHONPATH": str(_CHECKOUT),
            "KUBEBUILDER_ASSETS": str(self.assets),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        done = subprocess.run(
            [sys.executable, "-c", _ASKING], env=environ, capture_output=True, text=True, cwd="/"
        )
        self.assertEqual(done.stdout.count("\n"), 1, done.stderr)
        return done.stdout

    def missing(self, *words: str) -> None:
        found = self.found()
        for word in ("missing: ", *words):
            self.assertIn(word, found)

    def test_all_there(self) -> None:
        """The folder that KUBEBUILDER_ASSETS names is taken; nothing is built."""
        self.assertIn(str(self.assets / "kube-controller-manager"), self.found())
        self.assertFalse((self.folder / "cache").exists())

    def test_wrong_folder(self) -> None:
        """A folder without an API server is a mistake, and nothing takes its place."""
        (self.assets / "kube-apiserver").unlink()
        self.missing(str(self.assets), "holds no kube-apiserver")

    def test_no_go(self) -> None:
        """What setup-envtest leaves out needs Go."""
        (self.assets / "kube-controller-manager").unlink()
        self.missing("needs kube-controller-manager", "no Go", "install Go 1.26 or newer")

    def test_old_go(self) -> None:
        """One too old to know it, and one that knows that it is too old."""
        self.go("echo go1.19.8")
        self.missing("too old", "go1.19.8", "install Go 1.26 or newer")
        self.program(self.folder / "bin/go", "echo 'go.mod requires go >= 1.26.0' >&2; exit 1")
        self.missing("too old", "requires go >= 1.26.0", "install Go 1.26 or newer")

    def test_failing_go(self) -> None:
        """A build that fails is said in its last words."""
        self.go('[ "$1" != env ] || { echo go1.26.0; exit; }\necho no route >&2; exit 1')
        self.missing("building it with Go failed: no route")

    def test_built_once(self) -> None:
        """What Go built is kept, under a name made of the modules' sums."""
        link = f"echo x >> {self.folder}/runs; /bin/cp {self.assets}/etcd $7"
        self.go(f'[ "$1" != env ] || {{ echo go1.26.0; exit; }}\n{link}')
        for _ in range(2):
            self.assertIn("cache/overlayd/kubernetes-", self.found())
        self.assertEqual((self.folder / "runs").read_text(), "x\n")
        [cached] = (self.folder / "cache/overlayd").iterdir()
        self.assertEqual(sorted(os.listdir(cached)), ["kube-controller-manager", "lock"])
