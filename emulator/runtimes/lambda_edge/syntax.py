"""Whether a handler would compile: asked before a saved file takes the place of one that works.

AWS deploys broken code and fails when it runs it. A file that is being written is broken most of
the time, so hot reload holds such a version back. Only what cannot compile is found here: a handler
that raises is as good as any.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_NODE_SUFFIXES: Final = (".js", ".mjs", ".cjs")
_CHECK_S: Final = 10.0


def syntax_problem(folder: Path, handler: str, runtime: str, *, node: str | None) -> str:
    """Where and why a handler, or a file of its own that it imports, does not compile; else empty.

    Blocks for as long as Node.js takes to start; Python is parsed here, by this version's grammar.

    Args:
        folder: The function's source folder.
        handler: Such as `handler.handler`.
        runtime: Such as `python3.13`.
        node: The Node.js to ask; None when there is none.
    """
    module = handler.rpartition(".")[0]
    if runtime.startswith("python"):
        return _python_problem(folder, module.replace("/", "."))
    if node is None:
        return ""
    files = [file for suffix in _NODE_SUFFIXES if (file := folder / f"{module}{suffix}").is_file()]
    return _node_problem(files[0], node) if files else ""


def _python_problem(folder: Path, module: str) -> str:
    """Look at every file of the folder that the handler imports, however deep."""
    left, seen = [module], set[Path]()
    while left:
        for file in _files_of(folder, left.pop()):
            if file in seen:
                continue
            seen.add(file)
            shown = file.relative_to(folder)
            try:
                tree = ast.parse(file.read_bytes(), str(shown))
                compile(tree, str(shown), "exec", dont_inherit=True)
            except SyntaxError as error:
                return f"{shown}:{error.lineno or 1}: {error.msg}"
            except (OSError, ValueError, RecursionError, MemoryError) as error:
                return f"{shown}: {error}"
            left.extend(_imported(tree, _package_of(shown)))
    return ""


def _files_of(folder: Path, module: str) -> Iterator[Path]:
    """A module's file, and those of the packages above it."""
    place = folder
    for part in module.split("."):
        file, place = place / f"{part}.py", place / part
        if file.is_file():
            yield file
        if (place / "__init__.py").is_file():
            yield place / "__init__.py"


def _package_of(file: Path) -> list[str]:
    return list(file.parent.parts)


def _imported(tree: ast.AST, package: list[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            yield ".".join(base)
            yield from (".".join([*base, alias.name]) for alias in node.names)


def _node_problem(file: Path, node: str) -> str:
    try:
        checked = subprocess.run(
            [node, "--check", str(file)],
            capture_output=True,
            text=True,
            timeout=_CHECK_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    if checked.returncode == 0:
        return ""
    lines = checked.stderr.splitlines()
    line = lines[0].rpartition(":")[2] if lines else "1"
    said = next((one for one in lines if "Error" in one), "it does not compile")
    return f"{file.name}:{line}: {said}"
