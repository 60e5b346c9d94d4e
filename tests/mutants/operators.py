"""The mutation operators: what may stand in the place of a node of the syntax tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Optional

Change = tuple[str, Optional[ast.AST]]  # operator, replacement; None drops a statement

COMPARED = {
    **{ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt)},
    **{ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt)},
    **{ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,)},
    **{ast.In: (ast.NotIn,), ast.NotIn: (ast.In,)},
}
COMPUTED = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult},
    **{ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd},
    **{ast.LShift: ast.RShift, ast.RShift: ast.LShift},
}
TWINS = ("min max", "any all", "minimum maximum", "argmin argmax", "floor ceil", "nanmin nanmax")
OTHER = {a: b for pair in map(str.split, TWINS) for a, b in (pair, pair[::-1])}
UNWRAPPED = {"abs", "sorted", "unique", "sqrt", "log", "reversed", "ceil", "floor", "round"}
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def changes(node: ast.AST, parents: dict) -> Iterator[Change]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.Compare):
        yield from _comparisons(node)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and/or", ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp):
        if _negative(node):
            yield from _constants(-node.operand.value)
        elif not isinstance(node.op, ast.UAdd):
            yield "sign or not dropped", node.operand
    elif isinstance(node, (ast.BinOp, ast.AugAssign)):
        yield from _arithmetic(node)
    elif isinstance(node, ast.Constant):
        if isinstance(parents[node][0], ast.Slice) and isinstance(node.value, int):
            yield from _bounds(node.value)
        elif not _negative(parents[node][0]):
            yield from _constants(node.value)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Slice):
        yield from _slices(node)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield from _conditions(node)
    elif isinstance(node, ast.Return):
        if node.value and not _is(node.value, None):
            yield "return None", ast.Return(ast.Constant(None))
    if isinstance(parents[node][0], ast.comprehension) and parents[node][1] == "ifs":
        for value in (True, False):
            yield "condition", ast.Constant(value)
    yield from _dropped(node, parents)


def _is(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _comparisons(node: ast.Compare) -> Iterator[Change]:
    for index, old in enumerate(node.ops):
        for place, new in enumerate(COMPARED[type(old)]):
            ops = [*node.ops[:index], new(), *node.ops[index + 1 :]]
            boundary = isinstance(old, ORDERED) and place == 0
            name = "boundary" if boundary else "comparison"
            yield name, ast.Compare(node.left, ops, node.comparators)


def _arithmetic(node: ast.AST) -> Iterator[Change]:
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
    textual = any(_wordy(side) for side in sides)
    if not textual and type(node.op) in COMPUTED:
        op = COMPUTED[type(node.op)]()
        if isinstance(node, ast.BinOp):
            yield "arithmetic", ast.BinOp(node.left, op, node.right)
        else:
            yield "arithmetic", ast.AugAssign(node.target, op, node.value)
    if isinstance(node, ast.AugAssign):
        yield "statement dropped", None


def _wordy(node: ast.AST) -> bool:
    """Text, of which the sum or the remainder is more text."""
    if isinstance(node, ast.BinOp):
        return _wordy(node.left) or _wordy(node.right)
    return isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)


def _negative(node: ast.AST) -> bool:
    """-1: one number."""
    minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    return minus and isinstance(getattr(node.operand, "value", None), (int, float))


def _constants(value: object) -> Iterator[Change]:
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, (int, float)):
        yield "constant", _number(value + 1)
        if value:
            yield "constant", _number(-value)
    elif isinstance(value, str):
        yield "text", ast.Constant("" if value else "mutant")


def _bounds(value: int) -> Iterator[Change]:
    """Of a slice; its opposite would often be the same place from the other end."""
    yield "slice", _number(value + 1)
    if value:
        yield "slice", _number(value - 1)


def _number(value: float) -> ast.AST:
    size = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), size) if value < 0 else size


def _calls(node: ast.Call) -> Iterator[Change]:
    function = node.func
    name = getattr(function, "id", getattr(function, "attr", ""))
    if name in OTHER:
        other = copy.copy(function)
        setattr(other, "id" if isinstance(function, ast.Name) else "attr", OTHER[name])
        yield "twin function", ast.Call(other, node.args, node.keywords)
    if name in UNWRAPPED and node.args:
        yield "call dropped", node.args[0]


def _slices(node: ast.Slice) -> Iterator[Change]:
    for name in ("lower", "upper"):
        bound = getattr(node, name)
        if bound is not None and not isinstance(bound, (ast.Constant, ast.UnaryOp)):
            new = copy.copy(node)
            setattr(new, name, ast.BinOp(bound, ast.Add(), ast.Constant(1)))
            yield "slice", new


def _conditions(node: ast.AST) -> Iterator[Change]:
    for value in (False,) if isinstance(node, ast.While) else (True, False):
        new = copy.copy(node)
        new.test = ast.Constant(value)
        yield "condition", new


def _dropped(node: ast.AST, parents: dict) -> Iterator[Change]:
    if isinstance(node, (ast.Raise, ast.Continue, ast.Break, ast.Delete)):
        yield "statement dropped", None
    if isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Yield, ast.YieldFrom)):
        yield "statement dropped", None
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        if isinstance(target, (ast.Subscript, ast.Attribute)) or _assigned_before(node, parents):
            yield "statement dropped", None


def _assigned_before(node: ast.Assign, parents: dict) -> bool:
    """Whether all that is assigned has had another value in the function before."""
    function = node
    while function in parents and not isinstance(function, ast.FunctionDef):
        function = parents[function][0]
    if not isinstance(function, ast.FunctionDef):
        return False
    names = {one.id for one in ast.walk(node.targets[0]) if isinstance(one, ast.Name)}
    known = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    for one in ast.walk(function):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            if one.lineno < node.lineno:
                known.add(one.id)
    return names <= known
