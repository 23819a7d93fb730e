"""A Lambda@Edge event that somebody wrote down: read, or made as an example to start from.

AWS: "Lambda@Edge event structure", DG lambda-event-structure, read 2026-11-20; the examples'
values are that page's own.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from emulator.errors import ConfigError
from emulator.rules.header_permissions import title_case
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaCustomOrigin
from emulator.values.messages import Request, Response
from emulator.wire.lambda_edge import EventShape, ExposedBody, dump_event

DISTRIBUTION_ID = "EDFDVBD6EXAMPLE"
DISTRIBUTION_DOMAIN_NAME = "d111111abcdef8.cloudfront.net"
REQUEST_ID = "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ=="
CLIENT_IP = "203.0.113.178"
ORIGIN_DOMAIN_NAME = "example.org"
_LOCATION = EdgeLocation("IAD", "192.0.2.1", "us-east-1")

Lines = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Example:
    """What an example event is about; headers here replace or join those that CloudFront sends.

    Args:
        event_type: The trigger.
        uri: The path; a query may follow a `?`.
        method: The viewer's method.
        headers: The viewer's own headers.
        body: The request's body, shown as with IncludeBody; None for none.
        status: Response events: the status that came from origin or cache.
        response_headers: Response events: headers of that response.
        client_ip: The viewer's address.
    """

    event_type: EventType
    uri: str = "/index.html"
    method: str = "GET"
    headers: Lines = ()
    body: bytes | None = None
    status: int = 200
    response_headers: Lines = ()
    client_ip: str = CLIENT_IP


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """An event as it was written down.

    Args:
        event: What the function's result is judged against.
        shown: What the function is handed, exactly as written.
    """

    event: FunctionEvent
    shown: EventShape = field(repr=False)


def example_function_event(example: Example) -> FunctionEvent:
    """The example as a value; what a trigger's requests and responses usually carry."""
    uri, mark, querystring = example.uri.partition("?")
    usual = _viewer_lines() if example.event_type.is_viewer else _origin_lines(example.client_ip)
    request = Request(
        example.method.upper(),
        uri,
        querystring,
        _joined(usual, example.headers),
        example.body or b"",
        example.client_ip,
        has_query=bool(mark),
    )
    response = None
    if not example.event_type.is_request:
        response = Response(
            example.status, headers=_joined(_response_lines(), example.response_headers)
        )
    return FunctionEvent(
        example.event_type,
        DISTRIBUTION_ID,
        DISTRIBUTION_DOMAIN_NAME,
        REQUEST_ID,
        _LOCATION,
        request,
        response,
    )


def example_event(example: Example) -> EventShape:
    """The example as AWS spells it."""
    body = None
    if example.body is not None and example.event_type.is_request:
        body = ExposedBody.of(example.body, example.event_type)
    origin = LambdaCustomOrigin(ORIGIN_DOMAIN_NAME, ssl_protocols=("TLSv1.2",))
    return dump_event(example_function_event(example), body=body, origin=origin)


def _viewer_lines() -> list[tuple[str, str]]:
    return [("Host", DISTRIBUTION_DOMAIN_NAME), ("User-Agent", "curl/8.5.0"), ("Accept", "*/*")]


def _origin_lines(client_ip: str) -> list[tuple[str, str]]:
    """CloudFront's own request to an origin, with no policy that forwards more."""
    return [
        ("X-Forwarded-For", client_ip),
        ("User-Agent", "Amazon CloudFront"),
        ("Via", "2.0 2afae0d44e2540f472c0635ab62c232b.cloudfront.net (CloudFront)"),
        ("Host", ORIGIN_DOMAIN_NAME),
        ("Cache-Control", "no-cache"),
    ]


def _response_lines() -> list[tuple[str, str]]:
    return [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", "9593"),
        ("Date", "Sat, 21 Nov 2026 20:11:18 GMT"),
        ("Last-Modified", "Fri, 20 Nov 2026 09:00:00 GMT"),
    ]


def _joined(usual: Lines, own: Lines) -> Headers:
    named = {name.lower() for name, _ in own}
    return Headers([*(line for line in usual if line[0].lower() not in named), *own])


# --- Reading ------------------------------------------------------------------------------------
def read_event(raw: object, *, where: str, event_type: EventType | None = None) -> WrittenEvent:
    """Read an event that was written down; what it leaves out gets the examples' values.

    Args:
        raw: The parsed JSON.
        where: The file, for messages.
        event_type: In place of the one in `config`.

    Raises:
        ConfigError: It is not shaped as AWS's are; names the place.
    """
    try:
        cf = cast("dict[str, Any]", raw)["Records"][0]["cf"]
    except (KeyError, IndexError, TypeError):
        cf = None
    if not isinstance(cf, dict):
        raise _wrong("It has no Records[0].cf", where, "Start from: localpop event > event.json")
    config = {
        **_object(cf, "config", where, {}),
        **({"eventType": event_type} if event_type else {}),
    }
    said = str(config.get("eventType", ""))
    if said not in list(EventType):
        raise _wrong(
            f"Records[0].cf.config.eventType is {said!r} (known: {', '.join(EventType)})",
            where,
            "Mend it, or give --trigger.",
        )
    kind = EventType(said)
    cf = {**cf, "config": {**config, "eventType": kind.value}}
    request = _request(_object(cf, "request", where), where)
    response = None if kind.is_request else _response(_object(cf, "response", where), where)
    event = FunctionEvent(
        kind,
        str(config.get("distributionId", DISTRIBUTION_ID)),
        str(config.get("distributionDomainName", DISTRIBUTION_DOMAIN_NAME)),
        str(config.get("requestId", REQUEST_ID)),
        _LOCATION,
        request,
        response,
    )
    return WrittenEvent(event, cast("EventShape", {"Records": [{"cf": cf}]}))


def _request(raw: Mapping[str, Any], where: str) -> Request:
    body = _object(raw, "body", where, {})
    querystring = str(raw.get("querystring", ""))
    try:
        data = base64.b64decode(str(body.get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("Records[0].cf.request.body.data is not base64", where) from None
    return Request(
        str(raw.get("method", "GET")),
        _wire(str(raw.get("uri", "/"))),
        _wire(querystring),
        _headers(raw, where, "request"),
        data,
        str(raw.get("clientIp", CLIENT_IP)),
        has_query=bool(querystring),
    )


def _response(raw: Mapping[str, Any], where: str) -> Response:
    try:
        status = int(raw.get("status", 200))
    except (TypeError, ValueError):
        raise _wrong("Records[0].cf.response.status is no number", where) from None
    reason = str(raw.get("statusDescription", ""))
    return Response(status, _wire(reason), _headers(raw, where, "response"))


def _headers(raw: Mapping[str, Any], where: str, part: str) -> Headers:
    lines: list[tuple[str, str]] = []
    for name, entries in _object(raw, "headers", where, {}).items():
        try:
            lines += [
                (str(entry.get("key", title_case(name))), _wire(entry["value"]))
                for entry in entries
            ]
        except (AttributeError, KeyError, TypeError):
            raise _wrong(
                f"Records[0].cf.{part}.headers[{name!r}] is no list of objects with a value",
                where,
                'Write it as [{"key": "Name", "value": "text"}].',
            ) from None
    return Headers(lines)


def _object(
    raw: Mapping[str, Any], name: str, where: str, default: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    value = raw.get(name, default)
    if not isinstance(value, Mapping):
        raise _wrong(f"{name} is missing or no object", where)
    return value


def _wrong(what: str, where: str, mend: str = "") -> ConfigError:
    return ConfigError(
        f"This is no Lambda@Edge event: {what}.",
        where=where,
        mend=mend or "Compare it with: localpop event",
    )


def _wire(text: str) -> str:
    return text if text.isascii() else text.encode().decode("latin-1")
