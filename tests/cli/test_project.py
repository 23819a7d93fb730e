"""`localpop validate` and `localpop show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.cli.project import show_project, validate_project
from emulator.errors import ConfigError
from emulator.project.local import LocalSettings, read_local

ROOT = Path(__file__).resolve().parents[2]
CDK = ROOT / "tests" / "project" / "fixtures" / "cdk.out"
API = "SiteDistributionOrigin38582FF66"


@pytest.fixture
def cdk(tmp_path: Path) -> LocalSettings:
    """A project that is a CDK app with its one HTTP origin mapped."""
    (tmp_path / "localpop.toml").write_text(
        f'template = "{CDK}"\n[origins.{API}]\nurl = "http://127.0.0.1:9"\n'
    )
    return read_local(tmp_path)


def test_our_own_project_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, and what was counted."""
    code = validate_project(read_local(ROOT))
    lines = capsys.readouterr().out.splitlines()

    assert code == 0
    assert lines[-2].startswith("template.yaml: 1 distribution(s), 3 behaviors")
    assert lines[-1] == "0 error(s), 0 warning(s)"


def test_everything_wrong_is_printed_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """AWS's rules, code that would fail, origins without a place; exit code 1."""
    (tmp_path / "index.js").write_text("function handler(event) {\n  class A {}\n}")
    (tmp_path / "template.yaml").write_text(
        """
        Resources:
          F:
            Type: AWS::CloudFront::Function
            Metadata: {"aws:asset:path": index.js}
            Properties: {Name: f, FunctionConfig: {Runtime: cloudfront-js-2.0}}
          Site:
            Type: AWS::CloudFront::Distribution
            Properties:
              DistributionConfig:
                Enabled: true
                WebACLId: arn:aws:wafv2:x
                Origins:
                  - {Id: Api, DomainName: api.example.com, ConnectionAttempts: 9}
                DefaultCacheBehavior:
                  TargetOriginId: Api
                  ViewerProtocolPolicy: allow-some
                  CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
                  LambdaFunctionAssociations:
                    - EventType: origin-requst
                      LambdaFunctionARN: arn:aws:lambda:us-east-1:1:function:f:$LATEST
                  FunctionAssociations:
                    - {EventType: viewer-request, FunctionARN: !GetAtt F.FunctionARN}
        """
    )
    code = validate_project(read_local(tmp_path))
    output = capsys.readouterr().out

    assert code == 1
    for words in (
        "'allow-some' is no viewer protocol policy",
        "'origin-requst' is no event of a Lambda@Edge",
        "ConnectionAttempts is 9; it must be 1 to 3",
        "index.js:2:3",
        "Where the origin Api (api.example.com) runs on this machine is not said",
        "warning: template.yaml: Resources.Site",
        "5 error(s), 1 warning(s)",
    ):
        assert words in output
    assert output.index("error:") < output.index("warning:")


def test_no_template_at_all(tmp_path: Path) -> None:
    """There is nothing to list then."""
    with pytest.raises(ConfigError, match="There is no template"):
        validate_project(read_local(tmp_path))


def test_show_fits_in_a_hundred_columns(
    cdk: LocalSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Behaviors in order, their functions and policies, each origin's place here."""
    code = show_project(cdk, as_json=False)
    output = capsys.readouterr().out
    lines = output.splitlines()

    assert code == 0
    assert max(map(len, lines)) <= 100
    assert output.index("chat/*") < output.index("api/*") < output.index("    *  ->")
    for words in (
        "default root object index.html",
        "viewer-request: eu-west-1SiteRewrite3B74E70F (CloudFront Function)",
        "(Lambda@Edge, with body)",
        "response headers policy SecurityHeadersPolicy",
        "custom -> http://127.0.0.1:9",
        "s3, signed always -> bucket site-assets9a31d427 of the AWS endpoint",
        "lambda-url, signed always -> function Api-Chat26DEB33F",
        "imports 1 key(s)",
    ):
        assert words in output


def test_show_as_json(cdk: LocalSettings, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for programs."""
    show_project(cdk, as_json=True)
    document = json.loads(capsys.readouterr().out)
    (distribution,) = document["distributions"]

    assert [one["path_pattern"] for one in distribution["behaviors"]] == ["chat/*", "api/*", "*"]
    assert {one["id"]: one["local"] for one in distribution["origins"]}[API] == "http://127.0.0.1:9"
    assert document["errors"] == []
