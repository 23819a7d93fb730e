"""What a template declares beside the edge: events, schedules, queues, tables and buckets.

Properties are turned into what the service's API takes, which differs from CloudFormation's
spelling in a few places. What cannot be resolved here, or has no emulation, is left out with a
warning: it keeps nobody from running the edge. What AWS would refuse is an error.

AWS: the resource types' pages in the CloudFormation template reference, read 2026-11-21.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from emulator.errors import ConfigError, NotEmulated
from emulator.project.declarations import ResourceDeclaration
from emulator.project.intrinsics import ACCOUNT_ID, Unresolved
from emulator.project.reading import Notes
from emulator.project.resources import Resources
from emulator.rules.event_input import InvalidInput, check_input
from emulator.rules.event_pattern import InvalidPattern, compile_pattern
from emulator.rules.event_target import is_callable, target_kind
from emulator.rules.schedule_expression import InvalidSchedule, parse_schedule

Properties = dict[str, Any]

_NAMES: Final[Mapping[str, str]] = {
    "AWS::SQS::Queue": "QueueName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::Events::Connection": "Name",
    "AWS::Events::ApiDestination": "Name",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::Scheduler::ScheduleGroup": "Name",
    "AWS::Lambda::EventSourceMapping": "",
    "AWS::S3::Bucket": "BucketName",
}
KINDS: Final = tuple(_NAMES)
_TABLE_PROPERTIES: Final = frozenset(
    {
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "ProvisionedThroughput",
        "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes",
        "StreamSpecification",
        "TimeToLiveSpecification",
    }
)
_NUMBERS: Final = frozenset(
    {
        "MaximumRetryAttempts",
        "MaximumEventAgeInSeconds",
        "InvocationRateLimitPerSecond",
        "MaximumWindowInMinutes",
        "BatchSize",
        "MaximumBatchingWindowInSeconds",
        "MaximumConcurrency",
        "ReadCapacityUnits",
        "WriteCapacityUnits",
    }
)
_TRUTHS: Final = frozenset({"Enabled", "IsValueSecret"})


# --- Ref and GetAtt -----------------------------------------------------------------------------


def background_attribute(
    resources: Resources, logical_id: str, kind: str, attribute: str
) -> str | None:
    """What a resource of these kinds answers to Ref and GetAtt; None when it has no such thing."""
    if kind not in _NAMES or kind == "AWS::S3::Bucket":
        return None
    name, region = resource_name(resources, logical_id, kind), resources.stack.region
    unique = _unique(resources, logical_id)
    match kind, attribute:
        case "AWS::SQS::Queue", "" | "QueueUrl":
            return f"https://sqs.{region}.amazonaws.com/{ACCOUNT_ID}/{name}"
        case "AWS::SQS::Queue", "QueueName":
            return name
        case "AWS::Lambda::EventSourceMapping", "" | "Id":
            return unique
        case "AWS::Lambda::EventSourceMapping", "EventSourceMappingArn":
            return f"arn:aws:lambda:{region}:{ACCOUNT_ID}:event-source-mapping:{unique}"
        case "AWS::Events::Rule", "":
            bus = _bus(resources, logical_id)
            return name if bus == "default" else f"{bus}|{name}"
        case "AWS::Events::Connection", "SecretArn":
            return (
                f"arn:aws:secretsmanager:{region}:{ACCOUNT_ID}:secret:"
                f"events!connection/{name}/{unique}"
            )
        case "AWS::DynamoDB::Table", "StreamArn":
            return f"arn:aws:dynamodb:{region}:{ACCOUNT_ID}:table/{name}/stream/2026-01-01T00:00:00"
        case _, "" | "Name":
            return name
        case _, "Arn" | "ArnForPolicy":
            return f"arn:aws:{_arn_path(resources, logical_id, kind, name)}"
        case _:
            return None


def _arn_path(resources: Resources, logical_id: str, kind: str, name: str) -> str:
    place = f"{resources.stack.region}:{ACCOUNT_ID}"
    unique = _unique(resources, logical_id)
    match kind:
        case "AWS::SQS::Queue":
            return f"sqs:{place}:{name}"
        case "AWS::DynamoDB::Table":
            return f"dynamodb:{place}:table/{name}"
        case "AWS::Logs::LogGroup":
            return f"logs:{place}:log-group:{name}:*"
        case "AWS::Events::EventBus":
            return f"events:{place}:event-bus/{name}"
        case "AWS::Events::Rule":
            bus = _bus(resources, logical_id)
            return f"events:{place}:rule/{name if bus == 'default' else f'{bus}/{name}'}"
        case "AWS::Events::Connection":
            return f"events:{place}:connection/{name}/{unique}"
        case "AWS::Events::ApiDestination":
            return f"events:{place}:api-destination/{name}/{unique}"
        case "AWS::Scheduler::ScheduleGroup":
            return f"scheduler:{place}:schedule-group/{name}"
        case _:
            group = resources.own_property(logical_id, "GroupName") or "default"
            return f"scheduler:{place}:schedule/{group}/{name}"


def resource_name(resources: Resources, logical_id: str, kind: str) -> str:
    """A resource's own name, or the one that CloudFormation makes up."""
    if kind == "AWS::S3::Bucket":
        return resources.bucket_name(logical_id)
    if kind == "AWS::Lambda::EventSourceMapping":
        return _unique(resources, logical_id)
    name = resources.name(logical_id, _NAMES[kind])
    named = resources.own_property(logical_id, _NAMES[kind])
    if kind == "AWS::SQS::Queue" and not named:
        fifo = str(resources.own_property(logical_id, "FifoQueue") or "").lower() == "true"
        return f"{name}.fifo" if fifo else name
    return name


def _bus(resources: Resources, logical_id: str) -> str:
    given = str(resources.own_property(logical_id, "EventBusName") or "default")
    return given.rpartition(":event-bus/")[2]


def _unique(resources: Resources, logical_id: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"localpop:{resources.stack.seed(logical_id)}"))


# --- reading ------------------------------------------------------------------------------------


def read_background(resources: Resources, notes: Notes) -> Iterator[ResourceDeclaration]:
    """Every resource of a stack that works behind the viewers' back.

    Args:
        resources: The stack's.
        notes: Where mistakes and what is left out are said.
    """
    for kind in KINDS:
        for logical_id in resources.of(kind):
            try:
                found = _read(resources, logical_id, kind, notes)
            except NotEmulated as error:
                notes.warn(f"{logical_id} is left out: {error}", resources.stack.label)
            except _UnresolvedError as error:
                notes.warn(f"{logical_id} is left out: {error.what}", error.where, error.mend)
            except ConfigError as error:
                notes.failure(error)
            else:
                yield found


class _UnresolvedError(ConfigError):
    """Something in it is only known at AWS."""


def _read(resources: Resources, logical_id: str, kind: str, notes: Notes) -> ResourceDeclaration:
    section = resources.properties(logical_id)
    try:
        name = resource_name(resources, logical_id, kind)
        arn = background_attribute(resources, logical_id, kind, "Arn") or ""
    except ConfigError as error:
        raise _UnresolvedError(error.what, where=error.where, mend=error.mend) from None
    properties = _plain(section.raw, section.where)
    convert = _CONVERSIONS.get(kind)
    if convert is not None:
        properties = convert(properties, section.where, notes)
    return ResourceDeclaration(kind, logical_id, name, arn, properties, section.where)


def _plain(value: Any, where: str, name: str = "") -> Any:
    """A resolved value with numbers and booleans as the API wants them."""
    if isinstance(value, Unresolved):
        error = value.error
        if isinstance(error, ConfigError):
            raise _UnresolvedError(error.what, where=error.where, mend=error.mend)
        raise error
    if isinstance(value, dict):
        return {key: _plain(item, f"{where}.{key}", str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
    if name in _NUMBERS and isinstance(value, str) and value.isdecimal():
        return int(value)
    if name in _TRUTHS and isinstance(value, str):
        return value.lower() == "true"
    return value


def _queue(properties: Properties, where: str, notes: Notes) -> Properties:
    """Attributes: texts, policies as JSON."""
    attributes: Properties = {}
    for key, value in properties.items():
        if key in ("QueueName", "Tags"):
            continue
        if isinstance(value, bool):
            attributes[key] = str(value).lower()
        elif isinstance(value, dict):
            attributes[key] = orjson.dumps(value).decode()
        else:
            attributes[key] = str(value)
    return attributes


def _table(properties: Properties, where: str, notes: Notes) -> Properties:
    for name in ("KeySchema", "AttributeDefinitions"):
        if not properties.get(name):
            raise ConfigError(f"A table needs {name}.", where=where, mend="Write it.")
    found = {key: value for key, value in properties.items() if key in _TABLE_PROPERTIES}
    if "StreamSpecification" in found:
        found["StreamSpecification"] = {
            "StreamEnabled": True,
            "StreamViewType": found["StreamSpecification"].get("StreamViewType", "NEW_IMAGE"),
        }
    if found.get("BillingMode") != "PAY_PER_REQUEST":
        found.setdefault("ProvisionedThroughput", {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5})
    indices = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
    known = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput")
    for key in indices:
        if key in found:
            found[key] = [{k: v for k, v in one.items() if k in known} for one in found[key]]
    return found


def _rule(properties: Properties, where: str, notes: Notes) -> Properties:
    found = dict(properties)
    pattern = found.get("EventPattern")
    if pattern is not None:
        found["EventPattern"] = (
            pattern if isinstance(pattern, str) else orjson.dumps(pattern).decode()
        )
        try:
            compile_pattern(found["EventPattern"])
        except InvalidPattern as error:
            raise ConfigError(
                str(error), where=f"{where}.EventPattern", mend="Mend the pattern."
            ) from None
    elif not found.get("ScheduleExpression"):
        raise ConfigError(
            "A rule needs an EventPattern or a ScheduleExpression.", where=where, mend="Write one."
        )
    if found.get("ScheduleExpression"):
        try:
            parse_schedule(found["ScheduleExpression"], once=False)
        except InvalidSchedule as error:
            raise ConfigError(
                f"The schedule {found['ScheduleExpression']!r} is invalid. {error}",
                where=f"{where}.ScheduleExpression",
                mend="Mend the expression.",
            ) from None
    found["Targets"] = [
        target
        for number, target in enumerate(found.get("Targets") or [])
        if _is_fit(target, f"{where}.Targets[{number}]", notes)
    ]
    return found


def _is_fit(target: Any, where: str, notes: Notes) -> bool:
    """Whether a target can be called; says so when it cannot."""
    if not isinstance(target, dict) or not target.get("Arn") or not target.get("Id"):
        raise ConfigError("A target needs Id and Arn.", where=where, mend="Write them.")
    kind = target_kind(str(target["Arn"]))
    if not is_callable(kind):
        shown = kind or f"{target['Arn']!r}, which is no ARN here,"
        notes.warn(f"The target {shown} is not emulated by localpop: no event goes there.", where)
        return False
    try:
        check_input(target)
    except InvalidInput as error:
        raise ConfigError(str(error), where=where, mend="Mend the target.") from None
    return True


def _schedule(properties: Properties, where: str, notes: Notes) -> Properties:
    target = properties.get("Target")
    if not isinstance(target, dict) or not target.get("Arn"):
        raise ConfigError("A schedule needs a Target with an Arn.", where=where, mend="Write it.")
    kind = target_kind(str(target["Arn"]))
    if not is_callable(kind) and not kind.startswith("scheduler:aws-sdk"):
        raise NotEmulated(f"The target {kind or target['Arn']} of a schedule", where=where)
    zone = str(properties.get("ScheduleExpressionTimezone") or "UTC")
    try:
        parse_schedule(str(properties.get("ScheduleExpression") or ""), zone)
    except InvalidSchedule as error:
        raise ConfigError(
            f"The schedule {properties.get('ScheduleExpression')!r} is invalid. {error}",
            where=f"{where}.ScheduleExpression",
            mend="Mend the expression.",
        ) from None
    return properties


def _connection(properties: Properties, where: str, notes: Notes) -> Properties:
    for name in ("AuthorizationType", "AuthParameters"):
        if not properties.get(name):
            raise ConfigError(f"A connection needs {name}.", where=where, mend="Write it.")
    return properties


def _destination(properties: Properties, where: str, notes: Notes) -> Properties:
    for name in ("ConnectionArn", "HttpMethod", "InvocationEndpoint"):
        if not properties.get(name):
            raise ConfigError(f"An API destination needs {name}.", where=where, mend="Write it.")
    return properties


def _mapping(properties: Properties, where: str, notes: Notes) -> Properties:
    source = str(properties.get("EventSourceArn") or "")
    if not source.startswith("arn:aws:sqs:"):
        raise NotEmulated(
            f"An event source mapping of {target_kind(source) or 'that source'}", where=where
        )
    return properties


def check_visibility(
    declared: Sequence[ResourceDeclaration], timeouts_s: Mapping[str, int], notes: Notes
) -> None:
    """Note mappings that Lambda refuses: a message must stay hidden while its function runs.

    Lambda DG services-sqs-configure, read 2026-11-21.

    Args:
        declared: The project's resources.
        timeouts_s: Functions' time-outs, by name.
        notes: Where mistakes go.
    """
    visibilities = {
        one.arn: int(one.properties.get("VisibilityTimeout") or 30)
        for one in declared
        if one.kind == "AWS::SQS::Queue"
        and str(one.properties.get("VisibilityTimeout") or 30).isdecimal()
    }
    for one in declared:
        if one.kind != "AWS::Lambda::EventSourceMapping":
            continue
        visibility_s = visibilities.get(one.properties["EventSourceArn"])
        function = str(one.properties.get("FunctionName") or "").rpartition(":function:")[2]
        timeout_s = timeouts_s.get(function.partition(":")[0])
        if visibility_s is not None and timeout_s is not None and visibility_s < timeout_s:
            notes.error(
                f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: "
                f"{timeout_s} seconds.",
                one.where,
                "Give the queue a longer VisibilityTimeout; AWS advises six times the function's.",
            )


_CONVERSIONS: Final[Mapping[str, Callable[[Properties, str, Notes], Properties]]] = {
    "AWS::SQS::Queue": _queue,
    "AWS::DynamoDB::Table": _table,
    "AWS::Events::Rule": _rule,
    "AWS::Events::Connection": _connection,
    "AWS::Events::ApiDestination": _destination,
    "AWS::Scheduler::Schedule": _schedule,
    "AWS::Lambda::EventSourceMapping": _mapping,
}
