"""A module of the judge, and its mutants: one small change of its syntax tree each.

Left out is what decides nothing: docstrings, type hints, imports, decorators, the text of errors
(all below `raise`, and every f-string), strings of several words, `__str__` and `__repr__`.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from tests.mutants.operators import changes

SILENT = {"__str__", "__repr__"}


@dataclass(frozen=True)
class Mutant:
    """A change of one module.

    Args:
        operator: the kind of change: "boundary".
        line: where it is, from 1.
        lines: first and last line of what a test must execute to notice it.
        text: the source line, stripped.
        before, after: what was there and what is there now.
        turn: among those of the same text, operator, before and after, from 0.
        loading: it has its effect when the module is imported.
        spot: (node, field, index) of the tree where `new` is put.
    """

    operator: str
    line: int
    lines: tuple[int, int]
    text: str
    before: str
    after: str
    turn: int
    loading: bool
    spot: tuple = field(repr=False)
    new: Optional[ast.AST] = field(repr=False)

    @property
    def key(self) -> str:
        """Says which one it is, wherever in the file the line stands."""
        return " | ".join((self.text, self.operator, self.before, self.after, str(self.turn)))


class Source:
    """A module's text and tree, and its mutants in the order of its lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.rows = self.text.splitlines()
        self.tree = ast.parse(self.text)
        self.parents: dict[ast.AST, tuple] = {}
        self.mutants = self._found()

    def code(self, mutant: Optional[Mutant] = None):
        """The compiled module, with a mutant or without; the tree is left as it was."""
        if mutant is None:
            return compile(self.tree, str(self.path), "exec", dont_inherit=True)
        node, name, index = mutant.spot
        new = ast.copy_location(copy.deepcopy(mutant.new or ast.Pass()), self._at(mutant.spot))
        old = self._put(node, name, index, ast.fix_missing_locations(new))
        try:
            return compile(self.tree, str(self.path), "exec", dont_inherit=True)
        finally:
            self._put(node, name, index, old)

    def _at(self, spot: tuple) -> ast.AST:
        node, name, index = spot
        return getattr(node, name) if index is None else getattr(node, name)[index]

    def _put(self, node: ast.AST, name: str, index: Optional[int], new: ast.AST) -> ast.AST:
        old = self._at((node, name, index))
        if index is None:
            setattr(node, name, new)
        else:
            getattr(node, name)[index] = new
        return old

    def _found(self) -> list[Mutant]:
        seen: dict[tuple, int] = {}
        found = []
        for spot, node in self._nodes(self.tree):
            for operator, new in changes(node, self.parents):
                line, before = node.lineno, shown(node)
                told = (self.rows[line - 1].strip(), operator, before, shown(new))
                seen[told] = turn = seen.get(told, -1) + 1
                lines, loading = self._executed(node), self._loading(node)
                found.append(
                    Mutant(operator, line, lines, told[0], *told[2:], turn, loading, spot, new)
                )
        return sorted(found, key=lambda mutant: mutant.line)

    def _nodes(self, node: ast.AST) -> Iterator[tuple[tuple, ast.AST]]:
        """(spot, node) of all that may be changed, with the parents noted."""
        for name, value in ast.iter_fields(node):
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, ast.AST):
                    self.parents[child] = (node, name, index)
                    if not silent(node, name, child):
                        if hasattr(child, "lineno"):
                            yield (node, name, index), child
                        yield from self._nodes(child)

    def _executed(self, node: ast.AST) -> tuple[int, int]:
        """The lines of the statement, or of the head of the block, that the node belongs to."""
        first, last = node.lineno, node.end_lineno
        while not isinstance(node, ast.stmt):
            node = self.parents[node][0]
            first = getattr(node, "lineno", first)
        if hasattr(node, "body"):
            return first, max(first, min(last, node.body[0].lineno))
        return node.lineno, node.end_lineno

    def _loading(self, node: ast.AST) -> bool:
        while node in self.parents:
            node, name, _ = self.parents[node]
            if isinstance(node, (ast.FunctionDef, ast.Lambda)) and name == "body":
                return False
        return True


def silent(node: ast.AST, name: str, child: ast.AST) -> bool:
    """Whether the child in that field of the node, and all below it, decides nothing."""
    if name in ("annotation", "returns", "decorator_list") or isinstance(child, ast.JoinedStr):
        return True
    if isinstance(child, ast.FunctionDef) and child.name in SILENT:
        return True
    if isinstance(child, (ast.Import, ast.ImportFrom)) or isinstance(node, ast.Raise):
        return True
    return is_text(child)


def is_text(node: ast.AST) -> bool:
    """A docstring, or a sentence."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    text = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and (" " in text or "\n" in text)


def shown(node: Optional[ast.AST]) -> str:
    """A node as one line of code."""
    if node is None:
        return "pass"
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 80 else text[:77] + "..."
