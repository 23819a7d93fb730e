"""A Lambda function URL's event (payload format 2.0) and what becomes of the returned JSON.

AWS: "Invoking Lambda function URLs", request and response payload formats,
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html, read 2026-11-21.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from emulator.rules.function_url import is_text
from emulator.values.headers import Headers

# Ours to say: they frame the message.
_FRAMING: Final = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"


@dataclass(frozen=True, slots=True)
class UrlCall:
    """A request as a function URL got it.

    Args:
        method: Its method.
        path: Its path, as sent.
        querystring: Without `?`.
        headers: As sent.
        body: The whole body.
        source_ip: Who sent it: CloudFront, when it came through a distribution.
        domain_name: The function URL's domain.
        account: The function's account.
        request_id: Lambda's id of the invocation.
        trace_id: X-Ray's.
        epoch_ms: When it came.
        signed: Whether the function URL asks for a signature.
    """

    method: str
    path: str
    querystring: str
    headers: Headers
    body: bytes
    source_ip: str
    domain_name: str
    account: str
    request_id: str
    trace_id: str
    epoch_ms: float
    signed: bool = False


@dataclass(frozen=True, slots=True)
class UrlAnswer:
    """What a function URL answers.

    Args:
        status: The status.
        headers: All but those that frame the message.
        body: The bytes.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


FAILED: Final = UrlAnswer(502, (("Content-Type", "application/json"),), b"Internal Server Error")
"""For a function that fails, or returns what is no response (public reports; no page has it)."""


def dump_url_event(call: UrlCall) -> dict[str, Any]:
    """The event in payload format 2.0."""
    moment = datetime.fromtimestamp(call.epoch_ms / 1_000, UTC)
    # Not strftime's: that speaks the machine's language.
    month = _MONTHS[3 * moment.month - 3 : 3 * moment.month]
    prefix = call.domain_name.partition(".")[0]
    headers = _headers(call)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": call.path,
        "rawQueryString": call.querystring,
        "headers": headers,
        "requestContext": {
            "accountId": call.account if call.signed else "anonymous",
            "apiId": prefix,
            "domainName": call.domain_name,
            "domainPrefix": prefix,
            "http": {
                "method": call.method,
                "path": call.path,
                "protocol": "HTTP/1.1",
                "sourceIp": call.source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": call.request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": f"{moment:%d}/{month}/{moment:%Y:%H:%M:%S} +0000",
            "timeEpoch": int(call.epoch_ms),
        },
        "isBase64Encoded": False,
    }
    if call.signed:
        event["requestContext"]["authorizer"] = {"iam": _caller(call.account)}
    cookies = [
        crumb.strip()
        for line in call.headers.get_all("cookie")
        for crumb in line.split(";")
        if crumb.strip()
    ]
    if cookies:
        event["cookies"] = cookies
    if call.querystring:
        event["queryStringParameters"] = _parameters(call.querystring)
    if call.body:
        text = _text(call)
        event["isBase64Encoded"] = text is None
        event["body"] = base64.b64encode(call.body).decode() if text is None else text
    return event


def parse_url_result(payload: bytes) -> UrlAnswer:
    """What the returned JSON means; `FAILED` for what means nothing.

    Without `statusCode` Lambda infers: 200, application/json, and the value as the body.
    """
    try:
        result = orjson.loads(payload or b"null")
    except orjson.JSONDecodeError:
        return FAILED
    if not isinstance(result, dict) or "statusCode" not in result:
        inferred = result.encode() if isinstance(result, str) else payload
        return UrlAnswer(200, (("Content-Type", "application/json"),), inferred)
    status, body, lines = _status(result["statusCode"]), _body(result), _lines(result)
    if status is None or body is None or lines is None:
        return FAILED
    return UrlAnswer(status, lines, body)


def _headers(call: UrlCall) -> dict[str, str]:
    """Names in lower case, repeated ones joined, cookies apart; and what Lambda adds."""
    found: dict[str, str] = {}
    for name, value in call.headers:
        lower = name.lower()
        if lower not in ("cookie", "connection"):
            found[lower] = f"{found[lower]},{value}" if lower in found else value
    found["x-amzn-trace-id"] = call.trace_id
    found["x-forwarded-proto"] = "https"
    found["x-forwarded-port"] = "443"
    found.setdefault("x-forwarded-for", call.source_ip)
    return found


def _parameters(querystring: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(querystring, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _text(call: UrlCall) -> str | None:
    """The body as text; None when it goes in as Base64."""
    if not is_text(call.headers.get("content-type") or "text/plain"):
        return None
    try:
        return call.body.decode()
    except UnicodeDecodeError:
        return None


def _caller(account: str) -> dict[str, str | None]:
    """Who signed, as far as it is known here: CloudFront's own service principal."""
    return {
        "accessKey": "simulated",
        "accountId": account,
        "callerId": "cloudfront.amazonaws.com",
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": "cloudfront.amazonaws.com",
        "userId": "cloudfront.amazonaws.com",
    }


def _status(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:4])
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        return None
    return value


def _body(result: dict[str, Any]) -> bytes | None:
    body = result.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        return None
    if result.get("isBase64Encoded") is not True:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None


def _lines(result: dict[str, Any]) -> tuple[tuple[str, str], ...] | None:
    headers, cookies = result.get("headers") or {}, result.get("cookies") or []
    if not isinstance(headers, dict) or not isinstance(cookies, list):
        return None
    lines: list[tuple[str, str]] = []
    for name, value in headers.items():
        if isinstance(value, (dict, list)) or value is None:
            return None
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if not _fits(name) or not _fits(text):
            return None
        if name.lower() not in _FRAMING:
            lines.append((name, text))
    if not any(name.lower() == "content-type" for name, _ in lines):
        lines.insert(0, ("Content-Type", "application/json"))
    if not all(isinstance(one, str) and _fits(one) for one in cookies):
        return None
    return (*lines, *(("Set-Cookie", one) for one in cookies))


def _fits(text: str) -> bool:
    """Whether it can stand in a header: no line break can be smuggled in."""
    return all(" " <= letter <= "ÿ" and letter != "\x7f" for letter in text)
