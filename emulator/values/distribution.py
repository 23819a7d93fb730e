"""A distribution and its parts, as the viewers' side needs them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
    """

    selection: Selection = Selection.NONE
    names: frozenset[str] = frozenset()

    def takes(self, name: str) -> bool:
        """Whether a name is chosen; header names must come in lower case."""
        match self.selection:
            case Selection.NONE:
                return False
            case Selection.WHITELIST:
                return name in self.names
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
    """

    id: str
    domain_name: str
    behaviors: tuple[CacheBehavior, ...]
    origins: dict[str, Origin]
    aliases: tuple[str, ...] = ()
    default_root_object: str = ""
    enabled: bool = True
