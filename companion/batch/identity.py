"""What makes two runs the same run: the code that computes, and all parameters.

Only what can change a value counts. Of a notebook that is its code without comments and layout, and not its outputs,
prose or defaults (these are among the parameters of the run). Of `lib` it is the modules that the notebook imports,
directly or through others, without comments and docstrings: a change of wording, or of a plot, does not ask for ten
hours of training.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import nbformat

from companion.batch.chapters import ROOT

SHOWN = ("companion.ledger", "lib.figures")  # parts that show and judge values and do not compute them: not counted
PACKAGES = ("lib", "companion")
SCHEMA = 1  # changes when records or keys of older versions can no longer be used


def meaning(source: str) -> str:
    """Code without comments, layout and docstrings; unchanged if it is not plain Python (a line for IPython, say)."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def code_cells(notebook: Path) -> list[str]:
    """Sources of the code cells that are not parameters cells."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [c.source for c in cells if c.cell_type == "code" and "parameters" not in c.metadata.get("tags", [])]


def modules(sources: Iterable[str], root: Path = ROOT) -> list[Path]:
    """Files of `lib` that the sources import, directly or through each other, sorted."""
    found: set[Path] = set()
    waiting = [path for source in sources for path in _imports(source, root)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imports(path.read_text(encoding="utf-8"), root)
    return sorted(found)


def fingerprint(sources: Iterable[str], root: Path = ROOT) -> str:
    """16 hexadecimal digits that change with the code of `lib` that the sources use."""
    parts = [(p.relative_to(root).as_posix(), _meaning_of(p.read_bytes())) for p in modules(sources, root)]
    return digest(parts)


def code_key(notebook: Path, lib: str) -> str:
    """16 hexadecimal digits for the code of a notebook together with the fingerprint of what it uses of `lib`."""
    return digest([SCHEMA, [meaning(source) for source in code_cells(notebook)], lib])


def run_key(code: str, parameters: Mapping[str, Any]) -> str:
    """16 hexadecimal digits for a run: `code_key`, and the values of all parameters."""
    return digest([code, dict(parameters)])


def digest(content: Any) -> str:
    """16 hexadecimal digits of a hash of something that JSON can express."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _meaning_of(content: bytes) -> str:
    return hashlib.sha256(meaning(content.decode("utf-8")).encode()).hexdigest()


def _imports(source: str, root: Path) -> list[Path]:
    """Files of `lib` that one source names in its import statements."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        lines = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
        tree = ast.parse("\n".join(line for line in lines if not line.rstrip().endswith(("(", "\\"))))
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [_defined(node.module, alias.name, root) for alias in node.names]
    files: list[Path] = []
    for name in names:
        parts = name.split(".")
        if parts[0] in PACKAGES and ".".join(parts[:2]) not in SHOWN:
            for depth in range(1, len(parts) + 1):  # importing a module runs its packages too
                path = root.joinpath(*parts[:depth])
                package = path / "__init__.py"
                if package.is_file() and (depth == len(parts) or _facade(package) is None):
                    files.append(package)
                files += [path.with_suffix(".py")] if path.with_suffix(".py").is_file() else []
    return files


def _defined(module: str, name: str, root: Path) -> str:
    """Dotted name of what `from module import name` takes: where it is defined, if the module is a facade."""
    if name == "*":
        return module
    source = (_facade(root.joinpath(*module.split("."), "__init__.py")) or {}).get(name)
    return _defined(*source, root) if source else f"{module}.{name}"


def _facade(package: Path) -> dict[str, tuple[str, str]] | None:
    """Module and name behind each name of a package that does nothing but import names; None if it is no such package.

    Facades do not count: a notebook depends on the modules of the names it takes, not on all that a room offers.
    """
    if not package.is_file():
        return None
    body = ast.parse(package.read_text(encoding="utf-8")).body
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    rest = [node for node in body if not isinstance(node, (ast.ImportFrom, ast.Expr))]
    if not imports or rest:
        return None
    return {alias.asname or alias.name: (node.module or "", alias.name) for node in imports for alias in node.names}
