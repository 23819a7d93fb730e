"""`localpop doctor`: each thing that can be wrong is made wrong, and found with what mends it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.app.doctor import Check, Examination, Verdict, examine
from emulator.app.settings import Overrides
from emulator.cli.main import run
from emulator.clock.real import RealClock
from tests.app.running import free_port
from tests.aws.endpoint import Endpoint, Options, running_endpoint
from tests.deploy.wheels import make_wheel

ANY_PORTS = Overrides(viewer_port=0, https_port=0, aws_port=0, dashboard_port=0)
FUNCTION = """
Resources:
  Store:
    Type: AWS::CloudFront::KeyValueStore
    Properties: {Name: answers}
  Rewrite:
    Type: AWS::CloudFront::Function
    Metadata: {aws:asset:path: index.js}
    Properties:
      Name: rewrite
      FunctionCode: ""
      FunctionConfig: {Runtime: cloudfront-js-2.0, Comment: ""}
  Background:
    Type: AWS::Lambda::Function
    Metadata: {aws:asset:path: background, aws:asset:property: Code}
    Properties:
      FunctionName: background
      Runtime: %RUNTIME%
      Handler: index.handler
      Role: arn:aws:iam::123456789012:role/background
      Code: {S3Bucket: artifacts, S3Key: background.zip}
"""
CODE = "function handler(event) { return event.request; }\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one of each, and nobody's credentials."""
    write_template(tmp_path, "python3.13")
    (tmp_path / "index.js").write_text(CODE)
    (tmp_path / "background").mkdir()
    (tmp_path / "background/index.py").write_text("def handler(event, context): ...\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A running AWS endpoint with everything."""
    path = tmp_path_factory.mktemp("account") / "stores.sqlite3"
    with running_endpoint(path, Options(control=True)) as running:
        yield running


def write_template(folder: Path, runtime: str) -> None:
    """The template, with the Lambda function declared for a runtime."""
    (folder / "template.yaml").write_text(FUNCTION.replace("%RUNTIME%", runtime))


def found(patient: Examination) -> dict[str, Check]:
    """What was found, by name; of several with one name the worst."""
    checks: dict[str, Check] = {}
    for one in examine(patient):
        if one.name not in checks or one.verdict is not Verdict.OK:
            checks[one.name] = one
    return checks


def test_a_project_in_order_has_no_problem(folder: Path) -> None:
    """Without credentials there are warnings, since running needs none."""
    checks = found(Examination(folder, ANY_PORTS))

    assert [one for one in checks.values() if one.verdict is Verdict.PROBLEM] == []
    assert checks["template.yaml"].said == "valid"
    assert checks["rewrite"].said == "code has 50 of 10,240 bytes (0 %)"
    assert (checks["credentials"].verdict, checks["credentials"].mend) == (
        Verdict.WARNING,
        "aws configure sso",
    )
    assert checks["endpoint"].said == "AWS itself; --online asks it"


def test_whatever_is_wrong_has_what_mends_it(folder: Path) -> None:
    """Every warning and every problem."""
    write_template(folder, "python3.99")
    (folder / "background/requirements.txt").write_text("no-such-library-anywhere==1\n")
    (folder / "index.js").write_text(CODE + "// " + "x" * 9_000)
    (folder / "build").mkdir()
    quota = {"name": "background", "size_bytes": 45 << 20, "quota": {"limit_bytes": 50 << 20}}
    (folder / "build/manifest.json").write_text(json.dumps({"artifacts": [quota]}))
    (folder / "localpop.toml").write_text(
        f'[origins.Api]\nurl = "http://127.0.0.1:{free_port()}"\n'
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        checks = found(Examination(folder, Overrides(viewer_port=port, aws_port=free_port())))
    said = {name: (str(one.verdict), one.mend) for name, one in checks.items()}

    assert said[f"port {port}"][0] == "problem"
    assert "localpop up --viewer-port" in said[f"port {port}"][1]
    assert said["python3.99"] == ("warning", "pyenv install 3.99")
    assert said["libraries"] == ("problem", "pip install -r background/requirements.txt")
    assert said["rewrite"][0] == "warning"
    assert said["background"][0] == "warning"
    assert any("does not listen" in one.said for one in checks.values())
    for one in checks.values():
        assert bool(one.mend) is (one.verdict is not Verdict.OK), one


@pytest.mark.parametrize(
    ("file", "text", "name", "mend"),
    [
        (
            "template.yaml",
            "Resources: {A: {Type: AWS::CloudFront::Distribution}}",
            "template.yaml",
            "localpop validate",
        ),
        ("template.yaml", "Resources: [", "template.yaml", ""),
        ("localpop.toml", "[viewer]\nport = 'x'", "localpop.toml", "Mend the value."),
        ("localpop.toml", "colour = 1", "localpop.toml", ""),
    ],
)
def test_broken_files_are_problems(
    file: str, text: str, name: str, mend: str, folder: Path
) -> None:
    """And nothing else falls over them."""
    (folder / file).write_text(text)

    check = found(Examination(folder, ANY_PORTS))[name]
    assert check.verdict is Verdict.PROBLEM
    assert mend in check.mend


def test_node_is_missed_only_by_who_needs_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the version to install."""
    monkeypatch.setenv("PATH", str(folder))
    assert "Node.js" not in found(Examination(folder, ANY_PORTS))
    write_template(folder, "nodejs22.x")
    (folder / "background/index.js").write_text("exports.handler = async () => {};\n")

    check = found(Examination(folder, ANY_PORTS))["Node.js"]
    assert (check.verdict, check.mend) == (Verdict.PROBLEM, "nvm install 22")


def test_the_endpoint_is_asked(folder: Path, endpoint: Endpoint) -> None:
    """Who one is there, how full its stores are, and whose the ports are."""
    endpoint.new_store("answers", items={"key": "x" * 97})
    flags = Overrides(viewer_port=0, https_port=0, aws_port=endpoint.port, dashboard_port=0)

    checks = found(Examination(folder, flags, endpoint_url=f"http://127.0.0.1:{endpoint.port}"))

    assert [one for one in checks.values() if one.verdict is not Verdict.OK] == [
        one
        for one in checks.values()
        if one.name == "python3.13" and one.verdict is Verdict.WARNING
    ]
    assert checks["account"].said == "123456789012"
    assert checks["answers"].said == "the store has 100 of 5,242,880 bytes (0 %)"
    assert checks[f"port {endpoint.port}"].said == "a running localpop has it (aws)"
    assert checks["clock"].verdict is Verdict.OK


class LateClock(RealClock):
    """A clock that is ten minutes slow."""

    def epoch_ms(self) -> float:
        """Ten minutes ago."""
        return super().epoch_ms() - 600_000


def test_a_clock_that_is_off_is_found(folder: Path, endpoint: Endpoint) -> None:
    """Signatures would be refused."""
    url = f"http://127.0.0.1:{endpoint.port}"
    checks = found(Examination(folder, ANY_PORTS, endpoint_url=url, clock=LateClock()))

    assert checks["clock"].verdict is Verdict.PROBLEM
    assert "behind the endpoint's" in checks["clock"].said
    assert checks["clock"].mend == "sudo timedatectl set-ntp true"


def test_an_endpoint_that_is_down_is_a_problem(folder: Path) -> None:
    """Start it."""
    url = f"http://127.0.0.1:{free_port()}"
    check = found(Examination(folder, ANY_PORTS, endpoint_url=url))["endpoint"]

    assert (check.verdict, check.mend) == (Verdict.PROBLEM, "localpop up")


def test_wheels_are_looked_for_only_when_asked(
    folder: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By pip, for Lambda's machine."""
    (folder / "background/requirements.txt").write_text("library==4.2\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder / "wheels"))
    url = f"http://127.0.0.1:{endpoint.port}"
    offline = found(Examination(folder, ANY_PORTS, endpoint_url=url))
    missing = found(Examination(folder, ANY_PORTS, endpoint_url=url, online=True))
    make_wheel(folder / "wheels", "library", "4.2")
    there = found(Examination(folder, ANY_PORTS, endpoint_url=url, online=True))

    assert "wheels" not in offline
    assert missing["wheels"].verdict is Verdict.PROBLEM
    assert there["wheels"].verdict is Verdict.OK


def test_the_command_says_it_twice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people and as JSON; exit code 1 with a problem, and never a secret."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marked-secret")
    flags = [f"--{one}-port=0" for one in ("viewer", "https", "aws", "dashboard")]
    assert run(["doctor", *flags]) == 0
    shown = capsys.readouterr().out
    (folder / "template.yaml").write_text("Resources: [")
    assert run(["doctor", "--json", *flags]) == 1
    said = json.loads(capsys.readouterr().out)

    assert "credentials" in shown
    assert "AWS\n  ok       credentials" in shown
    assert "0 problem(s)" in shown
    assert (said["ok"], {one["area"] for one in said["checks"]}) == (
        False,
        {"machine", "project", "AWS"},
    )
    assert "marked-secret" not in shown + json.dumps(said)
    assert "AKIAIOSFODNN7EXAMPLE" not in shown + json.dumps(said)
    assert max(map(len, shown.splitlines())) <= 100
