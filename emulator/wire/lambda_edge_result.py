"""What a Lambda@Edge function returned, read and checked.

AWS: "Lambda@Edge event structure",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-event-structure.html, and
"Work with requests and responses", lambda-generating-http-responses, both read 2026-11-20.
The laws are in `rules/lambda_edge_result.py`; here is only the shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn, cast

import orjson

from emulator.rules import lambda_edge_result as rules
from emulator.rules.header_permissions import title_case
from emulator.values.functions import EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.lambda_edge import (
    Handling,
    LambdaCustomOrigin,
    LambdaEdgeSwitches,
    LambdaOrigin,
    LambdaS3Origin,
)
from emulator.values.messages import Body, Request, Response
from emulator.wire.lambda_edge import (
    DEFAULT_SWITCHES,
    CfShape,
    EventShape,
    HeaderShape,
    HeadersShape,
    ResponseShape,
    is_hidden,
)


@dataclass(frozen=True, slots=True)
class LambdaResult:
    """What a function returned, valid.

    Args:
        outcome: The request to go on with, or the response to send.
        origin: Origin-request: the origin the function chose; None when it left it alone.
        warnings: What real CloudFront may treat differently.
    """

    outcome: Request | Response
    origin: LambdaOrigin | None = None
    warnings: tuple[str, ...] = ()


def parse_result(
    raw: bytes,
    event: FunctionEvent,
    shown: EventShape,
    *,
    switches: LambdaEdgeSwitches = DEFAULT_SWITCHES,
) -> LambdaResult:
    """Turn what a function returned into what the request's way goes on with.

    Args:
        raw: The returned JSON.
        event: What the run was about.
        shown: What `dump_event` gave for it.
        switches: The open questions.

    Raises:
        EdgeFunctionError: The result breaks a rule; kind LambdaValidationError.
    """
    returned = parse_object(raw)
    cf = shown["Records"][0]["cf"]
    if "response" in cf:
        return _Reader(event, cf, switches).updated_response(returned, cf["response"])
    if event.event_type.is_request and "status" not in returned:
        return _Reader(event, cf, switches).request(returned)
    return _Reader(event, cf, switches).generated_response(returned)


def parse_object(raw: bytes) -> dict[str, Any]:
    """A returned value is JSON, and an object (facts/lambda-at-edge.md 5.2)."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        rules.refuse(
            f"{rules.NOT_PARSABLE} ({error})",
            rules.NOT_PARSABLE,
        )
    if not isinstance(value, dict):
        rules.refuse(
            f"{rules.NOT_AN_OBJECT} (It was {raw[:60].decode(errors='replace')}; "
            "return the request, or a response.)",
            rules.NOT_AN_OBJECT,
        )
    return value


class _Reader:
    """Reads one returned object; collects warnings on the way."""

    def __init__(self, event: FunctionEvent, cf: CfShape, switches: LambdaEdgeSwitches) -> None:
        self._event, self._cf, self._switches = event, cf, switches
        self._warnings: list[str] = []

    # --- Requests --------------------------------------------------------------------------------
    def request(self, returned: Mapping[str, Any]) -> LambdaResult:
        """A request that goes on."""
        before, shown = self._event.request, self._cf["request"]
        if returned == shown:
            # The origin then gets the viewer's own bytes, not their UTF-8 form (DG-all).
            return LambdaResult(before)
        uri = _a_string(returned, "uri", sentence=rules.BAD_URI)
        querystring = _a_string(returned, "querystring", default="", sentence=rules.BAD_URI)
        rules.check_uri(uri)
        rules.check_querystring(querystring)
        rules.check_target_length(uri, querystring)
        self._keep("method", returned, shown["method"], self._switches.method)
        self._keep("clientIp", returned, shown["clientIp"], self._switches.read_only_fields)
        headers = self._checked_headers(returned, before.headers, shown["headers"])
        origin = self._origin(returned, headers)
        body, headers = self._request_body(returned, before.body, headers)
        same_query = querystring == shown["querystring"]
        return LambdaResult(
            replace(
                before,
                uri=before.uri if uri == shown["uri"] else _wire(uri),
                querystring=before.querystring if same_query else _wire(querystring),
                has_query=before.has_query if same_query else bool(querystring),
                headers=headers,
                body=body,
            ),
            origin,
            tuple(self._warnings),
        )

    def _keep(
        self, field: str, returned: Mapping[str, Any], shown: str, handling: Handling
    ) -> None:
        if returned.get(field, shown) == shown:
            return
        message = f"The Lambda function tried to change the read-only field {field}."
        if handling is Handling.REFUSE:
            rules.refuse(message)
        self._warnings.append(message)

    def _checked_headers(
        self, returned: Mapping[str, Any], before: Headers, shown: HeadersShape
    ) -> Headers:
        """The headers to go on with: the returned ones, and those the function never saw."""
        value = returned.get("headers", {})
        if value == shown:
            return before
        event_type = self._event.event_type
        headers, changed = self._headers(value, shown)
        rules.check_disallowed(name for name, _ in changed)
        present = {name.lower() for name, _ in headers}
        touched = {name.lower() for name, _ in changed}
        touched.update(name for name in shown if name not in present)
        was = Headers(_pairs({name: shown[name] for name in touched if name in shown}))
        now = Headers(line for line in headers if line[0].lower() in touched)
        rules.check_read_only(was, now, event_type)
        rules.check_viewer_country(was, now, event_type)
        hidden = (pair for pair in before.pairs if is_hidden(pair[0].lower()))
        return Headers((*headers.pairs, *hidden))

    def _headers(
        self, value: object, shown: HeadersShape, *, where: str = "headers"
    ) -> tuple[Headers, Headers]:
        """All returned headers, and those that differ from what was shown."""
        if not isinstance(value, dict):
            rules.refuse(f"The Lambda function returned {where} that are not an object.")
        lines: list[tuple[str, str]] = []
        changed: list[tuple[str, str]] = []
        for name, entries in value.items():
            before = shown.get(name)
            if before is not None and entries == before:
                lines.extend(_lines(name, before))
                continue
            lowered = name.lower()
            if lowered != name:
                self._not_lower_case(name)
            if not isinstance(entries, list):
                _refuse_entry(name)
            new = [self._line(lowered, entry) for entry in entries]
            lines.extend(new)
            changed.extend(new)
        return Headers(lines), Headers(changed)

    def _not_lower_case(self, name: str) -> None:
        message = f"The Lambda function returned a header key that is not lower case: {name}."
        if self._switches.header_name_case is Handling.REFUSE:
            rules.refuse(message)
        self._warnings.append(message)

    def _line(self, lowered: str, entry: object) -> tuple[str, str]:
        if not isinstance(entry, dict) or not isinstance(entry.get("value"), str):
            _refuse_entry(lowered)
        key, value = entry.get("key"), entry["value"]
        if key is None:
            key = title_case(lowered)
        elif not isinstance(key, str) or key.lower() != lowered:
            self._warnings.append(f"A header's key {key!r} is not a spelling of {lowered!r}.")
            key = title_case(lowered)
        rules.check_header_name(key)
        rules.check_header_value(key, value)
        return key, _wire(value)

    def _request_body(
        self, returned: Mapping[str, Any], before: Body, headers: Headers
    ) -> tuple[Body, Headers]:
        if "body" not in returned:
            return before, headers
        body = returned["body"]
        if not isinstance(body, dict):
            rules.refuse("The Lambda function returned a body that is no object.", rules.BAD_BODY)
        action = body.get("action", "read-only")
        if action == "read-only":
            # Whatever else changed is ignored, and the whole original goes on (DG-event).
            return before, headers
        if action != "replace":
            rules.refuse(
                f"The Lambda function returned body.action {str(action)[:40]!r}; "
                "'read-only' or 'replace' is expected.",
                rules.BAD_BODY,
            )
        data, encoding = body.get("data", ""), body.get("encoding", "base64")
        if not isinstance(data, str) or not isinstance(encoding, str):
            rules.refuse(
                "The Lambda function returned body.data that is no string.", rules.BAD_BODY
            )
        new = rules.check_replaced_body(data, encoding, self._event.event_type)
        # Content-Length is CloudFront's to set; functions may not (DG-all).
        framed = headers.without("transfer-encoding").with_set("Content-Length", str(len(new)))
        return new, framed

    def _origin(self, returned: Mapping[str, Any], headers: Headers) -> LambdaOrigin | None:
        if "origin" not in returned:
            return None
        if self._event.event_type is EventType.VIEWER_REQUEST:
            message = "The Lambda function returned an origin at viewer-request; it has no effect."
            if self._switches.origin_in_viewer_request is Handling.REFUSE:
                rules.refuse(message)
            self._warnings.append(message)
            return None
        value = returned["origin"]
        if value == self._cf["request"].get("origin"):
            return None
        origin = self._parse_origin(value)
        rules.check_origin(origin, headers)
        self._warn_of_access_identity(origin)
        return origin

    def _parse_origin(self, value: object) -> LambdaOrigin:
        kinds = [kind for kind in ("custom", "s3") if isinstance(value, dict) and kind in value]
        if len(kinds) != 1:
            rules.refuse(
                "The Lambda function returned an invalid origin: exactly one of 'custom' and 's3' "
                "is expected."
            )
        shape = cast("dict[str, Any]", value)[kinds[0]]
        if not isinstance(shape, dict):
            rules.refuse(f"The Lambda function returned an origin.{kinds[0]} that is no object.")
        custom_headers, _ = self._headers(
            shape.get("customHeaders", {}), {}, where="origin.customHeaders"
        )
        if kinds == ["s3"]:
            return LambdaS3Origin(
                domain_name=_a_string(shape, "domainName"),
                path=_a_string(shape, "path", default=""),
                auth_method=_a_string(shape, "authMethod", default="none"),
                region=_a_string(shape, "region", default=""),
                read_timeout_s=_a_number(shape, "readTimeout", default=None),
                response_completion_timeout_s=_completion_timeout(shape),
                custom_headers=custom_headers,
            )
        protocols = shape.get("sslProtocols", ["TLSv1.2"])
        if not isinstance(protocols, list) or not all(isinstance(one, str) for one in protocols):
            rules.refuse("The Lambda function returned origin.custom.sslProtocols as no strings.")
        protocol = _a_string(shape, "protocol", default="https")
        return LambdaCustomOrigin(
            domain_name=_a_string(shape, "domainName"),
            path=_a_string(shape, "path", default=""),
            port=_a_number(shape, "port", default=80 if protocol == "http" else 443) or 0,
            protocol=protocol,
            keepalive_timeout_s=_a_number(shape, "keepaliveTimeout", default=5) or 0,
            read_timeout_s=_a_number(shape, "readTimeout", default=30) or 0,
            response_completion_timeout_s=_completion_timeout(shape),
            ssl_protocols=tuple(protocols),
            custom_headers=custom_headers,
        )

    def _warn_of_access_identity(self, origin: LambdaOrigin) -> None:
        """AWS's rule and AWS's own example disagree here (facts section 2), so only warn."""
        was_custom = "custom" in self._cf["request"].get("origin", {})
        if isinstance(origin, LambdaS3Origin) and origin.auth_method != "none" and was_custom:
            self._warnings.append(
                "An origin access identity cannot be used when a function changes a custom origin "
                "into an S3 origin (Lambda@Edge event structure)."
            )

    # --- Responses -------------------------------------------------------------------------------
    def generated_response(self, returned: Mapping[str, Any]) -> LambdaResult:
        """A response that a request event's function made by itself (DG-resp)."""
        event_type = self._event.event_type
        status = rules.check_status(returned.get("status"))
        reason = _a_string(returned, "statusDescription", default="")
        rules.check_status_description(reason)
        headers, _ = self._headers(returned.get("headers", {}), {})
        rules.check_disallowed(name for name, _ in headers)
        rules.check_generated_headers(headers)
        body, measured = self._response_body(returned, b"")
        assert isinstance(body, bytes)
        rules.check_no_body_allowed(status, body, event_type)
        rules.check_response_size(headers, measured, event_type)
        if "content-length" in headers:
            self._warnings.append(
                "The Lambda function set Content-Length in a generated response; CloudFront's own "
                "is sent."
            )
            headers = headers.without("content-length")
        return LambdaResult(
            Response(status, _wire(reason), headers, body), warnings=tuple(self._warnings)
        )

    def updated_response(self, returned: Mapping[str, Any], shown: ResponseShape) -> LambdaResult:
        """A response that a response event's function changed (DG-resp, DG-le)."""
        before = self._event.response
        assert before is not None
        if returned == shown:
            return LambdaResult(before)
        if "status" not in returned:
            rules.refuse(
                "The Lambda function returned a response without status; return cf.response."
            )
        status = rules.check_status(returned.get("status"))
        reason = _a_string(returned, "statusDescription", default="")
        rules.check_status_description(reason)
        headers = self._checked_headers(returned, before.headers, shown["headers"])
        if self._event.event_type is EventType.VIEWER_RESPONSE:
            self._viewer_response_keeps(returned, status != before.status)
            return LambdaResult(replace(before, headers=headers), warnings=tuple(self._warnings))
        body, measured = self._response_body(returned, before.body)
        if body is not before.body:
            rules.check_response_size(headers, measured, self._event.event_type)
            assert isinstance(body, bytes)
            headers = headers.with_set("Content-Length", str(len(body)))
        unchanged = status == before.status and reason == shown["statusDescription"]
        return LambdaResult(
            Response(status, before.reason if unchanged else _wire(reason), headers, body),
            warnings=tuple(self._warnings),
        )

    def _viewer_response_keeps(self, returned: Mapping[str, Any], status_changed: bool) -> None:
        """A viewer-response function cannot change the status (DG-le), nor the body (switch)."""
        for changed, what, handling in (
            (status_changed, "status", self._switches.viewer_response_status),
            ("body" in returned, "body", self._switches.viewer_response_body),
        ):
            if not changed:
                continue
            message = f"A viewer-response function cannot change the {what}; it was left as it is."
            if handling is Handling.REFUSE:
                rules.refuse(message)
            self._warnings.append(message)

    def _response_body(self, returned: Mapping[str, Any], before: Body) -> tuple[Body, int]:
        """The body, and the bytes it counts for; no `body` keeps the one before."""
        if "body" not in returned:
            return before, 0
        text, encoding = returned["body"], returned.get("bodyEncoding", "text")
        if not isinstance(text, str) or not isinstance(encoding, str):
            rules.refuse("The Lambda function returned a body that is no string.", rules.BAD_BODY)
        body = rules.decode_body(text, encoding, what="body")
        limit = rules.generated_response_limit(self._event.event_type)
        if len(text) > limit >= len(body):
            self._warnings.append(
                f"The body is within {limit} bytes only after base64 is decoded; AWS does not say "
                "which of the two is measured."
            )
        return body, len(text) if self._switches.measure_encoded_body else len(body)


def _refuse_entry(name: str) -> NoReturn:
    rules.refuse(
        "The Lambda function returned an invalid entry in the headers object, the value of each "
        f"header value must be of string or array of string type, header :{name} has one or more "
        "entries whose value is neither string nor array of strings."
    )


def _a_string(
    shape: Mapping[str, Any],
    field: str,
    *,
    default: str | None = None,
    sentence: str = rules.FAILED,
) -> str:
    value = shape.get(field, default)
    if not isinstance(value, str):
        said = "nothing" if value is None else type(value).__name__
        rules.refuse(
            f"The Lambda function returned no valid {field}: a string is expected, got {said}.",
            sentence,
        )
    return value


def _a_number(shape: Mapping[str, Any], field: str, *, default: int | None) -> int | None:
    value = shape.get(field, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        rules.refuse(
            f"The Lambda function returned an invalid origin: {field} is {str(value)[:40]!r}; "
            "a number is expected."
        )
    return value


def _completion_timeout(shape: Mapping[str, Any]) -> int | None:
    """0, or deleting the key, takes the limit away (DG-event)."""
    return _a_number(shape, "responseCompletionTimeout", default=None) or None


def _pairs(shape: HeadersShape) -> list[tuple[str, str]]:
    return [line for name, entries in shape.items() for line in _lines(name, entries)]


def _lines(name: str, entries: list[HeaderShape]) -> list[tuple[str, str]]:
    return [(entry.get("key", name), _wire(entry["value"])) for entry in entries]


def _wire(text: str) -> str:
    """What a function returned, as bytes in ISO-8859-1 text: it becomes UTF-8 (DG-all)."""
    return text if text.isascii() else text.encode().decode("latin-1")
