"""What works behind the viewers' back: events, queues, and what they set in motion.

One object that the endpoint, the deployment of templates and the end of localpop share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emulator.aws.call import Service
from emulator.aws.events.api import (
    EventsApi,
    EventsSettings,
    connection_document,
    destination_document,
)
from emulator.aws.events.registry import bus_name
from emulator.aws.in_process import InProcess
from emulator.aws.other_services import Declared, OtherServices
from emulator.aws.sqs.api import SqsApi
from emulator.aws.sqs.mappings import EventSourceMappings
from emulator.aws.step_functions.api import StepFunctionsApi
from emulator.aws.step_functions.executions import Runner
from emulator.clock import Clock
from emulator.errors import ApiError, ConfigError
from emulator.project.declarations import ResourceDeclaration, TemplateDeclarations
from emulator.stores.account import Account
from emulator.stores.queues import Queues
from emulator.values.account import Kind
from emulator.values.function_logs import FunctionLogLine


class Background:
    """EventBridge, SQS and Step Functions, joined to the other services.

    Call `start`, and `close` at the end.

    Args:
        account: Where what the API makes is kept.
        clock: Counts time-outs, spaces retries.
        in_process: The services; these are added to it.
        others: Has tables, buckets and log groups.
        settings: What a person may set.
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
        declared: Callable[[], TemplateDeclarations] = TemplateDeclarations,
        interpreter: Runner | None = None,
        log: Callable[[FunctionLogLine], None] | None = None,
    ) -> None:
        self._clock, self._others = clock, others
        self.sqs = SqsApi(Queues(clock), account)
        self.events = EventsApi(account, clock, in_process, settings)
        self.mappings = EventSourceMappings(self.sqs.queues, account, clock, in_process)
        in_process.add("sqs", self.sqs.call)
        in_process.add("events", self.events.call)
        self.states = StepFunctionsApi(
            account,
            clock,
            in_process.call,
            declared=lambda: declared().state_machines,
            interpreter=interpreter,
            log=log,
        )
        in_process.add("states", self.states.call)

    def services(self) -> dict[str, Service]:
        """The services for the endpoint, by signing name."""
        return {"sqs": self.sqs, "events": self.events, "states": self.states}

    async def deploy(self, declared: Sequence[ResourceDeclaration]) -> None:
        """Make what a template declares; what it declared before and no more is gone.

        Raises:
            ConfigError: A service refuses one of them; what was in use stays so.
        """
        await self._deploy_queues([one for one in declared if one.kind == "AWS::SQS::Queue"])
        self.events.registry.declare(_event_documents(declared, self._clock.epoch_ms() / 1_000))
        self._others.declare(_calls_of_others(declared))
        await self._deploy_mappings(
            [one for one in declared if one.kind == "AWS::Lambda::EventSourceMapping"]
        )

    async def _deploy_mappings(self, declared: Sequence[ResourceDeclaration]) -> None:
        for one in declared:
            try:
                self.mappings.check(one.properties)
            except ApiError as error:
                raise ConfigError(
                    f"{one.logical_id}: {error.message}", where=one.where, mend="Mend the mapping."
                ) from None
        await self.mappings.declare({one.name: one.properties for one in declared})

    async def _deploy_queues(self, declared: Sequence[ResourceDeclaration]) -> None:
        for one in declared:
            try:
                self.sqs.check(one.name, one.properties)
            except ApiError as error:
                raise ConfigError(
                    f"{one.logical_id}: {error.message}", where=one.where, mend="Mend the queue."
                ) from None
        await self.sqs.declare({one.name: one.properties for one in declared})

    async def start(self) -> None:
        """Go on where the last run ended; the template's resources are there by now."""
        await self.sqs.forget_kept()
        await self.events.start()
        await self.mappings.start()

    async def quiesce(self) -> None:
        """Begin nothing more, while what is under way can still call the endpoint."""
        await self.mappings.close()

    async def close(self) -> None:
        """End in order: nothing that was accepted is lost."""
        await self.quiesce()
        await self.events.close()
        await self.states.close()
        await self.sqs.keep_messages()

    async def reset(self) -> None:
        """Forget queues; the account forgets the rest."""
        await self.mappings.reset()
        self.sqs.queues.clear()
        await self.states.reset()


def _event_documents(
    declared: Sequence[ResourceDeclaration], now_s: float
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
                    "CreationTime": now_s,
                    "LastModifiedTime": now_s,
                    "Tags": {},
                    **kept,
                }
            case "AWS::Events::Rule":
                bus = bus_name(given.get("EventBusName"))
                found[Kind.EVENT_RULE][f"{bus}/{one.name}"] = _rule_document(one, given, bus)
            case "AWS::Events::Connection":
                document = connection_document(given, now_s, unique)
                found[Kind.EVENT_CONNECTION][one.name] = document
            case "AWS::Events::ApiDestination":
                document = destination_document(given, now_s, unique)
                found[Kind.API_DESTINATION][one.name] = document
    return found


def _rule_document(
    one: ResourceDeclaration, given: Mapping[str, Any], bus: str
) -> Mapping[str, Any]:
    kept = ("EventPattern", "ScheduleExpression", "Description", "RoleArn")
    return {
        "Name": one.name,
        "Arn": one.arn,
        "EventBusName": bus,
        "State": given.get("State") or "ENABLED",
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
