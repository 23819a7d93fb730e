from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from emulator.cli import main
from emulator.clock.real import RealClock
from emulator.runtimes.lambda_edge import LambdaFunctions
from emulator.values.functions import EventType
from emulator.values.lambda_edge import LambdaDeclaration
from emulator.values.messages import Response
from emulator.wire.lambda_edge_event import Example, example_function_event
from tests.app.running import ROOT
from tests.deploy.wheels import make_wheel

HANDLER = """
import json
from pathlib import Path
import library

def handler(event, context):
    baked = json.loads(Path(__file__).with_name("config.json").read_text())
    return {"status": "200", "body": library.VERSION + " " + baked["store"]}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This repository's template with a smaller handler, and a library that only pip can bring."""
    text = (ROOT / "template.yaml").read_text()
    folder = tmp_path / "project"
    for name in ("edge_functions", "origin"):
        shutil.copytree(ROOT / name, folder / name)
    lambda_folder = folder / "edge_functions/answer_lookup_lambda"
    (lambda_folder / "handler.py").write_text(HANDLER)
    (lambda_folder / "requirements.txt").write_text("library==4.2\n")
    (folder / "origin/functions/answer-writer/requirements.txt").write_text("library==4.2\n")
    (folder / "template.yaml").write_text(text.replace("store_arn:", "store:"))
    (folder / "localpop.toml").write_text('template = "template.yaml"\n')
    make_wheel(tmp_path / "wheels", "library", "4.2")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return folder


def test_a_project_is_packaged_whole(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Artifacts, manifest and a template that cfn-lint accepts; twice the same bytes."""
    assert main.run(["package", "--all"]) == 0
    out = capsys.readouterr().out
    first = {file.name: file.read_bytes() for file in (project / "build").iterdir()}
    assert main.run(["package", "--all", "--out", "again"]) == 0
    again = {file.name: file.read_bytes() for file in (project / "again").iterdir()}
    manifest = json.loads(first["manifest.json"])["artifacts"]
    linted = subprocess.run(
        [Path(sys.executable).parent / "cfn-lint", "build/packaged.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert again == first
    assert (linted.returncode, linted.stdout) == (0, "")
    names = [one["name"] for one in manifest]
    assert len(first) == len(manifest) + 2
    assert {"answer-lookup", "answer-lookup-lambda", "answer-writer"} <= set(names)
    assert names == sorted(names)
    for one in manifest:
        body = first[one["file"]]
        assert one["sha256"] == hashlib.sha256(body).hexdigest()
        assert one["size_bytes"] == len(body)
        is_in_s3 = f"S3Key: {one['file']}" in first["packaged.yaml"].decode()
        assert is_in_s3 == (one["kind"] != "CloudFront Function")
    lookup = manifest[names.index("answer-lookup-lambda")]
    assert lookup["dependencies"][0]["name"] == "library"
    assert lookup["quota"]["limit_bytes"] == 50 * 1024 * 1024
    assert "library 4.2" in out
    assert "of the quota of 50.0 MB" in out
    assert str(project).encode() not in b"".join(first.values())


def test_the_zip_runs_both_ways(project: Path, tmp_path: Path) -> None:
    """Unpacked as Lambda does, under our sandbox and under AWS's own client: the same answer."""
    assert main.run(["package", "answer-lookup-lambda"]) == 0
    (made,) = (project / "build").iterdir()
    package = tmp_path / "unpacked"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(package)
    declaration = LambdaDeclaration("answers", "handler.handler", "python3.13", package)
    event = example_function_event(Example(EventType.VIEWER_REQUEST))

    async def run(awslambdaric: bool) -> bytes:
        functions = LambdaFunctions(RealClock(), endpoint_url=None, awslambdaric=awslambdaric)
        try:
            outcome = (await functions.load(declaration).run(event)).result
        finally:
            await functions.close()
        assert isinstance(outcome, Response)
        assert isinstance(outcome.body, bytes)
        return outcome.body

    ours = asyncio.run(run(False))

    assert ours.startswith(b"4.2 arn:aws:cloudfront::123456789012:key-value-store/")
    if importlib.util.find_spec("awslambdaric"):
        assert asyncio.run(run(True)) == ours


def test_our_own_functions_name_the_versions_that_are_tested() -> None:
    """What we deploy is what the suite ran with."""
    tested = (ROOT / "constraints.txt").read_text().splitlines()

    for file in sorted((ROOT / "edge_functions").rglob("requirements.txt")):
        for line in file.read_text().splitlines():
            assert line in tested


def test_what_only_aws_gives_is_said_and_can_be_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The store's ARN is AWS's choice: a warning, or --value."""
    assert main.run(["package", "--all"]) == 0
    warned = capsys.readouterr().out
    arn = "arn:aws:cloudfront::111122223333:key-value-store/real"
    said = ["--value", f"AnswerStore.Arn={arn}", "--value", "AnswerBodies=real-bodies"]
    assert main.run(["package", "answer-lookup-lambda", *said, "--out", "real"]) == 0
    known = capsys.readouterr().out
    (made,) = (project / "real").iterdir()

    assert "holds what only AWS gives (AnswerStore.Arn)" in warned
    assert "warning" not in known
    with zipfile.ZipFile(made) as archive:
        assert json.loads(archive.read("config.json")) == {"store": arn}
