"""The event and the result of a CloudFront Function, spelled as AWS spells them.

AWS: "CloudFront Functions event structure",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html,
read 2026-11-20 (facts/cloudfront-functions.md 2 and 3).

`dump_event` shows a message to the function; `parse_result` reads what it returned, against what it
had been shown. What the function left as it was keeps the bytes, the case and the place that it had
on the wire; only what it changed is written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NotRequired, TypedDict, TypeGuard, cast

from emulator.rules import cloudfront_function_result as laws
from emulator.rules.header_permissions import is_disallowed, title_case
from emulator.values.functions import EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

EVENT_VERSION: Final = "1.0"


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


def parse_result(
    raw: object, event: FunctionEvent, shown: EventShape | None = None
) -> Request | Response:
    """Turn what the handler returned into the request to go on with, or the response to send.

    CloudFront tells the two apart by shape: at viewer-request an object with `statusCode` is a
    response (facts 3.3); at viewer-response nothing else will do (3.4).

    Args:
        raw: The returned object, as JSON has it; None when the handler returned nothing.
        event: The event that the function ran for.
        shown: What `dump_event(event)` gave, when the caller still has it.

    Raises:
        EdgeFunctionError: The result breaks a law of `rules/cloudfront_function_result.py`.
    """
    shown = dump_event(event) if shown is None else shown
    if not _is_object(raw):
        raise laws.invalid(
            "the function must return a request or a response object",
            f"handler(event) returned {_kind(raw)}; return event.request"
            " (or event.response), or an object with statusCode",
        )
    if event.event_type is EventType.VIEWER_RESPONSE:
        return _parse_changed_response(raw, event, shown)
    if "statusCode" in raw:
        return _parse_generated_response(raw)
    return _parse_request(raw, event, shown["request"])


def dump_output(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The returned object as TestFunction's `FunctionOutput` shows it (facts 8.9).

    Cookies and headers are there even when the function set none.
    """
    name = "response" if "statusCode" in raw else "request"
    return {name: {"headers": {}, "cookies": {}, **raw}}


# --- Showing ------------------------------------------------------------------------------------


def _dump_request(request: Request) -> RequestShape:
    return {
        "method": request.method,
        "uri": _shown_text(request.uri),
        "querystring": _entries(_query_parameters(request.querystring)),
        "headers": _entries(_visible_headers(request.headers, "cookie")),
        "cookies": _entries(_request_cookies(request.headers)),
    }


def _dump_response(response: Response) -> ResponseShape:
    shape: ResponseShape = {
        "statusCode": response.status,
        "headers": _entries(_visible_headers(response.headers, "set-cookie")),
        "cookies": _cookie_entries(response.headers),
    }
    if response.reason:
        shape["statusDescription"] = response.reason
    return shape


def _entries(pairs: Iterable[tuple[str, str]]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for name, value in pairs:
        entry = entries.get(name)
        if entry is None:
            entries[name] = {"value": value}
        elif "multiValue" in entry:
            entry["multiValue"].append({"value": value})
        else:
            entry["multiValue"] = [{"value": entry["value"]}, {"value": value}]
    return entries


def _visible_headers(headers: Headers, cookie_name: str) -> list[tuple[str, str]]:
    return [
        (lowered, _shown_text(value))
        for name, value in headers
        if (lowered := name.lower()) != cookie_name and not is_disallowed(lowered)
    ]


def _query_parameters(querystring: str) -> list[tuple[str, str]]:
    # "?a" and "?a=" both have the value ""; names keep their case; escapes are not decoded.
    pieces = (piece.partition("=") for piece in querystring.split("&") if piece)
    return [(_shown_text(name), _shown_text(value)) for name, _, value in pieces]


def _request_cookies(headers: Headers) -> list[tuple[str, str]]:
    cookies: list[tuple[str, str]] = []
    for line in headers.get_all("cookie"):
        for piece in line.split(";"):
            name, _, value = piece.strip().partition("=")
            if name:
                cookies.append((_shown_text(name), _shown_text(value)))
    return cookies


def _split_set_cookie(line: str) -> tuple[str, str, str]:
    pair, _, attributes = line.partition(";")
    name, _, value = pair.strip().partition("=")
    return _shown_text(name), _shown_text(value), _shown_text(attributes.strip())


def _cookie_entries(headers: Headers) -> dict[str, CookieEntry]:
    entries: dict[str, CookieEntry] = {}
    for line in headers.get_all("set-cookie"):
        name, value, attributes = _split_set_cookie(line)
        entry = entries.get(name)
        if entry is None:
            entries[name] = {"value": value, "attributes": attributes}
            continue
        if "multiValue" not in entry:
            first = CookieValue(value=entry["value"], attributes=entry.get("attributes", ""))
            entry["multiValue"] = [first]
        entry["multiValue"].append({"value": value, "attributes": attributes})
    return entries


def _shown_text(value: str) -> str:
    # "Values arrive UTF-8; ISO-8859-1 is converted" (facts 2.6). Headers hold wire bytes as
    # ISO-8859-1 text, so bytes that are UTF-8 must be read again.
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _wire_text(value: str) -> str:
    # The way back of `_shown_text`: changed values leave as UTF-8.
    return value if value.isascii() else value.encode("utf-8", "replace").decode("latin-1")


# --- Reading a request --------------------------------------------------------------------------


def _parse_request(raw: dict[str, Any], event: FunctionEvent, shown: RequestShape) -> Request:
    if raw == shown:
        return event.request
    if "uri" not in raw or "method" not in raw:
        raise laws.invalid(
            "the function must return a request or a response object",
            f"handler(event) returned an object with the keys {sorted(raw)}: neither event.request"
            " (method, uri, headers …) nor a response (statusCode); return one of them",
        )
    laws.check_method(shown["method"], raw["method"])
    request = event.request
    if raw["uri"] != shown["uri"]:
        request = replace(request, uri=_wire_text(laws.check_uri(raw["uri"])))
    querystring = raw.get("querystring", {})
    if querystring != shown["querystring"]:
        text = _wire_text(_written_querystring(querystring, shown["querystring"], request))
        request = replace(request, querystring=text, has_query=bool(text))
    if request is not event.request:
        laws.check_querystring(request.uri, request.querystring)
    headers = _changed_headers(
        "request.headers",
        raw.get("headers", {}),
        shown["headers"],
        request.headers,
        EventType.VIEWER_REQUEST,
        "cookie",
    )
    cookies = raw.get("cookies", {})
    if cookies != shown["cookies"]:
        headers = _with_cookies(headers, cookies)
    return request if headers is request.headers else replace(request, headers=headers)


def _written_querystring(returned: object, shown: dict[str, Entry], request: Request) -> str:
    # A plain string is taken as it is (facts 2.7).
    if isinstance(returned, str):
        return returned
    entries = _object_of("request.querystring", returned)
    raw_pieces: dict[str, list[str]] = {}
    for piece in request.querystring.split("&"):
        raw_pieces.setdefault(_shown_text(piece.partition("=")[0]), []).append(_shown_text(piece))
    written: list[str] = []
    for name, entry in entries.items():
        if name in shown and entry == shown[name]:
            written += raw_pieces[name]
        else:
            values = _returned_values("request.querystring", name, entry, shown.get(name))
            written += [f"{name}={value}" for value in values]
    return "&".join(written)


def _with_cookies(headers: Headers, returned: object) -> Headers:
    pairs = [
        f"{name}={value}"
        for name, entry in _object_of("request.cookies", returned).items()
        for value in _returned_values("request.cookies", name, entry, None)
    ]
    if not pairs:
        return headers.without("cookie")
    return headers.with_set("Cookie", _wire_text("; ".join(pairs)))


# --- Reading a response -------------------------------------------------------------------------


def _parse_generated_response(raw: dict[str, Any]) -> Response:
    status = laws.check_status(raw["statusCode"])
    body = laws.decode_body(raw["body"]) if raw.get("body") is not None else b""
    # Nothing was shown, so every name is an addition. A length of the function's own would break
    # the message where it is wrong, so ours is sent; the other read-only names of viewer-request
    # (transfer-encoding, via …) would break it as well and are refused (UNVERIFIED).
    returned = _object_of("response.headers", raw.get("headers"))
    headers = _changed_headers(
        "response.headers",
        {name: entry for name, entry in returned.items() if name != "content-length"},
        {},
        Headers(),
        EventType.VIEWER_REQUEST,
        "set-cookie",
    )
    lines = [*headers, *_set_cookie_lines(raw.get("cookies", {}))]
    return Response(
        status,
        _description(raw),
        Headers([*lines, ("Content-Length", str(len(body)))]),
        body,
    )


def _parse_changed_response(
    raw: dict[str, Any], event: FunctionEvent, shown: EventShape
) -> Response:
    response, shape = event.response, shown.get("response")
    assert response is not None
    assert shape is not None
    if raw == shape:
        return response
    if "statusCode" not in raw:
        raise laws.invalid(
            "the function must return a response object",
            f"handler(event) returned an object with the keys {sorted(raw)} and no statusCode;"
            " a viewer-response function returns event.response",
        )
    headers = _changed_headers(
        "response.headers",
        raw.get("headers", {}),
        shape.get("headers", {}),
        response.headers,
        EventType.VIEWER_RESPONSE,
        "set-cookie",
    )
    if raw.get("cookies", {}) != shape.get("cookies", {}):
        headers = _with_set_cookies(headers, raw.get("cookies", {}), shape.get("cookies", {}))
    body = response.body
    # "Omit body: the original is kept. Set it: it is replaced. Set it empty: it is removed."
    if raw.get("body") is not None:
        body = laws.decode_body(raw["body"])
        headers = headers.without("transfer-encoding").with_set("Content-Length", str(len(body)))
    return Response(laws.check_status(raw["statusCode"]), _description(raw), headers, body)


def _description(raw: dict[str, Any]) -> str:
    description = raw.get("statusDescription")
    return "" if description is None else laws.check_description(description)


def _set_cookie_lines(returned: object) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for name, entry in _object_of("response.cookies", returned).items():
        lines += [("Set-Cookie", line) for line in _cookie_texts(name, entry, None)]
    return lines


def _with_set_cookies(
    headers: Headers, returned: object, shown: Mapping[str, CookieEntry]
) -> Headers:
    entries = _object_of("response.cookies", returned)
    unchanged = {name for name, entry in entries.items() if name in shown and entry == shown[name]}
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() != "set-cookie" or _split_set_cookie(value)[0] in unchanged
    ]
    for name, entry in entries.items():
        if name not in unchanged:
            kept += [("Set-Cookie", line) for line in _cookie_texts(name, entry, shown.get(name))]
    return Headers(kept)


def _cookie_texts(name: str, entry: object, shown: CookieEntry | None) -> list[str]:
    part = "response.cookies"
    values = _returned_values(part, name, entry, cast("Entry | None", shown), _set_cookie_value)
    return [_wire_text(f"{name}={value}") for value in values]


def _set_cookie_value(part: str, name: str, item: Mapping[str, Any]) -> str:
    value = laws.check_value(part, name, item.get("value"))
    attributes = item.get("attributes")
    if attributes is None or attributes == "":
        return value
    return f"{value}; {laws.check_value(part, f'{name}.attributes', attributes)}"


# --- Reading headers ----------------------------------------------------------------------------


def _changed_headers(
    part: str,
    returned: object,
    shown: Mapping[str, Entry],
    before: Headers,
    event: EventType,
    cookie_name: str,
) -> Headers:
    """The message's headers after the function; what it could not see stays."""
    if returned == shown:
        return before
    entries = _object_of(part, returned)
    changed: dict[str, tuple[str, ...]] = {}
    for name, entry in entries.items():
        if name in shown and entry == shown[name]:
            continue
        _check_addition(part, name, event, cookie_name, existed=name in shown)
        changed[name] = _returned_values(part, name, entry, shown.get(name))
    for name in shown:
        if name not in entries:
            _check_addition(part, name, event, cookie_name, existed=True)
            changed[name] = ()
    lines: list[tuple[str, str]] = []
    written: set[str] = set()
    for wire_name, value in before:
        name = wire_name.lower()
        if name not in changed:
            lines.append((wire_name, value))
        elif name not in written:
            lines += [(wire_name, _wire_text(each)) for each in changed[name]]
            written.add(name)
    for name, values in changed.items():
        if name not in written:
            lines += [(title_case(name), _wire_text(each)) for each in values]
    return Headers(lines)


def _check_addition(
    part: str, name: str, event: EventType, cookie_name: str, *, existed: bool
) -> None:
    laws.check_name(part, name)
    if name == cookie_name:
        other = part.replace("headers", "cookies")
        raise laws.invalid(
            f"{part} must not have {cookie_name}",
            f"{part}[{name!r}]: cookies are not headers to a CloudFront Function; use {other}",
        )
    laws.check_header_change(part, name, event, existed=existed)


def _returned_values(
    part: str,
    name: str,
    entry: object,
    shown: Entry | None,
    read: Callable[[str, str, Mapping[str, Any]], str] | None = None,
) -> tuple[str, ...]:
    read = read or _plain_value
    item = _object_of(f"{part}[{name!r}]", entry)
    multi = item.get("multiValue")
    if multi is not None and not isinstance(multi, list):
        raise laws.invalid(
            f"{part} must have multiValue of type array",
            f"{part}[{name!r}].multiValue is {_kind(multi)}; make it an array of {{value}}",
        )
    several = None
    if multi is not None:
        several = tuple(
            read(part, name, _object_of(f"{part}[{name!r}].multiValue", one)) for one in multi
        )
    before = _values_of(part, name, shown, read) if shown is not None else ()
    if several is not None and several != before:
        return several
    return laws.changed_values(before, read(part, name, item), several)


def _values_of(
    part: str, name: str, shown: Entry, read: Callable[[str, str, Mapping[str, Any]], str]
) -> tuple[str, ...]:
    return tuple(read(part, name, one) for one in shown.get("multiValue", [shown]))


def _plain_value(part: str, name: str, item: Mapping[str, Any]) -> str:
    return laws.check_value(part, name, item.get("value"))


def _object_of(part: str, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if _is_object(value):
        return value
    raise laws.invalid(
        f"{part} must be an object",
        f"{part} is {_kind(value)}; make it an object such as {{name: {{value: 'text'}}}}",
    )


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
    }
    return names.get(type(value), "something else")
