"""What can go wrong, sorted by who can mend it.

LocalpopError
├── ConfigError          the author of template.yaml or localpop.toml
├── EdgeFunctionError    the author of the edge function
├── OriginError          whoever runs the origin
├── ApiError             the caller of an AWS API; carries AWS's code and status
└── NotEmulated          us: CloudFront can do it, localpop cannot (docs/fidelity.md)

Every message says what, where, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class LocalpopError(Exception):
    """The root: every error that localpop raises on purpose."""


class ConfigError(LocalpopError):
    """The template or localpop.toml says something that cannot be.

    Args:
        what: One sentence with the offending value and the choices.
        where: The place, such as `template.yaml: Resources.Distribution.…`.
        mend: One sentence that says how to mend it.
    """

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, where, mend
        super().__init__(
            " ".join(part for part in (what, mend, f"[{where}]" if where else "") if part)
        )


class NotEmulated(LocalpopError):  # noqa: N818 - reads as the sentence it is
    """CloudFront can do this and localpop cannot yet; it never half works.

    Args:
        what: The feature, in AWS's words.
        where: Where it was asked for.
    """

    def __init__(self, what: str, *, where: str = "") -> None:
        self.what, self.where = what, where
        place = f" [{where}]" if where else ""
        super().__init__(f"{what} is not emulated by localpop; see docs/fidelity.md.{place}")


class FailureKind(StrEnum):
    """How an edge function failed, as the viewer's X-Cache header spells it.

    Sources: "Restrictions on all edge functions" and captures of real CloudFront
    (facts/cloudfront.md 14.1), read 2026-11-20.
    """

    FUNCTION_EXECUTION = "FunctionExecutionError"
    FUNCTION_VALIDATION = "FunctionValidationError"
    FUNCTION_THROTTLED = "FunctionThrottledError"
    LAMBDA_EXECUTION = "LambdaExecutionError"
    LAMBDA_VALIDATION = "LambdaValidationError"
    LAMBDA_LIMIT = "LambdaLimitExceeded"

    @property
    def status(self) -> int:
        """502 for an invalid result, 503 for a function that did not run to its end."""
        return 502 if self.name.endswith("VALIDATION") else 503


class EdgeFunctionError(LocalpopError):
    """An edge function failed, or returned what CloudFront refuses.

    Args:
        kind: The failure, which decides status and X-Cache.
        sentence: CloudFront's own sentence on the viewer's error page.
        detail: What really happened, for the Trace and the log; the viewer never sees it.
        logs: The lines that the function wrote before it failed.
        engine_message: The JavaScript engine's own error, such as `TypeError: …`; else empty.
    """

    def __init__(
        self,
        kind: FailureKind,
        sentence: str,
        detail: str,
        *,
        logs: tuple[str, ...] = (),
        engine_message: str = "",
    ) -> None:
        self.kind, self.sentence, self.detail = kind, sentence, detail
        self.logs, self.engine_message = logs, engine_message
        super().__init__(detail)


class OriginFailure(StrEnum):
    """How an origin failed, in the words of the log field x-edge-detailed-result-type."""

    DNS = "OriginDnsError"
    CONNECT = "OriginConnectError"
    TIMEOUT = "OriginCommError"
    READ = "OriginReadError"
    WRITE = "OriginWriteError"
    INVALID = "OriginInvalidResponseError"
    HEADER_TOO_BIG = "OriginHeaderTooBigError"


class OriginError(LocalpopError):
    """The origin could not be reached, or answered with something that is not HTTP.

    Args:
        failure: What failed.
        detail: The address and the operating system's words.
        connecting: Whether it failed before there was a connection.
    """

    def __init__(self, failure: OriginFailure, detail: str, *, connecting: bool = False) -> None:
        self.failure, self.detail, self.connecting = failure, detail, connecting
        super().__init__(f"{failure}: {detail}")


class ApiError(LocalpopError):
    """An AWS API refuses a call, in AWS's words.

    Args:
        status: The HTTP status.
        code: AWS's name of the error, such as `ValidationException`.
        message: AWS's message, or ours where the facts do not know it.
        more: Further members of the error, such as a throttling's Reason.
    """

    def __init__(
        self, status: int, code: str, message: str, *, more: Mapping[str, str] | None = None
    ) -> None:
        self.status, self.code, self.message = status, code, message
        self.more: Mapping[str, str] = more or {}
        super().__init__(f"{code} ({status}): {message}")
