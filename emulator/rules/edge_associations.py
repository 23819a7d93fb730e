"""Which edge functions a distribution may have, in the words of CloudFront's API.

AWS: "Restrictions on all edge functions" and "Restrictions on Lambda@Edge",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-function-restrictions-all.html
and …/lambda-at-edge-function-restrictions.html, read 2026-11-20. The sentences about Lambda
functions are CloudFront's own (facts/lambda-at-edge.md section 6); those marked "ours" are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from emulator import quotas
from emulator.errors import ApiError
from emulator.values.distribution import CacheBehavior, Distribution, FunctionAssociation
from emulator.values.functions import FunctionKind

_LAMBDA_ARN = re.compile(
    r"arn:aws:lambda:([a-z0-9-]+):(\d{12}):function:([A-Za-z0-9_-]{1,64})(?::(.+))?"
)
_REGION: Final = "us-east-1"
_RUNTIMES: Final = ("nodejs", "python")


@dataclass(frozen=True, slots=True)
class LambdaConfiguration:
    """What CloudFront looks at in a Lambda function's version before it takes it to the edge.

    Args:
        arn: The version's ARN.
        runtime: Lambda's runtime id; empty for a container image.
        timeout_s: Its time-out.
        memory_mb: Its memory.
        code_bytes: The zip's size.
        has_environment: Whether it has environment variables.
        unsupported: What else it has that Lambda@Edge does not, in AWS's words.
        wrong_role: Its execution role, if that is known not to trust the edge; else empty.
    """

    arn: str
    runtime: str
    timeout_s: float
    memory_mb: int
    code_bytes: int
    has_environment: bool = False
    unsupported: tuple[str, ...] = ()
    wrong_role: str = ""


LambdaLookup = Callable[[str], LambdaConfiguration | None]
"""The version of an ARN; None when there is none."""
FunctionLookup = Callable[[str], bool]
"""Whether a CloudFront Function with this ARN has a LIVE stage."""


def require_associations(
    distribution: Distribution, is_live: FunctionLookup, lambda_version: LambdaLookup
) -> None:
    """Refuse edge functions that cannot be where they are.

    Raises:
        ApiError: 400 InvalidFunctionAssociation or InvalidLambdaFunctionAssociation.
    """
    for behavior in distribution.behaviors:
        _require_combination(behavior)
        for association in behavior.functions:
            if association.kind is FunctionKind.CLOUDFRONT_FUNCTION:
                _require_live(association, is_live)
            else:
                _require_lambda(association, lambda_version)


def _require_combination(behavior: CacheBehavior) -> None:
    events = [association.event_type for association in behavior.functions]
    for association in behavior.functions:
        if events.count(association.event_type) > 1:
            raise _refused(  # ours
                association.kind,
                f"A cache behavior can have one edge function for each event type, and "
                f"{behavior.path_pattern} has several for {association.event_type}.",
            )
    viewer = [one for one in behavior.functions if one.event_type.is_viewer]
    if len({one.kind for one in viewer}) > 1:
        raise _refused(  # ours
            FunctionKind.LAMBDA_AT_EDGE,
            "CloudFront Functions and Lambda@Edge cannot be combined in viewer events of one "
            f"cache behavior ({behavior.path_pattern}).",
        )


def _require_live(association: FunctionAssociation, is_live: FunctionLookup) -> None:
    if not is_live(association.arn):
        raise _refused(  # ours
            association.kind,
            f"The function must exist and be published to the LIVE stage. ARN: {association.arn}",
        )


def _require_lambda(association: FunctionAssociation, lambda_version: LambdaLookup) -> None:
    arn = association.arn
    match = _LAMBDA_ARN.fullmatch(arn)
    if match is None:
        raise _invalid_lambda(f"The function ARN is not valid. ARN: {arn}")  # ours
    if match[1] != _REGION:
        raise _invalid_lambda(f"The function must be in region '{_REGION}'. ARN: {arn}")
    if match[4] is None or not match[4].isdecimal():
        raise _invalid_lambda(
            "The function ARN must reference a specific function version. "
            f"(The ARN must end with the version number.) ARN: {arn}"
        )
    if association.include_body and not association.event_type.is_request:
        raise _invalid_lambda(
            "The IncludeBody option can only be used with viewer-request or origin-request events."
        )
    version = lambda_version(arn)
    if version is None:
        raise _invalid_lambda(
            "Lambda@Edge cannot retrieve the specified Lambda function. Update the IAM policy to "
            f"add permission: lambda:GetFunction for resource: {arn} and try again."
        )
    for problem in lambda_problems(version):
        raise _invalid_lambda(problem)


def lambda_problems(version: LambdaConfiguration) -> Sequence[str]:
    """Everything in a Lambda version that keeps it from the edge; the first is what AWS says.

    The numbers are today's (facts/lambda-at-edge.md 4.1), the sentences those that were seen when
    the limits were lower. The pages disagree on memory at viewer events; the quota page's "same as
    Lambda" counts, so it is no problem here.
    """
    problems = []
    if version.wrong_role:
        problems.append(
            "The function execution role must be assumable with edgelambda.amazonaws.com as well "
            "as lambda.amazonaws.com principals. Update the IAM role and try again. "
            f"Role: {version.wrong_role}"
        )
    if version.has_environment:
        problems.append(f"The function cannot have environment variables. Function: {version.arn}")
    if version.timeout_s > quotas.LAMBDA_TIMEOUT_MAX_S:
        problems.append(
            "The function timeout is larger than the maximum allowed for functions that are "
            f"triggered by a CloudFront event: {version.timeout_s:g} "
            f"Max allowed: {quotas.LAMBDA_TIMEOUT_MAX_S} Function: {version.arn}"
        )
    if version.code_bytes > quotas.LAMBDA_CODE_MAX_BYTES:
        problems.append(
            "The function code size is larger than the maximum allowed size for functions that "
            f"are triggered by a CloudFront event: {version.code_bytes} "
            f"Max allowed: {quotas.LAMBDA_CODE_MAX_BYTES} Function: {version.arn}"
        )
    if not version.runtime.startswith(_RUNTIMES):
        problems.append(  # ours
            f"The function's runtime {version.runtime!r} is not supported, only Node.js and Python"
            f" are. Function: {version.arn}"
        )
    problems += [
        f"The function cannot have {what}. Function: {version.arn}" for what in version.unsupported
    ]
    return problems


def _refused(kind: FunctionKind, message: str) -> ApiError:
    if kind is FunctionKind.LAMBDA_AT_EDGE:
        return _invalid_lambda(message)
    return ApiError(400, "InvalidFunctionAssociation", message)


def _invalid_lambda(message: str) -> ApiError:
    return ApiError(400, "InvalidLambdaFunctionAssociation", message)
