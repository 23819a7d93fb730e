"""A project's packages, made together: artifacts, manifest and packaged template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from emulator.deploy.artifacts import Artifact, dump_manifest
from emulator.deploy.desired import LAMBDA, Template, unknown
from emulator.deploy.packaged_template import dump_template, packaged_template
from emulator.deploy.packaging import (
    package_cloudfront_function,
    package_lambda,
    remove_outdated,
)
from emulator.errors import ConfigError
from emulator.project.declarations import LambdaFunctionDeclaration, TemplateDeclarations
from emulator.project.intrinsics import ACCOUNT_ID
from emulator.project.local import LocalSettings
from emulator.project.resources import ASSET_PATH
from emulator.project.stacks import Stack, read_stacks
from emulator.project.template import inspect_templates

MANIFEST: Final = "manifest.json"
_STATE_MACHINE: Final = "AWS::StepFunctions::StateMachine"


@dataclass(frozen=True, slots=True)
class Packaged:
    """What was made.

    Args:
        artifacts: One for each function.
        files: Manifest and templates; only when everything was packaged.
    """

    artifacts: tuple[Artifact, ...]
    files: tuple[Path, ...] = ()


def declared_by(settings: LocalSettings) -> TemplateDeclarations:
    """What a project's templates declare; what only the edge could not do is no matter here.

    Raises:
        ConfigError: They cannot be read, or declare no function because of a mistake.
    """
    inspection = inspect_templates(settings.templates, settings.answers)
    declared = inspection.declared
    if not declared.all_lambdas and not declared.functions:
        for error in inspection.errors:
            raise ConfigError(error.what, where=error.where, mend=error.mend)
    return declared


def package_project(
    settings: LocalSettings,
    out: Path,
    *,
    function: str = "",
    with_boto3: bool = False,
    values: Mapping[str, str] | None = None,
) -> Packaged:
    """Package one function, or all of them with manifest and template.

    Args:
        settings: The project's.
        out: The build folder.
        function: The name of one; empty for all.
        with_boto3: Whether boto3 is vendored, although Lambda has it.
        values: What AWS gave resources, by `Resource.Attribute`, for files that are baked in.

    Raises:
        ConfigError: There is no such function, or AWS would refuse one; nothing is replaced then.
    """
    declared = declared_by(settings)
    baked = _as_at_aws(settings, declared, values or {})
    declared = replace(declared, lambdas=tuple(one for one, _ in baked))
    artifacts = tuple(_artifacts(declared, out, function, with_boto3=with_boto3))
    said = {one.logical_id: warning for one, warning in baked if warning}
    artifacts = tuple(
        replace(one, warnings=(*one.warnings, said[one.logical_id]))
        if one.logical_id in said
        else one
        for one in artifacts
    )
    if not artifacts:
        names = [one.name for one in declared.functions]
        names += [one.name for one in declared.all_lambdas]
        raise ConfigError(
            f"There is no edge function {function!r}."
            if function
            else "There is no edge function.",
            mend=f"Known: {', '.join(names) or 'none'}.",
        )
    remove_outdated(out, artifacts)
    if function:
        return Packaged(artifacts)
    return Packaged(artifacts, (_manifest(out, artifacts), *_templates(settings, out, artifacts)))


def _as_at_aws(
    settings: LocalSettings, declared: TemplateDeclarations, values: Mapping[str, str]
) -> list[tuple[LambdaFunctionDeclaration, str]]:
    """Edge functions with what AWS gave in their baked files; else a warning that it is ours."""
    parameters = settings.answers.parameters
    stacks = read_stacks(settings.templates, parameters).stacks
    values = {**settings.answers.imports, **values}
    template = Template(stacks, declared, settings.folder.name, ACCOUNT_ID, parameters, values)
    mine = {one.logical_id: one for one in template.of(LAMBDA)}
    found = []
    for one in declared.lambdas:
        warning = ""
        if one.baked and one.logical_id in mine:
            try:
                baked = template.lambda_function(mine[one.logical_id]).baked
                missing = ", ".join(sorted(unknown(baked)))
            except ConfigError as error:
                baked, missing = {}, error.what.rstrip(".")
            if missing:
                warning = (
                    f"{one.name}: {', '.join(one.baked)} holds what only AWS gives ({missing}), so "
                    "this zip serves localpop alone. localpop deploy bakes in what AWS gave; for "
                    "CloudFormation, package again with --value once it is there."
                )
            else:
                one = replace(one, baked=baked)
        found.append((one, warning))
    return found


def _artifacts(
    declared: TemplateDeclarations, out: Path, name: str, *, with_boto3: bool
) -> Iterator[Artifact]:
    for function in declared.functions:
        if name in ("", function.name, function.logical_id):
            yield package_cloudfront_function(function, out)
    for one in declared.all_lambdas:
        if name in ("", one.name, one.logical_id):
            yield package_lambda(one, out, with_boto3=with_boto3)


def _manifest(out: Path, artifacts: Sequence[Artifact]) -> Path:
    file = out / MANIFEST
    file.write_text(dump_manifest(artifacts), encoding="utf-8")
    return file


def _templates(settings: LocalSettings, out: Path, artifacts: Sequence[Artifact]) -> Iterator[Path]:
    stacks = read_stacks(settings.templates, settings.parameters).stacks
    for artifact in artifacts:
        if sum(artifact.logical_id in stack.document["Resources"] for stack in stacks) > 1:
            raise ConfigError(
                f"Several templates have a resource {artifact.logical_id}.",
                mend="Package each template by itself, or give its function another logical id.",
            )
    for stack in stacks:
        name = "packaged.yaml" if len(stacks) == 1 else f"{stack.name}.packaged.yaml"
        text = dump_template(packaged_template(stack.document, artifacts, _definitions(stack)))
        (out / name).write_text(text, encoding="utf-8")
        yield out / name


def _definitions(stack: Stack) -> dict[str, str]:
    """State machines whose definitions are in files."""
    found = {}
    for logical_id, resource in stack.document["Resources"].items():
        if not isinstance(resource, dict) or resource.get("Type") != _STATE_MACHINE:
            continue
        named = (resource.get("Metadata") or {}).get(ASSET_PATH)
        if named is not None:
            file = stack.file.parent / str(named)
            try:
                found[logical_id] = file.read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigError(
                    f"The definition {named} cannot be read: {error}.",
                    where=f"state machine {logical_id}",
                    mend="Create it, or mend the path (relative to the template).",
                ) from None
    return found
