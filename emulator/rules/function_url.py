"""Lambda function URLs: who may call them, and how CloudFront signs for them.

AWS: "Restrict access to an AWS Lambda function URL origin",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-lambda.html
(facts/cloudfront.md 12.5), "Control access to Lambda function URLs" and "Invoking Lambda function
URLs", Lambda guide urls-auth and urls-invocation, read 2026-11-21.

As everywhere here a signature has to be there and is not verified, but for the one part that a
viewer has to provide: the hash of the body.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from emulator.values.distribution import CorsConfig, Origin, OriginKind, SigningBehavior
from emulator.values.findings import Finding, warning
from emulator.values.headers import Headers

AWS_IAM: Final = "AWS_IAM"
SIGNATURE: Final = (
    "AWS4-HMAC-SHA256 Credential=cloudfront/20260101/us-east-1/lambda/aws4_request, "
    "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=simulated"
)
"""What stands for CloudFront's own SigV4 signature."""
PAYLOAD_HASH: Final = "x-amz-content-sha256"
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
# AWS names PUT and POST; PATCH has a body as well (INFERRED).
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_EMPTY_HASH: Final = hashlib.sha256(b"").hexdigest()
_TEXT: Final = re.compile(
    r"text/.*|application/(?:json|javascript|xml|.*\+(?:json|xml))", re.IGNORECASE
)
_SCOPE: Final = re.compile(r"AWS4-\S+ .*Credential=[^,\s]*/lambda/aws4_request", re.IGNORECASE)

FORBIDDEN: Final = "Forbidden"
WRONG_SIGNATURE: Final = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)
"""Lambda's words for a signature that does not fit, and for a body that is not in it."""
_CLOUDFRONT: Final = "cloudfront.amazonaws.com"
# Since October 2025 the second one is needed as well; CDK writes both.
_ACTIONS: Final = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")


def signature_lines(method: str, headers: Headers, origin: Origin) -> list[tuple[str, str]]:
    """What CloudFront adds for a function URL with origin access control; nothing without.

    The hash of a body is the viewer's: CloudFront streams bodies and cannot know it before.

    Args:
        method: The request's.
        headers: The viewer's.
        origin: A function URL.
    """
    control = origin.access_control
    if origin.kind is not OriginKind.LAMBDA_URL or control is None:
        return []
    viewers = headers.get("authorization")
    if control.signing_behavior is SigningBehavior.NEVER:
        return []
    if control.signing_behavior is SigningBehavior.NO_OVERRIDE and viewers:
        return []
    said = headers.get(PAYLOAD_HASH)
    hashed = said or (UNSIGNED_PAYLOAD if method in _WITH_BODY else _EMPTY_HASH)
    return [("Authorization", SIGNATURE), (PAYLOAD_HASH, hashed)]


def takes_over_authorization(origin: Origin) -> bool:
    """Whether the viewer's Authorization gives way to CloudFront's own."""
    control = origin.access_control
    return (
        origin.kind is OriginKind.LAMBDA_URL
        and control is not None
        and control.signing_behavior is SigningBehavior.ALWAYS
    )


def refusal(auth_type: str, method: str, headers: Headers, body: bytes) -> str:
    """Why a function URL answers 403; empty when the function may run.

    Args:
        auth_type: `NONE` or `AWS_IAM`.
        method: The request's.
        headers: As they arrived at the function URL.
        body: The whole body.
    """
    if auth_type != AWS_IAM:
        return ""
    if not _SCOPE.match(headers.get("authorization")):
        return FORBIDDEN
    hashed = headers.get(PAYLOAD_HASH)
    if method not in _WITH_BODY and not body:
        return ""
    if hashed.lower() != hashlib.sha256(body).hexdigest():
        return WRONG_SIGNATURE
    return ""


def check_permissions(
    auth_type: str, permissions: Iterable[tuple[str, str]], function: str, where: str
) -> list[Finding]:
    """Who may call a function URL, as far as the template's permissions say.

    Here every call that is signed passes; at AWS it would be 403 without them.

    Args:
        auth_type: `NONE` or `AWS_IAM`.
        permissions: (Action, Principal) of each AWS::Lambda::Permission of the function.
        function: Its name.
        where: The function URL's place.
    """
    principal = _CLOUDFRONT if auth_type == AWS_IAM else "*"
    allowed = {action for action, whom in permissions if whom in (principal, "*")}
    needed = _ACTIONS if auth_type == AWS_IAM else _ACTIONS[:1]
    missing = [action for action in needed if not {action, "lambda:*"} & allowed]
    if not missing:
        return []
    return [
        warning(
            f"No AWS::Lambda::Permission here lets {principal} do {' and '.join(missing)} on "
            f"{function}: AWS would answer 403.",
            where,
            "Add one for each (Action lambda:InvokeFunction with InvokedViaFunctionUrl: true).",
        )
    ]


def is_preflight(cors: CorsConfig | None, method: str, headers: Headers) -> bool:
    """Whether Lambda answers a browser's question itself, before any signature is asked for.

    AWS: "Cross-origin resource sharing (CORS)", Lambda guide urls-configuration. That a browser
    cannot sign a preflight request is why (INFERRED).
    """
    asks = "origin" in headers and "access-control-request-method" in headers
    return cors is not None and method == "OPTIONS" and asks


def cors_lines(cors: CorsConfig, headers: Headers, *, preflight: bool) -> list[tuple[str, str]]:
    """The headers that a function URL with CORS settings adds; nothing for another origin.

    They take the place of the function's own (UNVERIFIED; as in API Gateway's HTTP APIs).
    """
    origin = headers.get("origin")
    if not origin or not {"*", origin} & set(cors.allow_origins):
        return []
    # A browser refuses `*` beside credentials.
    anybody = "*" in cors.allow_origins and not cors.allow_credentials
    lines = [("Access-Control-Allow-Origin", "*" if anybody else origin)]
    if not anybody:
        lines.append(("Vary", "Origin"))
    if cors.allow_credentials:
        lines.append(("Access-Control-Allow-Credentials", "true"))
    if not preflight:
        if cors.expose_headers:
            exposed = ",".join(cors.expose_headers)
            lines.append(("Access-Control-Expose-Headers", exposed))
        return lines
    if cors.allow_methods:
        lines.append(("Access-Control-Allow-Methods", ",".join(cors.allow_methods)))
    if cors.allow_headers:
        lines.append(("Access-Control-Allow-Headers", ",".join(cors.allow_headers)))
    if cors.max_age_s is not None:
        lines.append(("Access-Control-Max-Age", str(cors.max_age_s)))
    return lines


def with_cors(
    cors: CorsConfig | None, lines: tuple[tuple[str, str], ...], headers: Headers
) -> tuple[tuple[str, str], ...]:
    """A function's headers with those of the function URL's CORS settings.

    Args:
        cors: The settings; None for none.
        lines: What the function gave.
        headers: The request's.
    """
    if cors is None:
        return lines
    own = tuple(one for one in lines if not one[0].lower().startswith("access-control-"))
    return (*own, *cors_lines(cors, headers, preflight=False))


def is_text(content_type: str) -> bool:
    """Whether a body goes into the event as text; everything else goes in as Base64.

    The list is INFERRED from API Gateway's HTTP APIs, whose payload format it is.
    """
    return bool(_TEXT.fullmatch(content_type.partition(";")[0].strip()))
