"""A project's templates, read as CloudFront reads them once they are deployed.

`inspect_templates` reads everything and notes every mistake; `read_template` is for who wants to
run it: the first mistake, or the first thing that the edge cannot do, ends it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from emulator.errors import ConfigError, NotEmulated
from emulator.project import code, not_emulated
from emulator.project.account import ProjectAccount
from emulator.project.background import check_visibility, read_background
from emulator.project.declarations import (
    BucketDeclaration,
    FunctionDeclaration,
    FunctionUrlDeclaration,
    LambdaFunctionDeclaration,
    ResourceDeclaration,
    StateMachineDeclaration,
    StoreDeclaration,
    TemplateDeclarations,
)
from emulator.project.distributions import DistributionReader
from emulator.project.local import Answers, LocalFunction
from emulator.project.reading import Notes
from emulator.project.resources import Resources
from emulator.project.stacks import read_stacks
from emulator.project.state_machines import has_definition, read_state_machine
from emulator.rules import edge_lint, function_lint, policy_lint
from emulator.rules.function_url import check_permissions
from emulator.rules.key_value_store import store_arn
from emulator.values.distribution import Distribution
from emulator.values.findings import Finding, Severity
from emulator.values.functions import EventType, FunctionKind

Templates = Path | Sequence[Path]
# Part of the logical id of the functions with which CDK makes its custom resources.
_CDK_PROVIDER: Final = "CustomResourceProvider"


@dataclass(frozen=True, slots=True)
class Inspection:
    """Templates with all that is to be said about them.

    Args:
        declared: What they declare, as far as it could be read.
        findings: Every mistake and surprise, in the order of reading.
        places: Where each distribution stands, by its id.
    """

    declared: TemplateDeclarations
    findings: tuple[Finding, ...]
    places: Mapping[str, str]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What AWS would refuse, or localpop cannot run."""
        return tuple(one for one in self.findings if one.severity is Severity.ERROR)


def inspect_templates(
    templates: Templates, answers: Answers, today: date | None = None
) -> Inspection:
    """Read everything, and note every mistake on the way.

    Args:
        templates: A template, a cdk.out folder, or several; paths inside are relative to each.
        answers: What localpop.toml says.
        today: The day for which runtimes are checked; None: they are not.

    Raises:
        ConfigError: A file is no template at all.
        NotEmulated: It needs a macro that only runs at AWS.
    """
    paths = [templates] if isinstance(templates, Path) else list(templates)
    return _ProjectReader(paths, answers, today).read()


def read_template(
    templates: Templates, overrides: Mapping[str, str], answers: Answers | None = None
) -> TemplateDeclarations:
    """Everything that templates declare for the edge, all of it fit to run.

    Args:
        templates: A template, a cdk.out folder, or several; paths inside are relative to each.
        overrides: Parameter values from localpop.toml.
        answers: The rest of what localpop.toml says.

    Raises:
        ConfigError: Something in it is wrong; says where and how to mend it.
        NotEmulated: It asks for something that localpop lacks.
    """
    answers = replace(answers or Answers(), parameters=overrides)
    inspection = inspect_templates(templates, answers)
    for error in inspection.errors:
        raise ConfigError(error.what, where=error.where, mend=error.mend)
    for distribution in inspection.declared.distributions:
        not_emulated.refuse_not_emulated(distribution, inspection.places[distribution.id])
    return inspection.declared


def template_attribute(
    templates: Templates,
    overrides: Mapping[str, str],
    name: str,
    answers: Answers | None = None,
) -> str:
    """What `${Resource.Attribute}` or `${Parameter}` stands for; the first stack that knows it.

    Raises:
        ConfigError: No template has such a thing.
    """
    paths = [templates] if isinstance(templates, Path) else list(templates)
    answers = replace(answers or Answers(), parameters=overrides)
    account = ProjectAccount(read_stacks(paths, overrides).stacks, answers, Notes())
    failure: ConfigError | None = None
    for resources in account.resources:
        try:
            return str(resources.resolver.resolve({"Fn::Sub": f"${{{name}}}"}, name))
        except ConfigError as error:
            failure = failure or error
    raise failure or ConfigError(f"There is no {name}.")


class _ProjectReader:
    """One reading of a project's templates."""

    def __init__(self, paths: Sequence[Path], answers: Answers, today: date | None) -> None:
        self.notes = Notes()
        self.answers, self.today = answers, today
        self.stacks = read_stacks(paths, answers.parameters)
        self.account = ProjectAccount(self.stacks.stacks, answers, self.notes)
        state = answers.state or paths[0].parent / ".localpop"
        self.lambda_reader = code.LambdaReader(self.account, state, self.notes)
        self.places: dict[str, str] = {}

    def read(self) -> Inspection:
        distributions = self._distributions()
        functions = self._functions(distributions)
        lambdas = self._lambdas(distributions)
        regional = self._regional_lambdas(lambdas)
        machines = self._state_machines()
        stores = self._stores(functions)
        self._check_counts()
        declared = TemplateDeclarations(
            stores=stores,
            functions=functions,
            lambdas=lambdas,
            regional_lambdas=regional,
            state_machines=machines,
            distributions=distributions,
            function_urls=self._function_urls(distributions),
            buckets=self._buckets(),
            background=self._background(regional),
            files=(
                *self.stacks.files,
                *self.account.nested_files,
                *self.answers.resources.values(),
                *self.answers.stores.values(),
                *(machine.file for machine in machines if machine.file),
            ),
        )
        for distribution in distributions:
            where = self.places[distribution.id]
            self.notes.add(*not_emulated.announcements(distribution, where))
        warnings = tuple(one for one in self.notes.found if one.severity is Severity.WARNING)
        return Inspection(
            replace(declared, warnings=warnings), tuple(self.notes.found), self.places
        )

    def _all(self, kind: str) -> list[tuple[Resources, str]]:
        """Every resource of a kind, in every stack."""
        found = []
        for resources in self.account.resources:
            with self.notes.caught():
                found += [(resources, logical_id) for logical_id in resources.of(kind)]
        return found

    # --- distributions ----------------------------------------------------------------------

    def _distributions(self) -> tuple[Distribution, ...]:
        reader = DistributionReader(self.account, self.answers.mapped_origins)
        found: list[Distribution] = []
        for resources, logical_id in self._all("AWS::CloudFront::Distribution"):
            config = resources.properties(logical_id).section("DistributionConfig")
            identity, domain_name = resources.identity(logical_id)
            self.places[identity] = config.where
            with self.notes.caught():
                distribution = reader.read(config, identity, domain_name)
                found.append(distribution)
                self.notes.add(*edge_lint.check_distribution(distribution, config.where))
        return tuple(found)

    # --- stores and functions ---------------------------------------------------------------

    def _stores(self, functions: tuple[FunctionDeclaration, ...]) -> tuple[StoreDeclaration, ...]:
        found: list[StoreDeclaration] = []
        for resources, logical_id in self._all("AWS::CloudFront::KeyValueStore"):
            with self.notes.caught():
                found.append(code.read_store(resources, logical_id, self.account))
        known = {store.arn for store in found}
        used = {function.arn: function.store_arn for function in functions if function.store_arn}
        for said in self.answers.functions.values():
            # A store that only localpop.toml names, for a function that only it names.
            arn = store_arn(said.store) if said.store else ""
            if arn in used.values() and arn not in known:
                known.add(arn)
                found.append(StoreDeclaration(said.store, said.store, arn))
        for function in functions:
            if function.store_arn and function.store_arn not in known:
                self.notes.error(
                    f"The function {function.name} reads the key value store {function.store_arn},"
                    " which no template here declares.",
                    f"function {function.name}",
                    "Refer to it with !GetAtt …Arn, or add its template to localpop.toml.",
                )
        return tuple(found)

    def _functions(
        self, distributions: tuple[Distribution, ...]
    ) -> tuple[FunctionDeclaration, ...]:
        found: list[FunctionDeclaration] = []
        for resources, logical_id in self._all("AWS::CloudFront::Function"):
            with self.notes.caught():
                found.append(code.read_function(resources, logical_id, self.account))
        known = {function.arn for function in found}
        broken = {
            str(resources.attribute(logical_id, "FunctionARN"))
            for resources, logical_id in self._all("AWS::CloudFront::Function")
        }
        used = code.events_of(distributions, FunctionKind.CLOUDFRONT_FUNCTION)
        for arn in used:
            said = self._said(arn)
            if arn in known | broken:
                continue
            if said is None:
                self._unknown_function(arn, "functions/index.js")
                continue
            with self.notes.caught():
                found.append(code.function_elsewhere(arn, said))
        return tuple(found)

    def _said(self, arn: str) -> LocalFunction | None:
        """What localpop.toml says of a function that no template declares."""
        separator = "/" if ":function/" in arn else ":"
        return self.answers.functions.get(arn) or self.answers.functions.get(
            arn.rpartition(separator)[2]
        )

    def _unknown_function(self, arn: str, example: str) -> None:
        self.notes.error(
            f"A cache behavior names the function {arn}, which no template here declares.",
            "",
            f'Add to localpop.toml, under [functions]: "{arn}" = "{example}"'
            " (or refer to it with !GetAtt or !Ref).",
        )

    # --- Lambda -----------------------------------------------------------------------------

    def _lambdas(
        self, distributions: tuple[Distribution, ...]
    ) -> tuple[LambdaFunctionDeclaration, ...]:
        """Lambda functions with a version that a distribution runs; no other is needed."""
        events = code.events_of(distributions, FunctionKind.LAMBDA_AT_EDGE)
        versions: dict[str, list[str]] = {}
        for arn in events:
            function_arn, _, version = arn.rpartition(":")
            if version.isdecimal():
                versions.setdefault(function_arn, []).append(arn)
        known = self._lambda_resources()
        found: list[LambdaFunctionDeclaration] = []
        for arn, numbered in versions.items():
            with self.notes.caught():
                if arn in known:
                    resources, logical_id = known[arn]
                    at = frozenset().union(*(events[one] for one in numbered))
                    self._check_lambda(resources, logical_id, at)
                    found.append(self.lambda_reader.read(resources, logical_id, tuple(numbered)))
                    continue
                said = self._said(arn)
                if said is None:
                    self._unknown_function(arn, "functions/edge")
                else:
                    found.append(self.lambda_reader.elsewhere(arn, said, tuple(numbered)))
        return tuple(found)

    def _regional_lambdas(
        self, at_the_edge: tuple[LambdaFunctionDeclaration, ...]
    ) -> tuple[LambdaFunctionDeclaration, ...]:
        """Every other Lambda function; one whose code cannot run here is no mistake of anybody."""
        used = {function.arn for function in at_the_edge}
        found: list[LambdaFunctionDeclaration] = []
        for arn, (resources, logical_id) in self._lambda_resources().items():
            # Code that is nowhere on this machine is nobody's mistake, nor are CDK's own helpers.
            if arn in used or _CDK_PROVIDER in logical_id:
                continue
            if not self.lambda_reader.has_code(resources, logical_id):
                continue
            try:
                found.append(self.lambda_reader.read_regional(resources, logical_id))
            except (ConfigError, NotEmulated) as error:
                what = error.what if isinstance(error, ConfigError) else str(error)
                mend = error.mend if isinstance(error, ConfigError) else ""
                self.notes.warn(f"{logical_id} cannot be invoked here: {what}", error.where, mend)
        return tuple(found)

    def _state_machines(self) -> tuple[StateMachineDeclaration, ...]:
        found = []
        for resources, logical_id in self._all("AWS::StepFunctions::StateMachine"):
            if not has_definition(resources, logical_id):
                # In S3, where nobody here sees it; the edge needs none of it.
                continue
            with self.notes.caught():
                found.append(read_state_machine(resources, logical_id))
        return tuple(found)

    def _check_lambda(
        self, resources: Resources, logical_id: str, events: frozenset[EventType]
    ) -> None:
        code.check_edge_lambda(resources, logical_id, events)
        if self.today is not None:
            properties = resources.properties(logical_id)
            runtime = properties.text("Runtime")
            self.notes.add(*function_lint.check_runtime(runtime, self.today, properties.where))

    def _lambda_resources(self) -> dict[str, tuple[Resources, str]]:
        found = {}
        for resources, logical_id in self._all("AWS::Lambda::Function"):
            # A function whose name cannot be resolved is none that a behavior names.
            with contextlib.suppress(ConfigError, NotEmulated):
                found[resources.lambda_arn(logical_id)] = (resources, logical_id)
        return found

    def _function_urls(
        self, distributions: tuple[Distribution, ...]
    ) -> tuple[FunctionUrlDeclaration, ...]:
        """Function URLs that are origins and have their code here."""
        domains = code.url_domains(distributions)
        known = self._lambda_resources()
        mapped = self._mapped_domains(distributions)
        found = []
        for resources, logical_id in self._all("AWS::Lambda::Url"):
            if resources.url_domain(logical_id) not in domains - mapped:
                continue
            with self.notes.caught():
                target = known.get(resources.url_target(logical_id))
                if target is not None:
                    function = self.lambda_reader.read(*target, ())
                    url = code.read_function_url(resources, logical_id, function)
                    found.append(url)
                    where = resources.properties(logical_id).where
                    allowed = self._permissions(function.name)
                    self.notes.add(*check_permissions(url.auth_type, allowed, function.name, where))
        return tuple(found)

    def _permissions(self, function: str) -> list[tuple[str, str]]:
        """Action and principal of every permission on a function."""
        found = []
        for resources, logical_id in self._all("AWS::Lambda::Permission"):
            raw = resources.properties(logical_id).raw
            named = str(raw.get("FunctionName") or "")
            if named.rpartition(":function:")[2].partition(":")[0] == function:
                found.append((str(raw.get("Action")), str(raw.get("Principal"))))
        return found

    def _mapped_domains(self, distributions: tuple[Distribution, ...]) -> frozenset[str]:
        return frozenset(
            origin.domain_name
            for distribution in distributions
            for origin in distribution.origins.values()
            if origin.id in self.answers.mapped_origins
        )

    # --- the rest ---------------------------------------------------------------------------

    def _buckets(self) -> tuple[BucketDeclaration, ...]:
        policies: dict[str, list[Mapping[str, object]]] = {}
        for resources, logical_id in self._all("AWS::S3::BucketPolicy"):
            properties = resources.properties(logical_id)
            document = properties.raw.get("PolicyDocument")
            bucket = properties.raw.get("Bucket")
            if isinstance(document, dict) and isinstance(bucket, str):
                policies.setdefault(bucket, []).append(document)
        found = []
        for resources, logical_id in self._all("AWS::S3::Bucket"):
            with contextlib.suppress(ConfigError, NotEmulated):
                name = resources.bucket_name(logical_id)
                attached = tuple(policies.get(name, ()))
                found.append(BucketDeclaration(logical_id, name, resources.stack.region, attached))
        return tuple(found)

    def _background(
        self, lambdas: Sequence[LambdaFunctionDeclaration]
    ) -> tuple[ResourceDeclaration, ...]:
        """What works behind the viewers' back."""
        found: list[ResourceDeclaration] = []
        for resources in self.account.resources:
            with self.notes.caught():
                found += read_background(resources, self.notes)
        check_visibility(found, {one.name: one.timeout_s for one in lambdas}, self.notes)
        return tuple(found)

    def _check_counts(self) -> None:
        """Quotas of an account that a project alone can exceed."""
        for kind, what in (
            ("CachePolicy", "cache policies"),
            ("OriginRequestPolicy", "origin request policies"),
            ("ResponseHeadersPolicy", "response headers policies"),
        ):
            count = len(self._all(f"AWS::CloudFront::{kind}"))
            self.notes.add(*policy_lint.check_policy_count(what, count, ""))
        count = len(self._all("AWS::CloudFront::Function"))
        self.notes.add(*function_lint.check_function_count(count, ""))
