"""What a CloudFront Function returned, read against what it had been shown.

AWS: "CloudFront Functions event structure",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/functions-event-structure.html,
read 2026-11-20 (facts/cloudfront-functions.md 3). The event itself is in
`cloudfront_function_event.py`.

What the function left as it was keeps the bytes, the case and the place that it had on the wire;
only what it changed is written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, TypeGuard, cast

from emulator.rules import cloudfront_function_result as laws
from emulator.rules.header_permissions import title_case
from emulator.values.functions import EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response
from emulator.wire.cloudfront_function_event import (
    CookieEntry,
    Entry,
    EventShape,
    RequestShape,
    dump_event,
    parse_event,
    shown_text,
    split_set_cookie,
    wire_text,
)

__all__ = ["dump_event", "dump_output", "parse_event", "parse_result"]

_NAMES_REMEMBERED: Final = 512


def parse_result(
    raw: object,
    event: FunctionEvent,
    shown: EventShape | None = None,
    *,
    checks_read_only: bool = True,
) -> Request | Response:
    """Turn what the handler returned into the request to go on with, or the response to send.

    CloudFront tells the two apart by shape: at viewer-request an object with `statusCode` is a
    response (facts 3.3); at viewer-response nothing else will do (3.4).

    Args:
        raw: The returned object, as JSON has it; None when the handler returned nothing.
        event: The event that the function ran for.
        shown: What `dump_event(event)` gave, when the caller still has it.
        checks_read_only: Whether changing a read-only header fails; TestFunction does not tell it
            (AWS: "HTTP 502 status code (Bad Gateway)").

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
    at = event.event_type if checks_read_only else None
    if event.event_type is EventType.VIEWER_RESPONSE:
        return _parse_changed_response(raw, event, shown, at)
    if "statusCode" in raw:
        return _parse_generated_response(raw)
    return _parse_request(raw, event, shown["request"], at)


def dump_output(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The returned object as TestFunction's `FunctionOutput` shows it (facts 8.9).

    Cookies and headers are there even when the function set none.
    """
    name = "response" if "statusCode" in raw else "request"
    return {name: {"headers": {}, "cookies": {}, **raw}}


# --- Reading a request --------------------------------------------------------------------------


def _parse_request(
    raw: dict[str, Any], event: FunctionEvent, shown: RequestShape, at: EventType | None
) -> Request:
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
        request = replace(request, uri=wire_text(laws.check_uri(raw["uri"])))
    querystring = raw.get("querystring", {})
    if querystring != shown["querystring"]:
        text = wire_text(_written_querystring(querystring, shown["querystring"], request))
        request = replace(request, querystring=text, has_query=bool(text))
    if request is not event.request:
        laws.check_querystring(request.uri, request.querystring)
    headers = _changed_headers(
        "request.headers",
        raw.get("headers", {}),
        shown["headers"],
        request.headers,
        at,
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
        raw_pieces.setdefault(shown_text(piece.partition("=")[0]), []).append(shown_text(piece))
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
    return headers.with_set("Cookie", wire_text("; ".join(pairs)))


# --- Reading a response -------------------------------------------------------------------------


def _parse_generated_response(raw: dict[str, Any]) -> Response:
    status = laws.check_status(raw["statusCode"])
    body = laws.decode_body(raw["body"]) if raw.get("body") is not None else b""
    # Nothing was shown, so every name is an addition. A length of the function's own would break
    # the message where it is wrong, so ours is sent; the other read-only names of viewer-request
    # (transfer-encoding, via …) would break it as well and are refused (UNVERIFIED).
    lines = _added_lines("response.headers", raw.get("headers"), "set-cookie")
    cookies = raw.get("cookies")
    if cookies:
        lines += _set_cookie_lines(cookies)
    lines.append(("Content-Length", str(len(body))))
    return Response(status, _description(raw), Headers(lines), body)


def _added_lines(part: str, returned: object, cookie_name: str) -> list[tuple[str, str]]:
    """The headers of a message that is all the function's own."""
    lines: list[tuple[str, str]] = []
    for name, entry in _object_of(part, returned).items():
        if name == "content-length":
            continue
        wire_name = _written_name(part, name, EventType.VIEWER_REQUEST, cookie_name, False)
        for value in _returned_values(part, name, entry, None):
            lines.append((wire_name, value if value.isascii() else wire_text(value)))
    return lines


def _parse_changed_response(
    raw: dict[str, Any], event: FunctionEvent, shown: EventShape, at: EventType | None
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
        at,
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
        if name.lower() != "set-cookie" or split_set_cookie(value)[0] in unchanged
    ]
    for name, entry in entries.items():
        if name not in unchanged:
            kept += [("Set-Cookie", line) for line in _cookie_texts(name, entry, shown.get(name))]
    return Headers(kept)


def _cookie_texts(name: str, entry: object, shown: CookieEntry | None) -> list[str]:
    part = "response.cookies"
    values = _returned_values(part, name, entry, cast("Entry | None", shown), _set_cookie_value)
    return [wire_text(f"{name}={value}") for value in values]


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
    event: EventType | None,
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
        _written_name(part, name, event, cookie_name, name in shown)
        changed[name] = _returned_values(part, name, entry, shown.get(name))
    for name in shown:
        if name not in entries:
            _written_name(part, name, event, cookie_name, True)
            changed[name] = ()
    lines: list[tuple[str, str]] = []
    written: set[str] = set()
    for wire_name, value in before:
        name = wire_name.lower()
        if name not in changed:
            lines.append((wire_name, value))
        elif name not in written:
            lines += [(wire_name, wire_text(each)) for each in changed[name]]
            written.add(name)
    for name, values in changed.items():
        if name not in written:
            wire_name = _written_name(part, name, event, cookie_name, name in shown)
            lines += [(wire_name, wire_text(each)) for each in values]
    return Headers(lines)


@lru_cache(_NAMES_REMEMBERED)
def _written_name(
    part: str,
    name: str,
    event: EventType | None,
    cookie_name: str,
    existed: bool,
) -> str:
    """The name as it stands on the wire, once the laws allow to write it."""
    laws.check_name(part, name)
    if name == cookie_name:
        other = part.replace("headers", "cookies")
        raise laws.invalid(
            f"{part} must not have {cookie_name}",
            f"{part}[{name!r}]: cookies are not headers to a CloudFront Function; use {other}",
        )
    laws.check_header_change(part, name, event, existed=existed)
    return title_case(name)


def _returned_values(
    part: str,
    name: str,
    entry: object,
    shown: Entry | None,
    read: Callable[[str, str, Mapping[str, Any]], str] | None = None,
) -> tuple[str, ...]:
    # Texts for an error are made when there is one: this runs for every header of every request.
    item = entry if isinstance(entry, dict) else _object_of(f"{part}[{name!r}]", entry)
    multi = item.get("multiValue")
    if multi is None:
        if read is None:
            return (laws.check_value(part, name, item.get("value")),)
        return (read(part, name, item),)
    read = read or _plain_value
    if not isinstance(multi, list):
        raise laws.invalid(
            f"{part} must have multiValue of type array",
            f"{part}[{name!r}].multiValue is {_kind(multi)}; make it an array of {{value}}",
        )
    several = tuple(
        read(part, name, _object_of(f"{part}[{name!r}].multiValue", one)) for one in multi
    )
    before = _values_of(part, name, shown, read) if shown is not None else ()
    if several != before:
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
