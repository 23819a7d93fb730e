from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from emulator.runtimes.lambda_edge.syntax import syntax_problem

NODE = shutil.which("node")


def problem(folder: Path, runtime: str = "python3.13", **files: str) -> str:
    """What is wrong with a folder of these files; `in__b_py` becomes `in/b.py`."""
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        file = folder / f"{stem.replace('__', '/')}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return syntax_problem(folder, "handler.handler", runtime, node=NODE)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"handler_py": "def handler(:\n"}, "handler.py:1: "),
        ({"handler_py": "x = 1\n  y = 2\n"}, "handler.py:2: unexpected indent"),
        ({"handler_py": "import tools", "tools_py": "return"}, "tools.py:1: 'return' outside"),
        ({"handler_py": "from lib import b", "lib__b_py": "x ="}, "lib/b.py:1: "),
        (
            {"handler_py": "import lib.a", "lib__a_py": "from . import b", "lib__b_py": "(("},
            "lib/b.py:1: ",
        ),
        (
            {
                "handler_py": "def f():\n    from lib.inner import c",
                "lib__inner__c_py": "from ..d import x",
                "lib__d_py": "1x",
            },
            "lib/d.py:1: ",
        ),
        ({"handler_py": "x = 1\x00"}, "handler.py"),
    ],
)
def test_a_file_that_does_not_compile_is_found_wherever_it_is(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    """The handler's own, and what it imports from its folder: file, line and why."""
    assert problem(tmp_path, **files).startswith(said)


@pytest.mark.parametrize(
    "files",
    [
        {"handler_py": "import os, boto3, not_there\nraise KeyError"},
        {"handler_py": "x = 1", "never_imported_py": "def ("},
        {"handler_py": "import handler"},
        {"other_py": "x = 1"},
    ],
)
def test_what_compiles_is_no_problem(tmp_path: Path, files: dict[str, str]) -> None:
    """Whatever it would do when it runs; nobody looks at files that are not imported."""
    assert problem(tmp_path, **files) == ""


@pytest.mark.skipif(NODE is None, reason="there is no Node.js")
def test_a_node_handler_is_checked_by_node(tmp_path: Path) -> None:
    """Modules and scripts; line and Node's own words."""
    broken = problem(tmp_path, "nodejs22.x", handler_js="exports.a = 1;\nfunction (")
    (tmp_path / "handler.js").unlink()
    fine = problem(tmp_path, "nodejs22.x", handler_mjs="export const handler = async () => {};")

    assert broken.startswith("handler.js:2: SyntaxError: ")
    assert fine == ""
    assert syntax_problem(tmp_path, "handler.handler", "nodejs22.x", node=None) == ""
