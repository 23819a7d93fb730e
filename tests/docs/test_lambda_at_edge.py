"""Every example of docs/lambda-at-edge.md, tried as a reader would."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.cli import main

DOC = Path(__file__).resolve().parents[2] / "docs" / "lambda-at-edge.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)


@dataclass(frozen=True)
class Example:
    """One handler with the commands that try it."""

    name: str
    language: str
    code: str
    tries: tuple[tuple[str, Any], ...]

    @property
    def trigger(self) -> str:
        """The event that its first command names."""
        words = shlex.split(self.tries[0][0])
        return words[words.index("--trigger") + 1]


def examples() -> Iterator[Example]:
    """Every section below `## The usual jobs`."""
    text = DOC.read_text(encoding="utf-8")
    jobs = text.split("## The usual jobs", 1)[1].split("\n## ", 1)[0]
    for section in jobs.split("\n### ")[1:]:
        title = section.splitlines()[0]
        (language, code), *rest = BLOCK.findall(section)
        commands = [block.strip() for kind, block in rest if kind == "console"]
        results = [json.loads(block) for kind, block in rest if kind == "json"]
        name = re.sub(r"[^a-z]+", "-", title.lower())
        yield Example(name, language, code, tuple(zip(commands, results, strict=True)))


EXAMPLES = list(examples())


def template() -> dict[str, Any]:
    """One function, version and behavior for each example."""
    resources: dict[str, Any] = {}
    behaviors = []
    behavior = {
        "TargetOriginId": "Api",
        "ViewerProtocolPolicy": "allow-all",
        "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
    }
    for example in EXAMPLES:
        logical_id = example.name.replace("-", "")
        python = example.language == "python"
        resources[logical_id] = {
            "Type": "AWS::Lambda::Function",
            "Metadata": {"aws:asset:path": example.name},
            "Properties": {
                "FunctionName": example.name,
                "Runtime": "python3.13" if python else "nodejs22.x",
                "Handler": "handler.handler" if python else "index.handler",
                "Role": "arn:aws:iam::123456789012:role/edge",
                "Code": {"S3Bucket": "b", "S3Key": "k"},
            },
        }
        version = {"FunctionName": {"Ref": logical_id}}
        resources[f"{logical_id}Version"] = {"Type": "AWS::Lambda::Version", "Properties": version}
        association = {
            "EventType": example.trigger,
            "LambdaFunctionARN": {"Ref": f"{logical_id}Version"},
        }
        behaviors.append(
            {
                **behavior,
                "PathPattern": f"/{example.name}/*",
                "LambdaFunctionAssociations": [association],
            }
        )
    origin = {
        "Id": "Api",
        "DomainName": "localhost",
        "CustomOriginConfig": {"OriginProtocolPolicy": "http-only"},
    }
    config = {
        "Enabled": True,
        "Origins": [origin],
        "CacheBehaviors": behaviors,
        "DefaultCacheBehavior": behavior,
    }
    resources["Site"] = {
        "Type": "AWS::CloudFront::Distribution",
        "Properties": {"DistributionConfig": config},
    }
    return {"Resources": resources}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with every example in it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "localpop.toml").write_text('template = "template.json"\n')
    (folder / "template.json").write_text(json.dumps(template()))
    for example in EXAMPLES:
        (folder / example.name).mkdir()
        file = "handler.py" if example.language == "python" else "index.js"
        (folder / example.name / file).write_text(example.code)
    return folder


def is_part_of(expected: Any, actual: Any) -> bool:
    """Whether everything expected is there; more may be."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            name in actual and is_part_of(value, actual[name]) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(map(is_part_of, expected, actual))
    return bool(expected == actual)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_does_what_the_page_says(
    example: Example,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The handler as printed, the command as printed, the result as printed."""
    if example.language == "javascript" and shutil.which("node") is None:
        pytest.skip("there is no Node.js")
    monkeypatch.chdir(folder)
    for command, expected in example.tries:
        words = shlex.split(command)
        code = main.run(words[1:])
        said = capsys.readouterr()

        assert words[0] == "localpop"
        assert code == 0, said.err
        assert is_part_of(expected, json.loads(said.out)), said.out


def test_the_page_has_every_usual_job() -> None:
    """Those that the page promises, in both languages."""
    assert [example.name for example in EXAMPLES] == [
        "basic-auth",
        "redirects",
        "a-b-test",
        "header-rewrite",
        "origin-choice",
        "image-path-rewrite",
        "error-page",
    ]
    assert {example.language for example in EXAMPLES} == {"python", "javascript"}
