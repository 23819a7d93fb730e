"""What a template declares, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emulator.values.distribution import Distribution
from emulator.values.findings import Finding


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
        environment: Its variables; Lambda@Edge has none, a function URL's function may.
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


@dataclass(frozen=True, slots=True)
class FunctionUrlDeclaration:
    """An `AWS::Lambda::Url` that an origin of a distribution names.

    Args:
        logical_id: Its name in the template.
        domain_name: `<id>.lambda-url.<region>.on.aws`.
        function: The function behind it.
        auth_type: `NONE` or `AWS_IAM`.
        streams: Whether InvokeMode is RESPONSE_STREAM.
    """

    logical_id: str
    domain_name: str
    function: LambdaFunctionDeclaration
    auth_type: str = "AWS_IAM"
    streams: bool = False


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
class TemplateDeclarations:
    """Everything in a project's templates that an edge needs.

    Args:
        stores: Key value stores.
        functions: CloudFront Functions.
        lambdas: Lambda functions with a version that a distribution runs.
        distributions: Distributions.
        function_urls: Function URLs that are origins.
        buckets: S3 buckets.
        files: What was read beside code; worth watching.
        warnings: What deploys and then surprises.
    """

    stores: tuple[StoreDeclaration, ...] = ()
    functions: tuple[FunctionDeclaration, ...] = ()
    lambdas: tuple[LambdaFunctionDeclaration, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    function_urls: tuple[FunctionUrlDeclaration, ...] = ()
    buckets: tuple[BucketDeclaration, ...] = ()
    files: tuple[Path, ...] = ()
    warnings: tuple[Finding, ...] = ()
