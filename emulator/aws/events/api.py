"""Amazon EventBridge's API.

AWS: "Amazon EventBridge API Reference",
https://docs.aws.amazon.com/eventbridge/latest/APIReference/, read 2026-11-21. Permissions (bus
policies, roles, Lambda's resource policies) are accepted and not checked.
"""

from __future__ import annotations

import contextlib
import logging
import random
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.types import ASGIApp

from emulator import quotas
from emulator.aws.answers import Answer
from emulator.aws.call import ApiCall
from emulator.aws.cloudfront.control_plane import ACCOUNT_ID, Operation, Shape
from emulator.aws.events.delivery import Deliveries, Delivery
from emulator.aws.events.registry import (
    DEFAULT_BUS,
    REGION,
    EventRegistry,
    bus_arn,
    bus_name,
    rule_arn,
)
from emulator.aws.events.targets import Targets, require_target
from emulator.aws.in_process import InProcess
from emulator.aws.models import LazyModel
from emulator.aws.pages import page
from emulator.clock import Clock
from emulator.errors import ApiError, NotEmulated
from emulator.rules.event_input import InvalidInput, Matched, check_input, shape_input
from emulator.rules.event_pattern import MAX_CHARS, InvalidPattern, compile_pattern
from emulator.rules.schedule_expression import InvalidSchedule, parse_schedule
from emulator.stores.account import Account
from emulator.stores.journal import Journal
from emulator.values.account import Kind
from emulator.wire.dates import iso_date
from emulator.wire.service_model_words import ErrorWords

_BODY_MAX_BYTES: Final = 8 * quotas.EVENTS_REQUEST_MAX_BYTES
_NAME = re.compile(r"[.\-_A-Za-z0-9]{1,64}")
_BUS_NAME = re.compile(r"[/.\-_A-Za-z0-9]{1,256}")
_STATES: Final = ("ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS")
_EVENT_MEMBERS: Final = ("id", "account", "source", "time", "region", "resources", "detail-type")
_SECRETS: Final = frozenset({"Password", "ApiKeyValue", "ClientSecret"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EventsSettings:
    """What a person may set.

    Args:
        allowed_hosts: Hosts beside this machine that API destinations may call.
    """

    allowed_hosts: frozenset[str] = frozenset()


class EventsApi:
    """The service `events`.

    Args:
        account: Where everything is kept.
        clock: Gives dates, spaces retries.
        in_process: The services that targets call.
        settings: What a person may set.
        journal: Keeps deliveries under way.
        chance: Where ids come from.
    """

    def __init__(
        self,
        account: Account,
        clock: Clock,
        in_process: InProcess,
        settings: EventsSettings | None = None,
        journal: Journal | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._clock, self._account = clock, account
        self._chance = chance or random.Random()
        self.registry = EventRegistry(account, clock)
        hosts = (settings or EventsSettings()).allowed_hosts
        targets = Targets(in_process, self.registry, self._forward, hosts)
        self.deliveries = Deliveries(clock, targets.send, targets.bury, journal, self._chance)
        self._model = LazyModel(
            "events", ErrorWords("SerializationException", "ValidationException")
        )
        self._operations: Mapping[str, Operation] = {
            "PutEvents": self._put_events,
            "TestEventPattern": self._test_pattern,
            "CreateEventBus": self._create_bus,
            "UpdateEventBus": self._update_bus,
            "DeleteEventBus": self._delete_bus,
            "DescribeEventBus": self._describe_bus,
            "ListEventBuses": self._list_buses,
            "PutRule": self._put_rule,
            "DeleteRule": self._delete_rule,
            "DescribeRule": self._describe_rule,
            "ListRules": self._list_rules,
            "EnableRule": self._enable,
            "DisableRule": self._disable,
            "PutTargets": self._put_targets,
            "RemoveTargets": self._remove_targets,
            "ListTargetsByRule": self._list_targets,
            "ListRuleNamesByTarget": self._list_rules_of_target,
            "CreateConnection": self._create_connection,
            "UpdateConnection": self._update_connection,
            "DeleteConnection": self._delete_connection,
            "DescribeConnection": self._describe_connection,
            "DeauthorizeConnection": self._describe_connection,
            "ListConnections": self._list_connections,
            "CreateApiDestination": self._create_destination,
            "UpdateApiDestination": self._update_destination,
            "DeleteApiDestination": self._delete_destination,
            "DescribeApiDestination": self._describe_destination,
            "ListApiDestinations": self._list_destinations,
            "PutPermission": self._accept,
            "RemovePermission": self._accept,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: Any of EventBridge's errors.
            NotEmulated: An operation that is not there, by its name.
        """
        operation = call.headers.get("x-amz-target", "").rpartition(".")[2]
        if operation not in self._operations:
            raise NotEmulated(f"The AWS operation events:{operation or call.path}")
        body = await call.body(_BODY_MAX_BYTES, _request_too_large)
        model = await self._model.get()
        matched = model.named(operation)
        assert matched is not None
        given = model.read_input(matched, "", call.headers, body)
        output = await self.call(operation, given)
        written = model.write_output(operation, output)
        return Answer(200, written.body or b"{}", content_type="application/x-amz-json-1.1")

    async def call(self, operation: str, given: Shape) -> dict[str, Any]:
        """Do an operation without HTTP (`in_process`).

        Raises:
            ApiError: Any of EventBridge's errors.
            NotEmulated: An operation that is not there.
        """
        known = self._operations.get(operation)
        if known is None:
            raise NotEmulated(f"The AWS operation events:{operation}")
        return await known(given)

    def start(self) -> None:
        """Go on with the deliveries that the last run left."""
        self.deliveries.resume()

    async def close(self) -> None:
        """End in order; the next start goes on with what still waits."""
        await self.deliveries.close()

    # --- events -----------------------------------------------------------------------------

    async def _put_events(self, given: Shape) -> dict[str, Any]:
        entries: Sequence[Shape] = given["Entries"]
        if not 1 <= len(entries) <= quotas.EVENTS_ENTRIES_MAX:
            bound = "less than or equal to 10" if entries else "greater than or equal to 1"
            raise _invalid(
                f"1 validation error detected: Value '{_shown(entries)}' at 'entries' failed to "
                f"satisfy constraint: Member must have length {bound}"
            )
        if sum(map(_entry_bytes, entries)) > quotas.EVENTS_REQUEST_MAX_BYTES:
            raise _invalid("Total size of the entries in the request is over the limit.")
        results = [self._accepted(entry) for entry in entries]
        failed = sum("ErrorCode" in result for result in results)
        return {"FailedEntryCount": failed, "Entries": results}

    def _accepted(self, entry: Shape) -> dict[str, str]:
        for name in ("Source", "DetailType", "Detail"):
            if not entry.get(name):
                return _refused(
                    "InvalidArgument",
                    f"Parameter {name} is not valid. Reason: {name} is a required argument.",
                )
        if str(entry["Source"]).lower().startswith("aws."):
            return _refused("NotAuthorizedForSourceException", "Not authorized for the source.")
        try:
            detail = orjson.loads(entry["Detail"])
        except orjson.JSONDecodeError:
            detail = None
        if not isinstance(detail, dict):
            return _refused("MalformedDetail", "Detail is malformed.")
        event = {
            "version": "0",
            "id": self._new_id(),
            "detail-type": entry["DetailType"],
            "source": entry["Source"],
            "account": ACCOUNT_ID,
            "time": _time(entry.get("Time"), self._clock),
            "region": REGION,
            "resources": list(entry.get("Resources") or ()),
        }
        # The detail as it was written: it may be nested deeper than a serialiser goes.
        text = f'{orjson.dumps(event).decode()[:-1]},"detail":{entry["Detail"].strip()}}}'
        event["detail"] = detail
        if not self.publish(bus_name(entry.get("EventBusName")), event, text):
            return _refused("ThrottlingException", "Rate exceeded")
        return {"EventId": event["id"]}

    def publish_of_aws(
        self,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: Sequence[str] = (),
    ) -> None:
        """Put an event of an AWS service on the default bus, as the service itself would.

        Args:
            source: Such as `aws.bedrock`.
            detail_type: Its detail type.
            detail: Its detail.
            resources: ARNs that it is about.
        """
        event = {
            "version": "0",
            "id": self._new_id(),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT_ID,
            "time": _time(None, self._clock),
            "region": REGION,
            "resources": list(resources),
            "detail": detail,
        }
        self.publish(DEFAULT_BUS, event, orjson.dumps(event).decode())

    def publish(self, bus: str, event: Mapping[str, Any], text: str, hops: int = 0) -> bool:
        """Hold an event against a bus's rules and begin its deliveries.

        A bus that nobody made swallows it, as AWS's PutEvents does.

        Args:
            bus: The bus's name.
            event: The whole envelope.
            text: The same as text.
            hops: How many buses it has come through.

        Returns:
            Whether there was room for it; if not, nothing has begun.
        """
        if not self.registry.has_bus(bus):
            _log.warning("an event for the bus %s, which nobody made, is gone", bus)
            return True
        rules = [
            rule.document for rule in self.registry.matching(bus) if rule.pattern.matches(event)
        ]
        if not self.deliveries.has_room(sum(len(rule["Targets"]) for rule in rules)):
            return False
        for rule in rules:
            self.deliver(rule, event, text, hops)
        return True

    def deliver(
        self, rule: Mapping[str, Any], event: Mapping[str, Any], text: str, hops: int = 0
    ) -> None:
        """Begin to bring an event to each target of a rule."""
        now_ms = self._clock.epoch_ms()
        matched = Matched(event, text, rule["Arn"], rule["Name"], iso_date(now_ms))
        for target in rule["Targets"]:
            try:
                shaped = shape_input(target, matched)
            except (RecursionError, orjson.JSONEncodeError):
                _log.warning("the event %s is nested too deep to be shaped", event["id"])
                continue
            self.deliveries.submit(
                Delivery(self._new_id(), rule["Arn"], target, shaped, text, now_ms, hops=hops)
            )

    async def _forward(self, arn: str, delivery: Delivery) -> None:
        """Put a delivery's event on another bus; the envelope stays what it was."""
        event, text = orjson.loads(delivery.event), delivery.event
        if not self.registry.has_bus(bus_name(arn)):
            raise _no_bus(bus_name(arn))
        if delivery.text != delivery.event:
            # A shaped input becomes the detail.
            shaped = orjson.loads(delivery.text)
            event["detail"] = shaped if isinstance(shaped, dict) else {"input": shaped}
            text = orjson.dumps(event).decode()
        if not self.publish(bus_name(arn), event, text, delivery.hops + 1):
            raise ApiError(429, "ThrottlingException", "Rate exceeded")

    async def _test_pattern(self, given: Shape) -> dict[str, Any]:
        pattern = _pattern(given["EventPattern"])
        try:
            event = orjson.loads(given["Event"])
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict):
            raise _invalid("Parameter Event is not valid.")
        for name in _EVENT_MEMBERS:
            if name not in event:
                raise _invalid(f"Parameter Event is not valid. Reason: {name} is missing.")
        return {"Result": pattern.matches(event)}

    # --- buses ------------------------------------------------------------------------------

    async def _create_bus(self, given: Shape) -> dict[str, Any]:
        name = given["Name"]
        if given.get("EventSourceName"):
            raise NotEmulated("A partner event source of Amazon EventBridge", where=name)
        if not _BUS_NAME.fullmatch(name) or name == DEFAULT_BUS or "/" in name:
            raise _invalid(f"Invalid value for event bus name: {name[:256]}")
        if self.registry.find(Kind.EVENT_BUS, name) is not None:
            raise _exists(f"Event bus {name} already exists.")
        now_ms = self.registry.now_ms()
        document = {
            "Name": name,
            "Arn": bus_arn(name),
            "CreationTime": now_ms,
            "LastModifiedTime": now_ms,
            "Tags": _tags(given),
            **_kept(given, "Description", "KmsKeyIdentifier", "DeadLetterConfig"),
        }
        await self.registry.save(Kind.EVENT_BUS, name, document)
        return {
            "EventBusArn": document["Arn"],
            **_kept(given, "Description", "KmsKeyIdentifier", "DeadLetterConfig"),
        }

    async def _update_bus(self, given: Shape) -> dict[str, Any]:
        name = bus_name(given.get("Name"))
        document = self._bus(name)
        changed = {
            **document,
            **_kept(given, "Description", "KmsKeyIdentifier", "DeadLetterConfig"),
            "LastModifiedTime": self.registry.now_ms(),
        }
        await self.registry.save(Kind.EVENT_BUS, name, changed)
        return {"Arn": changed["Arn"], "Name": name, **_kept(changed, "Description")}

    async def _delete_bus(self, given: Shape) -> dict[str, Any]:
        name = bus_name(given["Name"])
        if name == DEFAULT_BUS:
            raise _invalid("Cannot delete event bus default.")
        if self.registry.rules_of(name):
            raise _invalid(f"Cannot delete event bus {name} because it has rules.")
        await self.registry.delete(Kind.EVENT_BUS, name)
        return {}

    async def _describe_bus(self, given: Shape) -> dict[str, Any]:
        return {**self._bus(bus_name(given.get("Name")))}

    async def _list_buses(self, given: Shape) -> dict[str, Any]:
        found = [self._bus(DEFAULT_BUS)]
        found += [one for one in self.registry.all(Kind.EVENT_BUS) if one["Name"] != DEFAULT_BUS]
        return page("EventBuses", found, given, size="Limit")

    def _bus(self, name: str) -> Mapping[str, Any]:
        found = self.registry.find(Kind.EVENT_BUS, name)
        if found is None and name == DEFAULT_BUS:
            return {"Name": name, "Arn": bus_arn(name), "Tags": {}}
        if found is None:
            raise _no_bus(name)
        return found

    # --- rules ------------------------------------------------------------------------------

    async def _put_rule(self, given: Shape) -> dict[str, Any]:
        bus, name = bus_name(given.get("EventBusName")), given["Name"]
        if not _NAME.fullmatch(name):
            raise _unsatisfied(name, "name", "[\\.\\-_A-Za-z0-9]+")
        self._bus(bus)
        pattern, schedule = given.get("EventPattern"), given.get("ScheduleExpression")
        if not pattern and not schedule:
            raise _invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
        if pattern:
            _pattern(pattern)
        if schedule:
            if bus != DEFAULT_BUS:
                raise _invalid("ScheduleExpression is supported only on the default event bus.")
            self._require_schedule(schedule)
        state = given.get("State") or "ENABLED"
        if state not in _STATES:
            raise _unsatisfied(state, "state", f"Member must satisfy enum value set: {_STATES}")
        before = self.registry.find(Kind.EVENT_RULE, f"{bus}/{name}") or {}
        document = {
            "Name": name,
            "Arn": rule_arn(bus, name),
            "EventBusName": bus,
            "State": state,
            "Targets": before.get("Targets", []),
            "Tags": before.get("Tags") or _tags(given),
            "CreatedBy": ACCOUNT_ID,
            "CreatedMs": before.get("CreatedMs") or self.registry.now_ms(),
            **_kept(given, "EventPattern", "ScheduleExpression", "Description", "RoleArn"),
        }
        await self.registry.save(Kind.EVENT_RULE, f"{bus}/{name}", document)
        return {"RuleArn": document["Arn"]}

    def _require_schedule(self, expression: str) -> None:
        try:
            parse_schedule(expression, once=False)
        except InvalidSchedule as error:
            raise _invalid(f"Parameter ScheduleExpression is not valid. {error}") from None

    async def _delete_rule(self, given: Shape) -> dict[str, Any]:
        bus, name = bus_name(given.get("EventBusName")), given["Name"]
        found = self.registry.find(Kind.EVENT_RULE, f"{bus}/{name}")
        if found is not None:
            if found["Targets"]:
                raise _invalid("Rule can't be deleted since it has targets.")
            await self.registry.delete(Kind.EVENT_RULE, f"{bus}/{name}")
        return {}

    async def _describe_rule(self, given: Shape) -> dict[str, Any]:
        return _without(self._rule(given), "Targets", "Tags", "CreatedMs")

    async def _list_rules(self, given: Shape) -> dict[str, Any]:
        bus, prefix = bus_name(given.get("EventBusName")), given.get("NamePrefix") or ""
        self._bus(bus)
        found = [
            _without(rule, "Targets", "Tags", "CreatedBy")
            for rule in self.registry.rules_of(bus)
            if rule["Name"].startswith(prefix)
        ]
        return page("Rules", found, given, size="Limit")

    async def _enable(self, given: Shape) -> dict[str, Any]:
        return await self._set_state(given, "ENABLED")

    async def _disable(self, given: Shape) -> dict[str, Any]:
        return await self._set_state(given, "DISABLED")

    async def _set_state(self, given: Shape, state: str) -> dict[str, Any]:
        rule = self._rule(given)
        await self._save_rule({**rule, "State": state})
        return {}

    async def _save_rule(self, document: Mapping[str, Any]) -> None:
        key = f"{document['EventBusName']}/{document['Name']}"
        await self.registry.save(Kind.EVENT_RULE, key, document)

    def _rule(self, given: Shape) -> Mapping[str, Any]:
        bus = bus_name(given.get("EventBusName"))
        name = given.get("Name") or given.get("Rule") or ""
        self._bus(bus)
        found = self.registry.find(Kind.EVENT_RULE, f"{bus}/{name}")
        if found is None:
            raise _missing(f"Rule {name} does not exist on EventBus {bus}.")
        return found

    # --- targets ----------------------------------------------------------------------------

    async def _put_targets(self, given: Shape) -> dict[str, Any]:
        rule = self._rule(given)
        targets: Sequence[Shape] = given["Targets"]
        if not targets:
            raise _invalid(
                "1 validation error detected: Value '[]' at 'targets' failed to satisfy "
                "constraint: Member must have length greater than or equal to 1"
            )
        require_targets(targets, rule["Name"])
        kept = {one["Id"]: one for one in rule["Targets"]}
        kept |= {one["Id"]: one for one in targets}
        if len(kept) > quotas.EVENTS_TARGETS_PER_RULE_MAX:
            raise ApiError(
                400,
                "LimitExceededException",
                "The requested resource exceeds the maximum number allowed.",
            )
        await self._save_rule({**rule, "Targets": list(kept.values())})
        return {"FailedEntryCount": 0, "FailedEntries": []}

    async def _remove_targets(self, given: Shape) -> dict[str, Any]:
        rule, ids = self._rule(given), given["Ids"]
        known = {one["Id"] for one in rule["Targets"]}
        left = [one for one in rule["Targets"] if one["Id"] not in ids]
        await self._save_rule({**rule, "Targets": left})
        failed = [
            {
                "TargetId": one,
                "ErrorCode": "ResourceNotFoundException",
                "ErrorMessage": f"Rule {rule['Name']} does not have a target with ID {one}.",
            }
            for one in ids
            if one not in known
        ]
        return {"FailedEntryCount": len(failed), "FailedEntries": failed}

    async def _list_targets(self, given: Shape) -> dict[str, Any]:
        return page("Targets", self._rule(given)["Targets"], given, size="Limit")

    async def _list_rules_of_target(self, given: Shape) -> dict[str, Any]:
        bus = bus_name(given.get("EventBusName"))
        self._bus(bus)
        found = [
            rule["Name"]
            for rule in self.registry.rules_of(bus)
            if any(one["Arn"] == given["TargetArn"] for one in rule["Targets"])
        ]
        return page("RuleNames", found, given, size="Limit")

    # --- connections and API destinations ---------------------------------------------------

    async def _create_connection(self, given: Shape) -> dict[str, Any]:
        name = given["Name"]
        _require_name(name)
        if self.registry.find(Kind.EVENT_CONNECTION, name) is not None:
            raise _exists(f"Connection {name} already exists.")
        document = connection_document(given, self.registry.now_ms(), self._new_id())
        await self.registry.save(Kind.EVENT_CONNECTION, name, document)
        return _without(document, "AuthParameters")

    async def _update_connection(self, given: Shape) -> dict[str, Any]:
        found = self._connection(given)
        changed = {
            **found,
            **_kept(given, "Description", "AuthorizationType"),
            "AuthParameters": {**found["AuthParameters"], **(given.get("AuthParameters") or {})},
            "LastModifiedTime": self.registry.now_ms(),
        }
        await self.registry.save(Kind.EVENT_CONNECTION, given["Name"], changed)
        return _without(changed, "AuthParameters")

    async def _delete_connection(self, given: Shape) -> dict[str, Any]:
        found = self._connection(given)
        await self.registry.delete(Kind.EVENT_CONNECTION, given["Name"])
        return {**_without(found, "AuthParameters"), "ConnectionState": "DELETING"}

    async def _describe_connection(self, given: Shape) -> dict[str, Any]:
        found = self._connection(given)
        return {**found, "AuthParameters": _without_secrets(found["AuthParameters"])}

    async def _list_connections(self, given: Shape) -> dict[str, Any]:
        prefix = given.get("NamePrefix") or ""
        found = [
            _without(one, "AuthParameters")
            for one in self.registry.all(Kind.EVENT_CONNECTION)
            if one["Name"].startswith(prefix)
        ]
        return page("Connections", found, given, size="Limit")

    def _connection(self, given: Shape) -> Mapping[str, Any]:
        found = self.registry.find(Kind.EVENT_CONNECTION, given["Name"])
        if found is None:
            raise _missing(
                f"Failed to describe the connection(s). Connection '{given['Name']}' "
                "does not exist."
            )
        return found

    async def _create_destination(self, given: Shape) -> dict[str, Any]:
        name = given["Name"]
        _require_name(name)
        if self.registry.find(Kind.API_DESTINATION, name) is not None:
            raise _exists(f"An api-destination '{name}' already exists.")
        self._require_connection(given["ConnectionArn"])
        document = destination_document(given, self.registry.now_ms(), self._new_id())
        await self.registry.save(Kind.API_DESTINATION, name, document)
        return dict(document)

    async def _update_destination(self, given: Shape) -> dict[str, Any]:
        found = self._destination(given)
        if given.get("ConnectionArn"):
            self._require_connection(given["ConnectionArn"])
        changed = {**found, **given, "LastModifiedTime": self.registry.now_ms()}
        await self.registry.save(Kind.API_DESTINATION, given["Name"], changed)
        return changed

    async def _delete_destination(self, given: Shape) -> dict[str, Any]:
        self._destination(given)
        await self.registry.delete(Kind.API_DESTINATION, given["Name"])
        return {}

    async def _describe_destination(self, given: Shape) -> dict[str, Any]:
        return {**self._destination(given)}

    async def _list_destinations(self, given: Shape) -> dict[str, Any]:
        prefix, connection = given.get("NamePrefix") or "", given.get("ConnectionArn")
        found = [
            one
            for one in self.registry.all(Kind.API_DESTINATION)
            if one["Name"].startswith(prefix) and connection in (None, one["ConnectionArn"])
        ]
        return page("ApiDestinations", found, given, size="Limit")

    def _destination(self, given: Shape) -> Mapping[str, Any]:
        found = self.registry.find(Kind.API_DESTINATION, given["Name"])
        if found is None:
            raise _missing(
                f"Failed to describe the api-destination(s). An api-destination "
                f"'{given['Name']}' does not exist."
            )
        return found

    def _require_connection(self, arn: str) -> None:
        parts = arn.split("/")
        if len(parts) < 2 or self.registry.find(Kind.EVENT_CONNECTION, parts[1]) is None:
            raise _missing(f"Connection '{parts[1] if len(parts) > 1 else arn}' does not exist.")

    # --- tags, permissions ------------------------------------------------------------------

    async def _tag(self, given: Shape) -> dict[str, Any]:
        kind, key, document = self._tagged(given["ResourceARN"])
        tags = {**document.get("Tags", {}), **_tags(given)}
        await self.registry.save(kind, key, {**document, "Tags": tags})
        return {}

    async def _untag(self, given: Shape) -> dict[str, Any]:
        kind, key, document = self._tagged(given["ResourceARN"])
        tags = {name: tag for name, tag in document["Tags"].items() if name not in given["TagKeys"]}
        await self.registry.save(kind, key, {**document, "Tags": tags})
        return {}

    async def _list_tags(self, given: Shape) -> dict[str, Any]:
        _, _, document = self._tagged(given["ResourceARN"])
        return {"Tags": [{"Key": key, "Value": tag} for key, tag in document["Tags"].items()]}

    def _tagged(self, arn: str) -> tuple[Kind, str, Mapping[str, Any]]:
        resource = arn.rpartition(":")[2]
        kind, _, name = resource.partition("/")
        if kind == "rule":
            key = name if "/" in name else f"{DEFAULT_BUS}/{name}"
            found = self.registry.find(Kind.EVENT_RULE, key)
            if found is not None:
                return Kind.EVENT_RULE, key, found
        elif kind == "event-bus" and self.registry.has_bus(name):
            return Kind.EVENT_BUS, name, self._bus(name)
        raise _missing(f"{arn} does not exist.")

    async def _accept(self, given: Shape) -> dict[str, Any]:
        """Permissions are not checked here."""
        self._bus(bus_name(given.get("EventBusName")))
        return {}

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


# --- what the template shares with the API ------------------------------------------------------


def require_targets(targets: Sequence[Shape], rule: str) -> None:
    """Refuse targets that EventBridge refuses, or that nothing here can call.

    Raises:
        ApiError: 400, in AWS's words.
        NotEmulated: AWS has such a target, localpop has not.
    """
    for target in targets:
        arn, name = target["Arn"], target["Id"]
        if not _NAME.fullmatch(name):
            raise _unsatisfied(name, "targets.1.member.id", "[\\.\\-_A-Za-z0-9]+")
        require_target(arn, f"rule {rule}, target {name}")
        is_fifo = arn.startswith("arn:aws:sqs:") and arn.endswith(".fifo")
        if is_fifo and not (target.get("SqsParameters") or {}).get("MessageGroupId"):
            raise _invalid(f"Parameter(s) SqsParameters must be specified for target: {name}.")
        if arn.startswith("arn:aws:states:") and not target.get("RoleArn"):
            raise _invalid(f"RoleArn is required for target {arn}.")
        try:
            check_input(target)
        except InvalidInput as error:
            raise _invalid(str(error)) from None


def connection_document(given: Shape, now_ms: float, unique: str) -> dict[str, Any]:
    """A connection as it is kept."""
    name = given["Name"]
    return {
        "Name": name,
        "ConnectionArn": f"arn:aws:events:{REGION}:{ACCOUNT_ID}:connection/{name}/{unique}",
        "SecretArn": (
            f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:events!connection/{name}/{unique}"
        ),
        "ConnectionState": "AUTHORIZED",
        "AuthorizationType": given["AuthorizationType"],
        "AuthParameters": given.get("AuthParameters") or {},
        "CreationTime": now_ms,
        "LastModifiedTime": now_ms,
        "LastAuthorizedTime": now_ms,
        **_kept(given, "Description"),
    }


def destination_document(given: Shape, now_ms: float, unique: str) -> dict[str, Any]:
    """An API destination as it is kept."""
    name = given["Name"]
    arn = f"arn:aws:events:{REGION}:{ACCOUNT_ID}:api-destination/{name}/{unique}"
    return {
        "Name": name,
        "ApiDestinationArn": arn,
        "ApiDestinationState": "ACTIVE",
        "ConnectionArn": given["ConnectionArn"],
        "InvocationEndpoint": given["InvocationEndpoint"],
        "HttpMethod": given["HttpMethod"],
        "InvocationRateLimitPerSecond": given.get("InvocationRateLimitPerSecond") or 300,
        "CreationTime": now_ms,
        "LastModifiedTime": now_ms,
        **_kept(given, "Description"),
    }


def scheduled_event(arn: str, due_ms: float) -> dict[str, Any]:
    """What a scheduled rule sends."""
    return {
        "version": "0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{arn} {due_ms}")),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT_ID,
        "time": iso_date(due_ms)[:19] + "Z",
        "region": REGION,
        "resources": [arn],
        "detail": {},
    }


# --- parts --------------------------------------------------------------------------------------


def _pattern(text: str) -> Any:
    if len(text) > MAX_CHARS:
        raise ApiError(
            400,
            "LimitExceededException",
            f"Event pattern is longer than {MAX_CHARS} characters.",
        )
    try:
        return compile_pattern(text)
    except InvalidPattern as error:
        raise ApiError(400, "InvalidEventPatternException", str(error)) from None


def _entry_bytes(entry: Shape) -> int:
    """User guide, "Calculating PutEvents event entry size"."""
    size = 14 if entry.get("Time") else 0
    for name in ("Source", "DetailType", "Detail"):
        size += len(str(entry.get(name) or "").encode())
    return size + sum(len(str(one).encode()) for one in entry.get("Resources") or ())


def _time(given: Any, clock: Clock) -> str:
    """The event's time, whole seconds: `2026-11-21T13:00:00Z`."""
    epoch_ms = clock.epoch_ms()
    if given is not None:
        with contextlib.suppress(ValueError, TypeError):
            epoch_ms = float(given) * 1_000
    with contextlib.suppress(OverflowError, ValueError, OSError):
        return iso_date(epoch_ms)[:19] + "Z"
    return iso_date(clock.epoch_ms())[:19] + "Z"


def _tags(given: Shape) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in given.get("Tags") or ()}


def _kept(given: Shape, *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if given.get(name) is not None}


def _without(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in names}


def _without_secrets(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    shown = {key: _without_secrets(one) for key, one in value.items() if key not in _SECRETS}
    for name in ("HeaderParameters", "QueryStringParameters", "BodyParameters"):
        if isinstance(shown.get(name), list):
            shown[name] = [
                _without(one, "Value") if one.get("IsValueSecret") else one for one in shown[name]
            ]
    return shown


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise _unsatisfied(name, "name", "[\\.\\-_A-Za-z0-9]+")


def _shown(entries: Sequence[Shape]) -> str:
    return f"[{len(entries)} entries]"


# --- errors -------------------------------------------------------------------------------------


def _refused(code: str, message: str) -> dict[str, str]:
    return {"ErrorCode": code, "ErrorMessage": message}


def _invalid(message: str) -> ApiError:
    return ApiError(400, "ValidationException", message)


def _unsatisfied(value: str, where: str, constraint: str) -> ApiError:
    return _invalid(
        f"1 validation error detected: Value '{value[:80]}' at '{where}' failed to satisfy "
        f"constraint: Member must satisfy regular expression pattern: {constraint}"
    )


def _no_bus(name: str) -> ApiError:
    return _missing(f"Event bus {name} does not exist.")


def _missing(message: str) -> ApiError:
    return ApiError(400, "ResourceNotFoundException", message)


def _exists(message: str) -> ApiError:
    return ApiError(400, "ResourceAlreadyExistsException", message)


def _request_too_large() -> ApiError:
    return _invalid("Total size of the entries in the request is over the limit.")
