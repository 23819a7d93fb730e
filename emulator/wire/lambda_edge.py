"""The event that a Lambda@Edge function receives, spelled as AWS spells it.

AWS: "Lambda@Edge event structure",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html,
read 2026-11-20. What comes back is read in `wire/lambda_edge_result.py`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Literal, NotRequired, TypedDict

from emulator.rules import lambda_edge_result as rules
from emulator.rules.header_permissions import is_disallowed
from emulator.values.functions import EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.lambda_edge import (
    LambdaCustomOrigin,
    LambdaEdgeSwitches,
    LambdaOrigin,
)


class HeaderShape(TypedDict):
    """One header line."""

    key: NotRequired[str]
    value: str


HeadersShape = dict[str, list[HeaderShape]]


class BodyShape(TypedDict):
    """`request.body`, with IncludeBody only."""

    inputTruncated: bool
    action: Literal["read-only", "replace"]
    encoding: Literal["base64", "text"]
    data: str


class CustomOriginShape(TypedDict):
    """`request.origin.custom`."""

    customHeaders: HeadersShape
    domainName: str
    keepaliveTimeout: int
    path: str
    port: int
    protocol: str
    readTimeout: int
    responseCompletionTimeout: NotRequired[int]
    sslProtocols: list[str]


class S3OriginShape(TypedDict):
    """`request.origin.s3`."""

    authMethod: str
    customHeaders: HeadersShape
    domainName: str
    path: str
    region: str
    readTimeout: NotRequired[int]
    responseCompletionTimeout: NotRequired[int]


class OriginShape(TypedDict, total=False):
    """`request.origin`: exactly one of the two."""

    custom: CustomOriginShape
    s3: S3OriginShape


class RequestShape(TypedDict):
    """`cf.request`."""

    clientIp: str
    headers: HeadersShape
    method: str
    querystring: str
    uri: str
    body: NotRequired[BodyShape]
    origin: NotRequired[OriginShape]


class ResponseShape(TypedDict):
    """`cf.response` of a response event; the body is never shown."""

    headers: HeadersShape
    status: str
    statusDescription: str


class ConfigShape(TypedDict):
    """`cf.config`."""

    distributionDomainName: str
    distributionId: str
    eventType: str
    requestId: str


class CfShape(TypedDict):
    """`Records[0].cf`."""

    config: ConfigShape
    request: RequestShape
    response: NotRequired[ResponseShape]


class RecordShape(TypedDict):
    """The one element of `Records`."""

    cf: CfShape


class EventShape(TypedDict):
    """The whole event."""

    Records: list[RecordShape]


@dataclass(frozen=True, slots=True)
class ExposedBody:
    """A request's body as far as a function sees it.

    Args:
        data: The first bytes, at most the event's limit.
        truncated: Whether there is more.
    """

    data: bytes
    truncated: bool = False

    @classmethod
    def of(cls, body: bytes, event_type: EventType) -> ExposedBody:
        """Cut a whole body at the event's limit (DG lambda-at-edge-function-restrictions)."""
        limit = rules.exposed_body_limit(event_type)
        return cls(body[:limit], len(body) > limit)


DEFAULT_SWITCHES = LambdaEdgeSwitches()


def dump_event(
    event: FunctionEvent,
    *,
    body: ExposedBody | None = None,
    origin: LambdaOrigin | None = None,
    switches: LambdaEdgeSwitches = DEFAULT_SWITCHES,
) -> EventShape:
    """The event that the function receives.

    Args:
        event: What the run is about.
        body: With IncludeBody, the exposed body; None without.
        origin: The chosen origin; shown in origin events only.
        switches: `empty_body_object` decides the shape of an empty body.
    """
    cf: CfShape = {
        "config": {
            "distributionDomainName": event.distribution_domain_name,
            "distributionId": event.distribution_id,
            "eventType": event.event_type.value,
            "requestId": event.request_id,
        },
        "request": _dump_request(event, body, origin, switches),
    }
    if event.response is not None and not event.event_type.is_request:
        cf["response"] = {
            "headers": dump_headers(event.response.headers),
            "status": str(event.response.status),
            "statusDescription": event.response.reason or _usual_reason(event.response.status),
        }
    return {"Records": [{"cf": cf}]}


def _dump_request(
    event: FunctionEvent,
    body: ExposedBody | None,
    origin: LambdaOrigin | None,
    switches: LambdaEdgeSwitches,
) -> RequestShape:
    request = event.request
    shape: RequestShape = {
        "clientIp": request.client_ip,
        "headers": dump_headers(request.headers),
        "method": request.method,
        "querystring": _shown(request.querystring),
        "uri": _shown(request.uri),
    }
    shows_body = body is not None and (body.data or switches.empty_body_object)
    if body is not None and shows_body and event.event_type.is_request:
        shape["body"] = {
            "inputTruncated": body.truncated,
            "action": "read-only",
            "encoding": "base64",
            "data": base64.b64encode(body.data).decode(),
        }
    if origin is not None and not event.event_type.is_viewer:
        shape["origin"] = dump_origin(origin)
    return shape


def dump_headers(headers: Headers) -> HeadersShape:
    """Lower-case names, one element for each line; disallowed headers are hidden (DG-all)."""
    shape: HeadersShape = {}
    for name, value in headers.pairs:
        lowered = name.lower()
        if lowered in shape:
            shape[lowered].append({"key": name, "value": _shown(value)})
        elif not is_hidden(lowered):
            shape[lowered] = [{"key": name, "value": _shown(value)}]
    return shape


def dump_origin(origin: LambdaOrigin) -> OriginShape:
    """`request.origin` as the function sees it."""
    if isinstance(origin, LambdaCustomOrigin):
        custom: CustomOriginShape = {
            "customHeaders": dump_headers(origin.custom_headers),
            "domainName": origin.domain_name,
            "keepaliveTimeout": origin.keepalive_timeout_s,
            "path": origin.path,
            "port": origin.port,
            "protocol": origin.protocol,
            "readTimeout": origin.read_timeout_s,
            "sslProtocols": list(origin.ssl_protocols),
        }
        if origin.response_completion_timeout_s is not None:
            custom["responseCompletionTimeout"] = origin.response_completion_timeout_s
        return {"custom": custom}
    s3: S3OriginShape = {
        "authMethod": origin.auth_method,
        "customHeaders": dump_headers(origin.custom_headers),
        "domainName": origin.domain_name,
        "path": origin.path,
        "region": origin.region,
    }
    if origin.read_timeout_s is not None:
        s3["readTimeout"] = origin.read_timeout_s
    if origin.response_completion_timeout_s is not None:
        s3["responseCompletionTimeout"] = origin.response_completion_timeout_s
    return {"s3": s3}


def _shown(text: str) -> str:
    """How a function sees bytes: as UTF-8 where they are, else as ISO-8859-1 (DG-all)."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def _usual_reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


@lru_cache(maxsize=4_096)
def is_hidden(lowered: str) -> bool:
    """`is_disallowed`, remembered: every header of every event is asked for."""
    return is_disallowed(lowered)
