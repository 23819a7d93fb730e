from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from emulator.cli import main
from tests.app.running import free_port
from tests.app.test_deploy import TEMPLATE

HANDLER = """
import json
print("loaded")

def handler(event, context):
    cf = event["Records"][0]["cf"]
    request = cf["request"]
    print("at", cf["config"]["eventType"])
    if request["uri"] == "/none":
        return None
    if request["uri"] == "/raise":
        raise ValueError("no")
    if request["uri"] == "/extra":
        return {"status": "200", "body": json.dumps(cf["extra"])}
    if request["uri"] == "/body":
        request["body"].update(action="replace", encoding="text", data="new")
    if "response" in cf:
        return {**cf["response"], "status": "418"}
    if "origin" in request:
        request["origin"]["custom"]["path"] = "/v2"
    request["headers"]["x-new"] = [{"value": "é"}]
    return request
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one function of each kind, and this process in its folder."""
    (tmp_path / "localpop.toml").write_text('template = "template.json"\n')
    (tmp_path / "template.json").write_text(json.dumps(TEMPLATE))
    (tmp_path / "index.js").write_text("function handler(event) { return event.request; }")
    (tmp_path / "fn").mkdir()
    (tmp_path / "fn/handler.py").write_text(HANDLER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    code = main.run(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_an_event_is_made_from_flags(capsys: pytest.CaptureFixture[str]) -> None:
    """Every flag has its place in it."""
    _, out, _ = run(
        capsys, "event", "--trigger", "origin-response", "--uri", "/a?b=1", "--method", "post",
        "--header", "X-Mine: 1", "--header", "host: other", "--status", "503",
        "--response-header", "Retry-After: 9", "--client-ip", "2001:db8::1",
    )  # fmt: skip
    cf = json.loads(out)["Records"][0]["cf"]

    assert cf["config"]["eventType"] == "origin-response"
    assert (cf["request"]["uri"], cf["request"]["querystring"]) == ("/a", "b=1")
    assert cf["request"]["method"] == "POST"
    assert cf["request"]["clientIp"] == "2001:db8::1"
    assert cf["request"]["headers"]["host"] == [{"key": "host", "value": "other"}]
    assert cf["request"]["headers"]["x-mine"][0]["value"] == "1"
    assert cf["response"]["status"] == "503"
    assert cf["response"]["headers"]["retry-after"][0]["value"] == "9"


def test_a_cloudfront_functions_event_can_be_made_too(capsys: pytest.CaptureFixture[str]) -> None:
    """In its own shape; it has no origin events."""
    _, out, _ = run(capsys, "event", "--kind", "cloudfront-function", "--uri", "/a?b=1")
    code, _, err = run(
        capsys, "event", "--kind", "cloudfront-function", "--trigger", "origin-request"
    )

    assert json.loads(out)["request"]["querystring"] == {"b": {"value": "1"}}
    assert code == 2
    assert "no origin events" in err


def test_invoke_prints_the_result_and_beside_it_the_log(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON on standard output; log, verdict and times on standard error."""
    code, out, err = run(capsys, "invoke", "answers", "--trigger", "origin-request")
    result = json.loads(out)

    assert code == 0
    assert result["headers"]["x-new"] == [{"key": "X-New", "value": "é"}]
    assert result["origin"]["custom"]["path"] == "/v2"
    assert "  | loaded" in err
    assert "  | at origin-request" in err
    assert "REPORT RequestId" in err
    assert "the request goes on; " in err
    assert "cold start" in err


def test_invoke_takes_an_event_exactly_as_it_is_written(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file or standard input; what the event has beside AWS's fields is there too."""
    _, event, _ = run(capsys, "event", "--uri", "/extra")
    written = json.loads(event)
    written["Records"][0]["cf"]["extra"] = [1, None]
    (project / "event.json").write_text(json.dumps(written))
    _, from_file, _ = run(capsys, "invoke", "L", "--event", "event.json")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(written)))
    _, from_input, err = run(capsys, "invoke", "answers", "--event", "-")

    assert json.loads(from_file)["body"] == "[1, null]"
    assert from_file == from_input
    assert "answered with 200, X-Cache: LambdaGeneratedResponse from cloudfront" in err


@pytest.mark.parametrize(
    ("uri", "status", "x_cache", "sentence"),
    [
        ("/raise", "503 Service Unavailable", "LambdaExecutionError", "is invalid or doesn't"),
        ("/none", "502 Bad Gateway", "LambdaValidationError", "must be an object type"),
    ],
)
def test_a_failure_is_what_the_viewer_would_get(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    uri: str,
    status: str,
    x_cache: str,
    sentence: str,
) -> None:
    """Status, X-Cache and sentence; the cause beside it; exit code 1."""
    code, out, err = run(capsys, "invoke", "answers", "--uri", uri)

    assert code == 1
    assert out.startswith(f"{status}, X-Cache: {x_cache} from cloudfront\n")
    assert sentence in out
    assert "failed: " in err


def test_invoke_as_json_has_everything(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts: result or failure, log, times; also under AWS's own client where it is."""
    _, good, _ = run(
        capsys, "invoke", "answers", "--trigger", "origin-response", "--status", "404", "--json"
    )
    _, bad, _ = run(capsys, "invoke", "answers", "--uri", "/raise", "--json")
    _, body, _ = run(capsys, "invoke", "answers", "--uri", "/body", "--body", "old", "--json")

    assert json.loads(good)["result"]["status"] == "418"
    assert json.loads(good)["duration_ms"] > 0
    assert json.loads(bad)["failure"]["status"] == 503
    assert "ValueError: no" in json.loads(bad)["failure"]["detail"]
    assert json.loads(body)["result"]["body"] == "new"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["invoke", "nope"], "Known: answers"),
        (["invoke", "loud"], "localpop test-function loud"),
        (["invoke", "answers", "--event", "nope.json"], "localpop event > event.json"),
        (["invoke", "answers", "--event", "index.js"], "It is no JSON"),
        (["event", "--uri", "a"], "must begin with /"),
        (["test-function", "nope"], "Known: loud"),
        (["test-function", "answers"], "localpop invoke answers"),
        (["test-function", "loud", "--event", "nope.json"], "--kind cloudfront-function"),
        (["test-function", "loud", "--event", "template.json"], "context.eventType"),
        (["test-function", "loud", "--trigger", "origin-request"], "no origin events"),
        (["event", "--header", "a"], "Write it as 'Name: value'"),
        (["package"], "localpop package --all"),
        (["package", "nope"], "Known: loud, answers"),
    ],
)
def test_bad_input_is_one_sentence(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    """Exit code 2, what was wrong, and how to mend it."""
    # Whatever runs on the usual port is nobody of this test's.
    monkeypatch.setenv("LOCALPOP_AWS_PORT", str(free_port()))
    code, _, err = run(capsys, *words)

    assert code == 2
    assert said in err
    assert len(err.splitlines()) == 1


def test_awss_own_client_runs_the_same_function(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--awslambdaric`: the same result on standard output."""
    pytest.importorskip("awslambdaric")
    results: list[Any] = []
    for more in ([], ["--awslambdaric"]):
        code, out, _ = run(capsys, "invoke", "answers", *more)
        results.append((code, out))

    assert results[0] == results[1]
