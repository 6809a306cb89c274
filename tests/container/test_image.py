"""What is in the image, and what is not."""

import stat

from twisted.trial.unittest import SynchronousTestCase

from lab.image import built
from tests.container.installation import lacks

_UNWANTED = {"pip", "pip3", "gcc", "cc", "curl", "wget"}
_UNWANTED_FILES = ("run/secrets", "run/ca.crt", "etc/pip.conf", "build", "root/.cache")


class ImageTests(SynchronousTestCase):
    skip = lacks()

    def setUp(self) -> None:
        self.image = built()
        self.site = next(self.image.root.glob("opt/overlayd/lib/python3.*/site-packages"))

    def test_nothing_of_the_build(self) -> None:
        """No compiler, no pip, and nothing of the machine that built it."""
        folders = ("opt/overlayd/bin", "usr/bin", "usr/sbin", "usr/local/bin")
        programs = {p.name for folder in folders for p in (self.image.root / folder).iterdir()}
        self.assertEqual(programs & _UNWANTED, set())
        self.assertLessEqual({"twistd", "overlayctl", "python"}, programs)
        self.assertIn("wireguard-go", programs)
        left = [name for name in _UNWANTED_FILES if (self.image.root / name).exists()]
        self.assertEqual(left, [])
        self.assertEqual(list(self.site.glob("pip*")), [])

    def test_no_one_gets_rights(self) -> None:
        """No program of overlayd's makes anyone root; there is no user of its own to take over."""
        for path in (self.image.root / "opt").rglob("*"):
            self.assertFalse(path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID), path)

    def test_list_of_plugins(self) -> None:
        """Twisted's is as new as every plugin, so that no start wants to write it."""
        plugins = self.site / "twisted" / "plugins"
        listed = (plugins / "dropin.cache").stat().st_mtime
        newer = [p.name for p in plugins.glob("*.py") if p.stat().st_mtime > listed]
        self.assertEqual(newer, [])

    def test_bytecode(self) -> None:
        """Every module has its bytecode."""
        without = [
            str(path)
            for path in self.site.rglob("*.py")
            if not list((path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc"))
        ]
        self.assertEqual(without, [])

    def test_words(self) -> None:
        labels = self.image.configuration["Labels"]
        for name in ("title", "description", "licenses", "version", "revision", "base.name"):
            self.assertTrue(labels[f"org.opencontainers.image.{name}"], name)
        self.assertEqual(self.image.configuration["User"], "0:0")
        self.assertTrue(self.image.environment["PATH"].startswith("/opt/overlayd/bin:"))
