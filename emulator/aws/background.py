"""What works behind the viewers' back: events, queues, and what they set in motion.

One object that the endpoint, the deployment of templates and the end of localpop share.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from emulator.aws.bedrock.jobs import BedrockJobs
from emulator.aws.call import Service
from emulator.aws.events.api import (
    EventsApi,
    EventsSettings,
    connection_document,
    destination_document,
    scheduled_event,
)
from emulator.aws.events.registry import DEFAULT_BUS, bus_name
from emulator.aws.in_process import InProcess
from emulator.aws.lambda_invocations import INVOCATION_KEY
from emulator.aws.other_services import Declared, OtherServices
from emulator.aws.scheduler.api import SchedulerApi, group_document, schedule_document
from emulator.aws.scheduler.runner import Schedules, Timed
from emulator.aws.sqs.api import SqsApi
from emulator.aws.sqs.dead_letters import dead_letter_queues, describe, replay
from emulator.aws.sqs.mappings import EventSourceMappings
from emulator.aws.step_functions.api import StepFunctionsApi
from emulator.aws.step_functions.executions import Runner
from emulator.clock import Clock
from emulator.errors import ApiError, ConfigError, NotEmulated
from emulator.project.declarations import ResourceDeclaration, TemplateDeclarations
from emulator.rules.schedule_expression import parse_schedule
from emulator.stores.account import Account
from emulator.stores.journal import Journal
from emulator.stores.queues import Queues
from emulator.values.account import Kind
from emulator.values.function_logs import FunctionLogLine
from emulator.wire.dates import iso_date


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made of a template.

    Args:
        queues: Attributes by name.
        documents: What EventBridge and its Scheduler keep, by kind and key.
        of_others: What moto makes, by service.
        mappings: Event source mappings, by UUID.
    """

    queues: Mapping[str, Mapping[str, str]]
    documents: dict[Kind, dict[str, Mapping[str, Any]]]
    of_others: Mapping[str, Sequence[Declared]]
    mappings: Mapping[str, Mapping[str, Any]]


_log = logging.getLogger(__name__)


class Background:
    """EventBridge, its Scheduler, SQS and Step Functions, joined to the other services.

    Call `start`, and `close` at the end.

    Args:
        account: Where what the API makes is kept.
        clock: Counts time-outs, spaces retries.
        in_process: The services; these are added to it.
        others: Has tables, buckets and log groups.
        settings: What a person may set.
        journal: Keeps messages and events under way.
        declared: What the project's template declares now.
        interpreter: Runs state machines in place of the native runner.
        log: Gets a line when an execution begins, and one when it ends.
    """

    def __init__(
        self,
        account: Account,
        clock: Clock,
        in_process: InProcess,
        others: OtherServices,
        settings: EventsSettings | None = None,
        *,
        journal: Journal | None = None,
        declared: Callable[[], TemplateDeclarations] = TemplateDeclarations,
        interpreter: Runner | None = None,
        log: Callable[[FunctionLogLine], None] | None = None,
    ) -> None:
        self._clock, self._others = clock, others
        self._in_process, self._journal = in_process, journal
        self.sqs = SqsApi(Queues(clock, journal), account)
        self.events = EventsApi(account, clock, in_process, settings, journal)
        self.mappings = EventSourceMappings(self.sqs.queues, account, clock, in_process)
        self.schedules = Schedules(clock, self._timed)
        registry = self.events.registry
        registry.on_change = self.schedules.changed
        self.scheduler = SchedulerApi(
            registry, self.events.deliveries, self.schedules.now_ms, self.schedules.changed
        )
        self._began: dict[str, tuple[str, float]] = {}
        in_process.add("scheduler", self.scheduler.call)
        in_process.add("sqs", self.sqs.call)
        in_process.add("events", self.events.call)
        self.states = StepFunctionsApi(
            account,
            clock,
            in_process.call,
            declared=lambda: declared().state_machines,
            interpreter=interpreter,
            log=log,
            tell=self._tell_of_execution,
            journal=journal,
        )
        in_process.add("states", self.states.call)
        self.jobs = BedrockJobs(
            clock,
            in_process.call,
            lambda call: others.serve("bedrock", call),
            self.events.publish_of_aws,
        )
        in_process.add("bedrock", self.jobs.call)

    def services(self) -> dict[str, Service]:
        """The services for the endpoint, by signing name."""
        return {
            "sqs": self.sqs,
            "events": self.events,
            "scheduler": self.scheduler,
            "states": self.states,
            "bedrock": self.jobs,
        }

    def _timed(self) -> list[Timed]:
        """Scheduled rules and schedules."""
        rules = [
            self._timed_rule(rule)
            for rule in self.events.registry.all(Kind.EVENT_RULE)
            if rule.get("ScheduleExpression") and rule["State"] != "DISABLED" and rule["Targets"]
        ]
        return [*rules, *self.scheduler.timed()]

    def _timed_rule(self, rule: Mapping[str, Any]) -> Timed:
        async def fire(due_ms: float) -> None:
            event = scheduled_event(rule["Arn"], due_ms)
            self.events.deliver(rule, event, orjson.dumps(event).decode())

        schedule = parse_schedule(rule["ScheduleExpression"], once=False)
        began_ms = rule["CreatedMs"]
        start_ms = began_ms + 1 if began_ms <= self.schedules.now_ms() else 0.0
        return Timed(rule["Arn"], schedule, began_ms, fire, start_ms)

    def plan(self, declared: Sequence[ResourceDeclaration]) -> Plan:
        """What a template declares, checked; nothing has changed yet.

        Raises:
            ConfigError: A service would refuse one of them.
        """
        documents = _event_documents(declared, self._clock.epoch_ms())
        documents |= self._schedule_documents(declared)
        return Plan(
            self._checked(declared, "AWS::SQS::Queue", self.sqs.check),
            documents,
            _calls_of_others(declared),
            self._checked(
                declared,
                "AWS::Lambda::EventSourceMapping",
                lambda name, properties: self.mappings.check(properties),
            ),
        )

    def _checked(
        self,
        declared: Sequence[ResourceDeclaration],
        kind: str,
        check: Callable[[str, Mapping[str, Any]], None],
    ) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for one in declared:
            if one.kind != kind:
                continue
            try:
                check(one.name, one.properties)
            except ApiError as error:
                raise ConfigError(
                    f"{one.logical_id}: {error.message}", where=one.where, mend="Mend it there."
                ) from None
            found[one.name] = one.properties
        return found

    async def deploy(self, plan: Plan) -> None:
        """Make what a template declares; what it declared before and no more is gone."""
        await self.sqs.declare(plan.queues)
        self._keep_beginnings(plan.documents)
        self.events.registry.declare(plan.documents)
        self._others.declare(plan.of_others)
        await self.mappings.declare(plan.mappings)

    def _schedule_documents(
        self, declared: Sequence[ResourceDeclaration]
    ) -> dict[Kind, dict[str, Mapping[str, Any]]]:
        """The template's schedules and their groups."""
        now_ms = self._clock.epoch_ms()
        schedules: dict[str, Mapping[str, Any]] = {}
        groups: dict[str, Mapping[str, Any]] = {}
        for one in declared:
            if one.kind == "AWS::Scheduler::ScheduleGroup":
                groups[one.name] = group_document(one.name, now_ms)
            if one.kind != "AWS::Scheduler::Schedule":
                continue
            try:
                document = schedule_document({**one.properties, "Name": one.name}, now_ms)
            except ApiError as error:
                raise ConfigError(
                    f"{one.logical_id}: {error.message}", where=one.where, mend="Mend the schedule."
                ) from None
            schedules[f"{document['GroupName']}/{one.name}"] = document
        return {Kind.SCHEDULE: schedules, Kind.SCHEDULE_GROUP: groups}

    def _keep_beginnings(self, documents: dict[Kind, dict[str, Mapping[str, Any]]]) -> None:
        """A rate goes on counting when the template is saved without changing it."""
        began: dict[str, tuple[str, float]] = {}
        for kind, name in ((Kind.EVENT_RULE, "CreatedMs"), (Kind.SCHEDULE, "CreationDate")):
            for key, document in documents[kind].items():
                expression = document.get("ScheduleExpression", "")
                before = self._began.get(document["Arn"])
                if before is not None and before[0] == expression:
                    documents[kind][key] = {**document, name: before[1]}
                began[document["Arn"]] = (expression, documents[kind][key][name])
        self._began = began

    async def start(self) -> None:
        """Go on where the last run ended; the template's resources are there by now."""
        self.sqs.queues.forget_homeless()
        self.states.start()
        await self._resume_invocations()
        self.events.start()
        await self.mappings.start()
        self.schedules.start()

    async def _resume_invocations(self) -> None:
        """Hand Lambda the events again that it had not done with."""
        kept = self._journal.all() if self._journal is not None else {}
        for key, document in kept.items():
            if not key.startswith(INVOCATION_KEY):
                continue
            assert self._journal is not None
            self._journal.drop(key)
            given = {"FunctionName": document["function"], "InvocationType": "Event"}
            try:
                payload = str(document["payload"]).encode()
                await self._in_process.call("lambda", "Invoke", {**given, "Payload": payload})
            except (ApiError, NotEmulated) as error:
                _log.warning("an event of %s is gone: %s", document["function"], error)

    async def quiesce(self) -> None:
        """Begin nothing more, while what is under way can still call the endpoint."""
        await self.schedules.close()
        await self.mappings.close()
        await self.states.drain()

    async def close(self) -> None:
        """End in order: nothing that was accepted is lost."""
        await self.quiesce()
        await self.events.close()
        await self.states.close()
        await self.jobs.close()

    def _tell_of_execution(self, describe: Callable[[], Mapping[str, Any]]) -> None:
        """As Step Functions does (Step Functions guide, eventbridge-integration)."""
        if not self.events.registry.matching(DEFAULT_BUS):
            return
        described = describe()
        kept = ("executionArn", "stateMachineArn", "name", "status", "input", "output", "error")
        detail: dict[str, Any] = {name: described.get(name) for name in (*kept, "cause")}
        for name in ("startDate", "stopDate"):
            detail[name] = int(described[name]) if name in described else None
        kind = "Step Functions Execution Status Change"
        arn = str(described["executionArn"])
        self.events.publish_of_aws("aws.states", kind, detail, [arn])

    async def reset(self) -> None:
        """Forget queues; the account forgets the rest."""
        await self.mappings.reset()
        self.events.deliveries.clear()
        self.sqs.queues.clear()
        await self.states.reset()
        await self.jobs.reset()

    # --- what a person may ask (`controls`) --------------------------------------------------

    def clock_state(self) -> dict[str, Any]:
        """The schedules' date, how far it is ahead, and what is due next."""
        now_ms = self.schedules.now_ms()
        due = [
            (due_ms, one.key)
            for one in self._timed()
            if (due_ms := one.next_after(now_ms)) is not None
        ]
        return {
            "now": iso_date(now_ms),
            "ahead_s": self.schedules.ahead_ms / 1_000,
            "next": [{"time": iso_date(due_ms), "schedule": key} for due_ms, key in sorted(due)],
        }

    async def move_clock(self, forward_ms: float) -> dict[str, Any]:
        """Move the schedules' clock forward; says what fired, in order.

        Raises:
            ApiError: 400; it would fire too often.
        """
        fired = await self.schedules.advance(forward_ms)
        found = [{"time": iso_date(one.due_ms), "schedule": one.key} for one in fired]
        return {"fired": found, **self.clock_state()}

    def dead_letters(self) -> dict[str, Any]:
        """Every message in a dead-letter queue, with its reason as far as it is known."""
        queues = dead_letter_queues(self.sqs.queues, self.events.registry)
        found = [describe(queue, message) for queue in queues for message in queue.messages()]
        return {"queues": [queue.name for queue in queues], "dead_letters": found}

    async def replay(self, queue: str) -> dict[str, Any]:
        """Send dead letters back to where they came from.

        Args:
            queue: The dead-letter queue's name; empty for all of them.

        Raises:
            ApiError: 404, there is no such queue.
        """
        return await replay(queue, self.sqs.queues, self.events)


def _event_documents(
    declared: Sequence[ResourceDeclaration], now_ms: float
) -> dict[Kind, dict[str, Mapping[str, Any]]]:
    """The template's buses, rules, connections and API destinations, as the registry keeps them."""
    found: dict[Kind, dict[str, Mapping[str, Any]]] = {
        Kind.EVENT_BUS: {},
        Kind.EVENT_RULE: {},
        Kind.EVENT_CONNECTION: {},
        Kind.API_DESTINATION: {},
    }
    for one in declared:
        given = {**one.properties, "Name": one.name}
        unique = one.arn.rpartition("/")[2]
        match one.kind:
            case "AWS::Events::EventBus":
                kept: dict[str, Any] = {
                    key: given[key] for key in ("Description", "DeadLetterConfig") if key in given
                }
                found[Kind.EVENT_BUS][one.name] = {
                    "Name": one.name,
                    "Arn": one.arn,
                    "CreationTime": now_ms,
                    "LastModifiedTime": now_ms,
                    "Tags": {},
                    **kept,
                }
            case "AWS::Events::Rule":
                bus = bus_name(given.get("EventBusName"))
                found[Kind.EVENT_RULE][f"{bus}/{one.name}"] = _rule_document(
                    one, given, bus, now_ms
                )
            case "AWS::Events::Connection":
                document = connection_document(given, now_ms, unique)
                found[Kind.EVENT_CONNECTION][one.name] = document
            case "AWS::Events::ApiDestination":
                document = destination_document(given, now_ms, unique)
                found[Kind.API_DESTINATION][one.name] = document
    return found


def _rule_document(
    one: ResourceDeclaration, given: Mapping[str, Any], bus: str, now_ms: float
) -> Mapping[str, Any]:
    kept = ("EventPattern", "ScheduleExpression", "Description", "RoleArn")
    return {
        "Name": one.name,
        "Arn": one.arn,
        "EventBusName": bus,
        "State": given.get("State") or "ENABLED",
        "CreatedMs": now_ms,
        "Targets": given["Targets"],
        "Tags": {},
        **{key: given[key] for key in kept if key in given},
    }


def _calls_of_others(declared: Sequence[ResourceDeclaration]) -> dict[str, list[Declared]]:
    """What makes the template's tables, buckets and log groups in moto."""
    found: dict[str, list[Declared]] = {}
    for one in declared:
        properties = dict(one.properties)
        match one.kind:
            case "AWS::DynamoDB::Table":
                lives = properties.pop("TimeToLiveSpecification", None)
                calls = found.setdefault("dynamodb", [])
                calls.append(("CreateTable", {"TableName": one.name, **properties}))
                if lives:
                    given = {"TableName": one.name, "TimeToLiveSpecification": lives}
                    calls.append(("UpdateTimeToLive", given))
            case "AWS::S3::Bucket":
                calls = found.setdefault("s3", [])
                calls.append(("CreateBucket", {"Bucket": one.name}))
                versioning = properties.get("VersioningConfiguration")
                if versioning:
                    given = {"Bucket": one.name, "VersioningConfiguration": versioning}
                    calls.append(("PutBucketVersioning", given))
            case "AWS::Logs::LogGroup":
                calls = found.setdefault("logs", [])
                calls.append(("CreateLogGroup", {"logGroupName": one.name}))
    return found
