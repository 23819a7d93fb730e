"""Lambda@Edge as nouns: the declared function, the origin as it sees it, and open questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from emulator.errors import FailureKind
from emulator.values.distribution import Origin
from emulator.values.functions import FunctionRun
from emulator.values.headers import Headers


@dataclass(frozen=True, slots=True)
class LambdaDeclaration:
    """A Lambda function version as the template declares it.

    Args:
        name: The function's name, without the Region prefix of its replicas.
        handler: `module.function`, as Lambda reads it.
        runtime: Lambda's runtime id, such as `python3.13` or `nodejs22.x`.
        package: The folder with the handler and everything it ships.
        timeout_s: The configured time-out; Lambda@Edge allows 30.
        memory_mb: The configured memory.
        version: The published version's number.
        source: The folder that the package was built from; where a debugger's breakpoints are.
        regional: Whether it runs in its Region, as any Lambda function does, and not at the edge:
            no restriction of Lambda@Edge holds for it.
        environment: Its environment variables; at the edge there are none.
    """

    name: str
    handler: str
    runtime: str
    package: Path
    timeout_s: float = 3.0
    memory_mb: int = 128
    version: str = "1"
    source: Path | None = None
    regional: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LambdaCustomOrigin:
    """`request.origin.custom` of an origin event.

    AWS: "Lambda@Edge event structure", DG lambda-event-structure, read 2026-11-20.

    Args:
        domain_name: A DNS name without a port.
        path: Empty, or `/…` without a closing slash.
        port: 80, 443, or 1024 to 65535.
        protocol: `http` or `https`.
        keepalive_timeout_s: 1 to 120.
        read_timeout_s: 1 to 120.
        response_completion_timeout_s: At least the read time-out; None for no limit.
        ssl_protocols: Such as `TLSv1.2`.
        custom_headers: What CloudFront adds to each request to this origin.
    """

    domain_name: str
    path: str = ""
    port: int = 443
    protocol: str = "https"
    keepalive_timeout_s: int = 5
    read_timeout_s: int = 30
    response_completion_timeout_s: int | None = None
    ssl_protocols: tuple[str, ...] = ("TLSv1.2",)
    custom_headers: Headers = field(default_factory=Headers)

    @classmethod
    def of(cls, origin: Origin) -> LambdaCustomOrigin:
        """An origin of the distribution, as a Lambda@Edge function sees it."""
        return cls(
            domain_name=origin.domain_name,
            path=origin.path,
            port=origin.port,
            protocol="https" if origin.https else "http",
            keepalive_timeout_s=int(origin.keepalive_timeout_s),
            read_timeout_s=int(origin.read_timeout_s),
            custom_headers=Headers(origin.custom_headers),
        )


@dataclass(frozen=True, slots=True)
class LambdaS3Origin:
    """`request.origin.s3` of an origin event.

    Args:
        domain_name: The bucket's DNS name, lower case.
        path: Empty, or `/…` without a closing slash.
        auth_method: `origin-access-identity` or `none`; origin access control has no word here.
        region: The bucket's Region; needed with an origin access identity only.
        read_timeout_s: 1 to 120; None when the event does not show it.
        response_completion_timeout_s: At least the read time-out; None for no limit.
        custom_headers: What CloudFront adds to each request to this origin.
    """

    domain_name: str
    path: str = ""
    auth_method: str = "none"
    region: str = ""
    read_timeout_s: int | None = None
    response_completion_timeout_s: int | None = None
    custom_headers: Headers = field(default_factory=Headers)


LambdaOrigin = LambdaCustomOrigin | LambdaS3Origin


@dataclass(frozen=True, slots=True)
class LambdaRun(FunctionRun):
    """What one run of a Lambda@Edge function gave.

    `logs` holds START, the function's own lines, END and REPORT; `duration_ms` leaves the waiting
    for a free environment out.

    Args:
        origin: Origin-request events: the origin that the function chose, when it changed it.
        queued_ms: Real milliseconds this run waited because the machine's environments were all
            at work. AWS would have started another one: it is the emulator's own, not the model's.
        init_ms: Real milliseconds of a cold start: process and the handler's module scope.
        max_memory_mb: The most memory the environment has used so far.
        aws_request_id: Lambda's id of the invocation, as in the log.
    """

    origin: LambdaOrigin | None = None
    queued_ms: float = 0.0
    init_ms: float = 0.0
    max_memory_mb: int = 0
    aws_request_id: str = ""


class Handling(StrEnum):
    """What happens to something that AWS's pages leave open."""

    IGNORE = "ignore"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class LambdaEdgeSwitches:
    """What AWS does not say about Lambda@Edge: each open question with the default we chose.

    The numbers are those of facts/lambda-at-edge.md section 11. Whoever learns the answer on real
    CloudFront changes the default here. Those marked *edge* are read by the request's way, the
    others by the runtime and the rules.

    Args:
        viewer_response_after_rescued_error: 1, edge. Run viewer-response when origin-response
            turned the origin's 4xx or 5xx into something else.
        viewer_response_after_generated_error: 1, edge. Run it when origin-request generated a
            status of 400 or more.
        viewer_response_status: 2. A changed status in viewer-response.
        viewer_response_body: 2. A body set in viewer-response.
        read_only_fields: 3. Changed `clientIp` or `config`.
        method: 3. A changed `method`.
        origin_in_viewer_request: 3. An `origin` added in viewer-request.
        header_name_case: A header object's key that is not lower case.
        empty_body_object: 4. Whether a request without a body shows an empty `body` under
            IncludeBody.
        whole_query_only: 5, edge. Whether origin events see an empty query string under an
            allow-list instead of the filtered one.
        measure_encoded_body: 6. Whether a generated response is measured before base64 is decoded.
        cache_failures: 7, edge. Whether function failures are cached.
        custom_error_pages: 7, edge. Whether custom error pages replace function failures (never
            those of kind LambdaLimitExceeded).
        failover_shows_secondary: 8, edge. Whether the second origin-request shows the secondary.
        failover_keeps_edits: 8, edge. Whether edits of the first run reach the second.
        viewer_memory_max_mb: 9. The pages say both 128 and "same as Lambda".
        timeout_failure: 10. How a time-out is reported.
        runtime_ships_awscrt: 11. Whether Lambda's Python image has `awscrt`.
        origin_functions_follow_bypass: 12, edge. Whether origin functions run at the point of
            presence's Region for methods that bypass the regional edge cache.
        function_name_prefix: LAE-77. What a replica's name begins with.
        region_of_replica: LAE-77. Whether `AWS_REGION` is the Region where the replica runs; else
            `us-east-1`.
    """

    viewer_response_after_rescued_error: bool = False
    viewer_response_after_generated_error: bool = False
    viewer_response_status: Handling = Handling.IGNORE
    viewer_response_body: Handling = Handling.IGNORE
    read_only_fields: Handling = Handling.IGNORE
    method: Handling = Handling.IGNORE
    origin_in_viewer_request: Handling = Handling.IGNORE
    header_name_case: Handling = Handling.IGNORE
    empty_body_object: bool = True
    whole_query_only: bool = False
    measure_encoded_body: bool = False
    cache_failures: bool = False
    custom_error_pages: bool = True
    failover_shows_secondary: bool = True
    failover_keeps_edits: bool = False
    viewer_memory_max_mb: int = 10_240
    timeout_failure: FailureKind = FailureKind.LAMBDA_EXECUTION
    runtime_ships_awscrt: bool = False
    origin_functions_follow_bypass: bool = False
    function_name_prefix: str = "us-east-1."
    region_of_replica: bool = True
