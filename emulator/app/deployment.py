"""A project and an account joined: what `localpop deploy`, `rollback` and `destroy` work with."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from emulator.clock.real import RealClock
from emulator.deploy.deployment import Deployment, Tell
from emulator.deploy.desired import Code, Packager, Template
from emulator.deploy.ledger import Ledger, locked, open_ledger
from emulator.deploy.packaged_template import dump_template, packaged_template
from emulator.deploy.packaging import package_lambda, remove_outdated
from emulator.deploy.rest_template import rest_template
from emulator.deploy.target import Target
from emulator.errors import ConfigError
from emulator.project.declarations import LambdaFunctionDeclaration
from emulator.project.local import LocalSettings
from emulator.project.stacks import read_stacks
from emulator.project.template import inspect_templates
from emulator.values.findings import Finding

_STACK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says of a deployment.

    Args:
        stack: Its name; empty for the folder's.
        parameters: Values of the template's parameters.
        values: What only AWS knows.
        distribution: The id of a distribution that is there already; empty to make one.
        with_boto3: Whether boto3 is vendored, although Lambda has it.
        force: Whether it is deployed although the template has errors.
    """

    stack: str = ""
    parameters: Mapping[str, str] | None = None
    values: Mapping[str, str] | None = None
    distribution: str = ""
    with_boto3: bool = False
    force: bool = False


def stack_name(settings: LocalSettings, said: str) -> str:
    """A deployment's name: as said, else the folder's.

    Raises:
        ConfigError: CloudFormation would not take it for a stack's name.
    """
    name = said or re.sub(r"[^A-Za-z0-9-]+", "-", settings.folder.resolve().name).strip("-")
    if not _STACK_NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be a deployment's name.",
            mend="--stack NAME: letters, digits and hyphens, beginning with a letter.",
        )
    return name


@contextmanager
def deployment(
    settings: LocalSettings, target: Target, wanted: Wanted, tell: Tell
) -> Iterator[Deployment]:
    """A deployment of the project, alone at work until the block ends.

    Parameters are the template's defaults and what is said here; localpop.toml's are only true on
    this machine. What is not said again stays as it was last said, as with CloudFormation.

    Args:
        settings: The project's.
        target: The account.
        wanted: What the command line says.
        tell: Told what is being done.

    Raises:
        ConfigError: The template cannot be read, or AWS would refuse it.
    """
    with (
        ledger_of(settings, target, wanted.stack) as ledger,
        tempfile.TemporaryDirectory(prefix="localpop-deploy-") as out,
    ):
        parameters = {**ledger.parameters, **(wanted.parameters or {})}
        values = {**ledger.values, **(wanted.values or {})}
        answers = replace(settings.answers, parameters=parameters, imports=values)
        inspection = inspect_templates(settings.templates, answers)
        stacks = read_stacks(settings.templates, parameters).stacks
        known = {name for one in stacks for name in one.document.get("Parameters") or {}}
        for name in wanted.parameters or {}:
            if name not in known:
                raise ConfigError(
                    f"The template has no parameter {name}.",
                    mend=f"It has: {', '.join(sorted(known)) or 'none'}.",
                )
        template = Template(
            stacks,
            inspection.declared,
            ledger.stack,
            target.account,
            {name: value for name, value in parameters.items() if name in known},
            values,
        )
        if inspection.errors and not wanted.force:
            raise _refused(inspection.errors)
        if not template.ours:
            raise ConfigError(
                "The template has no distribution, edge function or key value store.",
                where=str(settings.template),
                mend="Deploy it with CloudFormation: aws cloudformation deploy.",
            )
        package = packager(Path(out), tell, with_boto3=wanted.with_boto3)
        yield Deployment(
            target,
            template,
            ledger,
            package,
            RealClock(),
            tell,
            wanted.distribution,
            tuple(error.what for error in inspection.errors),
        )


def _refused(errors: Sequence[Finding]) -> ConfigError:
    """What AWS would refuse half-way is refused before the first call."""
    first, more = errors[0], len(errors) - 1
    others = f" And {more} more: localpop validate lists them." if more else ""
    return ConfigError(
        f"{first.what}{others}",
        where=first.where,
        mend=f"{first.mend} (--force deploys all the same, as far as AWS lets it.)".strip(),
    )


def write_rest(one: Deployment, folder: Path, *, with_boto3: bool = False) -> tuple[Path, ...]:
    """What is left to CloudFormation: templates with the deployed edge's values, and their zips.

    Args:
        one: The deployment; everything of it is deployed.
        folder: Where to.
        with_boto3: Whether boto3 is vendored.

    Raises:
        ConfigError: Something is not deployed, or cannot be packaged.
    """
    one.look_up()
    template = one.template
    declared = template.declared.regional_lambdas
    artifacts = [package_lambda(each, folder, with_boto3=with_boto3) for each in declared]
    folder.mkdir(parents=True, exist_ok=True)
    remove_outdated(folder, artifacts)
    written = []
    for number, stack in enumerate(template.stacks):
        prefix = template.key(number, "")
        ours = {each.logical_id for each in template.ours if each.stack == number}
        ours |= {key.removeprefix(prefix) for key in template.folded if key.startswith(prefix)}
        rest = rest_template(
            packaged_template(stack.document, artifacts),
            ours,
            partial(_known, template, number),
            template.values,
        )
        several = len(template.stacks) > 1
        file = folder / (f"{stack.name}.rest.yaml" if several else "rest.yaml")
        file.write_text(dump_template(rest), encoding="utf-8")
        written.append(file)
    return (*(folder / artifact.file for artifact in artifacts), *written)


def _known(template: Template, stack: int, logical_id: str, attribute: str) -> str:
    return str(template.attribute(stack, logical_id, attribute))


@contextmanager
def ledger_of(settings: LocalSettings, target: Target, said: str) -> Iterator[Ledger]:
    """A deployment's ledger, locked until the block ends."""
    ledger = open_ledger(settings.state, stack_name(settings, said), target.account)
    with locked(ledger.file):
        # Whoever held the lock until now may have written it.
        yield open_ledger(settings.state, ledger.stack, target.account)


def packager(out: Path, tell: Tell, *, with_boto3: bool = False) -> Packager:
    """Makes zips; each one once.

    Args:
        out: Where to.
        tell: Told what is being packaged: pip may take a while.
        with_boto3: Whether boto3 is vendored.
    """
    made: dict[str, Code] = {}

    def package(declared: LambdaFunctionDeclaration) -> Code:
        key = json.dumps([declared.name, declared.baked], sort_keys=True, default=str)
        if key not in made:
            tell(f"package {declared.name}")
            artifact = package_lambda(declared, out, with_boto3=with_boto3)
            file = out / artifact.file
            made[key] = Code(file, artifact.code_sha256, artifact.size_bytes, artifact.warnings)
        return made[key]

    return package
