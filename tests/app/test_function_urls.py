"""Lambda function URLs as origins, end to end: the template's function answers."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.cli.main import run
from tests.app.running import Localpop, localpop

TEMPLATE = """
Resources:
  Chat:
    Type: AWS::Lambda::Function
    Metadata: {aws:asset:path: chat, aws:asset:property: Code}
    Properties:
      FunctionName: chat
      Runtime: python3.13
      Handler: index.handler
      Role: arn:aws:iam::123456789012:role/chat
      Environment: {Variables: {GREETING: hello}}
      Code: {S3Bucket: artifacts, S3Key: chat.zip}
  Url:
    Type: AWS::Lambda::Url
    Properties: {TargetFunctionArn: !GetAtt Chat.Arn, AuthType: AWS_IAM%MORE%}
  Open:
    Type: AWS::Lambda::Url
    Properties:
      TargetFunctionArn: !GetAtt Chat.Arn
      AuthType: NONE
      Cors: {AllowOrigins: ["https://app.example"], AllowMethods: [GET, POST], MaxAge: 60}
  Access:
    Type: AWS::CloudFront::OriginAccessControl
    Properties:
      OriginAccessControlConfig:
        {Name: chat, OriginAccessControlOriginType: lambda, SigningBehavior: always,
         SigningProtocol: sigv4}
  Distribution:
    Type: AWS::CloudFront::Distribution
    Properties:
      DistributionConfig:
        Enabled: true
        Origins:
          - Id: Signed
            DomainName: !Select [2, !Split ["/", !GetAtt Url.FunctionUrl]]
            OriginAccessControlId: !GetAtt Access.Id
            CustomOriginConfig: {OriginProtocolPolicy: https-only}
          - Id: Unsigned
            DomainName: !Select [2, !Split ["/", !GetAtt Url.FunctionUrl]]
            CustomOriginConfig: {OriginProtocolPolicy: https-only}
          - Id: Public
            DomainName: !Select [2, !Split ["/", !GetAtt Open.FunctionUrl]]
            CustomOriginConfig: {OriginProtocolPolicy: https-only}
        CacheBehaviors:
          - {PathPattern: /unsigned*, TargetOriginId: Unsigned, ViewerProtocolPolicy: allow-all,
             CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad}
          - {PathPattern: /foreign*, TargetOriginId: Public, ViewerProtocolPolicy: allow-all,
             CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad,
             OriginRequestPolicyId: 216adef6-5c7f-47e4-b989-5492eafa07d3}
          - {PathPattern: /public*, TargetOriginId: Public, ViewerProtocolPolicy: allow-all,
             CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad}
        DefaultCacheBehavior:
          TargetOriginId: Signed
          ViewerProtocolPolicy: allow-all
          AllowedMethods: [GET, HEAD, OPTIONS, PUT, PATCH, POST, DELETE]
          CachePolicyId: 4135ea2d-6df8-44a3-9df3-4b5a84be39ad
          OriginRequestPolicyId: b689b0a8-53d0-40ab-baf2-68738e2966ac
"""
HANDLER = """
import base64, os

def handler(event, context):
    path = event["rawPath"]
    if path == "/event":
        return event
    if path == "/fails":
        raise ValueError("no")
    if path == "/bytes":
        return {"statusCode": 200, "headers": {"Content-Type": "image/png"},
                "body": base64.b64encode(b"\\x89PNG").decode(), "isBase64Encoded": True}
    return {"statusCode": 203, "cookies": ["a=1", "b=2"],
            "body": os.environ["GREETING"] + " " + event.get("body", "")}
"""


def project(folder: Path, more: str = "") -> Path:
    """A project with the function."""
    (folder / "template.yaml").write_text(TEMPLATE.replace("%MORE%", more))
    (folder / "chat").mkdir()
    (folder / "chat/index.py").write_text(HANDLER)
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localpop]:
    """A whole emulator."""
    folder = project(tmp_path_factory.mktemp("project"))
    with localpop(folder, "--latency", "off") as running:
        yield running


def ask(
    url: str, path: str, method: str = "GET", body: bytes = b"", **headers: str
) -> tuple[int, list[tuple[str, str]], bytes]:
    """One request; status, headers and body."""
    connection = http.client.HTTPConnection(url.partition("//")[2], timeout=30)
    try:
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, lines)
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()
    finally:
        connection.close()


def test_the_function_answers_through_the_distribution(served: Localpop) -> None:
    """Status, cookies and body are the function's; its environment is there."""
    status, headers, body = ask(served.viewer_url, "/")
    cookies = [value for name, value in headers if name.lower() == "set-cookie"]

    assert (status, body, cookies) == (203, b"hello ", ["a=1", "b=2"])
    assert ("X-Cache", "Miss from cloudfront") in headers


def test_the_function_sees_what_cloudfront_sends(served: Localpop) -> None:
    """Payload format 2.0, CloudFront's own signature, the function URL's own Host."""
    status, headers, body = ask(
        served.viewer_url, "/event?a=1&a=2", Cookie="x=1; y=2", Authorization="Bearer mine"
    )
    event: dict[str, Any] = json.loads(body)

    assert status == 200
    assert ("content-type", "application/json") in headers
    assert event["queryStringParameters"] == {"a": "1,2"}
    assert event["cookies"] == ["x=1", "y=2"]
    assert event["headers"]["host"].endswith(".lambda-url.us-east-1.on.aws")
    assert event["headers"]["authorization"].startswith("AWS4-HMAC-SHA256 Credential=cloudfront")
    assert re.fullmatch("[0-9a-f]{64}", event["headers"]["x-amz-content-sha256"])
    assert event["requestContext"]["authorizer"]["iam"]["accountId"] == "123456789012"


def test_bytes_and_failures(served: Localpop) -> None:
    """Base64 becomes bytes; an exception 502, without its words."""
    assert ask(served.viewer_url, "/bytes")[2] == b"\x89PNG"
    status, _, body = ask(served.viewer_url, "/fails")
    assert (status, body) == (502, b"Internal Server Error")


def test_a_post_needs_the_hash_of_its_body(served: Localpop) -> None:
    """From the viewer: CloudFront does not compute it (facts 12.5)."""
    good = hashlib.sha256(b"question").hexdigest()

    answered = ask(served.viewer_url, "/", "POST", b"question", x_amz_content_sha256=good)
    silent = ask(served.viewer_url, "/", "POST", b"question")
    wrong = ask(served.viewer_url, "/", "POST", b"other", x_amz_content_sha256=good)

    assert (answered[0], answered[2]) == (203, b"hello question")
    assert (silent[0], wrong[0]) == (403, 403)
    assert b"signature" in silent[2]


def test_without_a_signature_it_is_403(served: Localpop) -> None:
    """Through an origin without access control, and past CloudFront; NONE answers everybody."""
    line = served.wait_for_line("function URL .*")
    url, domain = re.findall(r"(http://\S+) \(Host: (\S+)\)", line)[0]
    through = ask(served.viewer_url, "/unsigned")
    direct = ask(url, "/", Host=domain)
    foreign = ask(url, "/")
    public = ask(served.viewer_url, "/public")

    assert (through[0], through[2]) == (403, b'{"Message":"Forbidden"}')
    assert (direct[0], direct[2]) == (403, b'{"Message":"Forbidden"}')
    assert foreign[0] == 403
    assert public[0] == 203


def test_browsers_of_other_sites_are_answered_by_the_function_url(served: Localpop) -> None:
    """Its Cors: preflight requests never reach the function; other origins get nothing."""
    line = [one for one in served.lines if "function URL" in one][-1]
    url, domain = re.findall(r"(http://\S+) \(Host: (\S+)\)", line)[0]
    app = {"Host": domain, "Origin": "https://app.example"}
    asked = ask(url, "/", "OPTIONS", **app, Access_Control_Request_Method="POST")
    got = ask(url, "/", **app)
    other = ask(url, "/", Host=domain, Origin="https://evil.example")

    def cors(answer: tuple[int, list[tuple[str, str]], bytes]) -> dict[str, str]:
        return {name: value for name, value in answer[1] if name.startswith("access-control-")}

    assert (asked[0], asked[2]) == (200, b"")
    assert cors(asked) == {
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-methods": "GET,POST",
        "access-control-max-age": "60",
    }
    assert (got[0], cors(got)) == (203, {"access-control-allow-origin": "https://app.example"})
    assert (other[0], cors(other)) == (203, {})


def test_a_viewer_s_host_is_refused(served: Localpop) -> None:
    """AllViewer forwards it, and a function URL knows only its own."""
    assert ask(served.viewer_url, "/foreign")[0] == 403


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (", InvokeMode: RESPONSE_STREAM", "InvokeMode RESPONSE_STREAM is not emulated"),
    ],
)
def test_what_cannot_be_had_is_refused(
    more: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At validation and at start."""
    monkeypatch.chdir(project(tmp_path, more))

    assert run(["validate"]) == 1
    assert said in " ".join(capsys.readouterr().out.split())
    assert run(["up", "--viewer-port=0", "--aws-port=0", "--dashboard-port=0"]) == 2
    assert said in capsys.readouterr().err
