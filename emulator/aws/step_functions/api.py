"""Step Functions' API.

AWS: "AWS Step Functions API Reference",
https://docs.aws.amazon.com/step-functions/latest/apireference/, read 2026-11-21. Roles, logging,
tracing and encryption are accepted and have no effect; versions, aliases, activities, map runs and
redrives are not there.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.types import ASGIApp

from emulator.aws.answers import Answer
from emulator.aws.call import ApiCall
from emulator.aws.cloudfront.control_plane import Operation, Shape
from emulator.aws.models import LazyModel
from emulator.aws.step_functions.executions import Execution, Executions, Runner, Tell, describe
from emulator.aws.step_functions.machines import Machines, invalid_arn, machine_arn, require_name
from emulator.clock import Clock
from emulator.errors import ApiError, NotEmulated
from emulator.project.declarations import StateMachineDeclaration
from emulator.quotas import MB
from emulator.rules.asl_definition import check_definition
from emulator.runtimes.state_machine import StateMachineRunner, TaskTokens
from emulator.runtimes.state_machine.runner import DATA_MAX_BYTES
from emulator.runtimes.state_machine.tasks import CallService
from emulator.stores.account import Account
from emulator.stores.journal import Journal
from emulator.values.account import Kind
from emulator.values.function_logs import FunctionLogLine
from emulator.values.state_machines import ExecutionStatus, MachineType, StateMachine
from emulator.wire.service_model_words import ErrorWords

_BODY_MAX_BYTES: Final = 4 * MB
_PAGE_DEFAULT: Final = 100
_PAGE_MAX: Final = 1_000
_DIAGNOSTICS_MAX: Final = 100

MakeInterpreter = Callable[[Machines], Runner]
"""Makes the other runner."""


class StepFunctionsApi:
    """The service `states`.

    Args:
        account: Where machines are kept that were made through the API.
        clock: Waits, time-outs, dates.
        call: The other services.
        declared: The template's state machines, as they are now.
        interpreter: What runs executions in place of the native runner; also asked about tokens
            that nobody here knows.
        log: Gets a line when an execution begins, and one when it ends.
        tell: Told of each change of a standard execution's status.
        journal: Keeps executions under way.
        chance: Where names and tokens come from.
    """

    def __init__(
        self,
        account: Account,
        clock: Clock,
        call: CallService,
        *,
        declared: Callable[[], Sequence[StateMachineDeclaration]] = tuple,
        interpreter: Runner | None = None,
        log: Callable[[FunctionLogLine], None] | None = None,
        tell: Tell = lambda describe: None,
        journal: Journal | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._account, self._clock, self._call_service = account, clock, call
        chance = chance or random.Random()
        self.tokens = TaskTokens(chance)
        self.machines = Machines(account, declared, is_native=interpreter is None)
        self._is_native = interpreter is None
        native = StateMachineRunner(clock, call, self._finished, self.tokens, chance)
        self.executions = Executions(clock, interpreter or native, chance, log, tell, journal)
        self._model = LazyModel(
            "stepfunctions", ErrorWords("SerializationException", "ValidationException")
        )
        self._operations: Mapping[str, Operation] = {
            "CreateStateMachine": self._create,
            "UpdateStateMachine": self._update,
            "DeleteStateMachine": self._delete,
            "DescribeStateMachine": self._describe,
            "DescribeStateMachineForExecution": self._describe_for_execution,
            "ListStateMachines": self._list,
            "ValidateStateMachineDefinition": self._validate,
            "StartExecution": self._start,
            "StartSyncExecution": self._start_sync,
            "DescribeExecution": self._describe_execution,
            "ListExecutions": self._list_executions,
            "GetExecutionHistory": self._history,
            "StopExecution": self._stop,
            "SendTaskSuccess": self._succeed,
            "SendTaskFailure": self._fail,
            "SendTaskHeartbeat": self._beat,
            "ListTagsForResource": self._list_tags,
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: Any of Step Functions' errors.
            NotEmulated: An operation that is not there, by its name.
        """
        operation = call.headers.get("x-amz-target", "").rpartition(".")[2]
        if operation not in self._operations:
            raise NotEmulated(f"The AWS operation states:{operation or call.path}")
        body = await call.body(_BODY_MAX_BYTES, _too_large)
        model = await self._model.get()
        matched = model.named(operation)
        assert matched is not None
        given = model.read_input(matched, "", call.headers, body)
        written = model.write_output(operation, await self.call(operation, given))
        return Answer(200, written.body or b"{}", content_type="application/x-amz-json-1.0")

    async def call(self, operation: str, given: Shape) -> dict[str, Any]:
        """Do an operation without HTTP (`in_process`).

        Raises:
            ApiError: Any of Step Functions' errors.
            NotEmulated: An operation that is not there.
        """
        known = self._operations.get(operation)
        if known is None:
            raise NotEmulated(f"The AWS operation states:{operation}")
        return await known(given)

    def start(self) -> None:
        """Go on with what the last run left."""
        self.executions.resume(self._found)

    async def drain(self) -> None:
        """Let what runs come to its end, for a moment."""
        await self.executions.drain()

    async def close(self) -> None:
        """Abort what still runs."""
        await self.executions.close()

    async def reset(self) -> None:
        """Forget every execution; the account forgets the machines."""
        await self.executions.clear()

    async def _finished(self, arn: str) -> Mapping[str, Any]:
        return await self.executions.finished(arn)

    # --- state machines -------------------------------------------------------------------------

    async def _create(self, given: Shape) -> dict[str, Any]:
        name = given["name"]
        require_name(name)
        if given.get("publish"):
            raise NotEmulated("Publishing a version of a state machine", where=name)
        kind = MachineType(given.get("type") or MachineType.STANDARD)
        self.machines.require_valid(given["definition"])
        await self._check_with_interpreter(given["definition"])
        document = {
            "definition": given["definition"],
            "roleArn": given["roleArn"],
            "type": str(kind),
            "tags": {tag["key"]: tag["value"] for tag in given.get("tags") or ()},
        }
        async with self._account.exclusive():
            before = self.machines.find(name)
            if before is not None:
                # The same request again is answered the same ("CreateStateMachine is idempotent").
                same = (before.text, before.role_arn, before.kind) == (
                    given["definition"],
                    given["roleArn"],
                    kind,
                )
                record = self.machines.record(name)
                if same and record is not None:
                    return {"stateMachineArn": before.arn, "creationDate": record.created_ms}
                raise ApiError(
                    400,
                    "StateMachineAlreadyExists",
                    f"State Machine Already Exists: '{before.arn}'",
                )
            record = self._account.new(Kind.STATE_MACHINE, name, document)
            await self._account.save(record)
        return {"stateMachineArn": machine_arn(name), "creationDate": record.created_ms}

    async def _check_with_interpreter(self, definition: str) -> None:
        check = getattr(self.executions.runner, "check", None)
        if check is not None:
            await check(definition)

    async def _update(self, given: Shape) -> dict[str, Any]:
        machine = self.machines.named(given["stateMachineArn"])
        if not any(name in given for name in ("definition", "roleArn", "loggingConfiguration")):
            raise ApiError(
                400,
                "MissingRequiredParameter",
                "Either the definition, the role ARN, the LoggingConfiguration, the "
                "TracingConfiguration or the EncryptionConfiguration must be specified",
            )
        if "definition" in given:
            self.machines.require_valid(given["definition"])
            await self._check_with_interpreter(given["definition"])
        async with self._account.exclusive():
            record = self._own(machine)
            named = ("definition", "roleArn")
            more = {name: given[name] for name in named if name in given}
            record = self._account.changed(record, {**record.document, **more})
            await self._account.save(record)
        return {"updateDate": record.modified_ms, "revisionId": f"{record.version}"}

    async def _delete(self, given: Shape) -> dict[str, Any]:
        try:
            machine = self.machines.named(given["stateMachineArn"])
        except ApiError as error:
            if error.code == "StateMachineDoesNotExist":
                return {}
            raise
        async with self._account.exclusive():
            self._own(machine)
            await self._account.save(deletes=[(Kind.STATE_MACHINE, machine.name)])
        return {}

    def _own(self, machine: StateMachine) -> Any:
        record = self.machines.record(machine.name)
        if record is None or self.machines.is_declared(machine.name):
            raise ApiError(
                400,
                "ConflictException",
                f"The state machine {machine.name} is declared in the project's template. Change "
                "it there; localpop deploys the template when it is saved.",
            )
        return record

    async def _describe(self, given: Shape) -> dict[str, Any]:
        return self._shape(self.machines.named(given["stateMachineArn"]))

    async def _describe_for_execution(self, given: Shape) -> dict[str, Any]:
        machine = self._execution(given["executionArn"]).start.machine
        shape = self._shape(machine)
        kept = ("stateMachineArn", "name", "definition", "roleArn", "loggingConfiguration")
        return {name: shape[name] for name in kept} | {"updateDate": shape["creationDate"]}

    def _shape(self, machine: StateMachine) -> dict[str, Any]:
        record = self.machines.record(machine.name)
        return {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "status": "ACTIVE",
            "definition": machine.text,
            "roleArn": machine.role_arn,
            "type": str(machine.kind),
            "creationDate": record.created_ms if record else 0.0,
            "loggingConfiguration": {"level": "OFF", "includeExecutionData": False},
            "tracingConfiguration": {"enabled": False},
            "revisionId": f"{record.version if record else 1}",
        }

    async def _list(self, given: Shape) -> dict[str, Any]:
        names = sorted(set(self.machines.names()))
        found, token = _page(names, given)
        listed = []
        for name in found:
            machine = self._found(name)
            if machine is not None:
                shape = self._shape(machine)
                kept = ("stateMachineArn", "name", "type", "creationDate")
                listed.append({key: shape[key] for key in kept})
        return {"stateMachines": listed, **token}

    def _found(self, name: str) -> StateMachine | None:
        try:
            return self.machines.find(name)
        except NotEmulated:
            return None

    async def _validate(self, given: Shape) -> dict[str, Any]:
        _, diagnostics = check_definition(given["definition"])
        most = int(given.get("maxResults") or _DIAGNOSTICS_MAX)
        return {
            "result": "FAIL" if diagnostics else "OK",
            "diagnostics": [
                {
                    "severity": "ERROR",
                    "code": one.code,
                    "message": one.message,
                    "location": one.location,
                }
                for one in diagnostics[:most]
            ],
            "truncated": len(diagnostics) > most,
        }

    # --- executions -----------------------------------------------------------------------------

    async def _start(self, given: Shape) -> dict[str, Any]:
        execution = self._started(given)
        return {
            "executionArn": execution.start.arn,
            "startDate": execution.start.started_ms,
        }

    def _started(self, given: Shape) -> Execution:
        machine = self.machines.named(given["stateMachineArn"])
        name = given.get("name") or ""
        if name:
            require_name(name)
        return self.executions.start(machine, _parsed(given.get("input") or "{}"), name)

    async def _start_sync(self, given: Shape) -> dict[str, Any]:
        machine = self.machines.named(given["stateMachineArn"])
        if machine.kind is not MachineType.EXPRESS:
            raise _type_not_supported()
        execution = self._started(given)
        await execution.done.wait()
        shape = describe(execution)
        for name in ("redriveCount", "redriveStatus"):
            del shape[name]
        took_ms = shape["stopDate"] - shape["startDate"]
        # Express workflows are billed in steps of 100 ms, and of 64 MB.
        shape["billingDetails"] = {
            "billedMemoryUsedInMB": 64,
            "billedDurationInMilliseconds": 100 * max(1, math.ceil(took_ms / 100)),
        }
        return shape

    async def _describe_execution(self, given: Shape) -> dict[str, Any]:
        return describe(self._execution(given["executionArn"]))

    async def _list_executions(self, given: Shape) -> dict[str, Any]:
        if "stateMachineArn" not in given:
            raise NotEmulated("ListExecutions of a map run")
        machine = self.machines.named(given["stateMachineArn"])
        if machine.kind is MachineType.EXPRESS:
            raise _type_not_supported()
        found, token = _page([*self.executions.of(machine, given.get("statusFilter"))], given)
        kept = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate")
        listed = []
        for execution in found:
            shape = describe(execution)
            listed.append({name: shape[name] for name in kept if name in shape})
        return {"executions": listed, **token}

    async def _history(self, given: Shape) -> dict[str, Any]:
        execution = self._execution(given["executionArn"])
        events = execution.history.dump()
        if given.get("reverseOrder"):
            events.reverse()
        found, token = _page(events, given)
        return {"events": [*found], **token}

    async def _stop(self, given: Shape) -> dict[str, Any]:
        execution = self._execution(given["executionArn"])
        if execution.status is ExecutionStatus.RUNNING:
            self.executions.stop(execution, given.get("error"), given.get("cause"))
            await execution.done.wait()
        return {"stopDate": execution.ended_ms}

    def _execution(self, arn: str) -> Execution:
        parts = arn.split(":")
        if len(parts) < 8 or parts[2] != "states" or parts[5] != "execution":
            raise invalid_arn(arn)
        return self.executions.find(arn)

    # --- task tokens ----------------------------------------------------------------------------

    async def _succeed(self, given: Shape) -> dict[str, Any]:
        try:
            output = json.loads(given["output"])
        except ValueError:
            raise ApiError(
                400, "InvalidOutput", f"Invalid Output: '{given['output'][:200]}'"
            ) from None
        if not await self._handed_on("SendTaskSuccess", given):
            self.tokens.succeed(given["taskToken"], output)
        return {}

    async def _fail(self, given: Shape) -> dict[str, Any]:
        if not await self._handed_on("SendTaskFailure", given):
            self.tokens.fail(given["taskToken"], given.get("error"), given.get("cause"))
        return {}

    async def _beat(self, given: Shape) -> dict[str, Any]:
        if not await self._handed_on("SendTaskHeartbeat", given):
            self.tokens.beat(given["taskToken"])
        return {}

    async def _handed_on(self, operation: str, given: Shape) -> bool:
        """Whether the interpreter was asked instead: it has tokens of its own."""
        send = getattr(self.executions.runner, "send_task", None)
        if send is None:
            return False
        await send(operation, given)
        return True

    # --- tags -----------------------------------------------------------------------------------

    async def _list_tags(self, given: Shape) -> dict[str, Any]:
        record = self.machines.record(self.machines.named(given["resourceArn"]).name)
        tags = record.document["tags"] if record else {}
        return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}

    async def _tag(self, given: Shape) -> dict[str, Any]:
        more = {tag["key"]: tag["value"] for tag in given["tags"]}
        await self._retag(given, lambda tags: {**tags, **more})
        return {}

    async def _untag(self, given: Shape) -> dict[str, Any]:
        gone = set(given["tagKeys"])
        await self._retag(
            given, lambda tags: {key: value for key, value in tags.items() if key not in gone}
        )
        return {}

    async def _retag(
        self, given: Shape, change: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> None:
        async with self._account.exclusive():
            record = self._own(self.machines.named(given["resourceArn"]))
            document = {**record.document, "tags": change(record.document["tags"])}
            await self._account.save(self._account.changed(record, document))


def _parsed(text: str) -> Any:
    if len(text.encode()) > DATA_MAX_BYTES:
        raise ApiError(
            400, "InvalidExecutionInput", f"Invalid Execution Input: over {DATA_MAX_BYTES} bytes"
        )
    try:
        return json.loads(text)
    except ValueError as error:
        raise ApiError(
            400, "InvalidExecutionInput", f"Invalid Execution Input: '{error}'"
        ) from None
    except RecursionError:
        raise ApiError(
            400, "InvalidExecutionInput", "Invalid Execution Input: nested too deeply"
        ) from None


def _page(items: Sequence[Any], given: Shape) -> tuple[Sequence[Any], dict[str, str]]:
    """One page, and the token of the next one."""
    size = min(int(given.get("maxResults") or _PAGE_DEFAULT), _PAGE_MAX)
    token = given.get("nextToken") or "0"
    if not token.isdecimal():
        raise ApiError(400, "InvalidToken", f"Invalid Token: '{token[:80]}'")
    start = int(token)
    found = items[start : start + size]
    more = start + size < len(items)
    return found, {"nextToken": str(start + size)} if more else {}


def _type_not_supported() -> ApiError:
    return ApiError(
        400,
        "StateMachineTypeNotSupported",
        "This operation is not supported by this type of state machine",
    )


def _too_large() -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", "The request is too large")
