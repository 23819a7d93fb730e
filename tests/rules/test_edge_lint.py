"""AWS's rules for a distribution."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.rules.edge_lint import check_distribution
from emulator.values.distribution import (
    ALL_METHODS,
    READ_METHODS,
    CacheBehavior,
    CachePolicy,
    CustomErrorResponse,
    Distribution,
    FunctionAssociation,
    Origin,
    OriginAccessControl,
    OriginGroup,
    OriginKind,
)
from emulator.values.findings import Severity
from emulator.values.functions import EventType, FunctionKind

POLICY = CachePolicy("CachingDisabled", 0, 0, 0)
DEFAULT = CacheBehavior("*", "Api", POLICY)
API = Origin("Api", "api.example.com")
SITE = Distribution("E1", "d1.cloudfront.net", (DEFAULT,), {"Api": API})
CFF, LAMBDA = FunctionKind.CLOUDFRONT_FUNCTION, FunctionKind.LAMBDA_AT_EDGE
VERSION = "arn:aws:lambda:us-east-1:123456789012:function:f:1"


def said(distribution: Distribution) -> list[str]:
    """What AWS would say, in short."""
    return [f"{one.severity}: {one.what}" for one in check_distribution(distribution, "Config")]


def with_behavior(**changes: object) -> Distribution:
    """The site with a changed default behavior."""
    return replace(SITE, behaviors=(replace(DEFAULT, **changes),))  # type: ignore[arg-type]


def with_patterns(*patterns: str) -> Distribution:
    """The site with behaviors before the default one."""
    listed = tuple(CacheBehavior(pattern, "Api", POLICY) for pattern in patterns)
    return replace(SITE, behaviors=(*listed, DEFAULT))


def with_origin(**changes: object) -> Distribution:
    """The site with a changed origin."""
    return replace(SITE, origins={"Api": replace(API, **changes)})  # type: ignore[arg-type]


def one_function(
    event: EventType, arn: str = VERSION, kind: FunctionKind = LAMBDA, *, body: bool = False
) -> Distribution:
    """The site with one function."""
    return with_behavior(functions=(FunctionAssociation(event, kind, arn, body),))


def test_a_plain_distribution_is_fine() -> None:
    """Nothing to say."""
    assert said(SITE) == []


# --- functions ----------------------------------------------------------------------------------


@pytest.mark.conformance("LAE-13", "LAE-14")
@pytest.mark.parametrize(
    ("functions", "words"),
    [
        (
            [(EventType.VIEWER_REQUEST, CFF), (EventType.VIEWER_REQUEST, CFF)],
            "viewer-request has more than one edge function",
        ),
        (
            [(EventType.ORIGIN_REQUEST, LAMBDA), (EventType.ORIGIN_REQUEST, LAMBDA)],
            "origin-request has more than one edge function",
        ),
        (
            [(EventType.VIEWER_REQUEST, LAMBDA), (EventType.VIEWER_RESPONSE, CFF)],
            "cannot both serve viewer events",
        ),
    ],
)
def test_functions_that_cannot_go_together(
    functions: list[tuple[EventType, FunctionKind]], words: str
) -> None:
    """One for each event; one kind for both viewer events."""
    found = tuple(FunctionAssociation(event, kind, VERSION) for event, kind in functions)

    assert [words in one for one in said(with_behavior(functions=found))] == [True]


@pytest.mark.conformance("LAE-15")
def test_functions_that_can_go_together() -> None:
    """CloudFront Functions at viewer events, Lambda@Edge at origin events."""
    found = (
        FunctionAssociation(EventType.VIEWER_REQUEST, CFF, "f"),
        FunctionAssociation(EventType.ORIGIN_REQUEST, LAMBDA, VERSION, include_body=True),
        FunctionAssociation(EventType.ORIGIN_RESPONSE, LAMBDA, VERSION),
        FunctionAssociation(EventType.VIEWER_RESPONSE, CFF, "f"),
    )

    assert said(with_behavior(functions=found)) == []


@pytest.mark.parametrize("end", ["$LATEST", "live", ""])
def test_only_a_numbered_version_goes_to_the_edge(end: str) -> None:
    """`$LATEST`, aliases and bare functions are refused, in CloudFront's words."""
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:f:{end}".rstrip(":")
    (found,) = said(one_function(EventType.ORIGIN_REQUEST, arn))

    assert found == (
        "error: The function ARN must reference a specific function version. (The ARN must end with"
        f" the version number.) ARN: {arn}"
    )


def test_only_us_east_1_has_edge_functions() -> None:
    """In CloudFront's words."""
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:f:1"

    assert said(one_function(EventType.ORIGIN_REQUEST, arn)) == [
        f"error: The function must be in region 'us-east-1'. ARN: {arn}"
    ]


@pytest.mark.parametrize("event", [EventType.ORIGIN_RESPONSE, EventType.VIEWER_RESPONSE])
def test_a_response_event_has_no_body_to_include(event: EventType) -> None:
    """In CloudFront's words."""
    assert said(one_function(event, body=True)) == [
        "error: The IncludeBody option can only be used with viewer-request or origin-request"
        " events."
    ]


@pytest.mark.conformance("LAE-17")
def test_a_vpc_origin_has_no_origin_functions() -> None:
    """Refused at deploy time."""
    origins = {"Api": replace(API, vpc=True)}
    bad = replace(one_function(EventType.ORIGIN_REQUEST), origins=origins)
    good = replace(one_function(EventType.VIEWER_REQUEST), origins=origins)

    assert ["A VPC origin" in one for one in said(bad)] == [True]
    assert said(good) == []


# --- behaviors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["/a/*", "b?c.jpg", "/~$\"'@:+&-_."], []),
        (["/" + "a" * 255], ["error: The path pattern has 256 characters; 255 are allowed."]),
        (["/ä"], ["error: The path pattern '/ä' has characters"]),
        (["/a b"], ["error: The path pattern '/a b' has characters"]),
        (["/a", "a"], ["error: The path pattern 'a' stands twice"]),
        (["/*", "/api/*"], ["warning: No request reaches '/api/*'"]),
        ([f"/{n}" for n in range(76)], ["error: A distribution has at most 75 cache behaviors"]),
    ],
)
def test_path_patterns(patterns: list[str], expected: list[str]) -> None:
    """Length, characters, repeats, order and number."""
    found = said(with_patterns(*patterns))

    assert len(found) == len(expected)
    assert all(one.startswith(words) for one, words in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("allowed", "cached", "words"),
    [
        ({"GET"}, READ_METHODS, "allows no such set of methods: GET"),
        (READ_METHODS, {"GET", "HEAD", "POST"}, "caches no such set of methods"),
        (READ_METHODS, READ_METHODS | {"OPTIONS"}, "CachedMethods names OPTIONS"),
    ],
)
def test_method_sets(allowed: set[str], cached: set[str], words: str) -> None:
    """Three sets may be allowed, two cached."""
    found = said(
        with_behavior(allowed_methods=frozenset(allowed), cached_methods=frozenset(cached))
    )

    assert any(words in one for one in found)


def test_origin_groups_take_no_writes() -> None:
    """In CloudFront's words."""
    group = OriginGroup("Both", "Api", "Other", frozenset({500}))
    site = replace(
        with_behavior(target_origin_id="Both", allowed_methods=ALL_METHODS),
        origins={"Api": API, "Other": replace(API, id="Other")},
        origin_groups={"Both": group},
    )

    assert said(site) == [
        "error: The parameter AllowedMethods cannot include POST, PUT, PATCH, or DELETE for a"
        " cached behavior associated with an origin group."
    ]


# --- origins ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"domain_name": "https://api.example.com"}, "has a scheme, a port or a path"),
        ({"domain_name": "api.example.com:8080"}, "has a scheme, a port or a path"),
        ({"domain_name": "10.1.2.3"}, "warning: 10.1.2.3 is an IP address"),
        ({"domain_name": ""}, "has no domain name"),
        ({"path": "v1"}, "'v1' must begin with a slash"),
        ({"path": "/v1/"}, "'/v1/' must begin with a slash and not end with one"),
        ({"connection_attempts": 4}, "ConnectionAttempts is 4; it must be 1 to 3"),
        ({"connection_timeout_s": 0}, "ConnectionTimeout is 0; it must be 1 to 10"),
        ({"read_timeout_s": 121}, "OriginReadTimeout is 121; it must be 1 to 120"),
        ({"keepalive_timeout_s": 0}, "OriginKeepaliveTimeout is 0"),
        ({"response_completion_timeout_s": 10}, "less than the read timeout of 30"),
        ({"port": 22}, "80, 443, or 1024 to 65535, not 22"),
        ({"shield_region": "us-west-1"}, "Origin Shield is not in 'us-west-1'"),
        ({"custom_headers": (("Host", "x"),)}, "does not take Host"),
        ({"custom_headers": (("X-Amz-Date", "x"),)}, "does not take X-Amz-Date"),
        ({"custom_headers": (("A", "1"), ("a", "2"))}, "The custom header a stands twice"),
        ({"custom_headers": (("A", "1" * 1_784),)}, "is too long"),
        (
            {"custom_headers": tuple((f"X-{n}", "1") for n in range(31))},
            "at most 30 custom headers, not 31",
        ),
        (
            {"access_control": OriginAccessControl("E", "c", "s3")},
            "is for s3, the origin is a custom origin",
        ),
        (
            {
                "kind": OriginKind.S3,
                "access_control": OriginAccessControl("E", "c", "s3"),
                "access_identity": "E1",
            },
            "not both",
        ),
    ],
)
def test_origins(changes: dict[str, object], words: str) -> None:
    """Names, times, ports, headers, access."""
    assert [words in one for one in said(with_origin(**changes))] == [True]


def test_an_origin_on_this_machine_is_fine() -> None:
    """Localhost may have any port."""
    assert said(with_origin(domain_name="localhost", port=9, https=False)) == []


@pytest.mark.conformance("CF-75")
@pytest.mark.parametrize(
    ("codes", "fine"), [({429, 503}, True), ({418}, False), ({500, 501}, False), (set(), False)]
)
def test_failover_statuses(codes: set[int], fine: bool) -> None:
    """Nine statuses can fail over, 429 among them."""
    group = OriginGroup("Both", "Api", "Other", frozenset(codes))
    site = replace(
        SITE,
        origins={"Api": API, "Other": replace(API, id="Other")},
        origin_groups={"Both": group},
    )

    assert (said(site) == []) is fine


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (OriginGroup("G", "Api", "Nope", frozenset({500})), "No origin has the id 'Nope'"),
        (OriginGroup("G", "Api", "Api", frozenset({500})), "Both members are the same"),
    ],
)
def test_members_of_a_group(group: OriginGroup, words: str) -> None:
    """Two different origins."""
    assert [words in one for one in said(replace(SITE, origin_groups={"G": group}))] == [True]


# --- the rest -----------------------------------------------------------------------------------


@pytest.mark.conformance("CF-51")
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (CustomErrorResponse(412, "/e", 200), "412 cannot have a custom error response"),
        (CustomErrorResponse(415, "/e", 200), "415 cannot have a custom error response"),
        (CustomErrorResponse(404, "/e"), "need each other"),
        (CustomErrorResponse(404, "", 200), "need each other"),
        (CustomErrorResponse(404, "e", 200), "must begin with a slash"),
        (CustomErrorResponse(404, "/e", 302), "cannot have the status 302"),
    ],
)
def test_custom_error_responses(entry: CustomErrorResponse, words: str) -> None:
    """Eleven codes, a page with a status, a path with a slash."""
    site = replace(SITE, custom_errors={entry.error_code: entry})

    assert [words in one for one in said(site)] == [True]


@pytest.mark.parametrize(
    ("site", "words"),
    [
        (replace(SITE, default_root_object="/index.html"), "must not begin with a slash"),
        (replace(SITE, aliases=("www.example.com",) * 2), "stands twice"),
        (replace(SITE, aliases=("www.*.example.com",)), "is no domain name"),
        (
            replace(SITE, aliases=tuple(f"a{n}.example.com" for n in range(101))),
            "at most 100 alternate domain names, not 101",
        ),
        (
            replace(SITE, origins={str(n): replace(API, id=str(n)) for n in range(101)}),
            "at most 100 origins, not 101",
        ),
    ],
)
def test_the_whole(site: Distribution, words: str) -> None:
    """Counts, names, the default root object."""
    assert [words in one for one in said(site)] == [True]


def test_a_finding_says_where() -> None:
    """The default behavior has a place of its own."""
    site = replace(with_patterns("/a"), behaviors=(DEFAULT, replace(DEFAULT, grpc=True)))
    (found,) = [one for one in check_distribution(site, "Config") if "gRPC" in one.what]

    assert found.where == "Config.DefaultCacheBehavior.AllowedMethods"
    assert found.severity is Severity.ERROR
