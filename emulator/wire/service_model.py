"""AWS's own service models: which operation a request means, its input read, its output written.

botocore ships a model of every service (`service-2.json`): routes, shapes, required members, enums.
Reading requests and writing answers by that model spells a service as AWS spells it, and nothing
has to be typed twice. This is the one file that knows botocore; importing it costs 0.3 s and the
CloudFront model another 0.1 s, so it is imported on the first call of a service that needs it.

Protocols: Smithy, "AWS restXml protocol" and "AWS restJson1 protocol", https://smithy.io/2.0/aws/
protocols/aws-restxml-protocol.html, read 2026-11-20.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

import orjson
from botocore.loaders import Loader
from botocore.model import ServiceModel

from emulator.errors import ApiError
from emulator.wire.dates import iso_date
from emulator.wire.service_model_words import ErrorWords
from emulator.wire.xml import parse_xml

_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
_NUMBERS: Final = {"integer": int, "long": int, "float": float, "double": float}


@dataclass(frozen=True, slots=True)
class Matched:
    """The operation that a request means.

    Args:
        operation: Its name, such as `CreateDistribution`.
        labels: The labels of its path, percent-decoded.
    """

    operation: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: re.Pattern[str]
    labels: tuple[str, ...]
    query: Mapping[str, str]
    operation: str


class ServiceApi:
    """One service's model at work. Make it with `load`, off the event loop: it takes a while."""

    def __init__(self, model: ServiceModel, words: ErrorWords) -> None:
        self._model, self._words = model, words
        self._is_xml = model.metadata["protocol"] == "rest-xml"
        self._names = frozenset(model.operation_names)
        routes = [_route(model.operation_model(name)) for name in model.operation_names]
        # More literals in the query say more: `?WithTags` goes before none; greedy labels go last.
        self._routes = sorted(
            routes, key=lambda route: (-len(route.query), ".+" in route.path.pattern)
        )

    @classmethod
    def load(cls, service: str, words: ErrorWords) -> ServiceApi:
        """Read a service's model from disk.

        Args:
            service: botocore's name of it, such as `cloudfront`.
            words: Its errors for bad input.
        """
        return cls(ServiceModel(Loader().load_service_model(service, "service-2"), service), words)

    def match(self, method: str, path: str, query: str) -> Matched | None:
        """The operation of a request; None when the model has none.

        Args:
            method: The HTTP method.
            path: Still percent-encoded.
            query: The raw query string.
        """
        given = dict(parse_qsl(query, keep_blank_values=True))
        for route in self._routes:
            if route.method != method or not route.query.items() <= given.items():
                continue
            found = route.path.fullmatch(path)
            if found is not None:
                labels = (unquote(text) for text in found.groups())
                return Matched(route.operation, dict(zip(route.labels, labels, strict=True)))
        return None

    def named(self, operation: str) -> Matched | None:
        """The operation of this name, for protocols that name it (`X-Amz-Target`)."""
        return Matched(operation, {}) if operation in self._names else None

    def operation_names(self) -> Sequence[str]:
        """Every operation of the service."""
        names: list[str] = self._model.operation_names
        return names

    def read_input(
        self, matched: Matched, query: str, headers: Mapping[str, str], body: bytes
    ) -> dict[str, Any]:
        """The operation's input, spelled as the model spells it.

        Args:
            matched: The operation and its labels.
            query: The raw query string.
            headers: Names in lower case.
            body: The whole body.

        Raises:
            ApiError: 400; the body is malformed, or a value cannot be.
        """
        operation = self._model.operation_model(matched.operation)
        shape = operation.input_shape
        if shape is None:
            return {}
        given = dict(parse_qsl(query, keep_blank_values=True))
        found: dict[str, Any] = {}
        for name, member in shape.members.items():
            wire_name = member.serialization.get("name", name)
            match member.serialization.get("location"):
                case "uri":
                    raw = matched.labels.get(wire_name)
                case "querystring":
                    raw = given.get(wire_name)
                case "header":
                    raw = headers.get(wire_name.lower())
                case _:
                    continue
            if raw is not None and raw != "":
                found[name] = self._scalar(member, raw, name)
        found |= self._read_body(operation, shape, body)
        # If-Match has an error of its own, and which one depends on the operation.
        self._require(shape, found, "", skip={"IfMatch"})
        return found

    def write_output(self, operation: str, result: Mapping[str, Any]) -> Written:
        """An operation's answer.

        Args:
            operation: Its name.
            result: Its output, spelled as the model spells it.
        """
        model = self._model.operation_model(operation)
        status = int(model.http.get("responseCode", 200))
        shape = model.output_shape
        if shape is None:
            return Written(status, {}, b"", "")
        headers = {
            member.serialization.get("name", name): str(result[name])
            for name, member in shape.members.items()
            if member.serialization.get("location") == "header" and result.get(name) is not None
        }
        payload = shape.serialization.get("payload")
        if payload is not None:
            member, value = shape.members[payload], result.get(payload)
            if member.type_name == "blob":
                content_type = str(result.get("ContentType") or "application/octet-stream")
                headers.pop("Content-Type", None)
                return Written(status, headers, bytes(value or b""), content_type)
            return self._written(status, headers, member, value or {})
        if not any("location" not in member.serialization for member in shape.members.values()):
            return Written(status, headers, b"", "")
        return self._written(status, headers, shape, result)

    # --- reading ----------------------------------------------------------------------------

    def _read_body(self, operation: Any, shape: Any, body: bytes) -> dict[str, Any]:
        payload = shape.serialization.get("payload")
        if payload is not None:
            member = shape.members[payload]
            if member.type_name == "blob":
                return {payload: body}
            if not body:
                return {}
            return {payload: self._read_document(member, member.serialization, body, payload)}
        bodily = any("location" not in member.serialization for member in shape.members.values())
        if not bodily or not body:
            return {}
        read: dict[str, Any] = self._read_document(shape, shape.serialization, body, shape.name)
        return read

    def _read_document(
        self, shape: Any, serialization: Mapping[str, Any], body: bytes, name: str
    ) -> Any:
        if self._is_xml:
            root = parse_xml(body, serialization.get("name", name))
            return self._from_xml(shape, root, "")
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise self._malformed(f"The body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise self._malformed("The body must be a JSON object")
        return self._from_json(shape, value, "")

    def _from_xml(self, shape: Any, element: ElementTree.Element, where: str) -> Any:
        if shape.type_name == "structure":
            return self._structure_from_xml(shape, element, where)
        if shape.type_name == "list":
            name = shape.member.serialization.get("name", "member")
            for child in element:
                if child.tag != name:
                    raise self._malformed(f"{where or shape.name}: {child.tag} is not {name}")
            return [
                self._from_xml(shape.member, child, f"{where}[{number}]")
                for number, child in enumerate(element)
            ]
        return self._scalar(shape, element.text or "", where)

    def _structure_from_xml(
        self, shape: Any, element: ElementTree.Element, where: str
    ) -> dict[str, Any]:
        members = {
            member.serialization.get("name", name): (name, member)
            for name, member in shape.members.items()
            if "location" not in member.serialization
        }
        found: dict[str, Any] = {}
        for child in element:
            if child.tag not in members:
                raise self._malformed(f"{where or shape.name} has no member {child.tag}")
            name, member = members[child.tag]
            if name in found:
                raise self._malformed(f"{where or shape.name} has {child.tag} twice")
            found[name] = self._from_xml(member, child, f"{where}.{name}" if where else name)
        if where:
            self._require(shape, found, where)
        return found

    def _from_json(self, shape: Any, value: Any, where: str) -> Any:
        match shape.type_name:
            case "structure":
                if not isinstance(value, dict):
                    raise self._invalid(f"{where or shape.name} must be an object")
                found = {
                    name: self._from_json(
                        member,
                        value[member.serialization.get("name", name)],
                        f"{where}.{name}" if where else name,
                    )
                    for name, member in shape.members.items()
                    if "location" not in member.serialization
                    and value.get(member.serialization.get("name", name)) is not None
                }
                if where:
                    self._require(shape, found, where)
                return found
            case "list":
                if not isinstance(value, list):
                    raise self._invalid(f"{where} must be a list")
                return [
                    self._from_json(shape.member, item, f"{where}[{number}]")
                    for number, item in enumerate(value)
                ]
            case "map":
                if not isinstance(value, dict):
                    raise self._invalid(f"{where} must be an object")
                return {
                    key: self._from_json(shape.value, item, f"{where}.{key}")
                    for key, item in value.items()
                }
        if isinstance(value, bool):
            value = str(value).lower()
        if not isinstance(value, str | int | float):
            raise self._invalid(f"{where} must be a {shape.type_name}")
        return self._scalar(shape, str(value), where)

    def _scalar(self, shape: Any, text: str, where: str) -> Any:
        kind = shape.type_name
        if kind in _NUMBERS:
            try:
                return _NUMBERS[kind](text.strip())
            except ValueError:
                raise self._invalid(f"{where} must be a number, not {text[:80]!r}") from None
        if kind == "boolean":
            if text.strip() not in ("true", "false"):
                raise self._invalid(f"{where} must be true or false, not {text[:80]!r}")
            return text.strip() == "true"
        if kind == "blob":
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise self._invalid(f"{where} must be base64") from None
        choices = getattr(shape, "enum", None)
        if choices and text not in choices:
            raise self._invalid(f"{where} must be one of {', '.join(choices)}, not {text[:80]!r}")
        return text

    def _require(
        self,
        shape: Any,
        found: Mapping[str, Any],
        where: str,
        skip: frozenset[str] | set[str] = frozenset(),
    ) -> None:
        for name in shape.required_members:
            if name not in found and name not in skip:
                raise self._invalid(
                    f"{where}.{name} is required" if where else f"{name} is required"
                )

    def _malformed(self, message: str) -> ApiError:
        return ApiError(400, self._words.malformed, message)

    def _invalid(self, message: str) -> ApiError:
        return ApiError(400, self._words.invalid, message)

    # --- writing ----------------------------------------------------------------------------

    def _written(
        self, status: int, headers: Mapping[str, str], shape: Any, value: Mapping[str, Any]
    ) -> Written:
        if not self._is_xml:
            body = orjson.dumps(_to_json(shape, value))
            return Written(status, headers, body, "application/json")
        root = ElementTree.Element(
            shape.serialization.get("name", shape.name),
            {"xmlns": _namespace(self._model)},
        )
        _to_xml(root, shape, value)
        document: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
        return Written(status, headers, document, "text/xml")


def _route(operation: Any) -> _Route:
    path, _, query = operation.http["requestUri"].partition("?")
    labels = tuple(match[1] for match in _LABEL.finditer(path))
    pattern = ""
    end = 0
    for match in _LABEL.finditer(path):
        pattern += re.escape(path[end : match.start()]) + ("(.+)" if match[2] else "([^/]+)")
        end = match.end()
    pattern += re.escape(path[end:])
    return _Route(
        operation.http["method"],
        re.compile(pattern + "/?" if not pattern.endswith("/") else pattern + "?"),
        labels,
        dict(parse_qsl(query, keep_blank_values=True)),
        operation.name,
    )


def _namespace(model: ServiceModel) -> str:
    # All of CloudFront's inputs name it; botocore keeps none at the top of the model.
    return f"http://{model.endpoint_prefix}.amazonaws.com/doc/{model.api_version}/"


def _to_xml(element: ElementTree.Element, shape: Any, value: Any) -> None:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if "location" in member.serialization or value.get(name) is None:
                continue
            child = ElementTree.SubElement(element, member.serialization.get("name", name))
            _to_xml(child, member, value[name])
    elif shape.type_name == "list":
        name = shape.member.serialization.get("name", "member")
        for item in value:
            _to_xml(ElementTree.SubElement(element, name), shape.member, item)
    else:
        element.text = _text(shape, value)


def _text(shape: Any, value: Any) -> str:
    if shape.type_name == "boolean":
        return "true" if value else "false"
    if shape.type_name == "timestamp":
        return iso_date(value)
    if shape.type_name == "blob":
        return base64.b64encode(value).decode()
    return str(value)


def _to_json(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure":
            return {
                member.serialization.get("name", name): _to_json(member, value[name])
                for name, member in shape.members.items()
                if "location" not in member.serialization and value.get(name) is not None
            }
        case "list":
            return [_to_json(shape.member, item) for item in value]
        case "map":
            return {key: _to_json(shape.value, item) for key, item in value.items()}
        case "blob":
            return base64.b64encode(value).decode()
        case "timestamp":
            return value / 1_000
    return value
