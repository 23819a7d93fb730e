"""How each kind of target is called.

AWS: "Event bus targets in Amazon EventBridge",
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html, and "API destinations as
targets", eb-api-destinations, read 2026-11-21.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import orjson

from emulator import quotas
from emulator.aws.events.delivery import Delivery, DeliveryError
from emulator.aws.events.registry import EventRegistry
from emulator.aws.in_process import InProcess
from emulator.errors import ApiError, NotEmulated
from emulator.rules.event_target import is_callable, target_kind
from emulator.values.account import Kind

_UNIVERSAL_SERVICES: Final = {"sfn": "states", "eventbridge": "events"}
_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# eb-api-destinations: "EventBridge retries 401, 407, 409, 429, and 5xx error codes".
_RETRIED_STATUSES: Final = frozenset({401, 407, 409, 429})
_HOPS_MAX: Final = 10

PutOn = Callable[[str, Delivery], Awaitable[None]]
"""Puts a delivery's event on another bus, by its ARN."""


def require_target(arn: str, where: str) -> None:
    """Refuse targets that nothing here can call, when they are put and not when they are due.

    Raises:
        ApiError: 400; it is no ARN.
        NotEmulated: AWS has such a target, localpop has not.
    """
    kind = target_kind(arn)
    if not kind:
        raise ApiError(
            400,
            "ValidationException",
            f"Parameter {arn[:200]} is not valid. Reason: Provided Arn is not in correct format.",
        )
    if not is_callable(kind):
        raise NotEmulated(f"The target {kind} of Amazon EventBridge", where=where)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Targets:
    """Brings deliveries to their targets.

    Args:
        in_process: The endpoint's services.
        registry: Connections and API destinations.
        put_on: Puts an event on another bus.
        allowed_hosts: Hosts beside this machine that API destinations may call.
    """

    def __init__(
        self,
        in_process: InProcess,
        registry: EventRegistry,
        put_on: PutOn,
        allowed_hosts: frozenset[str] = frozenset(),
    ) -> None:
        self._call, self._registry, self._put_on = in_process.call, registry, put_on
        self._allowed = allowed_hosts
        self._tokens: dict[str, str] = {}

    async def send(self, delivery: Delivery) -> None:
        """Bring one event to its target.

        Raises:
            DeliveryError: The target did not take it.
            ApiError: The service refused it.
        """
        arn: str = delivery.target["Arn"]
        service = arn.split(":", 3)[2]
        resource = arn.split(":", 5)[5]
        match service:
            case "lambda":
                await self._invoke(arn, delivery.text)
            case "states":
                await self._start(arn, delivery)
            case "sqs":
                await self._send_message(arn, delivery)
            case "events" if resource.startswith("event-bus/"):
                if delivery.hops >= _HOPS_MAX:
                    raise DeliveryError(
                        "INVALID_PARAMETER", f"It came through {_HOPS_MAX} buses.", retry=False
                    )
                await self._put_on(arn, delivery)
            case "events":
                await self._request(arn, delivery)
            case "scheduler":
                await self._universal(resource, delivery.text)
            case "logs":
                await self._log(resource.removeprefix("log-group:").removesuffix(":*"), delivery)
            case _:
                raise NotEmulated(f"The target {arn} of Amazon EventBridge")

    async def bury(self, queue: str, body: str, attributes: Mapping[str, str]) -> None:
        """Send a dead letter to a queue.

        Raises:
            ApiError: The queue refuses.
        """
        params: dict[str, Any] = {
            "QueueUrl": queue,
            "MessageBody": body,
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": text}
                for name, text in attributes.items()
            },
        }
        if queue.endswith(".fifo"):
            # AWS takes no FIFO queue here; a project that names one shall still lose nothing.
            params["MessageGroupId"] = "dead-letters"
            params["MessageDeduplicationId"] = hashlib.sha256(
                orjson.dumps([body, sorted(attributes.items())])
            ).hexdigest()
        await self._call("sqs", "SendMessage", params)

    # --- services ---------------------------------------------------------------------------

    async def _invoke(self, arn: str, text: str) -> None:
        _require_json(text)
        params = {"FunctionName": arn, "InvocationType": "Event", "Payload": text.encode()}
        await self._call("lambda", "Invoke", params)

    async def _start(self, arn: str, delivery: Delivery) -> None:
        _require_json(delivery.text)
        params = {"stateMachineArn": arn, "input": delivery.text, "name": delivery.id}
        try:
            await self._call("states", "StartExecution", params)
        except ApiError as error:
            # An earlier attempt whose answer was lost has started it.
            if error.code != "ExecutionAlreadyExists":
                raise

    async def _send_message(self, arn: str, delivery: Delivery) -> None:
        params = {"QueueUrl": arn, "MessageBody": delivery.text}
        group_id = (delivery.target.get("SqsParameters") or {}).get("MessageGroupId")
        if group_id:
            params["MessageGroupId"] = group_id
        await self._call("sqs", "SendMessage", params)

    async def _universal(self, resource: str, text: str) -> None:
        """A universal target of EventBridge Scheduler: any operation, by its name."""
        _require_json(text)
        _, service, operation = (*resource.split(":"), "", "")[:3]
        name = _UNIVERSAL_SERVICES.get(service.lower(), service.lower())
        params = orjson.loads(text)
        if name == "lambda" and isinstance(params.get("Payload"), str):
            params["Payload"] = params["Payload"].encode()
        await self._call(name, operation[:1].upper() + operation[1:], params)

    async def _log(self, group: str, delivery: Delivery) -> None:
        params = {"logGroupName": group, "logStreamName": delivery.id}
        await self._call("logs", "CreateLogStream", params)
        events = [{"timestamp": int(delivery.began_ms), "message": delivery.text}]
        await self._call("logs", "PutLogEvents", {**params, "logEvents": events})

    # --- API destinations -------------------------------------------------------------------

    async def _request(self, arn: str, delivery: Delivery) -> None:
        name = arn.split("/")[1]
        destination = self._registry.find(Kind.API_DESTINATION, name)
        if destination is None:
            raise DeliveryError("NO_RESOURCE", f"There is no API destination {name}.", retry=False)
        connection_name = str(destination["ConnectionArn"]).split("/")[1]
        connection = self._registry.find(Kind.EVENT_CONNECTION, connection_name)
        if connection is None:
            raise DeliveryError(
                "NO_RESOURCE", f"There is no connection {connection_name}.", retry=False
            )
        authorization = await self._authorization(connection)
        request = _request_of(destination, connection, delivery, authorization)
        status = await self._exchange(request)
        if status in (401, 407):
            self._tokens.pop(connection_name, None)
        if status >= 400:
            raise DeliveryError(
                "ERROR_FROM_TARGET",
                f"{request.method} {urlsplit(request.url).path} answered {status}.",
                retry=status in _RETRIED_STATUSES or status >= 500,
            )

    async def _exchange(self, request: _Request) -> int:
        return (await self._fetched(request))[0]

    async def _fetched(self, request: _Request) -> tuple[int, bytes]:
        host = urlsplit(request.url).hostname or ""
        if host not in _LOCAL_NAMES | self._allowed and not host.endswith(".localhost"):
            raise DeliveryError(
                "CONNECTION_FAILURE",
                f"localpop calls API destinations on this machine only, not {host}. To allow it, "
                f'add to localpop.toml: [events] allowed_hosts = ["{host}"]',
                retry=False,
            )
        return await asyncio.to_thread(_exchange, request)

    async def _authorization(self, connection: Mapping[str, Any]) -> dict[str, str]:
        parameters = connection.get("AuthParameters") or {}
        match connection["AuthorizationType"]:
            case "BASIC":
                basic = parameters["BasicAuthParameters"]
                pair = f"{basic['Username']}:{basic['Password']}".encode()
                return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
            case "API_KEY":
                key = parameters["ApiKeyAuthParameters"]
                return {key["ApiKeyName"]: key["ApiKeyValue"]}
            case _:
                token = self._tokens.get(connection["Name"])
                if token is None:
                    token = await self._new_token(connection["Name"], parameters["OAuthParameters"])
                return {"Authorization": f"Bearer {token}"}

    async def _new_token(self, name: str, oauth: Mapping[str, Any]) -> str:
        more = oauth.get("OAuthHttpParameters") or {}
        client = oauth["ClientParameters"]
        form = {
            "grant_type": "client_credentials",
            "client_id": client["ClientID"],
            "client_secret": client["ClientSecret"],
            **_pairs(more.get("BodyParameters")),
        }
        query = urlencode(_pairs(more.get("QueryStringParameters")))
        url = oauth["AuthorizationEndpoint"] + (f"?{query}" if query else "")
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            **_pairs(more.get("HeaderParameters")),
        }
        status, body = await self._fetched(
            _Request(oauth["HttpMethod"], url, headers, urlencode(form).encode())
        )
        try:
            token = str(orjson.loads(body)["access_token"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise DeliveryError(
                "CONNECTION_FAILURE", f"The authorization endpoint answered {status}.", retry=True
            ) from None
        self._tokens[name] = token
        return token


def _require_json(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        raise DeliveryError(
            "INVALID_JSON", "The target's input is not valid JSON.", retry=False
        ) from None


def _pairs(parameters: Any) -> dict[str, str]:
    """A connection's additional parameters: a list of `{Key, Value, IsValueSecret}`."""
    return {one["Key"]: str(one.get("Value", "")) for one in parameters or ()}


def _request_of(
    destination: Mapping[str, Any],
    connection: Mapping[str, Any],
    delivery: Delivery,
    authorization: Mapping[str, str],
) -> _Request:
    added = (connection.get("AuthParameters") or {}).get("InvocationHttpParameters") or {}
    own = delivery.target.get("HttpParameters") or {}
    url: str = destination["InvocationEndpoint"]
    for value in own.get("PathParameterValues") or ():
        url = url.replace("*", quote(str(value), safe=""), 1)
    query = urlencode(
        {**(own.get("QueryStringParameters") or {}), **_pairs(added.get("QueryStringParameters"))}
    )
    if query:
        url += ("&" if "?" in url else "?") + query
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Amazon/EventBridge/ApiDestinations",
        "Range": "bytes=0-1048575",
        **(own.get("HeaderParameters") or {}),
        **_pairs(added.get("HeaderParameters")),
        **authorization,
    }
    method = destination["HttpMethod"]
    body = b"" if method in ("GET", "HEAD") else _body(delivery.text, added)
    return _Request(method, url, headers, body)


def _body(text: str, added: Mapping[str, Any]) -> bytes:
    """The input, with the connection's body parameters among its members."""
    more = _pairs(added.get("BodyParameters"))
    if more:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = None
        if isinstance(value, dict):
            return orjson.dumps({**value, **more})
    return text.encode()


def _exchange(request: _Request) -> tuple[int, bytes]:
    """One request and its whole answer; in a thread."""
    parts = urlsplit(request.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=quotas.API_DESTINATION_TIMEOUT_S)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(request.method, target, request.body or None, dict(request.headers))
        response = connection.getresponse()
        return response.status, response.read(quotas.MB)
    except TimeoutError:
        raise DeliveryError("TIMEOUT", "No answer within 5 seconds.", retry=True) from None
    except (OSError, ssl.SSLError, socket.gaierror, http.client.HTTPException) as error:
        raise DeliveryError("CONNECTION_FAILURE", f"{parts.netloc}: {error}", retry=True) from None
    finally:
        connection.close()
