"""What a template declares, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emulator.values.distribution import Distribution


@dataclass(frozen=True, slots=True)
class StoreDeclaration:
    """An `AWS::CloudFront::KeyValueStore`.

    Args:
        logical_id: Its name in the template.
        name: Its name at AWS.
        arn: Its ARN, the same at every start.
        comment: Its comment.
    """

    logical_id: str
    name: str
    arn: str
    comment: str = ""


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
        versions: ARNs of its published versions.
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


@dataclass(frozen=True, slots=True)
class TemplateDeclarations:
    """Everything in a template that an edge needs."""

    stores: tuple[StoreDeclaration, ...] = ()
    functions: tuple[FunctionDeclaration, ...] = ()
    lambdas: tuple[LambdaFunctionDeclaration, ...] = ()
    distributions: tuple[Distribution, ...] = ()
