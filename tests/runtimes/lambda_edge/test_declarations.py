from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.clock.real import RealClock
from emulator.runtimes.lambda_edge import LambdaFunctions
from emulator.runtimes.lambda_edge.declarations import find_python
from emulator.values.lambda_edge import LambdaDeclaration

HERE = f"python{sys.version_info.major}.{sys.version_info.minor}"
OTHER = next(
    (one for one in ("python3.13", "python3.12", "python3.14") if one != HERE and find_python(one)),
    None,
)
HANDLER = """
import decimal, json, sys
import boto3, pytest_free_module
type Newer = int

def handler(event, context):
    return {"status": decimal.Decimal(200), "body": json.dumps(
        ["python%d.%d" % sys.version_info[:2], boto3.__name__, "é"], ensure_ascii=False)}
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A handler with syntax of Python 3.12."""
    (tmp_path / "handler.py").write_text(HANDLER)
    (tmp_path / "pytest_free_module.py").touch()
    return tmp_path


@pytest.mark.skipif(OTHER is None, reason="no other Python is installed")
@pytest.mark.parametrize("fork", [True, False])
def test_a_function_runs_on_the_python_it_declares(
    lab: Any, runner: asyncio.Runner, package: Path, fork: bool
) -> None:
    """Its syntax, boto3 from here, results as everywhere; and no warning about the version."""
    assert OTHER is not None
    functions = LambdaFunctions(
        RealClock(),
        endpoint_url=None,
        declared_python=True,
        fork=fork and sys.platform == "linux",
    )
    declaration = LambdaDeclaration("answers", "handler.handler", OTHER, package, memory_mb=256)
    loaded = functions.load(declaration)
    try:
        run = runner.run(loaded.run(lab.event("/")))
    finally:
        runner.run(functions.close())

    assert isinstance(run.result.body, bytes)
    assert run.result.body.decode() == f'["{OTHER}", "boto3", "é"]'
    assert loaded.warnings == ()


def test_without_that_python_it_runs_here_with_a_warning(lab: Any, package: Path) -> None:
    """As it does when nobody asks for another."""
    functions = LambdaFunctions(RealClock(), endpoint_url=None, declared_python=True)
    loaded = functions.load(LambdaDeclaration("answers", "handler.handler", "python3.99", package))

    assert f"declared for python3.99, runs on this machine's {HERE}" in loaded.warnings[0]
    assert find_python("python3.99") is None
