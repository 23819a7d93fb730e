"""AWS's rules for edge functions of both kinds.

The sentences about Lambda functions are CloudFront's own (facts/lambda-at-edge.md section 6). DG =
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/, read 2026-11-20.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from emulator import quotas
from emulator.rules.edge_associations import LambdaConfiguration, lambda_problems
from emulator.values.findings import Finding, error, warning
from emulator.values.functions import EventType

_FUNCTIONS_MAX: Final = 100

# AWS's dates as cfn-lint 1.58.0 has them (LmbdRuntimeLifecycle.json), newer than
# facts/lambda-at-edge.md 4.5: deprecated, no new functions, no changes.
_RUNTIMES: Final = {
    "nodejs16.x": (date(2024, 6, 12), date(2027, 2, 1), date(2027, 3, 3)),
    "nodejs18.x": (date(2025, 9, 1), date(2027, 2, 1), date(2027, 3, 3)),
    "nodejs20.x": (date(2026, 4, 30), date(2027, 2, 1), date(2027, 3, 3)),
    "nodejs22.x": (date(2027, 4, 30), date(2027, 6, 1), date(2027, 7, 1)),
    "nodejs24.x": (date(2028, 4, 30), date(2028, 6, 1), date(2028, 7, 1)),
    "python3.8": (date(2024, 10, 14), date(2027, 2, 1), date(2027, 3, 3)),
    "python3.9": (date(2025, 12, 15), date(2027, 2, 1), date(2027, 3, 3)),
    "python3.10": (date(2026, 10, 31), date(2027, 2, 1), date(2027, 3, 3)),
    "python3.11": (date(2027, 6, 30), date(2027, 7, 31), date(2027, 8, 31)),
    "python3.12": (date(2028, 10, 31), date(2028, 11, 30), date(2029, 1, 10)),
    "python3.13": (date(2029, 6, 30), date(2029, 7, 31), date(2029, 8, 31)),
    "python3.14": (date(2029, 6, 30), date(2029, 7, 31), date(2029, 8, 31)),
}
_EDGE_PRINCIPALS: Final = frozenset({"lambda.amazonaws.com", "edgelambda.amazonaws.com"})
_FUNCTION_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_function(name: str, runtime: str, code: str, stores: int, where: str) -> list[Finding]:
    """What AWS would say to a CloudFront Function.

    Args:
        name: Its name.
        runtime: Its runtime.
        code: Its code.
        stores: How many key value stores it names.
        where: Its place.
    """
    found = []
    if not _FUNCTION_NAME.fullmatch(name):
        found.append(
            error(
                f"The function's name {name!r} must be 1 to 64 letters, digits, - or _.",
                f"{where}.Name",
                "Mend the name.",
            )
        )
    if runtime not in ("cloudfront-js-1.0", "cloudfront-js-2.0"):
        found.append(
            error(
                f"The runtime {runtime!r} is none of CloudFront Functions'.",
                f"{where}.FunctionConfig.Runtime",
                "Use cloudfront-js-2.0 (or cloudfront-js-1.0).",
            )
        )
    place = f"{where}.FunctionConfig.KeyValueStoreAssociations"
    if stores > quotas.FUNCTION_STORES_MAX:
        found.append(error("A function can have one key value store.", place, "Keep one."))
    if stores and runtime == "cloudfront-js-1.0":
        found.append(
            error("Only cloudfront-js-2.0 reads a key value store.", place, "Change the runtime.")
        )
    size_bytes = len(code.encode())
    if size_bytes > quotas.FUNCTION_CODE_MAX_BYTES:
        found.append(
            error(
                f"The code has {size_bytes} bytes; a CloudFront Function has at most"
                f" {quotas.FUNCTION_CODE_MAX_BYTES}.",
                f"{where}.FunctionCode",
                "Minify it, or keep data in a key value store.",
            )
        )
    return found


def check_function_count(count: int, where: str) -> list[Finding]:
    """CloudFront Functions in an account."""
    if count <= _FUNCTIONS_MAX:
        return []
    return [
        error(f"An account has at most {_FUNCTIONS_MAX} CloudFront Functions, not {count}.", where)
    ]


def check_lambda(
    configuration: LambdaConfiguration,
    events: frozenset[EventType],
    trusted_by_role: frozenset[str] | None,
    role: str,
    where: str,
) -> list[Finding]:
    """What CloudFront would say to a Lambda function that a behavior names.

    AWS: "Restrictions on Lambda@Edge" (facts/lambda-at-edge.md 4.1, 4.4, 6).

    Args:
        configuration: The function.
        events: The events at which it runs.
        trusted_by_role: Services that may assume its role; None when the template does not say.
        role: The role's ARN or name.
        where: Its place.
    """
    found = [
        error(problem, where, "See Restrictions on Lambda@Edge in CloudFront's guide.")
        for problem in lambda_problems(configuration)
    ]
    memory_mb = configuration.memory_mb
    if not 128 <= memory_mb <= 10_240:
        found.append(
            error(
                f"MemorySize {memory_mb} is not between 128 and 10240.",
                f"{where}.MemorySize",
                "Mend the value.",
            )
        )
    elif memory_mb > 128 and any(event.is_viewer for event in events):
        # DG edge-functions-choosing says 128 MB, DG cloudfront-limits "same as Lambda".
        found.append(
            warning(
                "The function memory size is larger than the maximum allowed size for functions"
                f" that are triggered by a CloudFront event: {memory_mb} Max allowed: 128"
                f" Function: {configuration.arn} (AWS's pages disagree whether this still holds)",
                f"{where}.MemorySize",
                "Use 128 at viewer events to be sure.",
            )
        )
    if trusted_by_role is not None and not trusted_by_role >= _EDGE_PRINCIPALS:
        found.append(
            error(
                "The function execution role must be assumable with edgelambda.amazonaws.com as"
                " well as lambda.amazonaws.com principals. Update the IAM role and try again."
                f" Role: {role}",
                f"{where}.Role",
                "Add both services to its AssumeRolePolicyDocument.",
            )
        )
    return found


def check_runtime(runtime: str, today: date, where: str) -> list[Finding]:
    """Whether Lambda@Edge runs a runtime today (facts/lambda-at-edge.md 4.5)."""
    place = f"{where}.Runtime"
    if not runtime.startswith(("nodejs", "python")):
        # An error that `check_lambda` reports.
        return []
    dates = _RUNTIMES.get(runtime)
    if dates is None:
        return [
            warning(
                f"The runtime {runtime!r} is not known here (known: {', '.join(_RUNTIMES)}).",
                place,
                "See AWS's list of Lambda runtimes.",
            )
        ]
    deprecated, no_new, no_change = dates
    if deprecated > today:
        return []
    return [
        warning(
            f"AWS deprecated the runtime {runtime} on {deprecated}: no new function from {no_new},"
            f" no change from {no_change}; versions that are associated already go on running.",
            place,
            "Move to a newer one.",
        )
    ]
