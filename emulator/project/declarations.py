"""What a template declares, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator import quotas
from emulator.values.distribution import CorsConfig, Distribution
from emulator.values.findings import Finding
from emulator.values.state_machines import MachineType


@dataclass(frozen=True, slots=True)
class StoreDeclaration:
    """An `AWS::CloudFront::KeyValueStore`.

    Args:
        logical_id: Its name in the template.
        name: Its name at AWS.
        arn: Its ARN, the same at every start.
        comment: Its comment.
        entries: What ImportSource puts in when it is made; None when it has none.
    """

    logical_id: str
    name: str
    arn: str
    comment: str = ""
    entries: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class FunctionDeclaration:
    """An `AWS::CloudFront::Function`.

    Args:
        logical_id: Its name in the template.
        name: Its name at AWS.
        arn: Its ARN.
        runtime: `cloudfront-js-1.0` or `cloudfront-js-2.0`.
        path: Where its code is on disk; None when the template holds it inline.
        code: The inline code; empty when it is on disk.
        store_arn: The associated key value store; empty when there is none.
    """

    logical_id: str
    name: str
    arn: str
    runtime: str
    path: Path | None
    code: str
    store_arn: str = ""


@dataclass(frozen=True, slots=True)
class EventInvokeConfig:
    """What Lambda does with events that nobody waits for (`AWS::Lambda::EventInvokeConfig`).

    Args:
        retries: MaximumRetryAttempts.
        max_age_s: MaximumEventAgeInSeconds.
        on_success: The ARN that is told of results; empty for none.
        on_failure: The ARN that is told of failures; empty for none.
    """

    retries: int = quotas.LAMBDA_EVENT_RETRIES_MAX
    max_age_s: int = quotas.LAMBDA_EVENT_AGE_MAX_S
    on_success: str = ""
    on_failure: str = ""


@dataclass(frozen=True, slots=True)
class LambdaFunctionDeclaration:
    """An `AWS::Lambda::Function` with the versions that the template publishes.

    Args:
        logical_id: Its name in the template.
        name: Its name at AWS.
        arn: Its ARN, without a version.
        handler: `module.function`.
        runtime: Such as `python3.13`.
        path: The folder with its code.
        timeout_s: Its time-out.
        memory_mb: Its memory.
        baked: Files written into its package: name to JSON content.
        versions: ARNs of its versions that a distribution runs.
        environment: Its variables; Lambda@Edge has none.
        regional: Whether it runs in its Region, and no distribution runs it.
        folders: Folders that are copied into its package: name there to folder here.
        reserved_concurrency: How many executions it has for itself, and at most; None for none.
        dead_letter_arn: DeadLetterConfig's target; empty for none.
        aliases: Names and version numbers under which it can be invoked, beside `$LATEST`.
        asynchronous: What happens to events that it does not wait for, by qualifier.
    """

    logical_id: str
    name: str
    arn: str
    handler: str
    runtime: str
    path: Path
    timeout_s: int = 3
    memory_mb: int = 128
    baked: Mapping[str, object] = field(default_factory=dict)
    versions: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    regional: bool = False
    folders: Mapping[str, Path] = field(default_factory=dict)
    reserved_concurrency: int | None = None
    dead_letter_arn: str = ""
    aliases: tuple[str, ...] = ()
    asynchronous: Mapping[str, EventInvokeConfig] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionUrlDeclaration:
    """An `AWS::Lambda::Url` that an origin of a distribution names.

    Args:
        logical_id: Its name in the template.
        domain_name: `<id>.lambda-url.<region>.on.aws`.
        function: The function behind it.
        auth_type: `NONE` or `AWS_IAM`.
        qualifier: The alias that it invokes; empty for the unpublished version.
        cors: Its own answers to browsers of other sites; None when the function gives them.
    """

    logical_id: str
    domain_name: str
    function: LambdaFunctionDeclaration
    auth_type: str = "AWS_IAM"
    qualifier: str = ""
    cors: CorsConfig | None = None


@dataclass(frozen=True, slots=True)
class StateMachineDeclaration:
    """An `AWS::StepFunctions::StateMachine`.

    Args:
        logical_id: Its name in the template.
        name: Its name at AWS.
        arn: Its ARN.
        definition: Its definition's text, with substitutions done.
        kind: STANDARD or EXPRESS.
        role_arn: Its role.
        file: Where its definition is on disk; None when it is in the template.
    """

    logical_id: str
    name: str
    arn: str
    definition: str
    kind: MachineType = MachineType.STANDARD
    role_arn: str = ""
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class BucketDeclaration:
    """An `AWS::S3::Bucket`.

    Args:
        logical_id: Its name in the template.
        name: Its name at AWS.
        region: Where it is.
        policy: Its bucket policies' documents, resolved.
    """

    logical_id: str
    name: str
    region: str
    policy: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceDeclaration:
    """A resource that works behind the viewers' back: a rule, a queue, a table.

    Args:
        kind: Its type, such as `AWS::SQS::Queue`.
        logical_id: Its name in the template.
        name: Its name at AWS.
        arn: Its ARN; empty for those that have none of their own here.
        properties: As the service's API takes them.
        where: Its place in the template.
    """

    kind: str
    logical_id: str
    name: str
    arn: str
    properties: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class TemplateDeclarations:
    """Everything in a project's templates that an edge needs.

    Args:
        stores: Key value stores.
        functions: CloudFront Functions.
        lambdas: Lambda functions with a version that a distribution runs.
        regional_lambdas: All other Lambda functions whose code is here.
        state_machines: State machines of Step Functions.
        distributions: Distributions.
        function_urls: Function URLs that are origins.
        buckets: S3 buckets.
        background: Events, schedules, queues, tables and buckets.
        files: What was read beside code; worth watching.
        warnings: What deploys and then surprises.
    """

    stores: tuple[StoreDeclaration, ...] = ()
    functions: tuple[FunctionDeclaration, ...] = ()
    lambdas: tuple[LambdaFunctionDeclaration, ...] = ()
    regional_lambdas: tuple[LambdaFunctionDeclaration, ...] = ()
    state_machines: tuple[StateMachineDeclaration, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    function_urls: tuple[FunctionUrlDeclaration, ...] = ()
    buckets: tuple[BucketDeclaration, ...] = ()
    background: tuple[ResourceDeclaration, ...] = ()
    files: tuple[Path, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def all_lambdas(self) -> tuple[LambdaFunctionDeclaration, ...]:
        """Every Lambda function, at the edge and in its Region."""
        return (*self.lambdas, *self.regional_lambdas)
