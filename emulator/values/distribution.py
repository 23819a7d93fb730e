"""A distribution and its parts, as the viewers' side needs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from emulator.values.functions import EventType, FunctionKind

READ_METHODS = frozenset({"GET", "HEAD"})
ALL_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"})


class ViewerProtocolPolicy(StrEnum):
    """What happens to viewers that speak plain HTTP."""

    ALLOW_ALL = "allow-all"
    HTTPS_ONLY = "https-only"
    REDIRECT_TO_HTTPS = "redirect-to-https"


class Selection(StrEnum):
    """Which headers, cookies or query strings a policy takes.

    The cache policy spells them none, whitelist, allExcept and all; the origin request policy adds
    allViewer and allViewerAndWhitelistCloudFront for headers (CloudFront API 2020-05-31).
    """

    NONE = "none"
    WHITELIST = "whitelist"
    ALL_EXCEPT = "allExcept"
    ALL = "all"
    ALL_VIEWER = "allViewer"
    ALL_VIEWER_AND_WHITELIST_CLOUDFRONT = "allViewerAndWhitelistCloudFront"


@dataclass(frozen=True, slots=True)
class Names:
    """A policy's choice among names.

    Args:
        selection: How the names are meant.
        names: Header names in lower case; cookie and query names as written.
        patterns: Listed names with `*` and `?`, as fnmatch reads them: only the cookies of legacy
            ForwardedValues have such, in a policy both are literal.
    """

    selection: Selection = Selection.NONE
    names: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()

    def takes(self, name: str) -> bool:
        """Whether a name is chosen; header names must come in lower case."""
        match self.selection:
            case Selection.NONE:
                return False
            case Selection.WHITELIST:
                return name in self.names or any(
                    fnmatchcase(name, pattern) for pattern in self.patterns
                )
            case Selection.ALL_EXCEPT:
                return name not in self.names
            case _:
                return True


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """What is in the cache key, and how long an object may stay.

    TTLs are whole seconds.
    """

    name: str
    min_ttl_s: int
    default_ttl_s: int
    max_ttl_s: int
    headers: Names = Names()
    cookies: Names = Names()
    query_strings: Names = Names()
    gzip: bool = False
    brotli: bool = False

    @property
    def caching_disabled(self) -> bool:
        """All three TTLs zero: nothing is ever kept (managed policy CachingDisabled)."""
        return self.min_ttl_s == self.default_ttl_s == self.max_ttl_s == 0


@dataclass(frozen=True, slots=True)
class OriginRequestPolicy:
    """What the origin gets beside the cache key's parts."""

    name: str
    headers: Names = Names()
    cookies: Names = Names()
    query_strings: Names = Names()


class OriginKind(StrEnum):
    """What kind of server an origin is."""

    CUSTOM = "custom"
    S3 = "s3"
    LAMBDA_URL = "lambda-url"


class SigningBehavior(StrEnum):
    """When an origin access control signs (CloudFront API 2020-05-31)."""

    ALWAYS = "always"
    NEVER = "never"
    NO_OVERRIDE = "no-override"


@dataclass(frozen=True, slots=True)
class OriginAccessControl:
    """An origin access control (OAC).

    Args:
        id: Its id.
        name: Its name.
        origin_type: `s3`, `lambda`, `mediastore` or `mediapackagev2`.
        signing_behavior: When CloudFront signs its requests.
    """

    id: str
    name: str
    origin_type: str = "s3"
    signing_behavior: SigningBehavior = SigningBehavior.ALWAYS


@dataclass(frozen=True, slots=True)
class Origin:
    """An origin of a distribution.

    Args:
        id: Its id within the distribution.
        domain_name: Its domain, as the template says.
        path: OriginPath; empty or `/…` without a closing slash.
        custom_headers: Headers that CloudFront adds to each request, (name, value).
        https: Whether CloudFront would speak HTTPS to it.
        port: The port at that domain.
        connection_attempts: 1 to 3.
        connection_timeout_s: 1 to 10.
        read_timeout_s: First byte, and each gap between two packets.
        keepalive_timeout_s: How long an idle connection is kept.
        kind: Custom, S3 bucket, or Lambda function URL.
        access_control: The origin access control, if any.
        response_completion_timeout_s: Cap on the whole answer, retries included; None for no cap.
        shield_region: Origin Shield's Region; empty when it is off.
        match_viewer: OriginProtocolPolicy match-viewer: HTTP for HTTP viewers, HTTPS for others.
        http_port: The port for plain HTTP; only match-viewer needs both.
        access_identity: The legacy origin access identity's id; empty when there is none.
        vpc: Whether it is reached through a VPC origin.
        host_header: The Host to send in place of the domain name; only a function sets it.
    """

    id: str
    domain_name: str
    path: str = ""
    custom_headers: tuple[tuple[str, str], ...] = ()
    https: bool = True
    port: int = 443
    connection_attempts: int = 3
    connection_timeout_s: float = 10
    read_timeout_s: float = 30
    keepalive_timeout_s: float = 5
    kind: OriginKind = OriginKind.CUSTOM
    access_control: OriginAccessControl | None = None
    response_completion_timeout_s: float | None = None
    shield_region: str = ""
    match_viewer: bool = False
    http_port: int = 80
    access_identity: str = ""
    vpc: bool = False
    host_header: str = ""


@dataclass(frozen=True, slots=True)
class OriginGroup:
    """Two origins, the second for when the first fails.

    Args:
        id: Its id; a behavior's target_origin_id may name it.
        primary: The id of the origin that is tried first, every time.
        secondary: The id of the other one.
        status_codes: Statuses that fail over.
    """

    id: str
    primary: str
    secondary: str
    status_codes: frozenset[int]


@dataclass(frozen=True, slots=True)
class CustomErrorResponse:
    """What viewers get in place of an error.

    Args:
        error_code: The status it is for.
        response_page_path: The page's path; empty to keep the error's own body.
        response_code: The status that viewers see; 0 for the error's own.
        error_caching_min_ttl_s: How long the error is cached at least.
    """

    error_code: int
    response_page_path: str = ""
    response_code: int = 0
    error_caching_min_ttl_s: int = 10


@dataclass(frozen=True, slots=True)
class CorsConfig:
    """The CORS headers of a response headers policy.

    Args:
        allow_origins: `*`, exact origins, or `*.example.org`.
        allow_headers: Access-Control-Allow-Headers.
        allow_methods: Access-Control-Allow-Methods.
        expose_headers: Access-Control-Expose-Headers.
        allow_credentials: Access-Control-Allow-Credentials.
        max_age_s: Access-Control-Max-Age; None for none.
        origin_override: Whether the policy's values replace the origin's.
    """

    allow_origins: tuple[str, ...]
    allow_headers: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    allow_credentials: bool = False
    max_age_s: int | None = None
    origin_override: bool = False


@dataclass(frozen=True, slots=True)
class PolicyHeader:
    """A header that a response headers policy adds.

    Args:
        name: The header.
        value: Its value.
        override: Whether it replaces the origin's.
    """

    name: str
    value: str
    override: bool


@dataclass(frozen=True, slots=True)
class ResponseHeadersPolicy:
    """What CloudFront adds to and takes from responses.

    Args:
        name: Its name.
        cors: CORS headers, if any.
        headers: Security and custom headers, in the policy's order.
        remove: Names taken away before anything is added, lower case.
        server_timing_rate: Share of responses with Server-Timing, 0 to 100; None when off.
    """

    name: str
    cors: CorsConfig | None = None
    headers: tuple[PolicyHeader, ...] = ()
    remove: tuple[str, ...] = ()
    server_timing_rate: float | None = None


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key whose owner may sign URLs and cookies.

    Args:
        id: The Key-Pair-Id.
        pem: The public key, PEM.
    """

    id: str
    pem: str


class GeoRestriction(StrEnum):
    """How a distribution's list of countries is meant."""

    NONE = "none"
    ALLOW = "whitelist"
    BLOCK = "blacklist"


@dataclass(frozen=True, slots=True)
class FunctionAssociation:
    """An edge function at one event of one cache behavior.

    Args:
        event_type: The event.
        kind: Which runtime.
        arn: The function's ARN; a numbered version for Lambda@Edge.
        include_body: Lambda@Edge request events: whether the function sees the body.
    """

    event_type: EventType
    kind: FunctionKind
    arn: str
    include_body: bool = False


@dataclass(frozen=True, slots=True)
class CacheBehavior:
    """One cache behavior.

    Args:
        path_pattern: Such as `/answers/*`; `*` for the default behavior.
        target_origin_id: The origin.
        cache_policy: Its cache policy.
        origin_request_policy: Its origin request policy, if any.
        viewer_protocol_policy: For plain-HTTP viewers.
        allowed_methods: Others get 403.
        cached_methods: GET and HEAD, perhaps OPTIONS.
        functions: At most one for each event.
        compress: Whether CloudFront may compress.
        response_headers_policy: Its response headers policy, if any.
        trusted_keys: Keys that sign its URLs and cookies; empty when it needs no signature.
        forwards_all_headers: Legacy ForwardedValues: headers nobody named go to the origin too.
        grpc: Whether gRPC is on; nothing of it is emulated.
    """

    path_pattern: str
    target_origin_id: str
    cache_policy: CachePolicy
    origin_request_policy: OriginRequestPolicy | None = None
    viewer_protocol_policy: ViewerProtocolPolicy = ViewerProtocolPolicy.ALLOW_ALL
    allowed_methods: frozenset[str] = READ_METHODS
    cached_methods: frozenset[str] = READ_METHODS
    functions: tuple[FunctionAssociation, ...] = ()
    compress: bool = False
    response_headers_policy: ResponseHeadersPolicy | None = None
    trusted_keys: tuple[TrustedKey, ...] = ()
    forwards_all_headers: bool = False
    grpc: bool = False

    def function_at(self, event_type: EventType) -> FunctionAssociation | None:
        """The function associated with this event, if any."""
        for association in self.functions:
            if association.event_type is event_type:
                return association
        return None


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution as it serves viewers.

    Args:
        id: Such as `EDFDVBD6EXAMPLE`.
        domain_name: Such as `d111111abcdef8.cloudfront.net`.
        aliases: Alternate domain names, lower case.
        behaviors: In the listed order; the default behavior is last.
        origins: By id.
        default_root_object: Without a leading slash; empty when there is none.
        enabled: A disabled distribution answers nobody.
        origin_groups: By id.
        custom_errors: By the status they are for.
        geo_restriction: How `geo_locations` is meant.
        geo_locations: ISO 3166-1 alpha-2 country codes.
        http3: Whether HttpVersion includes HTTP/3 (the Alt-Svc header).
        logs_cookies: Whether access logs hold cookies.
        logs: Whether standard access logs are on.
        beyond: Settings that no value here carries, by their names in CloudFormation.
    """

    id: str
    domain_name: str
    behaviors: tuple[CacheBehavior, ...]
    origins: dict[str, Origin]
    aliases: tuple[str, ...] = ()
    default_root_object: str = ""
    enabled: bool = True
    origin_groups: dict[str, OriginGroup] = field(default_factory=dict)
    custom_errors: dict[int, CustomErrorResponse] = field(default_factory=dict)
    geo_restriction: GeoRestriction = GeoRestriction.NONE
    geo_locations: frozenset[str] = frozenset()
    http3: bool = False
    logs_cookies: bool = False
    logs: bool = False
    beyond: tuple[str, ...] = ()
