"""Lambda's own rules for functions that run in their Region.

AWS: "Lambda quotas" and "Working with Lambda environment variables", Lambda guide
gettingstarted-limits and configuration-envvars, read 2026-11-21.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from emulator import quotas
from emulator.values.findings import Finding, error

RESERVED_VARIABLES: Final = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)
_VARIABLE: Final = re.compile(r"[a-zA-Z]([a-zA-Z0-9_])+")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def environment_problem(variables: Mapping[str, str]) -> str:
    """Why Lambda refuses these variables, in its words; empty when it does not."""
    reserved = [name for name in variables if name in RESERVED_VARIABLES]
    if reserved:
        return (
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            return (
                f"Environment variable names must satisfy the pattern {_VARIABLE.pattern}, "
                f"and {name!r} does not."
            )
    size = sum(len(f"{name}{value}".encode()) for name, value in variables.items())
    if size <= quotas.LAMBDA_ENVIRONMENT_MAX_BYTES:
        return ""
    limit_kb = quotas.LAMBDA_ENVIRONMENT_MAX_BYTES // quotas.KB
    return (
        "Lambda was unable to configure your environment variables because the environment "
        f"variables you have provided exceeded the {limit_kb}KB limit."
    )


def check_regional(
    name: str, timeout_s: int, memory_mb: int, environment: Mapping[str, str], where: str
) -> list[Finding]:
    """What Lambda would say to a function of the template.

    Args:
        name: Its name.
        timeout_s: Its time-out.
        memory_mb: Its memory.
        environment: Its variables.
        where: Its place.
    """
    found = []
    if not _NAME.fullmatch(name):
        found.append(
            error(
                f"The function's name {name!r} must be 1 to 64 letters, digits, - or _.",
                f"{where}.FunctionName",
                "Mend the name.",
            )
        )
    for what, value, least, most in (
        ("Timeout", timeout_s, 1, quotas.LAMBDA_REGIONAL_TIMEOUT_MAX_S),
        ("MemorySize", memory_mb, 128, quotas.LAMBDA_MEMORY_MAX_MB),
    ):
        if not least <= value <= most:
            found.append(
                error(
                    f"{what} {value} is not between {least} and {most}.",
                    f"{where}.{what}",
                    "Mend the value.",
                )
            )
    problem = environment_problem(environment)
    if problem:
        found.append(error(problem, f"{where}.Environment.Variables", "Rename or shorten them."))
    return found
