"""What a Lambda function's configuration says, as far as Lambda@Edge has an opinion on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LambdaSettings:
    """A Lambda function's settings.

    Args:
        arn: Its ARN, without a version.
        runtime: Such as `nodejs22.x`; empty for a container image.
        timeout_s: Its time-out.
        memory_mb: Its memory.
        ephemeral_mb: The size of /tmp.
        architecture: `x86_64` or `arm64`.
        container: Whether it is a container image.
        environment: Whether it has environment variables.
        layers: Whether it has layers.
        vpc: Whether it is in a VPC.
        dead_letter_queue: Whether it has a dead-letter queue.
        tracing: Whether X-Ray traces it.
        customer_key: Whether a customer-managed KMS key encrypts its code or variables.
        role_principals: Services that may assume its role; None when the template does not say.
        role: The role, for messages.
    """

    arn: str
    runtime: str
    timeout_s: int = 3
    memory_mb: int = 128
    ephemeral_mb: int = 512
    architecture: str = "x86_64"
    container: bool = False
    environment: bool = False
    layers: bool = False
    vpc: bool = False
    dead_letter_queue: bool = False
    tracing: bool = False
    customer_key: bool = False
    role_principals: frozenset[str] | None = None
    role: str = ""
