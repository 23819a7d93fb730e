"""S3 as an origin: how CloudFront signs, and what S3 says of an object that is not there.

AWS: "Restrict access to an Amazon S3 origin",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html,
and "HTTP 403 status code (Permission Denied)", both read 2026-11-20 (facts/cloudfront.md 12.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from emulator.values.distribution import Origin, OriginKind, SigningBehavior
from emulator.values.headers import Headers
from emulator.values.messages import Response

SIGNATURE: Final = (
    "AWS4-HMAC-SHA256 Credential=cloudfront/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=simulated"
)
"""What stands for CloudFront's own SigV4 signature; local S3 asks for one and verifies none."""

_DENIED: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    "<Message>Access Denied</Message><RequestId>{request_id}</RequestId></Error>"
)


def authorization(origin: Origin, viewers: str) -> str:
    """The Authorization header that an S3 origin gets; empty for none.

    Args:
        origin: An S3 origin, with an origin access control, the identity before it, or neither.
        viewers: The viewer's own Authorization, as far as a policy forwards it; empty for none.
    """
    if origin.kind is not OriginKind.S3:
        return viewers
    control = origin.access_control
    if control is None:
        return SIGNATURE if origin.access_identity else viewers
    match control.signing_behavior:
        case SigningBehavior.NEVER:
            return viewers
        case SigningBehavior.NO_OVERRIDE:
            return viewers or SIGNATURE
        case SigningBehavior.ALWAYS:
            return SIGNATURE


def grants_list_bucket(policies: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a bucket's policies allow s3:ListBucket to somebody.

    Who has it learns that an object is missing (404); who has not is told 403. Principals and
    conditions are not looked at: a template that grants it means CloudFront.
    """
    for policy in policies:
        statements = policy.get("Statement", [])
        for statement in [statements] if isinstance(statements, dict) else statements:
            actions = statement.get("Action", [])
            named = [actions] if isinstance(actions, str) else actions
            if statement.get("Effect") == "Allow" and {"s3:ListBucket", "s3:*", "*"} & set(named):
                return True
    return False


def access_denied(request_id: str) -> Response:
    """S3's 403 for an object that is missing, or not yours to see."""
    body = _DENIED.format(request_id=request_id[:16]).encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    return Response(403, headers=Headers([*headers, ("Server", "AmazonS3")]), body=body)
