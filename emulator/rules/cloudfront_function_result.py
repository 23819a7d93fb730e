"""What a CloudFront Function may return: each law by itself, over plain values.

AWS: "CloudFront Functions event structure" (functions-event-structure) and "Restrictions on all
edge functions" (edge-function-restrictions-all), both under
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/, read 2026-11-20.
CloudFront answers a broken law with 502 and `FunctionValidationError`. Of its sentences only the
two for a disallowed header and for an upper-case name were seen on real CloudFront
(facts/cloudfront-functions.md 7); the others are worded after them.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from emulator import quotas
from emulator.errors import EdgeFunctionError, FailureKind
from emulator.rules.header_permissions import is_disallowed, read_only_headers
from emulator.values.functions import EventType, FunctionKind

INVALID_VALUE: Final = "The CloudFront function returned an invalid value: {reason}."
INVALID_ORIGIN: Final = "The CloudFront function returned an invalid value for origin rewrite."
DISALLOWED_HEADER: Final = "The CloudFront function tried to add a disallowed header"
READ_ONLY_HEADER: Final = (
    "The CloudFront function tried to add, delete, or change a read-only header."
)
NOT_RUN: Final = (
    "The CloudFront function associated with the CloudFront distribution is invalid"
    " or could not run."
)

STATUS_MIN: Final = 200
STATUS_MAX: Final = 599
"""No page gives the range; outside it the message would not be a final HTTP response."""

# RFC 9110 5.6.2: what a header's name may be made of, without upper case.
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_NOT_IN_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# "must not contain spaces, control characters or the fragment identifier (#)"
_NOT_IN_URI: Final = re.compile(r"[\x00-\x20\x7f#]")


def invalid(reason: str, detail: str) -> EdgeFunctionError:
    """The error for a result that CloudFront refuses: 502.

    Args:
        reason: What CloudFront's sentence says after "invalid value:".
        detail: What, where and how to mend, for the function's author.
    """
    return EdgeFunctionError(
        FailureKind.FUNCTION_VALIDATION, INVALID_VALUE.format(reason=reason), detail
    )


def invalid_origin(detail: str) -> EdgeFunctionError:
    """The error for an origin that CloudFront refuses: 502, with a sentence seen on CloudFront."""
    return EdgeFunctionError(FailureKind.FUNCTION_VALIDATION, INVALID_ORIGIN, detail)


def check_name(part: str, name: str) -> None:
    """Names that a function writes are lower case and fit to stand in a message.

    Args:
        part: Where it stands, such as `response.headers`.
        name: The header's name as the function wrote it.

    Raises:
        EdgeFunctionError: The name has upper case or a character that no name may have.
    """
    if _NAME.fullmatch(name):
        return
    if name != name.lower():
        raise invalid(
            f"{part} must have header names in lower case",
            f"{part}[{name!r}]: a header name must be lower case; write {name.lower()!r}",
        )
    raise invalid(
        f"{part} must have valid header names",
        f"{part}[{name!r}]: not a header name; use letters, digits and hyphens",
    )


def check_value(part: str, name: str, value: object) -> str:
    """A value is text without control characters, so that it cannot end its line.

    Raises:
        EdgeFunctionError: It is not a string, or holds a control character.
    """
    if not isinstance(value, str):
        raise invalid(
            f"{part} must have values of type string",
            f"{part}[{name!r}].value is {value!r}; make it a string",
        )
    if _NOT_IN_VALUE.search(value):
        raise invalid(
            f"{part} must not have control characters in values",
            f"{part}[{name!r}].value {value!r} holds a control character; take it out",
        )
    return value


def check_header_change(part: str, name: str, event: EventType | None, *, existed: bool) -> None:
    """Whether a function may add (or change, or delete) this header at this event.

    Args:
        part: `request.headers` or `response.headers`.
        name: The lower-case name.
        event: The event that ran the function; None where read-only headers are not checked.
        existed: Whether the function was shown the header.

    Raises:
        EdgeFunctionError: The header is disallowed or read-only.
    """
    if is_disallowed(name):
        raise EdgeFunctionError(
            FailureKind.FUNCTION_VALIDATION,
            DISALLOWED_HEADER,
            f"{part}[{name!r}]: no edge function may add this header; take it out"
            " (Restrictions on all edge functions: disallowed headers)",
        )
    if event is not None and name in read_only_headers(FunctionKind.CLOUDFRONT_FUNCTION, event):
        deed = "changed or deleted" if existed else "added"
        raise EdgeFunctionError(
            FailureKind.FUNCTION_VALIDATION,
            READ_ONLY_HEADER,
            f"{part}[{name!r}] was {deed}, but is read-only in {event} functions; leave it alone",
        )


def check_status(status: object) -> int:
    """A status is an integer (facts 2), and a final one.

    Raises:
        EdgeFunctionError: It is not.
    """
    if isinstance(status, float) and status.is_integer():
        status = int(status)
    if isinstance(status, bool) or not isinstance(status, int):
        raise invalid(
            "response.statusCode must be an integer",
            f"response.statusCode is {status!r}; return a number such as 200",
        )
    if not STATUS_MIN <= status <= STATUS_MAX:
        raise invalid(
            "response.statusCode is out of range",
            f"response.statusCode is {status}; use {STATUS_MIN} to {STATUS_MAX}",
        )
    return status


def check_description(description: object) -> str:
    """A status description is text that fits on the status line.

    Raises:
        EdgeFunctionError: It is not.
    """
    if isinstance(description, str) and not _NOT_IN_VALUE.search(description):
        return description
    raise invalid(
        "response.statusDescription must be a string",
        f"response.statusDescription is {description!r}; make it one line of text, or leave it out",
    )


def check_uri(uri: object) -> str:
    """A path begins with `/` and holds no space, control character or `#`.

    Raises:
        EdgeFunctionError: It does not.
    """
    if not isinstance(uri, str) or not uri.startswith("/"):
        raise invalid(
            "request.uri must begin with /",
            f"request.uri is {uri!r}; a path begins with '/', without scheme or host",
        )
    if _NOT_IN_URI.search(uri) or "?" in uri:
        raise invalid(
            "request.uri must not contain spaces, control characters, ? or #",
            f"request.uri {uri!r} holds one of them; percent-encode it, and set the query string"
            " through request.querystring",
        )
    return uri


def check_querystring(uri: str, querystring: str) -> str:
    """A query string holds no space, control character or `#`, and the URL is short enough.

    Raises:
        EdgeFunctionError: It does, or the URL is too long.
    """
    if _NOT_IN_URI.search(querystring):
        raise invalid(
            "request.querystring must not contain spaces, control characters or #",
            f"request.querystring {querystring!r} holds one of them; use encodeURIComponent()",
        )
    if len(uri) + len(querystring) >= quotas.FUNCTION_URI_AND_QUERY_MAX_CHARS:
        raise invalid(
            "request.uri and request.querystring are too long",
            f"URI and query string have {len(uri) + len(querystring)} characters;"
            f" less than {quotas.FUNCTION_URI_AND_QUERY_MAX_CHARS} are allowed",
        )
    return querystring


def check_method(before: str, after: object) -> None:
    """The method is the one read-only field of a request.

    Raises:
        EdgeFunctionError: It was changed.
    """
    if after != before:
        raise invalid(
            "request.method is read-only",
            f"request.method was changed from {before!r} to {after!r}; leave it alone",
        )


def decode_body(body: object) -> bytes:
    """The bytes of `response.body`: plain text, or `{encoding: "text" | "base64", data}`.

    Raises:
        EdgeFunctionError: It is neither, or the base64 is broken.
    """
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    if not isinstance(body, dict) or not isinstance(body.get("data"), str):
        raise invalid(
            "response.body must be a string or an object with encoding and data",
            f"response.body is {_short(body)}; return a string or"
            " {encoding: 'text' | 'base64', data: string}",
        )
    encoding, data = body.get("encoding", "text"), body["data"]
    if encoding == "text":
        return bytes(data.encode("utf-8", "surrogatepass"))
    if encoding != "base64":
        raise invalid(
            "response.body.encoding must be text or base64",
            f"response.body.encoding is {encoding!r}; use 'text' or 'base64'",
        )
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(
            "response.body.data is not valid base64",
            f"response.body.data cannot be decoded ({error}); use Buffer's toString('base64')"
            " or btoa()",
        ) from None


def changed_values(
    shown: tuple[str, ...], value: str, multi: tuple[str, ...] | None
) -> tuple[str, ...]:
    """What a name holds after the function (event structure, "Working with multi-value…").

    A multiValue that was changed wins, and value is ignored; otherwise a change to value replaces
    the first occurrence and the rest stay. An entry that lost its multiValue is a new one.

    Args:
        shown: The values the function was shown; empty when the name is new.
        value: The returned `value`.
        multi: The returned `multiValue`, if there is one.
    """
    if multi is None:
        return (value,)
    if multi != shown:
        return multi
    return (value, *shown[1:])


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"
