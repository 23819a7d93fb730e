"""Service integrations: what a Task does.

AWS: "Integrating services with Step Functions" and the page of each optimized integration (Step
Functions guide), read 2026-11-21. The names of errors follow those pages: `Lambda.` and
`DynamoDB.` and the service's own name; UNVERIFIED for Bedrock (`Bedrock.` and the API's name).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from emulator.errors import ApiError, NotEmulated
from emulator.rules.asl_definition import Integration
from emulator.rules.asl_errors import RUNTIME, TASK_FAILED, StateFailure
from emulator.wire.sdk_integration import (
    UnknownIntegrationError,
    compact,
    pascal_case,
    plain,
    sdk_operation,
)

CallService: TypeAlias = Callable[[str, str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Another service: (service, operation, input) to output, spelled as its API spells them."""
Finished: TypeAlias = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Waits for an execution's end and gives what DescribeExecution says of it."""

_JAVA_NAMES: Final = {"lambda": "AWSLambda", "dynamodb": "AmazonDynamoDBv2", "sqs": "AmazonSQS"}
_ERROR_PREFIXES: Final = {"lambda": "Lambda", "dynamodb": "DynamoDB", "bedrock": "Bedrock"}


async def run_task(
    integration: Integration,
    parameters: Any,
    context: Mapping[str, Any],
    call: CallService,
    finished: Finished,
) -> Any:
    """Do what a Task asks; gives its result.

    Args:
        integration: What its Resource means.
        parameters: Parameters or Arguments, filled in; not changed.
        context: The context object.
        call: The other services.
        finished: For `.sync`.

    Raises:
        StateFailure: The service refused, or the function failed.
    """
    try:
        return await _run_task(integration, parameters, context, call, finished)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Parameters come from whatever the input was; a service that is called in process has not
        # looked at their shapes.
        named = f"{integration.service}:{integration.action}"
        raise StateFailure(
            RUNTIME, f"The parameters of {named} are not valid: {type(error).__name__}: {error}"
        ) from error


async def _run_task(
    integration: Integration,
    parameters: Any,
    context: Mapping[str, Any],
    call: CallService,
    finished: Finished,
) -> Any:
    if integration.function_arn:
        invoked = await _invoke(
            {"FunctionName": integration.function_arn, "Payload": parameters}, call
        )
        return invoked["Payload"]
    if not isinstance(parameters, Mapping):
        raise StateFailure(RUNTIME, "The parameters of a service integration must be an object")
    match integration.service:
        case "lambda":
            return await _invoke(parameters, call)
        case "sqs":
            return await _send_message(parameters, call)
        case "events":
            return await _put_events(parameters, context, call)
        case "states":
            return await _start_execution(integration, parameters, call, finished)
        case "bedrock":
            return await _invoke_model(parameters, call)
        case "dynamodb" | "sns":
            operation = integration.action[0].upper() + integration.action[1:]
            given = dict(parameters)
            if integration.service == "sns" and not isinstance(given.get("Message"), str):
                given["Message"] = compact(given.get("Message"))
            return plain(await _called(integration.service, operation, given, call))
        case _:
            return await _sdk(integration, parameters, call)


async def _called(
    service: str, operation: str, given: Mapping[str, Any], call: CallService
) -> dict[str, Any]:
    try:
        return await call(service, operation, given)
    except ApiError as error:
        prefix = _ERROR_PREFIXES.get(service)
        if prefix is not None:
            name = f"{prefix}.{error.code}"
        elif service == "states":
            name = f"StepFunctions.{error.code}Exception"
        else:
            name = {"sqs": "SQS.AmazonSQSException", "sns": "SNS.AmazonSNSException"}.get(
                service, f"{pascal_case(service)}.{error.code}"
            )
        raise StateFailure(name, _java_cause(service, error), is_of_task=True) from None
    except NotEmulated as error:
        raise StateFailure(RUNTIME, str(error)) from None


def _java_cause(service: str, error: ApiError) -> str:
    """The SDK for Java's sentence, which Step Functions hands on."""
    name = _JAVA_NAMES.get(service, "AWSStepFunctions" if service == "states" else service)
    return (
        f"{error.message} (Service: {name}; Status Code: {error.status}; "
        f"Error Code: {error.code}; Request ID: {uuid.uuid4()}; Proxy: null)"
    )


# --- optimized integrations ----------------------------------------------------------------------


async def _invoke(parameters: Mapping[str, Any], call: CallService) -> dict[str, Any]:
    given = {**parameters, "Payload": _payload(parameters.get("Payload"))}
    output = await _called("lambda", "Invoke", given, call)
    payload = _parsed(bytes(output.get("Payload") or b""))
    if output.get("FunctionError"):
        named = payload.get("errorType") if isinstance(payload, dict) else None
        # "Lambda.Unknown": a failure of which nothing is known.
        error = named if isinstance(named, str) and named else "Lambda.Unknown"
        raise StateFailure(error, compact(payload), is_of_task=True)
    members = ("ExecutedVersion", "LogResult")
    made = {name: output[name] for name in members if name in output}
    return {**made, "Payload": payload, "StatusCode": output.get("StatusCode", 200)}


def _payload(value: Any) -> bytes:
    """A text that is JSON goes out as it stands, any other value as its JSON."""
    if value is None:
        return b"{}"
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return compact(value).encode()
        return value.encode()
    return compact(value).encode()


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload) if payload else None
    except ValueError:
        return payload.decode(errors="replace")


async def _send_message(parameters: Mapping[str, Any], call: CallService) -> Any:
    given = dict(parameters)
    if not isinstance(given.get("MessageBody"), str):
        given["MessageBody"] = compact(given.get("MessageBody"))
    return plain(await _called("sqs", "SendMessage", given, call))


async def _put_events(
    parameters: Mapping[str, Any], context: Mapping[str, Any], call: CallService
) -> Any:
    """A Detail that is an object becomes its JSON; the execution joins the Resources."""
    ids = [context["StateMachine"]["Id"], context["Execution"]["Id"]]
    entries = []
    for entry in parameters.get("Entries") or ():
        detail = entry.get("Detail")
        written = detail if detail is None or isinstance(detail, str) else compact(detail)
        made = {**entry, "Resources": [*(entry.get("Resources") or ()), *ids]}
        entries.append(made if written is None else {**made, "Detail": written})
    output = plain(await _called("events", "PutEvents", {**parameters, "Entries": entries}, call))
    if output.get("FailedEntryCount"):
        raise StateFailure("EventBridge.FailedEntry", compact(output), is_of_task=True)
    return output


async def _invoke_model(parameters: Mapping[str, Any], call: CallService) -> Any:
    body = parameters.get("Body")
    try:
        output = await call(
            "bedrock-runtime",
            "InvokeModel",
            {
                "modelId": parameters.get("ModelId", ""),
                "body": body.encode() if isinstance(body, str) else compact(body).encode(),
                "contentType": parameters.get("ContentType", "application/json"),
                "accept": parameters.get("Accept", "application/json"),
            },
        )
    except ApiError as error:
        cause = _java_cause("BedrockRuntime", error)
        raise StateFailure(f"Bedrock.{error.code}", cause, is_of_task=True) from None
    return {
        "Body": _parsed(bytes(output["body"])),
        "ContentType": output.get("contentType", "application/json"),
    }


async def _start_execution(
    integration: Integration, parameters: Mapping[str, Any], call: CallService, finished: Finished
) -> Any:
    value = parameters.get("Input")
    given = {
        "stateMachineArn": parameters.get("StateMachineArn", ""),
        "input": value if isinstance(value, str) else compact({} if value is None else value),
    }
    if "Name" in parameters:
        given["name"] = parameters["Name"]
    started = await _called("states", "StartExecution", given, call)
    if integration.pattern not in (".sync", ".sync:2"):
        return sdk_operation("sfn", "startExecution").response(started)
    ended = await finished(started["executionArn"])
    described: dict[str, Any] = sdk_operation("sfn", "describeExecution").response(ended)
    if integration.pattern == ".sync:2":
        for name in ("Input", "Output"):
            if isinstance(described.get(name), str):
                described[name] = _parsed(described[name].encode())
    if described["Status"] != "SUCCEEDED":
        raise StateFailure(TASK_FAILED, compact(described), is_of_task=True)
    return described


# --- every other operation -----------------------------------------------------------------------


async def _sdk(integration: Integration, parameters: Mapping[str, Any], call: CallService) -> Any:
    named = integration.service.removeprefix("aws-sdk:")
    try:
        operation = sdk_operation(named, integration.action)
    except UnknownIntegrationError as error:
        raise StateFailure(RUNTIME, str(error)) from None
    try:
        output = await call(operation.service, operation.name, operation.request(parameters))
    except ApiError as error:
        cause = (
            f"{error.message} (Service: {operation.error_prefix}, Status Code: {error.status}, "
            f"Request ID: {uuid.uuid4()})"
        )
        name = operation.error_name(error.code)
        raise StateFailure(name, cause, is_of_task=True) from None
    except NotEmulated as error:
        raise StateFailure(RUNTIME, str(error)) from None
    return operation.response(output)
