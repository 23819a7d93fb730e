"""AWS's rules for a distribution that a template can break and a schema cannot see.

Each check takes values and returns findings. An error is what AWS refuses to deploy; a warning is
what deploys and then surprises. Where AWS's own words are known (facts/lambda-at-edge.md section 6,
public reports of CloudFront's answers), they stand here.

DG = https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/, read 2026-11-20.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from emulator.rules.custom_errors import MATCHABLE_STATUSES
from emulator.rules.custom_headers import is_refused_custom_header
from emulator.rules.failover import FAILOVER_STATUSES
from emulator.values.distribution import (
    ALL_METHODS,
    READ_METHODS,
    CacheBehavior,
    CustomErrorResponse,
    Distribution,
    FunctionAssociation,
    Origin,
    OriginGroup,
    OriginKind,
)
from emulator.values.findings import Finding, error, warning
from emulator.values.functions import FunctionKind

# --- DG cloudfront-limits -------------------------------------------------------------------------
_BEHAVIORS_MAX: Final = 75
_ORIGINS_MAX: Final = 100
_ORIGIN_GROUPS_MAX: Final = 10
_ALIASES_MAX: Final = 100
_PATH_PATTERN_MAX_CHARS: Final = 255
_CUSTOM_HEADERS_MAX: Final = 30
_CUSTOM_HEADER_NAME_MAX_CHARS: Final = 256
_CUSTOM_HEADER_VALUE_MAX_CHARS: Final = 1_783
_CUSTOM_HEADERS_MAX_CHARS: Final = 10_240
_LAMBDA_FUNCTIONS_MAX: Final = 100
# DG downloaddistvaluescachebehavior: the characters that a path pattern may have.
_PATH_PATTERN: Final = re.compile(r"[A-Za-z0-9_\-.*$/~\"'@:+&?]+")
_METHOD_SETS: Final = (READ_METHODS, READ_METHODS | {"OPTIONS"}, ALL_METHODS)
_CACHED_SETS: Final = (READ_METHODS, READ_METHODS | {"OPTIONS"})

# DG origin-shield.
_SHIELD_REGIONS: Final = (
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "ap-south-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "sa-east-1",
    "me-central-1",
)
_ACCESS_CONTROL_TYPES: Final = ("s3", "lambda", "mediastore", "mediapackagev2")
_LAMBDA_ARN: Final = re.compile(r"arn:aws[a-z-]*:lambda:([a-z0-9-]+):\d+:function:[^:]+(?::(.+))?")


def check_distribution(distribution: Distribution, where: str) -> list[Finding]:
    """What AWS would say to a distribution.

    Args:
        distribution: The distribution.
        where: The place of its DistributionConfig.
    """
    return [
        *_counts(distribution, where),
        *_aliases(distribution, where),
        *_patterns(distribution, where),
        *(one for found in _each_behavior(distribution, where) for one in found),
        *(
            one
            for number, origin in enumerate(distribution.origins.values())
            for one in _origin(origin, f"{where}.Origins[{number}]")
        ),
        *(
            one
            for number, group in enumerate(distribution.origin_groups.values())
            for one in _group(group, distribution, f"{where}.OriginGroups.Items[{number}]")
        ),
        *(
            one
            for number, entry in enumerate(distribution.custom_errors.values())
            for one in _custom_error(entry, f"{where}.CustomErrorResponses[{number}]")
        ),
        *_root(distribution, where),
    ]


def behavior_place(distribution: Distribution, number: int, where: str) -> str:
    """The place of a behavior; the default one has a name of its own."""
    if number == len(distribution.behaviors) - 1:
        return f"{where}.DefaultCacheBehavior"
    return f"{where}.CacheBehaviors[{number}]"


# --- the whole ----------------------------------------------------------------------------------


def _counts(distribution: Distribution, where: str) -> Iterator[Finding]:
    counts = (
        ("CacheBehaviors", "cache behaviors", len(distribution.behaviors) - 1, _BEHAVIORS_MAX),
        ("Origins", "origins", len(distribution.origins), _ORIGINS_MAX),
        ("OriginGroups", "origin groups", len(distribution.origin_groups), _ORIGIN_GROUPS_MAX),
        ("Aliases", "alternate domain names", len(distribution.aliases), _ALIASES_MAX),
    )
    for name, what, count, most in counts:
        if count > most:
            yield error(
                f"A distribution has at most {most} {what}, not {count}.",
                f"{where}.{name}",
                "Remove some, or ask AWS for a higher quota.",
            )
    edge = {
        one.arn
        for behavior in distribution.behaviors
        for one in behavior.functions
        if one.kind is FunctionKind.LAMBDA_AT_EDGE
    }
    if len(edge) > _LAMBDA_FUNCTIONS_MAX:
        yield error(
            f"A distribution has at most {_LAMBDA_FUNCTIONS_MAX} Lambda@Edge functions,"
            f" not {len(edge)}.",
            where,
        )


def _aliases(distribution: Distribution, where: str) -> Iterator[Finding]:
    for alias, count in Counter(distribution.aliases).items():
        if count > 1:
            yield error(f"The alias {alias} stands twice.", f"{where}.Aliases", "Keep one.")
        if not re.fullmatch(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)+", alias):
            yield error(
                f"{alias!r} is no domain name.",
                f"{where}.Aliases",
                "Write it as www.example.com; a wildcard may only be the first label.",
            )


def _patterns(distribution: Distribution, where: str) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    everything = -1
    for number, behavior in enumerate(distribution.behaviors[:-1]):
        place = f"{where}.CacheBehaviors[{number}].PathPattern"
        pattern = behavior.path_pattern
        if len(pattern) > _PATH_PATTERN_MAX_CHARS:
            yield error(
                f"The path pattern has {len(pattern)} characters; {_PATH_PATTERN_MAX_CHARS} are"
                " allowed.",
                place,
                "Shorten it.",
            )
        if pattern and not _PATH_PATTERN.fullmatch(pattern):
            yield error(
                f"The path pattern {pattern!r} has characters that CloudFront does not allow"
                " (allowed: A-Z a-z 0-9 _ - . * $ / ~ \" ' @ : + & ?).",
                place,
                "Take them out.",
            )
        same = pattern.removeprefix("/")
        if same in seen:
            yield error(
                f"The path pattern {pattern!r} stands twice; the behavior at"
                f" CacheBehaviors[{seen[same]}] has it already.",
                place,
                "Keep one.",
            )
        elif everything >= 0:
            yield warning(
                f"No request reaches {pattern!r}: CacheBehaviors[{everything}] matches every path"
                " and stands before it.",
                place,
                "Behaviors are tried in the listed order; move it up.",
            )
        seen.setdefault(same, number)
        if same in ("*", "**") and everything < 0:
            everything = number


def _root(distribution: Distribution, where: str) -> Iterator[Finding]:
    # DG defaultrootobject: no leading slash.
    if distribution.default_root_object.startswith("/"):
        yield error(
            "The parameter DefaultRootObject must not begin with a slash.",
            f"{where}.DefaultRootObject",
            f"Write {distribution.default_root_object.lstrip('/')}.",
        )


# --- behaviors ----------------------------------------------------------------------------------


def _each_behavior(distribution: Distribution, where: str) -> Iterator[Iterable[Finding]]:
    for number, behavior in enumerate(distribution.behaviors):
        place = behavior_place(distribution, number, where)
        yield _methods(behavior, distribution, place)
        yield _associations(behavior, distribution, place)
        if behavior.grpc and behavior.allowed_methods != ALL_METHODS:
            yield [
                error(
                    "gRPC needs all methods.",
                    f"{place}.AllowedMethods",
                    "Allow all seven methods.",
                )
            ]


def _methods(behavior: CacheBehavior, distribution: Distribution, where: str) -> Iterator[Finding]:
    if behavior.allowed_methods not in _METHOD_SETS:
        yield error(
            "CloudFront allows no such set of methods:"
            f" {', '.join(sorted(behavior.allowed_methods))}.",
            f"{where}.AllowedMethods",
            "Use GET, HEAD; or GET, HEAD, OPTIONS; or all seven.",
        )
    if behavior.cached_methods not in _CACHED_SETS:
        yield error(
            "CloudFront caches no such set of methods:"
            f" {', '.join(sorted(behavior.cached_methods))}.",
            f"{where}.CachedMethods",
            "Use GET, HEAD; or GET, HEAD, OPTIONS.",
        )
    elif "OPTIONS" in behavior.cached_methods - behavior.allowed_methods:
        yield error(
            "CachedMethods names OPTIONS, which AllowedMethods does not.",
            f"{where}.CachedMethods",
            "Allow OPTIONS, or do not cache it.",
        )
    grouped = behavior.target_origin_id in distribution.origin_groups
    if grouped and "POST" in behavior.allowed_methods:
        # CloudFront's words, github.com/aws/aws-cdk issue 32450.
        yield error(
            "The parameter AllowedMethods cannot include POST, PUT, PATCH, or DELETE for a cached"
            " behavior associated with an origin group.",
            f"{where}.AllowedMethods",
            "Use GET, HEAD, OPTIONS, or an origin instead of the group.",
        )


def _associations(
    behavior: CacheBehavior, distribution: Distribution, where: str
) -> Iterator[Finding]:
    """DG edge-function-restrictions-all (facts/cloudfront.md 15.1)."""
    for event, count in Counter(one.event_type for one in behavior.functions).items():
        if count > 1:
            yield error(
                f"{event} has more than one edge function.", where, "Keep one for each event."
            )
    kinds = {one.kind for one in behavior.functions if one.event_type.is_viewer}
    if len(kinds) > 1:
        yield error(
            "CloudFront Functions and Lambda@Edge cannot both serve viewer events of one behavior.",
            where,
            "Use one kind for viewer-request and viewer-response.",
        )
    origin = distribution.origins.get(behavior.target_origin_id)
    for one in behavior.functions:
        if one.kind is not FunctionKind.LAMBDA_AT_EDGE:
            continue
        yield from _lambda_association(one, f"{where}.LambdaFunctionAssociations")
        if origin is not None and origin.vpc and not one.event_type.is_viewer:
            # facts/lambda-at-edge.md 10, line 17.
            yield error(
                f"A VPC origin cannot have a Lambda@Edge function at {one.event_type}.",
                f"{where}.LambdaFunctionAssociations",
                "Use a viewer event, or another kind of origin.",
            )


def _lambda_association(one: FunctionAssociation, where: str) -> Iterator[Finding]:
    found = _LAMBDA_ARN.fullmatch(one.arn)
    region, version = (found[1], found[2] or "") if found else ("us-east-1", _last(one.arn))
    if not version.isdecimal():
        yield error(
            "The function ARN must reference a specific function version. (The ARN must end"
            f" with the version number.) ARN: {one.arn}",
            where,
            "!Ref an AWS::Lambda::Version; $LATEST and aliases are refused.",
        )
    if region != "us-east-1":
        yield error(
            f"The function must be in region 'us-east-1'. ARN: {one.arn}",
            where,
            "Make it in a stack in us-east-1.",
        )
    if one.include_body and not one.event_type.is_request:
        yield error(
            "The IncludeBody option can only be used with viewer-request or origin-request events.",
            where,
            "Take IncludeBody out.",
        )


def _last(arn: str) -> str:
    return arn.rpartition(":")[2]


# --- origins ------------------------------------------------------------------------------------


def _origin(origin: Origin, where: str) -> Iterator[Finding]:
    yield from _domain(origin, where)
    yield from _numbers(origin, where)
    yield from _custom_headers(origin, where)
    yield from _access(origin, where)
    if origin.path and (not origin.path.startswith("/") or origin.path.endswith("/")):
        yield error(
            f"The origin path {origin.path!r} must begin with a slash and not end with one.",
            f"{where}.OriginPath",
            f"Write /{origin.path.strip('/')}.",
        )
    if origin.shield_region and origin.shield_region not in _SHIELD_REGIONS:
        yield error(
            f"Origin Shield is not in {origin.shield_region!r}"
            f" (it is in {', '.join(_SHIELD_REGIONS)}).",
            f"{where}.OriginShield.OriginShieldRegion",
            "Use the one nearest to the origin.",
        )


def _domain(origin: Origin, where: str) -> Iterator[Finding]:
    name = origin.domain_name
    place = f"{where}.DomainName"
    if not name:
        yield error("The origin has no domain name.", place, "Add DomainName.")
    elif "/" in name or ":" in name:
        yield error(
            f"The origin's domain name {name!r} has a scheme, a port or a path.",
            place,
            "Write the bare name; ports stand in CustomOriginConfig, the path in OriginPath.",
        )
    elif _is_address(name):
        # DG downloaddistvaluesorigin: a name that resolves publicly, no address.
        yield warning(
            f"{name} is an IP address, which CloudFront refuses as an origin.",
            place,
            "Name a domain, and map it in localpop.toml under [origins].",
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _numbers(origin: Origin, where: str) -> Iterator[Finding]:
    custom = f"{where}.CustomOriginConfig"
    ranges: tuple[tuple[str, str, float, int, int], ...] = (
        (where, "ConnectionAttempts", origin.connection_attempts, 1, 3),
        (where, "ConnectionTimeout", origin.connection_timeout_s, 1, 10),
        (custom, "OriginReadTimeout", origin.read_timeout_s, 1, 120),
        (custom, "OriginKeepaliveTimeout", origin.keepalive_timeout_s, 1, 120),
    )
    for place, name, value, least, most in ranges:
        if not least <= value <= most:
            yield error(
                f"{name} is {value:g}; it must be {least} to {most}.",
                f"{place}.{name}",
                "Mend the value.",
            )
    completion_s = origin.response_completion_timeout_s
    if completion_s is not None and completion_s < origin.read_timeout_s:
        yield error(
            f"ResponseCompletionTimeout is {completion_s:g}, less than the read timeout of"
            f" {origin.read_timeout_s:g}.",
            f"{where}.ResponseCompletionTimeout",
            "Make it as long at least.",
        )
    if origin.kind is OriginKind.CUSTOM and origin.domain_name not in ("localhost", "127.0.0.1"):
        ports = {origin.port} | ({origin.http_port} if origin.match_viewer else set())
        for port in sorted(ports):
            if port not in (80, 443) and not 1_024 <= port <= 65_535:
                yield error(
                    f"An origin's port is 80, 443, or 1024 to 65535, not {port}.",
                    custom,
                    "Mend the port.",
                )


def _custom_headers(origin: Origin, where: str) -> Iterator[Finding]:
    place = f"{where}.OriginCustomHeaders"
    headers = origin.custom_headers
    if len(headers) > _CUSTOM_HEADERS_MAX:
        yield error(
            f"An origin has at most {_CUSTOM_HEADERS_MAX} custom headers, not {len(headers)}.",
            place,
        )
    if sum(len(name) + len(value) for name, value in headers) > _CUSTOM_HEADERS_MAX_CHARS:
        yield error(
            f"All custom headers together have more than {_CUSTOM_HEADERS_MAX_CHARS} characters.",
            place,
        )
    for name, value in headers:
        if is_refused_custom_header(name):
            yield error(
                f"CloudFront does not take {name} as an origin custom header.",
                place,
                "Use another name.",
            )
        if len(name) > _CUSTOM_HEADER_NAME_MAX_CHARS or len(value) > _CUSTOM_HEADER_VALUE_MAX_CHARS:
            yield error(
                f"The custom header {name[:40]} is too long (name"
                f" {_CUSTOM_HEADER_NAME_MAX_CHARS}, value {_CUSTOM_HEADER_VALUE_MAX_CHARS}"
                " characters).",
                place,
            )
    for name, count in Counter(name.lower() for name, _ in headers).items():
        if count > 1:
            yield error(f"The custom header {name} stands twice.", place, "Keep one.")


def _access(origin: Origin, where: str) -> Iterator[Finding]:
    control = origin.access_control
    if control is None:
        return
    place = f"{where}.OriginAccessControlId"
    if control.origin_type not in _ACCESS_CONTROL_TYPES:
        yield error(
            f"{control.origin_type!r} is no type of origin access control"
            f" (known: {', '.join(_ACCESS_CONTROL_TYPES)}).",
            place,
            "Mend OriginAccessControlOriginType.",
        )
    elif (origin.kind is OriginKind.S3) != (control.origin_type == "s3"):
        yield error(
            f"The origin access control {control.name} is for {control.origin_type}, the origin"
            f" is {_KINDS[origin.kind]}.",
            place,
            "Use one of the origin's own type; an S3 origin also needs S3OriginConfig.",
        )
    if origin.access_identity:
        yield error(
            "An origin has an origin access control or an origin access identity, not both.",
            place,
            "Leave OriginAccessIdentity empty.",
        )


_KINDS: Final = {
    OriginKind.S3: "an S3 bucket",
    OriginKind.LAMBDA_URL: "a Lambda function URL",
    OriginKind.CUSTOM: "a custom origin",
}


def _group(group: OriginGroup, distribution: Distribution, where: str) -> Iterator[Finding]:
    for member in (group.primary, group.secondary):
        if member and member not in distribution.origins:
            yield error(
                f"No origin has the id {member!r} (known: {', '.join(distribution.origins)}).",
                f"{where}.Members",
                "Mend the id; a group's members are origins.",
            )
    if group.primary and group.primary == group.secondary:
        yield error("Both members are the same origin.", f"{where}.Members", "Name two.")
    wrong = sorted(group.status_codes - FAILOVER_STATUSES)
    if wrong or not group.status_codes:
        yield error(
            f"Failover has no status {', '.join(map(str, wrong)) or 'at all'}"
            f" (possible: {', '.join(map(str, sorted(FAILOVER_STATUSES)))}).",
            f"{where}.FailoverCriteria",
            "Mend the list.",
        )


def _custom_error(entry: CustomErrorResponse, where: str) -> Iterator[Finding]:
    possible = ", ".join(map(str, sorted(MATCHABLE_STATUSES)))
    if entry.error_code not in MATCHABLE_STATUSES:
        yield error(
            f"{entry.error_code} cannot have a custom error response (possible: {possible}).",
            f"{where}.ErrorCode",
            "Mend the code.",
        )
    if bool(entry.response_page_path) != bool(entry.response_code):
        yield error(
            "ResponsePagePath and ResponseCode need each other.",
            where,
            "Give both or neither.",
        )
    if entry.response_page_path and not entry.response_page_path.startswith("/"):
        yield error(
            f"The page's path {entry.response_page_path!r} must begin with a slash.",
            f"{where}.ResponsePagePath",
            f"Write /{entry.response_page_path}.",
        )
    if entry.response_code and entry.response_code not in MATCHABLE_STATUSES | {200}:
        yield error(
            f"A custom error response cannot have the status {entry.response_code}"
            f" (possible: 200, {possible}).",
            f"{where}.ResponseCode",
            "Mend the code.",
        )
