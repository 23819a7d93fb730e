"""One run of one Lambda function, with no server beside it."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emulator.app.deploy import lambda_declaration, regional_declaration
from emulator.app.packaging import declared_by
from emulator.clock.real import RealClock
from emulator.errors import ConfigError
from emulator.project.declarations import LambdaFunctionDeclaration, TemplateDeclarations
from emulator.project.local import LocalSettings
from emulator.runtimes.lambda_edge import LambdaFunctionError, LambdaFunctions, build
from emulator.runtimes.lambda_edge.functions import PlainRun
from emulator.values.functions import FunctionEvent
from emulator.values.lambda_edge import LambdaRun
from emulator.values.messages import Response
from emulator.wire.lambda_edge import dump_event, dump_headers, dump_origin
from emulator.wire.lambda_edge_event import WrittenEvent


@dataclass(frozen=True, slots=True)
class Invoked:
    """What came of it: a run, or a failure.

    Args:
        run: What the function gave.
        failure: Why it gave nothing.
        warnings: What differs from AWS here.
    """

    run: LambdaRun | None
    failure: LambdaFunctionError | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InvokedPlainly:
    """What came of a function that runs in its Region.

    Args:
        run: What it gave.
        warnings: What differs from AWS here.
    """

    run: PlainRun
    warnings: tuple[str, ...]


def is_regional(settings: LocalSettings, name: str) -> bool:
    """Whether a name is that of a Lambda function which no distribution runs."""
    return _regional(declared_by(settings), name) is not None


async def invoke_plainly(
    settings: LocalSettings,
    name: str,
    event: object,
    *,
    awslambdaric: bool = False,
    declared_python: bool = False,
) -> InvokedPlainly:
    """Package a regional function as `localpop up` does and run it once; any JSON in and out.

    Args:
        settings: The project's; boto3 in the handler is told of its AWS endpoint.
        name: The function's name, or its logical id.
        event: The event.
        awslambdaric: Whether it runs under AWS's own runtime interface client.
        declared_python: Whether it runs on its declared Python version, where installed.

    Raises:
        ConfigError: There is no such function, or it cannot run here.
    """
    declared = _regional(declared_by(settings), name)
    assert declared is not None
    functions = _functions(settings, awslambdaric=awslambdaric, declared_python=declared_python)
    with tempfile.TemporaryDirectory(prefix="localpop-invoke-") as folder:
        package = build(
            declared.path, Path(folder, declared.name), declared.baked, declared.folders
        )
        try:
            loaded = functions.load(regional_declaration(declared, package))
            return InvokedPlainly(await loaded.invoke(event), loaded.warnings)
        finally:
            await functions.close()


def _regional(declared: TemplateDeclarations, name: str) -> LambdaFunctionDeclaration | None:
    for function in declared.regional_lambdas:
        if name in (function.name, function.logical_id):
            return function
    return None


def _functions(
    settings: LocalSettings, *, awslambdaric: bool, declared_python: bool
) -> LambdaFunctions:
    url = f"http://local@127.0.0.1:{settings.aws_port}"
    return LambdaFunctions(
        RealClock(),
        endpoint_url=lambda region: f"{url}/from-region/{region}" if region else url,
        awslambdaric=awslambdaric,
        declared_python=declared_python,
    )


async def invoke(
    settings: LocalSettings,
    name: str,
    written: WrittenEvent,
    *,
    awslambdaric: bool = False,
    declared_python: bool = False,
) -> Invoked:
    """Package a function as `localpop up` does and run it once, in a sandbox of its own.

    Args:
        settings: The project's; boto3 in the handler is told of its AWS endpoint.
        name: The function's name, or its logical id.
        written: The event.
        awslambdaric: Whether it runs under AWS's own runtime interface client.
        declared_python: Whether it runs on its declared Python version, where installed.

    Raises:
        ConfigError: There is no such function, or it cannot run here.
    """
    declared = _find(settings, name)
    functions = _functions(settings, awslambdaric=awslambdaric, declared_python=declared_python)
    with tempfile.TemporaryDirectory(prefix="localpop-invoke-") as folder:
        package = build(
            declared.path, Path(folder, declared.name), declared.baked, declared.folders
        )
        try:
            loaded = functions.load(lambda_declaration(declared, declared.versions[-1], package))
            try:
                run = await loaded.run_shown(written.event, written.shown)
            except LambdaFunctionError as error:
                return Invoked(None, error, loaded.warnings)
            return Invoked(run, None, loaded.warnings)
        finally:
            await functions.close()


def _find(settings: LocalSettings, name: str) -> LambdaFunctionDeclaration:
    declared = declared_by(settings)
    for function in declared.lambdas:
        if name in (function.name, function.logical_id):
            return function
    if any(name in (one.name, one.logical_id) for one in declared.functions):
        raise ConfigError(
            f"{name} is a CloudFront Function; invoke runs Lambda functions.",
            mend=f"Use: localpop test-function {name}",
        )
    names = [function.name for function in declared.all_lambdas]
    raise ConfigError(
        f"There is no Lambda function {name!r}.",
        mend=f"Known: {', '.join(names) or 'none'}.",
    )


def dump_result(run: LambdaRun, written: WrittenEvent) -> dict[str, Any]:
    """What CloudFront goes on with, spelled as in an event."""
    if isinstance(run.result, Response):
        return _dump_response(run.result, written.event)
    event = replace(written.event, request=run.result)
    shape: dict[str, Any] = dict(dump_event(event)["Records"][0]["cf"]["request"])
    shown = written.shown["Records"][0]["cf"]["request"]
    if run.origin is not None:
        shape["origin"] = dump_origin(run.origin)
    elif "origin" in shown and not event.event_type.is_viewer:
        shape["origin"] = shown["origin"]
    body = run.result.body
    if isinstance(body, bytes) and body:
        shape["body"] = _text(body)
    return shape


def _dump_response(response: Response, event: FunctionEvent) -> dict[str, Any]:
    shape: dict[str, Any] = {"status": str(response.status)}
    if response.reason:
        shape["statusDescription"] = response.reason
    shape["headers"] = dump_headers(response.headers)
    if isinstance(response.body, bytes) and response.body:
        shape["body"] = _text(response.body)
    return shape


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(body).decode()}"
