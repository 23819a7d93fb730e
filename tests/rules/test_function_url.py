"""Who may call a Lambda function URL, and how CloudFront signs for it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from emulator.rules.function_url import (
    AWS_IAM,
    FORBIDDEN,
    SIGNATURE,
    WRONG_SIGNATURE,
    check_permissions,
    cors_lines,
    is_preflight,
    is_text,
    refusal,
    signature_lines,
    takes_over_authorization,
    with_cors,
)
from emulator.values.distribution import (
    CorsConfig,
    Origin,
    OriginAccessControl,
    OriginKind,
    SigningBehavior,
)
from emulator.values.headers import Headers

ORIGIN = Origin("Chat", "abc.lambda-url.us-east-1.on.aws", kind=OriginKind.LAMBDA_URL)
HASH = hashlib.sha256(b"body").hexdigest()


def signed(behavior: SigningBehavior) -> Origin:
    """The origin with an origin access control."""
    control = OriginAccessControl("E1", "chat", "lambda", behavior)
    return replace(ORIGIN, access_control=control)


@pytest.mark.parametrize(
    ("behavior", "viewers", "ours"),
    [
        (SigningBehavior.ALWAYS, "", True),
        (SigningBehavior.ALWAYS, "Bearer x", True),
        (SigningBehavior.NO_OVERRIDE, "", True),
        (SigningBehavior.NO_OVERRIDE, "Bearer x", False),
        (SigningBehavior.NEVER, "", False),
    ],
)
def test_when_cloudfront_signs(behavior: SigningBehavior, viewers: str, ours: bool) -> None:
    """As the origin access control says; without one never."""
    headers = Headers([("Authorization", viewers)] if viewers else [])
    lines = dict(signature_lines("GET", headers, signed(behavior)))

    assert (lines.get("Authorization") == SIGNATURE) is ours
    assert takes_over_authorization(signed(behavior)) is (behavior is SigningBehavior.ALWAYS)
    assert signature_lines("GET", headers, ORIGIN) == []


def test_the_hash_of_a_body_is_the_viewer_s() -> None:
    """CloudFront cannot know it before the body is through."""
    origin = signed(SigningBehavior.ALWAYS)
    said = dict(signature_lines("POST", Headers([("X-Amz-Content-Sha256", HASH)]), origin))
    silent = dict(signature_lines("POST", Headers([]), origin))
    reading = dict(signature_lines("GET", Headers([]), origin))

    assert said["x-amz-content-sha256"] == HASH
    assert silent["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert reading["x-amz-content-sha256"] == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("auth_type", "method", "lines", "body", "why"),
    [
        pytest.param("NONE", "POST", {}, b"body", "", id="public"),
        pytest.param("AWS_IAM", "GET", {}, b"", FORBIDDEN, id="unsigned"),
        pytest.param("AWS_IAM", "GET", {"Authorization": "Bearer x"}, b"", FORBIDDEN, id="bearer"),
        pytest.param("AWS_IAM", "GET", {"Authorization": SIGNATURE}, b"", "", id="signed"),
        pytest.param(
            "AWS_IAM",
            "GET",
            {"Authorization": SIGNATURE.replace("/lambda/", "/s3/")},
            b"",
            FORBIDDEN,
            id="for another service",
        ),
        pytest.param(
            "AWS_IAM",
            "POST",
            {"Authorization": SIGNATURE, "x-amz-content-sha256": HASH},
            b"body",
            "",
            id="body with its hash",
        ),
        pytest.param(
            "AWS_IAM",
            "POST",
            {"Authorization": SIGNATURE, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
            b"body",
            WRONG_SIGNATURE,
            id="unsigned body",
        ),
        pytest.param(
            "AWS_IAM",
            "PUT",
            {"Authorization": SIGNATURE, "x-amz-content-sha256": HASH},
            b"other",
            WRONG_SIGNATURE,
            id="another body's hash",
        ),
    ],
)
def test_who_is_refused(
    auth_type: str, method: str, lines: dict[str, str], body: bytes, why: str
) -> None:
    """A signature is asked for and not verified; a body's hash is (facts 12.5)."""
    assert refusal(auth_type, method, Headers(list(lines.items())), body) == why


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("text/plain; charset=utf-8", True),
        ("application/json", True),
        ("application/problem+json", True),
        ("application/x-www-form-urlencoded", False),
        ("image/png", False),
    ],
)
def test_which_bodies_are_text(content_type: str, text: bool) -> None:
    """The rest is Base64."""
    assert is_text(content_type) is text


CLOUDFRONT = "cloudfront.amazonaws.com"


@pytest.mark.parametrize(
    ("auth_type", "permissions", "missing"),
    [
        (AWS_IAM, [], "lambda:InvokeFunctionUrl and lambda:InvokeFunction"),
        (AWS_IAM, [("lambda:InvokeFunctionUrl", CLOUDFRONT)], "do lambda:InvokeFunction on"),
        (
            AWS_IAM,
            [("lambda:InvokeFunctionUrl", CLOUDFRONT), ("lambda:InvokeFunction", CLOUDFRONT)],
            "",
        ),
        (AWS_IAM, [("lambda:InvokeFunctionUrl", "events.amazonaws.com")], "InvokeFunctionUrl"),
        ("NONE", [], "lets * do lambda:InvokeFunctionUrl"),
        ("NONE", [("lambda:InvokeFunctionUrl", "*")], ""),
    ],
)
def test_a_permission_that_aws_would_miss_is_said(
    auth_type: str, permissions: list[tuple[str, str]], missing: str
) -> None:
    """A warning: here the call passes, at AWS it would not."""
    found = check_permissions(auth_type, permissions, "chat", "template.yaml: Url")

    assert [one.severity for one in found] == ["warning"] * bool(missing)
    assert missing in "".join(one.what for one in found)


APP = "https://app.example"


@pytest.mark.parametrize(
    ("cors", "origin", "lines"),
    [
        (CorsConfig(("*",)), APP, [("Access-Control-Allow-Origin", "*")]),
        (
            CorsConfig(("*",), allow_credentials=True, expose_headers=("x-a", "x-b")),
            APP,
            [
                ("Access-Control-Allow-Origin", APP),
                ("Vary", "Origin"),
                ("Access-Control-Allow-Credentials", "true"),
                ("Access-Control-Expose-Headers", "x-a,x-b"),
            ],
        ),
        (CorsConfig((APP,)), APP, [("Access-Control-Allow-Origin", APP), ("Vary", "Origin")]),
        (CorsConfig((APP,)), "https://evil.example", []),
        (CorsConfig(("*",)), "", []),
    ],
)
def test_what_cors_settings_add(
    cors: CorsConfig, origin: str, lines: list[tuple[str, str]]
) -> None:
    """In place of what the function said of it."""
    headers = Headers([("Origin", origin)] if origin else [])
    given = (("Content-Type", "text/plain"), ("access-control-allow-origin", "function's own"))

    assert cors_lines(cors, headers, preflight=False) == lines
    assert with_cors(cors, given, headers) == (given[0], *lines)
    assert with_cors(None, given, headers) == given


def test_only_a_browser_s_question_is_a_preflight() -> None:
    """OPTIONS with an origin and a method, and only where there are settings."""
    asks = Headers([("Origin", APP), ("Access-Control-Request-Method", "POST")])

    assert is_preflight(CorsConfig(("*",)), "OPTIONS", asks)
    assert not is_preflight(None, "OPTIONS", asks)
    assert not is_preflight(CorsConfig(("*",)), "GET", asks)
    assert not is_preflight(CorsConfig(("*",)), "OPTIONS", Headers([("Origin", APP)]))
