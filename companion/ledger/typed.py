"""Finds values that were typed into a notebook where a measured one belongs.

A call such as `check("F3A", 0.05)` would make a verdict out of nothing. The source of a notebook is parsed, never run:
a value counts as typed in if it is a literal, a dict, list or arithmetic with a literal in a measure's place, a
conversion of one, or a name that the notebook only ever sets to such values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

CALLS = ("check", "record")
LITERAL = (
    *(ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.IfExp, ast.Compare),
    *(ast.List, ast.Tuple, ast.Set, ast.JoinedStr, ast.FormattedValue, ast.Starred),
)
CONVERTERS = frozenset(
    "abs array asarray bool complex dict float float32 float64 int list max min round str sum tensor tuple".split()
)


def names(sources: Iterable[str]) -> dict[str, list[ast.expr] | None]:
    """What each name of a notebook is set to at top level; None if it is also bound in a way that computes something.

    Args:
        sources: Source of every code cell, in order.
    """
    bound: dict[str, list[ast.expr] | None] = {}
    for source in sources:
        for node in ast.walk(_parsed(source)):
            plain: dict[str, ast.expr] = {}
            if isinstance(node, ast.Assign):
                plain = {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and isinstance(node.target, ast.Name) and node.value:
                plain = {node.target.id: node.value}
            for name, value in plain.items():
                values = bound.setdefault(name, [])
                if values is not None:
                    values.append(value)
            for name in _computed(node):
                bound[name] = None
    return bound


def measured(source: str, name: str, bound: dict[str, list[ast.expr] | None]) -> bool:
    """Whether a cell calls `check` or `record` for `name`, and each such call passes a value that is not typed in.

    Args:
        source: The code cell.
        name: Name of the record; the call must give it as a literal.
        bound: Result of `names` for the whole notebook.
    """
    values = [value for call in ast.walk(_parsed(source)) if (value := _value(call, name)) is not None]
    return bool(values) and not any(typed_in(value, bound) for value in values)


def typed_in(value: ast.expr, bound: dict[str, list[ast.expr] | None], seen: frozenset[str] = frozenset()) -> bool:
    """Whether the expression is made of literals only (for a dict: whether any of its values is)."""
    if isinstance(value, ast.Constant):
        return True
    if isinstance(value, ast.Name):
        values = bound.get(value.id)
        if value.id in seen or not values:
            return False
        return all(typed_in(v, bound, seen | {value.id}) for v in values)
    if isinstance(value, ast.Dict):
        return any(typed_in(v, bound, seen) for v in value.values)
    if isinstance(value, ast.Call):
        converts = _called(value) in CONVERTERS
        if converts and value.keywords and _called(value) == "dict":
            return any(typed_in(k.value, bound, seen) for k in value.keywords)
        return converts and bool(value.args) and all(typed_in(a, bound, seen) for a in value.args)
    if isinstance(value, ast.Subscript):
        return typed_in(value.value, bound, seen)
    parts = [part for part in ast.iter_child_nodes(value) if isinstance(part, ast.expr)]
    return isinstance(value, LITERAL) and bool(parts) and all(typed_in(part, bound, seen) for part in parts)


def _parsed(source: str) -> ast.Module:
    """Tree of a code cell; lines with IPython magic are blanked."""
    lines = ("pass" if line.startswith(("%", "!")) else line for line in source.splitlines())
    try:
        return ast.parse("\n".join(lines))
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def _called(call: ast.Call) -> str:
    """Last part of the name of what is called, such as `check` in `ledger.check(...)`."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _value(node: ast.AST, name: str) -> ast.expr | None:
    """The value argument of `node`, if it is a call of `check` or `record` for `name`."""
    if not isinstance(node, ast.Call) or _called(node) not in CALLS:
        return None
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    first = node.args[0] if node.args else given.get("id") or given.get("name")
    if not isinstance(first, ast.Constant) or first.value != name:
        return None
    return node.args[1] if len(node.args) > 1 else given.get("value", ast.Constant(None))


def _computed(node: ast.AST) -> set[str]:
    """Names that a statement binds to something computed, or whose object it may change by calling a method."""
    targets: list[ast.AST] = []
    if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension, ast.AugAssign)):
        targets = [node.target]
    elif isinstance(node, ast.Assign):
        targets = [target for target in node.targets if not isinstance(target, ast.Name)]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        targets = [node.func.value] if isinstance(node.func.value, ast.Name) else []
    elif isinstance(node, ast.withitem) and node.optional_vars:
        targets = [node.optional_vars]
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    elif isinstance(node, ast.arg):
        return {node.arg}
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
