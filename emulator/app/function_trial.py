"""One test of one CloudFront Function: what `aws cloudfront test-function` returns.

A running localpop is asked through its AWS endpoint, as AWS would be. Without one, the same
operation runs here on what the template declares, with a copy of the key value stores.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from emulator.app.packaging import declared_by
from emulator.aws.cloudfront.control_plane import ControlPlane
from emulator.aws.cloudfront.functions import DEVELOPMENT, Functions
from emulator.clock.real import RealClock
from emulator.errors import ApiError, ConfigError
from emulator.project.declarations import FunctionDeclaration, TemplateDeclarations
from emulator.project.local import LocalSettings
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.stores.account import Account
from emulator.stores.key_value_stores import KeyValueStores

_STORES: Final = "stores.sqlite"


def ask_running(
    settings: LocalSettings, name: str, event: bytes, stage: str = DEVELOPMENT
) -> dict[str, Any] | None:
    """The TestResult of a running localpop; None when none answers.

    Args:
        settings: The project's; its AWS endpoint is asked.
        name: The function's name, or its logical id.
        event: The event object.
        stage: `DEVELOPMENT` or `LIVE`.

    Raises:
        ConfigError: It refuses; in its own words.
    """
    # Not at the top: boto3 takes longer to import than most commands take to run.
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "cloudfront",
        endpoint_url=f"http://local@127.0.0.1:{settings.aws_port}",
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=30),
    )
    try:
        etag = client.describe_function(Name=name, Stage=stage)["ETag"]
        answer = client.test_function(Name=name, Stage=stage, IfMatch=etag, EventObject=event)
    except ClientError as error:
        said = error.response["Error"]
        if said["Code"] == "NoSuchFunctionExists":
            function = _find(declared_by(settings), name)
            if function.name != name:
                return ask_running(settings, function.name, event, stage)
        raise ConfigError(f"{said['Code']}: {said['Message']}", where=name) from None
    except BotoCoreError:
        # Nothing answers, or nothing that speaks AWS.
        return None
    finally:
        client.close()
    result: dict[str, Any] = answer["TestResult"]
    return result


async def run_here(
    settings: LocalSettings, name: str, event: bytes, stage: str = DEVELOPMENT
) -> dict[str, Any]:
    """The TestResult of a function of the template, with no server.

    Its key value store holds what the last localpop left, else what the template imports.

    Args:
        settings: The project's.
        name: The function's name, or its logical id.
        event: The event object.
        stage: `DEVELOPMENT` or `LIVE`: the template's code is both.

    Raises:
        ConfigError: There is no such function, or the event is none.
    """
    declared = declared_by(settings)
    function = _find(declared, name)
    clock = RealClock()
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="localpop-test-")))
        for path in settings.state.glob(f"{_STORES}*"):
            shutil.copy(path, folder)
        stores = await KeyValueStores.open(folder / _STORES, clock)
        stack.push_async_callback(stores.close)
        for store in declared.stores:
            if stores.find(store.name) is None:
                await stores.create(store.name, comment=store.comment, items=store.entries or {})
        account = await Account.open(folder / "account.sqlite", clock)
        stack.push_async_callback(account.close)
        engine = CloudFrontFunctions(clock)
        stack.push_async_callback(engine.close)
        functions = Functions(ControlPlane(account, clock, lambda: declared), stores, engine)
        given: dict[str, Any] = {"Name": function.name, "Stage": stage, "EventObject": event}
        described = await functions.operations["DescribeFunction"](given)
        given["IfMatch"] = described["ETag"]
        try:
            answer = await functions.operations["TestFunction"](given)
        except ApiError as error:
            raise ConfigError(f"{error.code}: {error.message}", where=name) from None
    return _with_dates(answer["TestResult"])


def _find(declared: TemplateDeclarations, name: str) -> FunctionDeclaration:
    for function in declared.functions:
        if name in (function.name, function.logical_id):
            return function
    if any(name in (one.name, one.logical_id) for one in declared.lambdas):
        raise ConfigError(
            f"{name} is a Lambda@Edge function; test-function runs CloudFront Functions.",
            mend=f"Use: localpop invoke {name}",
        )
    names = [function.name for function in declared.functions]
    raise ConfigError(
        f"There is no CloudFront Function {name!r}.", mend=f"Known: {', '.join(names) or 'none'}."
    )


def _with_dates(result: Mapping[str, Any]) -> dict[str, Any]:
    """Milliseconds as boto3 gives them: dates."""
    summary = result["FunctionSummary"]
    metadata = {
        key: datetime.fromtimestamp(value / 1_000, UTC) if key.endswith("Time") else value
        for key, value in summary["FunctionMetadata"].items()
    }
    return {**result, "FunctionSummary": {**summary, "FunctionMetadata": metadata}}
