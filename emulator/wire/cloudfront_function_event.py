"""The event of a CloudFront Function, spelled as AWS spells it.

AWS: "CloudFront Functions event structure",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html,
read 2026-11-20 (facts/cloudfront-functions.md 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NotRequired, TypedDict

from emulator.rules.cloudfront_function_result import invalid
from emulator.rules.header_permissions import is_disallowed
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

EVENT_VERSION: Final = "1.0"
_NAMES_REMEMBERED: Final = 512


class Value(TypedDict):
    """One more value of a repeated name."""

    value: str


class Entry(TypedDict):
    """A header, a query parameter or a request cookie; `multiValue` only when it is repeated."""

    value: str
    multiValue: NotRequired[list[Value]]


class CookieValue(TypedDict):
    """One more `Set-Cookie` of a repeated name."""

    value: str
    attributes: NotRequired[str]


class CookieEntry(TypedDict):
    """A response cookie; `attributes` is everything after the first `;`."""

    value: str
    attributes: NotRequired[str]
    multiValue: NotRequired[list[CookieValue]]


class BodyShape(TypedDict):
    """A body with its encoding, `text` or `base64`."""

    encoding: str
    data: str


class ContextShape(TypedDict):
    """Where and why the function runs."""

    distributionDomainName: str
    distributionId: str
    eventType: str
    requestId: str


class ViewerShape(TypedDict):
    """Who asked."""

    ip: str


class RequestShape(TypedDict):
    """`event.request`."""

    method: str
    uri: str
    querystring: dict[str, Entry]
    headers: dict[str, Entry]
    cookies: dict[str, Entry]


class ResponseShape(TypedDict):
    """`event.response`; a generated one needs only `statusCode`."""

    statusCode: int
    statusDescription: NotRequired[str]
    headers: NotRequired[dict[str, Entry]]
    cookies: NotRequired[dict[str, CookieEntry]]
    body: NotRequired[str | BodyShape]


class EventShape(TypedDict):
    """What the handler is called with."""

    version: str
    context: ContextShape
    viewer: ViewerShape
    request: RequestShape
    response: NotRequired[ResponseShape]


def dump_event(event: FunctionEvent) -> EventShape:
    """Show an event as the function sees it: visible headers only, names in lower case."""
    shape: EventShape = {
        "version": EVENT_VERSION,
        "context": {
            "distributionDomainName": event.distribution_domain_name,
            "distributionId": event.distribution_id,
            "eventType": str(event.event_type),
            "requestId": event.request_id,
        },
        "viewer": {"ip": event.request.client_ip},
        "request": _dump_request(event.request),
    }
    if event.response is not None and not event.event_type.is_request:
        shape["response"] = _dump_response(event.response)
    return shape


def parse_event(raw: Mapping[str, Any]) -> FunctionEvent:
    """Read an event that somebody wrote, as TestFunction takes it.

    The ids and host names of the context may be left out, and so may whatever the function does not
    need; names are lower case (facts 8.11).

    Raises:
        EdgeFunctionError: It is not an event; the detail says where.
    """
    context = _mapping("context", raw.get("context"))
    kinds = (EventType.VIEWER_REQUEST, EventType.VIEWER_RESPONSE)
    event_type = next((kind for kind in kinds if context.get("eventType") == kind), None)
    if event_type is None:
        choices = " or ".join(kinds)
        raise invalid("context.eventType is wrong", f"context.eventType must be {choices}")
    request = _mapping("request", raw.get("request"))
    viewer = _mapping("viewer", raw.get("viewer"))
    response = None
    if event_type is EventType.VIEWER_RESPONSE:
        response = _parse_response(_mapping("response", raw.get("response")))
    return FunctionEvent(
        event_type,
        str(context.get("distributionId", "")),
        str(context.get("distributionDomainName", "")),
        str(context.get("requestId", "")),
        EdgeLocation("", "", ""),
        _parse_request(request, str(viewer.get("ip", ""))),
        response,
    )


def _parse_request(raw: Mapping[str, Any], ip: str) -> Request:
    pieces = _pairs("request.querystring", raw.get("querystring"))
    cookies = _pairs("request.cookies", raw.get("cookies"))
    lines = _header_lines("request.headers", raw.get("headers"))
    if cookies:
        text = "; ".join(f"{name}={value}" for name, value in cookies)
        lines.append(("cookie", wire_text(text)))
    querystring = wire_text("&".join(f"{name}={value}" for name, value in pieces))
    return Request(
        str(raw.get("method", "GET")),
        wire_text(str(raw.get("uri", "/"))),
        querystring,
        Headers(lines),
        client_ip=ip,
        has_query=bool(pieces),
    )


def _parse_response(raw: Mapping[str, Any]) -> Response:
    lines = _header_lines("response.headers", raw.get("headers"))
    for name, entry in _mapping("response.cookies", raw.get("cookies")).items():
        shape = _mapping(f"response.cookies[{name!r}]", entry)
        for one in shape.get("multiValue", [shape]):
            attributes = f"; {one['attributes']}" if one.get("attributes") else ""
            lines.append(("set-cookie", wire_text(f"{name}={one.get('value', '')}{attributes}")))
    status = raw.get("statusCode", 200)
    if not isinstance(status, int):
        raise invalid("response.statusCode must be an integer", f"statusCode is {status!r}")
    return Response(status, str(raw.get("statusDescription", "")), Headers(lines))


def _header_lines(part: str, raw: object) -> list[tuple[str, str]]:
    pairs = _pairs(part, raw)
    for name, _ in pairs:
        if name != name.lower():
            raise invalid(
                f"{part} must have header names in lower case", f"{part}[{name!r}] is not"
            )
    return [(name, wire_text(value)) for name, value in pairs]


def _pairs(part: str, raw: object) -> list[tuple[str, str]]:
    return [
        (name, str(_mapping(f"{part}[{name!r}].multiValue", one).get("value", "")))
        for name, entry in _mapping(part, raw).items()
        for one in _mapping(f"{part}[{name!r}]", entry).get("multiValue", [entry])
    ]


def _mapping(part: str, raw: object) -> Mapping[str, Any]:
    if raw is None:
        return {}
    if isinstance(raw, dict):
        return raw
    raise invalid(f"{part} must be an object", f"{part} of the event is {raw!r}")


def _dump_request(request: Request) -> RequestShape:
    headers, cookie_lines = _seen_headers(request.headers, "cookie")
    querystring = request.querystring
    return {
        "method": request.method,
        "uri": shown_text(request.uri),
        "querystring": _entries(_query_parameters(querystring)) if querystring else {},
        "headers": headers,
        "cookies": _entries(_request_cookies(cookie_lines)) if cookie_lines else {},
    }


def _dump_response(response: Response) -> ResponseShape:
    headers, cookie_lines = _seen_headers(response.headers, "set-cookie")
    shape: ResponseShape = {
        "statusCode": response.status,
        "headers": headers,
        "cookies": _cookie_entries(cookie_lines),
    }
    if response.reason:
        shape["statusDescription"] = response.reason
    return shape


def _entries(pairs: Iterable[tuple[str, str]]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for name, value in pairs:
        if name in entries:
            _add_value(entries[name], value)
        else:
            entries[name] = {"value": value}
    return entries


def _add_value(entry: Entry, value: str) -> None:
    if "multiValue" in entry:
        entry["multiValue"].append({"value": value})
    else:
        entry["multiValue"] = [{"value": entry["value"]}, {"value": value}]


def _seen_headers(headers: Headers, cookie_name: str) -> tuple[dict[str, Entry], list[str]]:
    """The headers that a function sees, and the lines that it sees as cookies.

    This runs for every request, so it passes over the headers once.
    """
    entries: dict[str, Entry] = {}
    cookie_lines: list[str] = []
    for name, value in headers.pairs:
        seen = _seen_name(name)
        if seen == cookie_name:
            cookie_lines.append(value)
        elif seen:
            text = value if value.isascii() else shown_text(value)
            if seen in entries:
                _add_value(entries[seen], text)
            else:
                entries[seen] = {"value": text}
    return entries, cookie_lines


# The same few names come again and again; strangers' names push each other out.
@lru_cache(_NAMES_REMEMBERED)
def _seen_name(name: str) -> str:
    lowered = name.lower()
    return "" if is_disallowed(lowered) else lowered


def _query_parameters(querystring: str) -> list[tuple[str, str]]:
    # "?a" and "?a=" both have the value ""; names keep their case; escapes are not decoded.
    pieces = (piece.partition("=") for piece in querystring.split("&") if piece)
    return [(shown_text(name), shown_text(value)) for name, _, value in pieces]


def _request_cookies(lines: list[str]) -> list[tuple[str, str]]:
    cookies: list[tuple[str, str]] = []
    for line in lines:
        for piece in line.split(";"):
            name, _, value = piece.strip().partition("=")
            if name:
                cookies.append((shown_text(name), shown_text(value)))
    return cookies


def split_set_cookie(line: str) -> tuple[str, str, str]:
    """Name, value and attributes of a Set-Cookie line, as a function sees them."""
    pair, _, attributes = line.partition(";")
    name, _, value = pair.strip().partition("=")
    return shown_text(name), shown_text(value), shown_text(attributes.strip())


def _cookie_entries(lines: list[str]) -> dict[str, CookieEntry]:
    entries: dict[str, CookieEntry] = {}
    for line in lines:
        name, value, attributes = split_set_cookie(line)
        entry = entries.get(name)
        if entry is None:
            entries[name] = {"value": value, "attributes": attributes}
            continue
        if "multiValue" not in entry:
            first = CookieValue(value=entry["value"], attributes=entry.get("attributes", ""))
            entry["multiValue"] = [first]
        entry["multiValue"].append({"value": value, "attributes": attributes})
    return entries


def shown_text(value: str) -> str:
    """Wire bytes, held as ISO-8859-1 text, as the text that a function sees."""
    # "Values arrive UTF-8; ISO-8859-1 is converted" (facts 2.6). Headers hold wire bytes as
    # ISO-8859-1 text, so bytes that are UTF-8 must be read again.
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def wire_text(value: str) -> str:
    """The way back of `shown_text`: what a function wrote leaves as UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("latin-1")
