"""Which files of ours a test file can load, from what it and they import and name."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

OURS = ("plugins.", "tests.", "fixtures.", "judge.")
LAB = "tests/lab.py"  # it loads the plugins of the gate by names that it puts together


class Imports:
    """The files of a project by the names that stand in each other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.named = lru_cache(maxsize=None)(self._named)

    def reached(self, file: str) -> set[str]:
        """All files that can be loaded on behalf of one, itself included."""
        found, waiting = set(), [file]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.named(one)
        return found

    def _named(self, file: str) -> frozenset[str]:
        tree = ast.parse((self.root / file).read_text(encoding="utf-8"))
        files = {
            path for node in ast.walk(tree) for name in names(node) for path in self._files(name)
        }
        if file == LAB:
            files |= {f"plugins/{path.name}" for path in self.root.glob("plugins/*.py")}
        return frozenset(files)

    def _files(self, name: str) -> list[str]:
        """The module that a dotted name is, or is in, and the packages that it lies in."""
        parts = name.split(".")
        stems = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        able = [f"{stem}{end}" for stem in stems for end in (".py", "/__init__.py")]
        return [path for path in able if (self.root / path).is_file()]


def names(node: ast.AST) -> list[str]:
    """The dotted names of ours that a node imports, or holds as text."""
    found = []
    if isinstance(node, ast.Import):
        found = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        found = [f"{node.module}.{alias.name}" for alias in node.names]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        found = [node.value] if " " not in node.value else []
    return [name for name in found if name.startswith(OURS)]
