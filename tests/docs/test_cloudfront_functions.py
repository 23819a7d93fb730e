"""Every example of docs/cloudfront-functions.md, tried as a reader would."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.cli import main
from emulator.project.local import read_local
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_2, check
from tests.app.running import free_port
from tests.docs.test_lambda_at_edge import is_part_of

DOC = Path(__file__).resolve().parents[2] / "docs" / "cloudfront-functions.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)
ITEMS = {"jwt-key": "a key of this page", "greeting": json.dumps({"text": "Hello from the edge."})}


@dataclass(frozen=True)
class Example:
    """One function with the commands that try it."""

    name: str
    code: str
    tries: tuple[tuple[str, Any], ...]


def examples() -> Iterator[Example]:
    """Every section below `## The usual jobs`."""
    text = DOC.read_text(encoding="utf-8")
    jobs = text.split("## The usual jobs", 1)[1].split("\n## ", 1)[0]
    for section in jobs.split("\n### ")[1:]:
        (language, code), *rest = BLOCK.findall(section)
        assert language == "javascript"
        commands = [block.strip() for kind, block in rest if kind == "console"]
        results = [json.loads(block) for kind, block in rest if kind == "json"]
        name = re.sub(r"[^a-z]+", "-", section.splitlines()[0].lower())
        yield Example(name, code, tuple(zip(commands, results, strict=True)))


EXAMPLES = list(examples())


def template() -> dict[str, Any]:
    """The functions, and a store that all of them may read."""
    resources: dict[str, Any] = {
        "Answers": {
            "Type": "AWS::CloudFront::KeyValueStore",
            "Properties": {
                "Name": "answers",
                "ImportSource": {"SourceType": "S3", "SourceArn": "arn:aws:s3:::b/items.json"},
            },
        }
    }
    associations = [{"KeyValueStoreARN": {"Fn::GetAtt": ["Answers", "Arn"]}}]
    for example in EXAMPLES:
        config = {"Comment": "", "Runtime": RUNTIME_2, "KeyValueStoreAssociations": associations}
        resources[example.name.replace("-", "")] = {
            "Type": "AWS::CloudFront::Function",
            "Metadata": {"aws:asset:path": f"{example.name}.js"},
            "Properties": {"Name": example.name, "AutoPublish": True, "FunctionConfig": config},
        }
    return {"Resources": resources}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every example in it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "localpop.toml").write_text(
        'template = "template.json"\n[stores.Answers]\nimport = "items.json"\n'
    )
    (folder / "template.json").write_text(json.dumps(template()))
    items = [{"key": key, "value": value} for key, value in ITEMS.items()]
    (folder / "items.json").write_text(json.dumps({"data": items}))
    for example in EXAMPLES:
        (folder / f"{example.name}.js").write_text(example.code)
    return folder


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_does_what_the_page_says(
    example: Example,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The function as printed, the command as printed, the output as printed."""
    monkeypatch.chdir(folder)
    # Whatever runs on the usual port is nobody of this test's.
    monkeypatch.setenv("LOCALPOP_AWS_PORT", str(free_port()))
    for command, expected in example.tries:
        words = shlex.split(command)
        code = main.run(words[1:])
        said = capsys.readouterr()
        result = json.loads(said.out)["TestResult"]

        assert words[0] == "localpop"
        assert (code, result["FunctionErrorMessage"]) == (0, "")
        assert is_part_of(expected, json.loads(result["FunctionOutput"])), result["FunctionOutput"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_passes_the_checker(example: Example) -> None:
    """Nothing that CloudFront refuses or treats differently, and small enough."""
    assert [str(problem) for problem in check(example.code, RUNTIME_2)] == []
    assert len(example.code.encode()) < 10_240


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    """A domain that only a function names has its place in localpop.toml."""
    (settings,) = (text for kind, text in BLOCK.findall(DOC.read_text("utf-8")) if kind == "toml")
    (tmp_path / "localpop.toml").write_text(settings)
    origins = read_local(tmp_path).origins

    assert str(origins["beta.example.com"].address) == "http://127.0.0.1:8082"


def test_the_page_has_every_usual_job() -> None:
    """Those that the page promises."""
    assert [example.name for example in EXAMPLES] == [
        "redirect",
        "a-b-test",
        "a-b-test-the-cookie",
        "jwt",
        "country-routing",
        "security-headers",
        "answer-from-the-store",
        "origin-choice",
    ]
