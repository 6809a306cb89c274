"""Imports go down only."""

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import overlayd

PACKAGE = Path(overlayd.__file__).parent

LAYERS = (
    ("service", "ctl", "options"),
    ("logs",),
    ("control",),
    ("services",),
    ("passes", "teardown"),
    ("kube", "linux", "tunnel"),
    ("netlink",),
    ("plan",),
    ("model",),
)
"""From the top down. What stands in one line may import itself and what stands below."""

WITHOUT_TWISTED = ("passes", "teardown", "kube", "linux", "tunnel", "netlink", "plan", "model")
PURE = ("plan", "model")
PURE_MAY_IMPORT = {"attrs", "immutables", "msgspec", "nacl"}


def modules(room: str) -> Iterator[Path]:
    """The files of a room: a package's, or the one of that name."""
    single = PACKAGE / f"{room}.py"
    return iter([single]) if single.exists() else (PACKAGE / room).rglob("*.py")


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "overlayd" and len(parts) > 1 else ""


class LayerTests(SynchronousTestCase):
    def test_every_room_has_a_layer(self) -> None:
        """No file or folder stands outside the layers, except what is for tests."""
        known = {room for layer in LAYERS for room in layer} | {"testing", "__init__"}
        found = {p.stem for p in PACKAGE.iterdir() if p.is_dir() or p.suffix == ".py"}
        self.assertEqual(found - {"__pycache__"} - known, set())

    def test_imports_go_down(self) -> None:
        """No room imports from one above it, or from another one beside it."""
        for depth, layer in enumerate(LAYERS):
            below = {room for lower in LAYERS[depth + 1 :] for room in lower}
            for room in layer:
                beside = set(layer) if depth == 0 else {room}
                for path in modules(room):
                    for module in imported(path):
                        target = room_of(module)
                        if target and target in {r for each in LAYERS for r in each} | {"testing"}:
                            self.assertIn(target, below | beside, f"{path} imports {module}")

    def test_no_twisted_below_the_line(self) -> None:
        """What blocks or decides knows nothing of the reactor."""
        for room in WITHOUT_TWISTED:
            for path in modules(room):
                for module in imported(path):
                    self.assertFalse(module.startswith("twisted"), f"{path} imports {module}")

    def test_decisions_are_pure(self) -> None:
        """Values and decisions import no I/O: the standard library's plain parts and a few more."""
        import sys

        impure = {"os", "socket", "subprocess", "threading", "time", "random", "pathlib", "io"}
        allowed = (set(sys.stdlib_module_names) - impure) | PURE_MAY_IMPORT | {"overlayd", ""}
        for room in PURE:
            for path in modules(room):
                for module in imported(path):
                    self.assertIn(module.split(".")[0], allowed, f"{path} imports {module}")
