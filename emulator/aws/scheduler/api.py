"""EventBridge Scheduler's API.

AWS: "Amazon EventBridge Scheduler API Reference",
https://docs.aws.amazon.com/scheduler/latest/APIReference/, and the User Guide's "Context
attributes" and "Universal targets", read 2026-11-21. A flexible time window is accepted; what has
one fires at the window's beginning.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from starlette.types import ASGIApp

from emulator import quotas
from emulator.aws.answers import Answer
from emulator.aws.call import ApiCall
from emulator.aws.cloudfront.control_plane import ACCOUNT_ID, Operation, Shape
from emulator.aws.events.delivery import Deliveries, Delivery
from emulator.aws.events.registry import REGION, EventRegistry
from emulator.aws.events.targets import require_target
from emulator.aws.models import LazyModel
from emulator.aws.pages import page
from emulator.aws.scheduler.runner import Timed
from emulator.errors import ApiError, NotEmulated
from emulator.rules.event_target import target_kind
from emulator.rules.schedule_expression import InvalidSchedule, Rate, Schedule, parse_schedule
from emulator.values.account import Kind
from emulator.wire.dates import iso_date
from emulator.wire.service_model_words import ErrorWords

_BODY_MAX_BYTES: Final = quotas.MB
_NAME = re.compile(r"[0-9a-zA-Z-_.]{1,64}")
DEFAULT_GROUP: Final = "default"
_KEPT: Final = (
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "EndDate",
    "Description",
    "State",
    "Target",
    "FlexibleTimeWindow",
    "ActionAfterCompletion",
    "KmsKeyArn",
)
_BOUNDS: Final = ("StartDate", "EndDate")
_SUMMARY: Final = ("Arn", "Name", "GroupName", "State", "CreationDate", "LastModificationDate")


def schedule_arn(group: str, name: str) -> str:
    """A schedule's ARN."""
    return f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/{group}/{name}"


def group_arn(name: str) -> str:
    """A schedule group's ARN."""
    return f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule-group/{name}"


class SchedulerApi:
    """The service `scheduler`.

    Args:
        registry: Where schedules and groups are kept.
        deliveries: Brings invocations to their targets.
        now_ms: The schedules' date.
        changed: Told after every change.
    """

    def __init__(
        self,
        registry: EventRegistry,
        deliveries: Deliveries,
        now_ms: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self._registry, self._deliveries = registry, deliveries
        self._now_ms, self._changed = now_ms, changed
        self._model = LazyModel(
            "scheduler", ErrorWords("ValidationException", "ValidationException")
        )
        self._operations: Mapping[str, Operation] = {
            "CreateSchedule": self._create,
            "GetSchedule": self._get,
            "UpdateSchedule": self._update,
            "DeleteSchedule": self._delete,
            "ListSchedules": self._list,
            "CreateScheduleGroup": self._create_group,
            "GetScheduleGroup": self._get_group,
            "DeleteScheduleGroup": self._delete_group,
            "ListScheduleGroups": self._list_groups,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: Any of Scheduler's errors.
            NotEmulated: An operation that is not there.
        """
        model = await self._model.get()
        matched = model.match(call.method, call.path, call.query)
        if matched is None:
            raise NotEmulated(f"The AWS operation scheduler:{call.method} {call.path}")
        body = await call.body(_BODY_MAX_BYTES, _too_large)
        given = model.read_input(matched, call.query, call.headers, body)
        output = await self.call(matched.operation, given)
        written = model.write_output(matched.operation, output)
        return Answer(written.status, written.body or b"{}")

    async def call(self, operation: str, given: Shape) -> dict[str, Any]:
        """Do an operation without HTTP (`in_process`).

        Raises:
            ApiError: Any of Scheduler's errors.
            NotEmulated: An operation that is not there.
        """
        known = self._operations.get(operation)
        if known is None:
            raise NotEmulated(f"The AWS operation scheduler:{operation}")
        return await known(given)

    # --- what is due ------------------------------------------------------------------------

    def timed(self) -> list[Timed]:
        """Every schedule that is enabled."""
        return [
            self._timed(document)
            for document in self._registry.all(Kind.SCHEDULE)
            if document["State"] != "DISABLED"
        ]

    def _timed(self, document: Mapping[str, Any]) -> Timed:
        async def fire(due_ms: float) -> None:
            self._deliveries.submit(_delivery(document, due_ms))

        async def done() -> None:
            if document.get("ActionAfterCompletion") == "DELETE":
                await self._registry.delete(Kind.SCHEDULE, _key(document))

        created_ms = document["CreationDate"]
        # Made while the clock was ahead, in an earlier run: the beat counts, not the beginning.
        began_ms = created_ms + 1 if created_ms <= self._now_ms() else 0.0
        start_ms = document.get("StartDate") or began_ms
        end_ms = document.get("EndDate")
        bounds = {"end_ms": end_ms} if end_ms else {}
        return Timed(
            document["Arn"],
            parse_document(document),
            document.get("StartDate") or created_ms,
            fire,
            start_ms,
            done=done,
            **bounds,
        )

    # --- schedules --------------------------------------------------------------------------

    async def _create(self, given: Shape) -> dict[str, Any]:
        name, group = given["Name"], given.get("GroupName") or DEFAULT_GROUP
        self._require_group(group)
        if self._registry.find(Kind.SCHEDULE, f"{group}/{name}") is not None:
            raise ApiError(409, "ConflictException", f"Schedule {name} already exists.")
        document = schedule_document({**given, "GroupName": group}, self._now_ms())
        await self._registry.save(Kind.SCHEDULE, _key(document), document)
        if _begins_at_once(document):
            self._deliveries.submit(_delivery(document, document["CreationDate"]))
        self._changed()
        return {"ScheduleArn": document["Arn"]}

    async def _get(self, given: Shape) -> dict[str, Any]:
        return {**self._find(given)}

    async def _update(self, given: Shape) -> dict[str, Any]:
        found = self._find(given)
        # UpdateSchedule replaces: what is not given goes back to its default.
        changed = schedule_document({**given, "GroupName": found["GroupName"]}, self._now_ms())
        changed["CreationDate"] = found["CreationDate"]
        await self._registry.save(Kind.SCHEDULE, _key(found), changed)
        self._changed()
        return {"ScheduleArn": changed["Arn"]}

    async def _delete(self, given: Shape) -> dict[str, Any]:
        found = self._find(given)
        await self._registry.delete(Kind.SCHEDULE, _key(found))
        self._changed()
        return {}

    async def _list(self, given: Shape) -> dict[str, Any]:
        group, prefix, state = (
            given.get("GroupName"),
            given.get("NamePrefix") or "",
            given.get("State"),
        )
        if group is not None:
            self._require_group(group)
        found = [
            {
                **{key: one[key] for key in _SUMMARY},
                "Target": {"Arn": one["Target"]["Arn"]},
            }
            for one in self._registry.all(Kind.SCHEDULE)
            if group in (None, one["GroupName"])
            and one["Name"].startswith(prefix)
            and state in (None, one["State"])
        ]
        return page("Schedules", found, given, size="MaxResults")

    def _find(self, given: Shape) -> Mapping[str, Any]:
        group = given.get("GroupName") or DEFAULT_GROUP
        found = self._registry.find(Kind.SCHEDULE, f"{group}/{given['Name']}")
        if found is None:
            raise _missing(f"Schedule {given['Name']} does not exist.")
        return found

    # --- groups -----------------------------------------------------------------------------

    async def _create_group(self, given: Shape) -> dict[str, Any]:
        name = given["Name"]
        _require_name(name)
        if name == DEFAULT_GROUP or self._registry.find(Kind.SCHEDULE_GROUP, name) is not None:
            raise ApiError(409, "ConflictException", f"Schedule group {name} already exists.")
        document = group_document(name, self._now_ms())
        document["Tags"] = {one["Key"]: one["Value"] for one in given.get("Tags") or ()}
        await self._registry.save(Kind.SCHEDULE_GROUP, name, document)
        return {"ScheduleGroupArn": document["Arn"]}

    async def _get_group(self, given: Shape) -> dict[str, Any]:
        return {**self._group(given["Name"])}

    async def _delete_group(self, given: Shape) -> dict[str, Any]:
        name = given["Name"]
        if name == DEFAULT_GROUP:
            raise _invalid("The default schedule group cannot be deleted.")
        self._group(name)
        for one in self._registry.all(Kind.SCHEDULE):
            if one["GroupName"] == name:
                await self._registry.delete(Kind.SCHEDULE, _key(one))
        await self._registry.delete(Kind.SCHEDULE_GROUP, name)
        self._changed()
        return {}

    async def _list_groups(self, given: Shape) -> dict[str, Any]:
        prefix = given.get("NamePrefix") or ""
        found = [self._group(DEFAULT_GROUP), *self._registry.all(Kind.SCHEDULE_GROUP)]
        found = [one for one in found if one["Name"].startswith(prefix)]
        return page("ScheduleGroups", found, given, size="MaxResults")

    def _group(self, name: str) -> Mapping[str, Any]:
        found = self._registry.find(Kind.SCHEDULE_GROUP, name)
        if found is None and name == DEFAULT_GROUP:
            return group_document(name, 0.0)
        if found is None:
            raise _missing(f"Schedule group {name} does not exist.")
        return found

    def _require_group(self, name: str) -> None:
        self._group(name)

    async def _tag(self, given: Shape) -> dict[str, Any]:
        found = self._group(given["ResourceArn"].rpartition("/")[2])
        tags = {**found["Tags"], **{one["Key"]: one["Value"] for one in given["Tags"]}}
        await self._registry.save(Kind.SCHEDULE_GROUP, found["Name"], {**found, "Tags": tags})
        return {}

    async def _untag(self, given: Shape) -> dict[str, Any]:
        found = self._group(given["ResourceArn"].rpartition("/")[2])
        gone = given.get("TagKeys") or ()
        tags = {key: tag for key, tag in found["Tags"].items() if key not in gone}
        await self._registry.save(Kind.SCHEDULE_GROUP, found["Name"], {**found, "Tags": tags})
        return {}

    async def _list_tags(self, given: Shape) -> dict[str, Any]:
        tags = self._group(given["ResourceArn"].rpartition("/")[2])["Tags"]
        return {"Tags": [{"Key": key, "Value": tag} for key, tag in tags.items()]}


# --- what the template shares with the API ------------------------------------------------------


def schedule_document(given: Shape, now_ms: float) -> dict[str, Any]:
    """A schedule as it is kept, checked.

    Raises:
        ApiError: 400, Scheduler refuses it.
        NotEmulated: Its target is none that localpop can call.
    """
    name, group = given["Name"], given.get("GroupName") or DEFAULT_GROUP
    _require_name(name)
    document = {
        "Arn": schedule_arn(group, name),
        "Name": name,
        "GroupName": group,
        "State": "ENABLED",
        "ScheduleExpressionTimezone": "UTC",
        "ActionAfterCompletion": "NONE",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "CreationDate": now_ms,
        "LastModificationDate": now_ms,
        **{key: given[key] for key in _KEPT if given.get(key) is not None},
    }
    if str(document["ScheduleExpression"]).startswith("at("):
        # AWS ignores them for one-time schedules.
        document = {key: one for key, one in document.items() if key not in _BOUNDS}
    for key in _BOUNDS:
        if key in document:
            document[key] = _date_ms(document[key], key)
    if document.get("EndDate") and document["EndDate"] <= document.get("StartDate", 0):
        raise _invalid("The EndDate you specify must come after the StartDate.")
    parse_document(document)
    window = document["FlexibleTimeWindow"]
    if (window.get("Mode") == "FLEXIBLE") != bool(window.get("MaximumWindowInMinutes")):
        raise _invalid("MaximumWindowInMinutes is required exactly when the mode is FLEXIBLE.")
    _require_target(document["Target"], name)
    return document


def group_document(name: str, now_ms: float) -> dict[str, Any]:
    """A schedule group as it is kept."""
    return {
        "Arn": group_arn(name),
        "Name": name,
        "State": "ACTIVE",
        "CreationDate": now_ms,
        "LastModificationDate": now_ms,
        "Tags": {},
    }


def parse_document(document: Mapping[str, Any]) -> Schedule:
    """A schedule's expression, read.

    Raises:
        ApiError: 400; it is invalid.
    """
    expression, zone = document["ScheduleExpression"], document["ScheduleExpressionTimezone"]
    try:
        found = parse_schedule(expression, zone)
    except InvalidSchedule as error:
        raise _invalid(f"Invalid Schedule Expression {expression}. {error}") from None
    return found


def _begins_at_once(document: Mapping[str, Any]) -> bool:
    """Whether it is a rate without StartDate, which fires when it is made (schedule-types).

    Those of a template are there whenever localpop starts, and wait for their first time.
    """
    is_rate = isinstance(parse_document(document), Rate)
    return is_rate and not document.get("StartDate") and document["State"] == "ENABLED"


def _require_target(target: Mapping[str, Any], name: str) -> None:
    arn = target["Arn"]
    if target_kind(arn) == "scheduler:aws-sdk":
        return
    try:
        require_target(arn, f"schedule {name}")
    except ApiError:
        raise _invalid(f"Provided Arn {arn[:200]} is not in correct format.") from None
    if ":event-bus/" in arn and not target.get("EventBridgeParameters"):
        raise _invalid("EventBridgeParameters is required for an event bus target.")
    is_fifo = arn.startswith("arn:aws:sqs:") and arn.endswith(".fifo")
    if is_fifo and not (target.get("SqsParameters") or {}).get("MessageGroupId"):
        raise _invalid("MessageGroupId is required for a FIFO queue target.")


def _delivery(document: Mapping[str, Any], due_ms: float) -> Delivery:
    """One invocation of a schedule's target."""
    target = document["Target"]
    # The same id for the same occurrence: a target that knows ids gets it once.
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{document['Arn']} {due_ms}"))
    time = iso_date(due_ms)[:19] + "Z"
    given = target.get("Input")
    text = _filled(given, document["Arn"], time, name) if given else ""
    parameters = target.get("EventBridgeParameters")
    envelope = {
        "version": "0",
        "id": name,
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT_ID,
        "time": time,
        "region": REGION,
        "resources": [document["Arn"]],
        "detail": "{}",
    }
    if parameters:
        envelope |= {
            "detail-type": parameters["DetailType"],
            "source": parameters["Source"],
            "detail": _json_or_empty(text),
        }
        text = ""
    text = text or orjson.dumps(envelope).decode()
    return Delivery(name, document["Arn"], target, text, text, due_ms, source_kind="SCHEDULE_ARN")


def _filled(text: str, arn: str, time: str, name: str) -> str:
    """An input with Scheduler's context attributes."""
    for attribute, value in (
        ("schedule-arn", arn),
        ("scheduled-time", time),
        ("execution-id", name),
        ("attempt-number", "1"),
    ):
        text = text.replace(f"<aws.scheduler.{attribute}>", value)
    return text


def _json_or_empty(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}


def _key(document: Mapping[str, Any]) -> str:
    return f"{document['GroupName']}/{document['Name']}"


def _date_ms(given: Any, name: str) -> float:
    """A date: epoch seconds from an SDK, ISO 8601 in a template."""
    try:
        return float(given) * 1_000
    except (TypeError, ValueError):
        try:
            moment = datetime.fromisoformat(str(given))
        except ValueError:
            raise _invalid(f"{name} is no date: {str(given)[:80]}") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() * 1_000


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise _invalid(
            f"1 validation error detected: Value '{name[:80]}' at 'name' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$"
        )


def _invalid(message: str) -> ApiError:
    return ApiError(400, "ValidationException", message)


def _missing(message: str) -> ApiError:
    return ApiError(404, "ResourceNotFoundException", message)


def _too_large() -> ApiError:
    return _invalid("The request is too large")
