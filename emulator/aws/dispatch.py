"""Which AWS service and operation a request means. Pure.

In this order, as tried against boto3 and the AWS CLI (facts/local-aws.md section 2): the
credential scope of the signature, the `X-Amz-Target` header, the path, and S3 for all the rest.
The host is never asked: it may carry an account id, or be a proxy's made-up name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl, unquote

KEY_VALUE_STORE: Final = "cloudfront-keyvaluestore"
BEDROCK_RUNTIME: Final = "bedrock-runtime"
CLOUDFRONT: Final = "cloudfront"

_CREDENTIAL = re.compile(r"Credential=([^,\s]+)")
_FROM_REGION = re.compile(r"/from-region/([A-Za-z0-9-]+)(/.*)?")
# Unsigned, the ARN has to follow, so that an S3 key of this name stays an S3 key.
_STORE_PATH = re.compile(r"/key-value-stores/(?=arn(?::|%3[Aa]))")
_MODEL_PATH = re.compile(r"/model/[^/]+/[a-z-]+$")
_ACTION_MAX_CHARS = 128

# The header's prefix, in lower case up to the first `_`, where it is not the service's own name.
_TARGET_SERVICES: Final = {
    "awsevents": "events",
    "awsstepfunctions": "states",
    "amazonsqs": "sqs",
    "amazonssm": "ssm",
}
_PATHS: Final = (
    (re.compile(r"/2020-05-31(/|$)"), CLOUDFRONT),
    (re.compile(r"/2015-03-31/functions(/|$)"), "lambda"),
    (re.compile(r"/moto-api(/|$)"), "moto"),
)
# Where a service's own path begins, behind whatever prefix the endpoint's URL has (KVS-58).
_OWN_PATHS: Final = {
    KEY_VALUE_STORE: "/key-value-stores/",
    BEDROCK_RUNTIME: "/model/",
    CLOUDFRONT: "/2020-05-31/",
}
_REST_XML: Final = frozenset({CLOUDFRONT, "s3", "route53", "s3-control"})


class Protocol(StrEnum):
    """How a service spells its errors."""

    JSON = "json"
    REST_JSON = "rest-json"
    REST_XML = "rest-xml"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Target:
    """What a request means.

    Args:
        service: The service, by its signing name (`bedrock` is told apart by its path).
        operation: The operation where the request names it, else the method and the path.
        path: The path from the service's own first segment on.
        protocol: How the service spells its errors.
    """

    service: str
    operation: str
    path: str
    protocol: Protocol

    @property
    def message_member(self) -> str:
        """How the service's model spells the member that holds an error's words."""
        return "Message" if self.service == KEY_VALUE_STORE else "message"


def split_region(path: str) -> tuple[str | None, str]:
    """The Region a call is said to come from, and the path without that prefix.

    An endpoint URL may end in `/from-region/{region}`: a function that runs far from us-east-1
    is charged the distance of each call (`app.create_app`).
    """
    match = _FROM_REGION.fullmatch(path)
    return (None, path) if match is None else (match[1], match[2] or "/")


def classify(method: str, path: str, query: str, headers: Mapping[str, str]) -> Target:
    """Name the service and, as far as the request tells, the operation.

    Args:
        method: The HTTP method.
        path: The raw path.
        query: The raw query string.
        headers: Names in lower case.
    """
    aws_target = headers.get("x-amz-target", "")
    service = (
        _signed_service(headers.get("authorization", ""), query)
        or _service_of_target(aws_target)
        or _service_of_path(path)
        or "s3"
    )
    if service == "bedrock" and _MODEL_PATH.search(path):
        service = BEDROCK_RUNTIME
    path = _own_path(service, path)
    operation = aws_target.rpartition(".")[2][:_ACTION_MAX_CHARS] or f"{method} {path}"
    return Target(service, operation, path, _protocol(service, aws_target, headers))


def query_action(body: bytes) -> str | None:
    """The operation that a form-encoded body of the query protocol names."""
    for name, value in parse_qsl(body.decode("latin-1")):
        if name == "Action":
            return value[:_ACTION_MAX_CHARS]
    return None


def is_signed(query: str, headers: Mapping[str, str]) -> bool:
    """Whether the request carries a signature of any kind; nobody checks whether it is right."""
    return bool(headers.get("authorization")) or "X-Amz-Credential=" in query


def _signed_service(authorization: str, query: str) -> str | None:
    """The service in the credential scope; the last but one part with SigV4 and SigV4A alike.

    SigV4 is `key/date/region/service/aws4_request`; SigV4A has no region (facts/kvs.md 1.5).
    """
    if authorization.startswith("AWS4-"):
        match = _CREDENTIAL.search(authorization)
        credential = match[1] if match else ""
    else:
        credential = next(
            (
                unquote(part[17:])
                for part in query.split("&")
                if part.startswith("X-Amz-Credential=")
            ),
            "",
        )
    parts = credential.split("/")
    return parts[-2].lower() if len(parts) >= 4 else None


def _service_of_target(aws_target: str) -> str | None:
    prefix = aws_target.partition(".")[0].partition("_")[0].lower()
    return _TARGET_SERVICES.get(prefix, prefix) or None


def _service_of_path(path: str) -> str | None:
    if _STORE_PATH.search(path):
        return KEY_VALUE_STORE
    if _MODEL_PATH.search(path):
        return BEDROCK_RUNTIME
    return next((service for pattern, service in _PATHS if pattern.match(path)), None)


def _own_path(service: str, path: str) -> str:
    marker = _OWN_PATHS.get(service)
    start = path.find(marker) if marker else 0
    return path[start:] if start > 0 else path


def _protocol(service: str, aws_target: str, headers: Mapping[str, str]) -> Protocol:
    if aws_target:
        return Protocol.JSON
    if service in _REST_XML:
        return Protocol.REST_XML
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return Protocol.QUERY
    return Protocol.REST_JSON
