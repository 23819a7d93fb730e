from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from emulator.runtimes.lambda_edge.modules import read_requirements, ships

TRY = """
import importlib, json
def attempt(name):
    try:
        return importlib.import_module(name).__name__
    except ImportError as error:
        return f"{type(error).__name__}: {error}"
def handler(event, context):
    names = event["Records"][0]["cf"]["request"]["uri"].strip("/").split(",")
    return {"status": 200, "body": json.dumps({name: attempt(name) for name in names})}
"""


def tried(lab: Any, names: str, **files: Any) -> dict[str, str]:
    """What comes of importing these modules in a sandbox."""
    result: dict[str, str] = json.loads(lab.body(lab.load(TRY, **files), f"/{names}"))
    return result


def test_lambdas_own_modules_and_the_standard_library_are_there(lab: Any) -> None:
    """boto3 and its relatives need not be named."""
    names = "boto3,botocore,s3transfer,jmespath,urllib3,dateutil,six,json,ctypes,sqlite3,zoneinfo"

    assert tried(lab, names) == {name: name for name in names.split(",")}


@pytest.mark.parametrize(
    "name", ["orjson", "uvloop", "httptools", "starlette", "emulator", "yaml", "pytest", "awscrt"]
)
def test_everything_else_of_this_machine_is_hidden(lab: Any, name: str) -> None:
    """With a message that says what to do."""
    said = tried(lab, name)[name]

    assert said.startswith(f"ModuleNotFoundError: No module named '{name}'")
    assert f"Add '{name}' to requirements.txt" in said


def test_what_is_nowhere_is_python_s_own_error(lab: Any) -> None:
    """No advice where none helps."""
    said = tried(lab, "no_such_module_at_all")

    assert said == {
        "no_such_module_at_all": "ModuleNotFoundError: No module named 'no_such_module_at_all'"
    }


def test_the_packages_own_modules_come_first(lab: Any) -> None:
    """Even before the standard library, as with Lambda's task root."""
    files = {"helper.py": "", "yaml.py": "x = 1", "colorsys.py": "x = 1"}
    seen = tried(lab, "helper,yaml,colorsys", files=files)

    assert seen == {"helper": "helper", "yaml": "yaml", "colorsys": "colorsys"}


def test_a_module_named_in_requirements_is_there_with_its_dependencies(lab: Any) -> None:
    """And with its extras, but nothing that only happens to be installed."""
    files = {"requirements.txt": "# for signing\nboto3[crt] >= 1.0  # comment\nstarlette==1.*\n"}
    seen = tried(lab, "awscrt,starlette,anyio,idna,orjson", files=files)

    assert [name for name, said in seen.items() if said == name] == [
        "awscrt",
        "starlette",
        "anyio",
        "idna",
    ]


def test_a_requirement_that_is_not_installed_is_a_warning(lab: Any) -> None:
    """With the command that mends it."""
    function = lab.load(TRY, files={"requirements.txt": "no-such-distribution==1.0\n-r more.txt\n"})

    assert any("pip install no-such-distribution" in line for line in function.warnings)


def test_a_package_without_requirements_names_nothing(tmp_path: Path) -> None:
    """The file may be missing."""
    assert read_requirements(tmp_path).modules == frozenset()


def test_distributions_are_known_by_the_modules_they_bring(tmp_path: Path) -> None:
    """`PyYAML` brings `yaml`; compiled modules count."""
    (tmp_path / "requirements.txt").write_text("PyYAML\npython-dateutil\nawscrt\n")

    assert {"yaml", "_yaml", "dateutil", "six", "awscrt", "_awscrt"} <= (
        read_requirements(tmp_path).modules
    )


def test_a_bundled_copy_is_noticed(tmp_path: Path) -> None:
    """As a folder or as a file."""
    (tmp_path / "boto3").mkdir()
    (tmp_path / "six.py").touch()

    assert ships(tmp_path, ["boto3"])
    assert ships(tmp_path, ["six"])
    assert not ships(tmp_path, ["urllib3"])


def test_a_bundled_boto3_is_the_one_that_is_imported(lab: Any) -> None:
    """Nothing preloaded stands in its way."""
    package = lab.package("import boto3\ndef handler(e, c):\n    return boto3.RESULT\n")
    (package / "boto3").mkdir()
    (package / "boto3" / "__init__.py").write_text("RESULT = {'status': 200, 'body': 'bundled'}")
    from emulator.values.lambda_edge import LambdaDeclaration

    function = lab.functions.load(LambdaDeclaration("f", "handler.handler", "python3.13", package))

    assert lab.body(function) == "bundled"
