"""Holds the limits of style.md over src/ and tools/: lengths, parameters, names, docstrings.

Run it from the repository's root; it prints every violation and exits with 1 if there is one.
There is no list of exceptions: rules that need one say so by folder, below.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 6
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}

# Migrations only list columns: they may be long.
GENERATED = "migrations"

# Where everything that goes wrong has to be caught: the edges of kit, an agent's
# loop, and the simulation, which stands for those.
EDGES = ("aerostat/kit/", "aerostat/sim/", "/agent/", "/drivers/")

Finding = tuple[Path, int, str]


def main(folders: list[str]) -> int:
    """Check every Python file below the folders."""
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    found = [finding for path in files for finding in check(path, path.read_text())]
    for path, line, text in found:
        print(f"{path}:{line}: {text}")
    print(f"tidy: {len(files)} files, {len(found)} violations")
    return 1 if found else 0


def check(path: Path, source: str) -> Iterator[Finding]:
    """Yield what is wrong with one file."""
    tree = ast.parse(source, str(path))
    lines = source.count("\n")
    if lines > FILE_LINES_MAX and GENERATED not in path.parts:
        yield path, 1, f"{lines} lines, at most {FILE_LINES_MAX}: split by verb"
    if FORBIDDEN_NAMES & {path.stem, path.parent.name}:
        yield path, 1, "the name says nothing: name it after its noun"
    if tree.body and ast.get_docstring(tree) is None:
        yield path, 1, "no docstring: one sentence on what the module is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _function(path, node)
        if isinstance(node, ast.ExceptHandler):
            yield from _handler(path, node)


def _function(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if lines > FUNCTION_LINES_MAX and GENERATED not in path.parts:
        yield path, node.lineno, f"{node.name}: {lines} lines, at most {FUNCTION_LINES_MAX}"
    # What can be passed by position has to be remembered in order; keyword-only does not.
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    count = len([n for n in names if n not in ("self", "cls")])
    if count > PARAMETERS_MAX:
        yield path, node.lineno, f"{node.name}: {count} parameters, at most {PARAMETERS_MAX}"


def _handler(path: Path, node: ast.ExceptHandler) -> Iterator[Finding]:
    names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {""}
    if not names & {"", "Exception", "BaseException"}:
        return
    raises = any(isinstance(n, ast.Raise) and n.exc is None for n in ast.walk(node))
    if not raises and not any(edge in path.as_posix() for edge in EDGES):
        yield path, node.lineno, "catches everything: only an edge may do that"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["src", "tools"]))
