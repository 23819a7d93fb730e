"""What deploys knows nothing of the emulator."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sorted((ROOT / "edge_functions").rglob("*.py")) + sorted((ROOT / "origin").rglob("*.py"))
TEXT = sorted((ROOT / "edge_functions").rglob("*.js"))


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_deployable_imports_the_emulator(path: Path) -> None:
    """The same file runs here and on AWS."""
    assert not imported(path) & {"emulator", "loadtests", "tests"}


@pytest.mark.parametrize("path", PYTHON + TEXT, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_deployable_has_a_local_only_branch(path: Path) -> None:
    """No word about where it runs, and no address of this machine but a default to listen on."""
    text = path.read_text(encoding="utf-8")
    # The product's own events have its name in their source.
    text = re.sub(r'"localpop\.(backend|answers)"', "", text)

    assert not re.search(r"localpop|localstack|LOCALPOP|:4566|is_local", text)


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "edge_functions").rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_edge_function_reads_an_environment_variable(path: Path) -> None:
    """Lambda@Edge has none."""
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"os\.environ|getenv", text)
