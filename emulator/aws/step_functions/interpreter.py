"""The second runner: moto's interpreter of Amazon States Language (once LocalStack's).

Beside `other_services.py` the one file that imports moto, and the only one that reaches into its
interpreter; what it mends there stands in `_mend`, with the reason (facts/local-aws.md section 1).
It is slow (50 to 100 ms of CPU an execution) and keeps real time, whatever the clock says; it was
held against AWS's own answers by its authors, so it is what definitions are checked with.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from emulator.errors import ApiError
from emulator.runtimes.state_machine import History
from emulator.values.state_machines import ExecutionOutcome, ExecutionStart, ExecutionStatus
from emulator.wire.sdk_integration import CLIENT_NAMES, ERROR_NAMES

_ACCOUNT_ID: Final = "123456789012"
_REGION: Final = "us-east-1"
_ASL: Final = "moto.stepfunctions.parser.asl"
# The library's own default for a client that nobody configures.
_LOOK_EVERY_S: Final = 0.005
_loading = threading.Lock()


class Interpreter:
    """Runs executions in moto.

    Args:
        endpoint_url: The AWS endpoint, which tasks call over HTTP.
        at_once: How many executions may run at a time; others wait.
    """

    def __init__(self, endpoint_url: Callable[[], str], *, at_once: int = 32) -> None:
        self._endpoint_url = endpoint_url
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="interpreter")
        self._moto: Any = None
        self._texts: dict[str, str] = {}

    def close(self) -> None:
        """Start nothing more; what still runs ends with the process."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, start: ExecutionStart, history: History) -> ExecutionOutcome:
        """Run an execution to its end."""
        loop = asyncio.get_running_loop()
        execution = await loop.run_in_executor(self._pool, self._start, start)
        try:
            while execution.exec_status == "RUNNING":
                await loop.run_in_executor(self._pool, _look_again)
            history.adopt(_events(execution))
        except asyncio.CancelledError:
            execution.stop(stop_date=None, error=None, cause=None)
            raise
        return ExecutionOutcome(
            ExecutionStatus(str(execution.exec_status.value)),
            execution.output,
            execution.error,
            execution.cause,
        )

    async def check(self, definition: str) -> None:
        """Have the interpreter parse a definition.

        Raises:
            ApiError: 400 InvalidDefinition.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self._check, definition)

    async def send_task(self, operation: str, given: Mapping[str, Any]) -> None:
        """SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat.

        Raises:
            ApiError: 400, no task waits for this token.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, self._send_task, operation, given)

    # --- in a thread ----------------------------------------------------------------------------

    def _backend(self) -> Any:
        with _loading:
            if self._moto is None:
                self._moto = _load()
            _use(self._endpoint_url())
            return self._moto

    def _check(self, definition: str) -> None:
        try:
            self._backend()._validate_definition(definition)
        except Exception as error:
            message = getattr(error, "message", None) or str(error)
            raise ApiError(
                400, "InvalidDefinition", f"Invalid State Machine Definition: '{message}'"
            ) from None

    def _start(self, start: ExecutionStart) -> Any:
        backend, machine = self._backend(), start.machine
        known = {one.arn for one in backend.state_machines}
        if machine.arn not in known:
            # Always a standard one: an express workflow's executions could not be watched.
            backend.create_state_machine(machine.name, machine.text, machine.role_arn)
        elif self._texts.get(machine.arn) != machine.text:
            backend.update_state_machine(machine.arn, machine.text, machine.role_arn)
        self._texts[machine.arn] = machine.text
        return backend.start_execution(machine.arn, start.name, json.dumps(start.value))

    def _send_task(self, operation: str, given: Mapping[str, Any]) -> None:
        backend, token = self._backend(), given["taskToken"]
        try:
            if operation == "SendTaskSuccess":
                backend.send_task_success(token, given["output"])
            elif operation == "SendTaskFailure":
                backend.send_task_failure(token, given.get("error"), given.get("cause"))
            else:
                backend.send_task_heartbeat(token)
        except Exception as error:
            raise ApiError(400, type(error).__name__, str(error)) from None


def _look_again() -> None:
    time.sleep(_LOOK_EVERY_S)


def _events(execution: Any) -> list[dict[str, Any]]:
    """Its history as our API writes it: dates in epoch ms."""
    return [
        {**event, "type": str(event["type"].value), "timestamp": _epoch_ms(event["timestamp"])}
        for event in execution.to_history_output()["events"]
    ]


def _epoch_ms(moment: Any) -> float:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return float(moment.timestamp() * 1_000)


# --- moto ----------------------------------------------------------------------------------------


class _Endpoint:
    """Where tasks call; one for all threads, as moto's state is one for the process."""

    def __init__(self) -> None:
        self.url = ""


_ENDPOINT: Final = _Endpoint()


def _use(url: str) -> None:
    _ENDPOINT.url = url


def _load() -> Any:
    os.environ.setdefault("MOTO_DISABLE_GLOBAL_CORS", "true")
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    _mend()
    return stepfunctions_parser_backends[_ACCOUNT_ID][_REGION]


class _Clients:
    """In boto3's place: a client is kept, because making one costs more than what it is for."""

    @staticmethod
    @lru_cache(maxsize=64)
    def _made(url: str, service: str, region: str) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            region_name=region,
            endpoint_url=url,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(
                parameter_validation=False,
                retries={"total_max_attempts": 1},
                read_timeout=3_600,
                max_pool_connections=64,
            ),
        )

    def client(self, *, service_name: str, region_name: str, **_: Any) -> Any:
        return self._made(_ENDPOINT.url, service_name, region_name)


def _module(name: str) -> Any:
    return importlib.import_module(name)


@lru_cache(maxsize=1)
def _mend() -> None:
    """What the interpreter lacks or does otherwise than AWS."""
    services = f"{_ASL}.component.state.exec.state_task.service.state_task_service"
    service, aws_sdk, sqs = (_module(f"{services}{end}") for end in ("", "_aws_sdk", "_sqs"))
    jsonata, boto_client = _module(f"{_ASL}.jsonata.jsonata"), _module(f"{_ASL}.utils.boto_client")
    states, variable_store = _module(f"{_ASL}.eval.states"), _module(f"{_ASL}.eval.variable_store")

    # Tasks call this endpoint, whichever port it has.
    boto_client.boto3 = _Clients()
    # JSONata is not wired; and texts are put into expressions without their quotes escaped.
    jsonata._eval_jsonata = _jsonata
    for module in (jsonata, states, variable_store):
        module.encode_jsonata_variable_declarations = _declarations
    # Services whose names in a Resource are not botocore's.
    overrides = service.StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES
    overrides.update({**CLIENT_NAMES, "bedrock": "bedrock-runtime"})
    aws_sdk._SERVICE_ERROR_NAMES.update(ERROR_NAMES)
    # An SDK integration's parameters and results are in PascalCase; moto has the code and calls it
    # only for services that lack an optimized integration.
    aws_sdk.StateTaskServiceAwsSdk._eval_service_task = _sdk_task
    # The SDK for Java's name of an answer that is an error; SdkClientException is for none at all.
    sqs._ERROR_NAME_CLIENT = "SQS.AmazonSQSException"
    # A definition is parsed when it is checked, when it is kept and when it is run.
    backend = _module("moto.stepfunctions.parser.models").StepFunctionsParserBackend
    validate = lru_cache(maxsize=256)(backend._validate_definition)
    backend._validate_definition = staticmethod(lambda definition: validate(definition))


def _jsonata(expression: str) -> Any:
    from jsonata.utils import Utils

    from emulator.rules.asl_jsonata import compiled

    value = compiled(expression).evaluate(None)
    written = json.dumps(value, default=lambda one: None if one is Utils.NULL_VALUE else str(one))
    return json.loads(written)


def _declarations(bindings: Mapping[str, Any]) -> str:
    return "".join(f"{name}:={json.dumps(value, default=str)};" for name, value in bindings.items())


def _sdk_task(
    self: Any,
    env: Any,
    resource_runtime_part: Any,
    normalised_parameters: dict[str, Any],
    state_credentials: Any,
) -> None:

    from emulator.wire.sdk_integration import sdk_operation

    operation = sdk_operation(self.resource.api_name, self.resource.api_action)
    client = _module(f"{_ASL}.utils.boto_client").boto_client_for(
        service=self._get_boto_service_name(),
        region=resource_runtime_part.region,
        state_credentials=state_credentials,
    )
    method = getattr(client, self._get_boto_service_action())
    output = method(**operation.request(normalised_parameters))
    output.pop("ResponseMetadata", None)
    env.stack.append(operation.response(output))
