"""What a Lambda@Edge function may return: CloudFront's validation, rule by rule.

A result that breaks a rule ends in 502 and `X-Cache: LambdaValidationError from cloudfront`, and a
line in the distribution's log. Where CloudFront's own sentence or log line is known from captures
(facts/lambda-at-edge.md 5.2, 5.3) it is used; where not, the general sentence stands.

Pages, all read 2026-11-20, below https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/:
DG-all edge-function-restrictions-all, DG-le lambda-at-edge-function-restrictions, DG-event
lambda-event-structure, DG-resp lambda-generating-http-responses, DG-quota cloudfront-limits,
DG-cust add-origin-custom-headers.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NoReturn

from emulator import quotas
from emulator.errors import EdgeFunctionError, FailureKind
from emulator.rules.custom_headers import is_refused_custom_header
from emulator.rules.header_permissions import is_disallowed, read_only_headers
from emulator.values.functions import EventType, FunctionKind
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaCustomOrigin, LambdaOrigin, LambdaS3Origin

# --- CloudFront's own sentences on the viewer's page (facts/lambda-at-edge.md 5.2) ---------------
FAILED: Final = "The Lambda function result failed validation."
"""The general sentence: INFERRED, for rules whose own sentence nobody has captured."""
NOT_PARSABLE: Final = "The Lambda function returned invalid JSON: The JSON output is not parsable."
NOT_AN_OBJECT: Final = (
    "The Lambda function returned invalid JSON: The JSON output must be an object type."
)
DISALLOWED_HEADER: Final = (
    "The Lambda function result failed validation: The function tried to add a blacklisted header."
)
READ_ONLY_HEADER: Final = (
    "The Lambda function result failed validation: "
    "The function tried to add, delete, or change a read-only header."
)
BAD_BODY: Final = (
    "The Lambda function result failed validation: "
    "The body is not a string, is not an object, or exceeds the maximum size."
)
BAD_URI: Final = "The Lambda function result failed validation: invalid URI format."
"""Only the words "invalid URI format" were captured."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110 5.5: a field value has no control characters but the tab.
_CONTROL_IN_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DNS_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)

SSL_PROTOCOLS: Final = ("TLSv1.2", "TLSv1.1", "TLSv1", "SSLv3")
AUTH_METHODS: Final = ("origin-access-identity", "none")


def refuse(detail: str, sentence: str = FAILED) -> NoReturn:
    """Fail the validation.

    Args:
        detail: The log line's message.
        sentence: The viewer's page's cause.

    Raises:
        EdgeFunctionError: Always.
    """
    raise EdgeFunctionError(FailureKind.LAMBDA_VALIDATION, sentence, detail)


# --- URI and query string ------------------------------------------------------------------------
def check_uri(uri: str) -> None:
    """`uri` begins with a slash and has no space or control character (DG-event, DG-all)."""
    if not uri.startswith("/"):
        refuse(
            f"The Lambda function returned an invalid URI: {uri[:80]!r} does not begin with '/'.",
            BAD_URI,
        )
    if " " in uri or _CONTROL.search(uri):
        refuse(
            f"The Lambda function returned an invalid URI: {uri[:80]!r} holds a space or a control "
            "character; percent-encode it.",
            BAD_URI,
        )


def check_querystring(querystring: str) -> None:
    """A query string has no space, no control character and no `#` (DG-all)."""
    if " " in querystring or "#" in querystring or _CONTROL.search(querystring):
        refuse(
            f"The Lambda function returned an invalid query string: {querystring[:80]!r} holds a "
            "space, a control character or '#'; percent-encode it.",
            BAD_URI,
        )


def check_target_length(uri: str, querystring: str) -> None:
    """URI and query string together stay below 8,192 characters (DG-all)."""
    length = len(uri) + len(querystring)
    if length >= quotas.FUNCTION_URI_AND_QUERY_MAX_CHARS:
        refuse(
            f"The Lambda function returned a URI and query string of {length} characters; "
            f"less than {quotas.FUNCTION_URI_AND_QUERY_MAX_CHARS} are allowed.",
            BAD_URI,
        )


# --- Headers -------------------------------------------------------------------------------------
def check_header_name(name: str) -> None:
    """A header's name is an HTTP token (RFC 9110 5.1)."""
    if not _TOKEN.fullmatch(name):
        refuse(
            "Lambda function result validation failed, the function returned an invalid header, "
            f"invalid header name : {name[:80]!r}."
        )


def check_header_value(name: str, value: str) -> None:
    """A header's value has no control character (OBSERVED for CR, facts 3.4)."""
    if found := _CONTROL_IN_VALUE.search(value):
        refuse(
            "Lambda function result validation failed, the function returned an invalid header, "
            f"invalid character : '%{ord(found[0]):02X}' in header value, headerName : {name}."
        )


def check_disallowed(names: Iterable[str]) -> None:
    """No disallowed header is added (DG-all); functions never see one, so each is an addition."""
    for name in names:
        if is_disallowed(name):
            refuse(
                "Lambda function result failed validation, the function tried to add blacklisted "
                f"header, headerName : {name}.",
                DISALLOWED_HEADER,
            )


def check_read_only(shown: Headers, returned: Headers, event_type: EventType) -> None:
    """No read-only header is added, changed or deleted (DG-all, the table by event).

    Names compare without case, values exactly (INFERRED).
    """
    present = {name.lower() for name, _ in (*shown, *returned)}
    read_only = read_only_headers(FunctionKind.LAMBDA_AT_EDGE, event_type)
    for name in sorted(present & read_only):
        before, after = shown.get_all(name), returned.get_all(name)
        if before == after:
            continue
        verb = "add" if not before else "delete" if not after else "change"
        wire_name = next(key for key, _ in (*shown, *returned) if key.lower() == name)
        refuse(
            f"Lambda function result failed validation, the function tried to {verb} read-only "
            f"header, headerName : {wire_name}.",
            READ_ONLY_HEADER,
        )


def check_viewer_country(shown: Headers, returned: Headers, event_type: EventType) -> None:
    """A viewer-request function may not add `CloudFront-Viewer-Country` (DG-le)."""
    name = "CloudFront-Viewer-Country"
    if event_type is EventType.VIEWER_REQUEST and name in returned and name not in shown:
        refuse(
            "Lambda function result failed validation, the function tried to add blacklisted "
            f"header, headerName : {name}.",
            DISALLOWED_HEADER,
        )


def check_generated_headers(headers: Headers) -> None:
    """A generated response sets neither `Transfer-Encoding` nor `Via` (facts 3.4's default)."""
    for name in ("transfer-encoding", "via"):
        if name in headers:
            refuse(
                "Lambda function result failed validation, the function tried to add read-only "
                f"header, headerName : {name}.",
                READ_ONLY_HEADER,
            )


# --- Responses -----------------------------------------------------------------------------------
def check_status(status: object) -> int:
    """A status is 200 to 599, as a number or as its text (DG-resp; AWS's samples do both)."""
    number = -1
    if isinstance(status, str) and re.fullmatch(r"[0-9]{3}", status):
        number = int(status)
    elif isinstance(status, int) and not isinstance(status, bool):
        number = status
    if not 200 <= number <= 599:
        refuse(
            f"The Lambda function returned an invalid status: {str(status)[:40]!r}; "
            "a number from 200 to 599 is expected."
        )
    return number


def check_status_description(description: str) -> None:
    """A status description is one line (INFERRED: it stands in the status line)."""
    if _CONTROL.search(description):
        refuse("The Lambda function returned a statusDescription with a control character.")


def check_no_body_allowed(status: int, body: bytes, event_type: EventType) -> None:
    """A 204 generated at viewer-request has no body (DG-resp)."""
    if status == 204 and body and event_type is EventType.VIEWER_REQUEST:
        refuse("The Lambda function returned a body with status 204.", BAD_BODY)


def decode_body(body: str, encoding: str, *, what: str) -> bytes:
    """The bytes of a returned body: `text` as UTF-8, or `base64` decoded (DG-resp, DG-event)."""
    if encoding == "text":
        return body.encode()
    if encoding != "base64":
        refuse(
            f"The Lambda function returned an invalid encoding of the {what}: {encoding[:40]!r}; "
            "'text' or 'base64' is expected.",
            BAD_BODY,
        )
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        refuse(f"The Lambda function returned a {what} that is not valid base64.", BAD_BODY)


def generated_response_limit(event_type: EventType) -> int:
    """Bytes of headers and body that a function may generate at this event (DG-quota)."""
    if event_type.is_viewer:
        return quotas.LAMBDA_VIEWER_RESPONSE_MAX_BYTES
    return quotas.LAMBDA_ORIGIN_RESPONSE_MAX_BYTES


def response_bytes(headers: Headers, body_bytes: int) -> int:
    """How a generated response is measured: each header line as on the wire, and the body."""
    return body_bytes + sum(len(name) + len(value) + 4 for name, value in headers)


def check_response_size(headers: Headers, body_bytes: int, event_type: EventType) -> None:
    """Headers and body together stay within 40 KB (viewer events) or 1 MB (DG-resp, DG-quota)."""
    size, limit = response_bytes(headers, body_bytes), generated_response_limit(event_type)
    if size > limit:
        refuse(
            f"The Lambda function returned a response of {size} bytes, headers and body; "
            f"{limit} are allowed at {event_type}.",
            BAD_BODY,
        )


# --- Request bodies ------------------------------------------------------------------------------
def exposed_body_limit(event_type: EventType) -> int:
    """Bytes of a request's body that a function sees with IncludeBody (DG-le)."""
    if event_type is EventType.VIEWER_REQUEST:
        return quotas.LAMBDA_VIEWER_BODY_EXPOSED_BYTES
    return quotas.LAMBDA_ORIGIN_BODY_EXPOSED_BYTES


def replaced_body_limit(event_type: EventType, encoding: str) -> int:
    """Characters of a replacing body: 40 KB or 1 MB of text, 1.33 times that in base64 (DG-le)."""
    limit = exposed_body_limit(event_type)
    return limit * 133 // 100 if encoding == "base64" else limit


def check_replaced_body(data: str, encoding: str, event_type: EventType) -> bytes:
    """A replacing body keeps to its limit, else 502 (DG-le); gives its bytes."""
    size, limit = len(data.encode()), replaced_body_limit(event_type, encoding)
    if size > limit:
        refuse(
            f"The Lambda function replaced the request body with {size} bytes of {encoding}; "
            f"{limit} are allowed at {event_type}.",
            BAD_BODY,
        )
    return decode_body(data, encoding, what="request body")


# --- Origins -------------------------------------------------------------------------------------
def check_origin(origin: LambdaOrigin, request_headers: Headers) -> None:
    """Every rule of the origin object (DG-event, "Request event", fields of `origin`)."""
    check_origin_domain(origin.domain_name, limit=_domain_limit(origin))
    check_origin_path(origin.path, strict=isinstance(origin, LambdaCustomOrigin))
    check_origin_custom_headers(origin.custom_headers, request_headers)
    if origin.read_timeout_s is not None:
        check_timeout("readTimeout", origin.read_timeout_s)
    check_completion_timeout(origin.response_completion_timeout_s, origin.read_timeout_s)
    if isinstance(origin, LambdaS3Origin):
        check_auth_method(origin)
        return
    check_timeout("keepaliveTimeout", origin.keepalive_timeout_s)
    check_origin_port(origin.port)
    check_origin_protocol(origin.protocol)
    check_ssl_protocols(origin.ssl_protocols)


def _domain_limit(origin: LambdaOrigin) -> int:
    return 128 if isinstance(origin, LambdaS3Origin) else 253


def check_origin_domain(domain_name: str, *, limit: int = 253) -> None:
    """A DNS name: not empty, no port, no IP address, at most 253 characters (S3: 128)."""
    is_address = True
    try:
        ipaddress.ip_address(domain_name)
    except ValueError:
        is_address = False
    if is_address or len(domain_name) > limit or not _DNS_NAME.fullmatch(domain_name):
        _refuse_origin("domainName", domain_name, f"a DNS name of at most {limit} characters")


def check_origin_path(path: str, *, strict: bool = True) -> None:
    """Empty, or `/…` without a closing slash; for custom origins encoded and at most 255 long."""
    shape = not path or (path.startswith("/") and not path.endswith("/"))
    encoded = not strict or (len(path) <= 255 and path.isascii() and " " not in path)
    if not shape or not encoded or _CONTROL.search(path):
        _refuse_origin("path", path, "'' or '/…' without a closing slash, URL-encoded")


def check_origin_port(port: int) -> None:
    """80, 443, or 1024 to 65535."""
    if port not in (80, 443) and not 1024 <= port <= 65535:
        _refuse_origin("port", port, "80, 443, or 1024 to 65535")


def check_origin_protocol(protocol: str) -> None:
    """`http` or `https`."""
    if protocol not in ("http", "https"):
        _refuse_origin("protocol", protocol, "'http' or 'https'")


def check_timeout(field: str, seconds: int) -> None:
    """Read and keep-alive time-outs: 1 to 120 seconds."""
    if not 1 <= seconds <= 120:
        _refuse_origin(field, seconds, "1 to 120")


def check_completion_timeout(completion_s: int | None, read_s: int | None) -> None:
    """Not below the read time-out; the parser reads 0 and an absent key as None, no limit."""
    if completion_s is not None and completion_s < (read_s if read_s is not None else 1):
        _refuse_origin("responseCompletionTimeout", completion_s, f"at least {read_s}")


def check_ssl_protocols(protocols: tuple[str, ...]) -> None:
    """Any of TLSv1.2, TLSv1.1, TLSv1 and SSLv3."""
    for protocol in protocols:
        if protocol not in SSL_PROTOCOLS:
            _refuse_origin("sslProtocols", protocol, "any of " + ", ".join(SSL_PROTOCOLS))


def check_auth_method(origin: LambdaS3Origin) -> None:
    """`origin-access-identity` or `none`."""
    if origin.auth_method not in AUTH_METHODS:
        _refuse_origin("authMethod", origin.auth_method, " or ".join(AUTH_METHODS))


def check_origin_custom_headers(custom: Headers, request_headers: Headers) -> None:
    """No disallowed name, none of DG-cust's list, none that the request has already (DG-event)."""
    for name, _ in custom:
        if is_refused_custom_header(name) or is_disallowed(name.lower()):
            refuse(
                "Lambda function result failed validation, the function tried to add blacklisted "
                f"header, headerName : {name} (in origin.customHeaders).",
                DISALLOWED_HEADER,
            )
        if name in request_headers:
            refuse(
                "Lambda function result failed validation, a header stands both in "
                f"request.headers and in origin.customHeaders, headerName : {name}."
            )


def _refuse_origin(field: str, value: object, expected: str) -> NoReturn:
    refuse(
        f"The Lambda function returned an invalid origin: {field} is {str(value)[:80]!r}; "
        f"expected {expected}."
    )
