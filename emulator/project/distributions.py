"""A DistributionConfig in CloudFormation's form, read into values.

Shapes: facts/cloudfront.md 20. What no value carries is named in `Distribution.beyond`; what breaks
a rule of AWS's is left to `rules/edge_lint.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Protocol

from emulator import quotas
from emulator.project.intrinsics import Unresolved
from emulator.project.policies import read_forwarded_values
from emulator.project.reading import Section
from emulator.values.distribution import (
    READ_METHODS,
    CacheBehavior,
    CachePolicy,
    CustomErrorResponse,
    Distribution,
    FunctionAssociation,
    GeoRestriction,
    Origin,
    OriginAccessControl,
    OriginGroup,
    OriginKind,
    OriginRequestPolicy,
    ResponseHeadersPolicy,
    TrustedKey,
    ViewerProtocolPolicy,
)
from emulator.values.functions import EventType, FunctionKind

_BEYOND_CONFIG: Final = (
    "WebACLId",
    "ContinuousDeploymentPolicyId",
    "Staging",
    "TenantConfig",
    "AnycastIpListId",
    "ViewerMtlsConfig",
    "ConnectionFunctionAssociation",
    "CacheTagConfig",
)
_BEYOND_BEHAVIOR: Final = (
    "TrustedSigners",
    "FieldLevelEncryptionId",
    "SmoothStreaming",
    "RealtimeLogConfigArn",
)
_OAI_PREFIX: Final = "origin-access-identity/cloudfront/"
_LAMBDA_URL: Final = re.compile(r"[a-z0-9]+\.lambda-url\.[a-z0-9-]+\.on\.aws")
_CLOUDFORMATION_ERROR_TTL_S: Final = 10
"""CloudFormation's schema says 300, the guide 10 (facts/cloudfront.md 22.8); the guide wins."""


class Account(Protocol):
    """What a distribution refers to by id; None for an id that nobody knows."""

    def cache_policy(self, policy_id: str) -> CachePolicy | None:
        """A cache policy, managed or own."""
        ...

    def origin_request_policy(self, policy_id: str) -> OriginRequestPolicy | None:
        """An origin request policy, managed or own."""
        ...

    def response_headers_policy(self, policy_id: str) -> ResponseHeadersPolicy | None:
        """A response headers policy, managed or own."""
        ...

    def access_control(self, control_id: str) -> OriginAccessControl | None:
        """An origin access control."""
        ...

    def trusted_keys(self, group_id: str) -> tuple[TrustedKey, ...] | None:
        """The public keys of a key group."""
        ...

    def names(self, kind: str) -> list[str]:
        """The managed policies' names of a kind, for messages."""
        ...


@dataclass(frozen=True, slots=True)
class DistributionReader:
    """Reads one distribution.

    Args:
        account: What its ids stand for.
        mapped_origins: Ids of origins that localpop.toml maps; their domains need no value.
    """

    account: Account
    mapped_origins: Collection[str] = ()

    def read(self, config: Section, identity: str, domain_name: str) -> Distribution:
        """The distribution; every mistake is in the section's notes."""
        origins = {origin.id: origin for origin in map(self._origin, config.sections("Origins"))}
        if not origins:
            config.notes.error(
                "The distribution has no origins.", config.where, "Add one under Origins."
            )
        groups = {
            group.id: group
            for group in map(_origin_group, config.section("OriginGroups").sections("Items"))
        }
        targets = (*origins, *groups)
        listed = [self._behavior(one, targets) for one in config.sections("CacheBehaviors")]
        default = config.section("DefaultCacheBehavior")
        if not default.raw:
            config.notes.error(
                "The distribution has no default cache behavior.",
                config.where,
                "Add DefaultCacheBehavior.",
            )
        else:
            listed.append(self._behavior(default, targets, "*"))
        geo = config.section("Restrictions").section("GeoRestriction")
        logging = config.section("Logging")
        _note_certificate(config)
        return Distribution(
            identity,
            domain_name,
            tuple(listed),
            origins,
            tuple(alias.lower() for alias in config.texts("Aliases")),
            config.text("DefaultRootObject"),
            config.truth("Enabled", True),
            groups,
            {
                one.error_code: one
                for one in map(_custom_error, config.sections("CustomErrorResponses"))
            },
            geo.one_of("RestrictionType", GeoRestriction, GeoRestriction.NONE, "geo restriction"),
            frozenset(geo.texts("Locations")),
            config.text("HttpVersion") in ("http3", "http2and3"),
            logging.truth("IncludeCookies"),
            logging.has("Bucket"),
            self._beyond(config),
        )

    def _beyond(self, config: Section) -> tuple[str, ...]:
        names = [name for name in _BEYOND_CONFIG if _asked(config, name)]
        behaviors = [*config.sections("CacheBehaviors"), config.section("DefaultCacheBehavior")]
        names += [name for name in _BEYOND_BEHAVIOR if any(_asked(one, name) for one in behaviors)]
        return tuple(names)

    # --- origins ----------------------------------------------------------------------------

    def _origin(self, origin: Section) -> Origin:
        custom = origin.section("CustomOriginConfig")
        s3 = origin.section("S3OriginConfig")
        vpc = origin.section("VpcOriginConfig")
        timing = vpc if "VpcOriginConfig" in origin.raw else custom
        if "S3OriginConfig" in origin.raw:
            timing = s3
        policy = custom.text("OriginProtocolPolicy", "https-only")
        if policy not in ("http-only", "https-only", "match-viewer"):
            origin.notes.error(
                f"{policy!r} is no origin protocol policy"
                " (known: http-only, https-only, match-viewer).",
                custom.place("OriginProtocolPolicy"),
                "Use one of them.",
            )
        https = policy != "http-only"
        http_port, https_port = custom.whole("HTTPPort", 80), custom.whole("HTTPSPort", 443)
        domain_name = self._domain_name(origin)
        shield = origin.section("OriginShield")
        completion_s = origin.whole("ResponseCompletionTimeout", 0)
        return Origin(
            origin.text("Id"),
            domain_name,
            origin.text("OriginPath"),
            tuple(
                (header.text("HeaderName"), header.text("HeaderValue"))
                for header in origin.sections("OriginCustomHeaders")
            ),
            https,
            https_port if https else http_port,
            origin.whole("ConnectionAttempts", quotas.ORIGIN_CONNECTION_ATTEMPTS),
            origin.whole("ConnectionTimeout", quotas.ORIGIN_CONNECTION_TIMEOUT_S),
            timing.whole("OriginReadTimeout", quotas.ORIGIN_READ_TIMEOUT_S),
            timing.whole("OriginKeepaliveTimeout", quotas.ORIGIN_KEEPALIVE_TIMEOUT_S),
            _origin_kind(origin, domain_name),
            self._access_control(origin),
            completion_s or None,
            shield.text("OriginShieldRegion") if shield.truth("Enabled") else "",
            policy == "match-viewer",
            http_port,
            s3.text("OriginAccessIdentity").removeprefix(_OAI_PREFIX),
            "VpcOriginConfig" in origin.raw,
        )

    def _domain_name(self, origin: Section) -> str:
        """Its domain; only AWS knows some, and who maps the origin needs none."""
        value = origin.raw.get("DomainName")
        name = origin.text("Id")
        if not isinstance(value, Unresolved):
            return origin.text("DomainName")
        if name not in self.mapped_origins:
            origin.notes.error(
                f"The domain of the origin {name} is only known at AWS ({value.error}).",
                origin.place("DomainName"),
                f'Add to localpop.toml: [origins.{name}] url = "http://127.0.0.1:8081"',
            )
        return f"{name.lower()}.invalid"

    def _access_control(self, origin: Section) -> OriginAccessControl | None:
        control_id = origin.text("OriginAccessControlId")
        if not control_id:
            return None
        found = self.account.access_control(control_id)
        if found is not None:
            return found
        # Known at AWS only (get-distribution-config): its type can only be the origin's own.
        kind = "s3" if "S3OriginConfig" in origin.raw else "lambda"
        return OriginAccessControl(control_id, control_id, kind)

    # --- behaviors --------------------------------------------------------------------------

    def _behavior(
        self, behavior: Section, targets: Collection[str], path_pattern: str = ""
    ) -> CacheBehavior:
        pattern = path_pattern or behavior.text("PathPattern")
        if not pattern:
            behavior.notes.error(
                "The cache behavior has no path pattern.",
                behavior.place("PathPattern"),
                "Add one; only DefaultCacheBehavior has none.",
            )
        target = behavior.text("TargetOriginId")
        if target not in targets:
            behavior.notes.error(
                f"No origin has the id {target!r} (known: {', '.join(targets)}).",
                behavior.place("TargetOriginId"),
                "Mend the id, or add the origin.",
            )
        cache, to_origin, legacy = self._policies(behavior)
        return CacheBehavior(
            pattern,
            target,
            cache,
            to_origin,
            behavior.one_of(
                "ViewerProtocolPolicy", ViewerProtocolPolicy, "", "viewer protocol policy"
            ),
            _methods(behavior, "AllowedMethods"),
            _methods(behavior, "CachedMethods"),
            tuple(_associations(behavior)),
            behavior.truth("Compress"),
            self._response_headers(behavior),
            self._trusted_keys(behavior),
            legacy,
            behavior.section("GrpcConfig").truth("Enabled"),
        )

    def _policies(self, behavior: Section) -> tuple[CachePolicy, OriginRequestPolicy | None, bool]:
        """Cache policy, origin request policy, and whether they are legacy settings."""
        if not behavior.has("CachePolicyId") and "ForwardedValues" in behavior.raw:
            cache, to_origin = read_forwarded_values(behavior)
            if behavior.has("OriginRequestPolicyId"):
                # "An origin request policy requires a cache policy" (facts/cloudfront.md 5.2).
                behavior.notes.error(
                    "An origin request policy needs a cache policy, not ForwardedValues.",
                    behavior.place("OriginRequestPolicyId"),
                    "Use a cache policy.",
                )
            return cache, to_origin, True
        for name in ("ForwardedValues", "MinTTL", "DefaultTTL", "MaxTTL"):
            if name in behavior.raw and behavior.has("CachePolicyId"):
                # The API's own words; CloudFormation passes them on.
                behavior.notes.error(
                    f"The parameter {name} cannot be used when a cache policy is associated to the"
                    " cache behavior.",
                    behavior.place(name),
                    "Take it out.",
                )
        policy_id = behavior.text("CachePolicyId")
        found = self.account.cache_policy(policy_id)
        if found is None:
            self._unknown(behavior, "CachePolicyId", "cache policy", "CachePolicy")
        to_origin_id = behavior.text("OriginRequestPolicyId")
        to_origin_found = None
        if to_origin_id:
            to_origin_found = self.account.origin_request_policy(to_origin_id)
            if to_origin_found is None:
                self._unknown(
                    behavior,
                    "OriginRequestPolicyId",
                    "origin request policy",
                    "OriginRequestPolicy",
                )
        return found or CachePolicy("", 0, 0, 0), to_origin_found, False

    def _response_headers(self, behavior: Section) -> ResponseHeadersPolicy | None:
        policy_id = behavior.text("ResponseHeadersPolicyId")
        if not policy_id:
            return None
        found = self.account.response_headers_policy(policy_id)
        if found is None:
            self._unknown(
                behavior,
                "ResponseHeadersPolicyId",
                "response headers policy",
                "ResponseHeadersPolicy",
            )
        return found

    def _trusted_keys(self, behavior: Section) -> tuple[TrustedKey, ...]:
        keys: list[TrustedKey] = []
        for group_id in behavior.texts("TrustedKeyGroups"):
            found = self.account.trusted_keys(group_id)
            if found is None:
                behavior.notes.error(
                    f"No key group has the id {group_id!r}.",
                    behavior.place("TrustedKeyGroups"),
                    "!Ref an AWS::CloudFront::KeyGroup, or add to localpop.toml, under"
                    f' [resources]: "{group_id}" = "<file by aws cloudfront get-key-group>"',
                )
            keys += found or ()
        return tuple(dict.fromkeys(keys))

    def _unknown(self, behavior: Section, name: str, what: str, kind: str) -> None:
        value = behavior.text(name)
        if isinstance(behavior.raw.get(name), Unresolved):
            return
        managed = ", ".join(self.account.names(kind))
        if not value:
            behavior.notes.error(
                "The cache behavior has no cache policy.",
                behavior.place(name),
                f"Name one (managed ones: {managed}).",
            )
            return
        command = re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower()
        behavior.notes.error(
            f"No {what} has the id {value!r} (managed ones: {managed}).",
            behavior.place(name),
            f"Use a managed policy's id, !Ref an AWS::CloudFront::{kind}, or add to localpop.toml,"
            f' under [resources]: "{value}" = "<file by aws cloudfront get-{command}>"',
        )


def _asked(section: Section, name: str) -> bool:
    value: Any = section.raw.get(name)
    return section.has(name) and value is not False and str(value).lower() != "false"


def _origin_kind(origin: Section, domain_name: str) -> OriginKind:
    if "S3OriginConfig" in origin.raw:
        return OriginKind.S3
    if _LAMBDA_URL.fullmatch(domain_name):
        return OriginKind.LAMBDA_URL
    return OriginKind.CUSTOM


def _origin_group(group: Section) -> OriginGroup:
    members = [one.text("OriginId") for one in group.section("Members").sections("Items")]
    codes = group.section("FailoverCriteria").section("StatusCodes")
    if len(members) != 2:
        group.notes.error(
            f"An origin group has exactly two members, not {len(members)}.",
            group.place("Members"),
            "Name a primary and a secondary origin.",
        )
    primary, secondary = [*members, "", ""][:2]
    statuses = [
        Section({"code": code}, codes.place(f"Items[{number}]"), group.notes).whole("code", 0)
        for number, code in enumerate(codes.items("Items"))
    ]
    return OriginGroup(group.text("Id"), primary, secondary, frozenset(statuses))


def _custom_error(entry: Section) -> CustomErrorResponse:
    return CustomErrorResponse(
        entry.whole("ErrorCode", 0),
        entry.text("ResponsePagePath"),
        entry.whole("ResponseCode", 0),
        entry.whole("ErrorCachingMinTTL", _CLOUDFORMATION_ERROR_TTL_S),
    )


def _methods(behavior: Section, name: str) -> frozenset[str]:
    return frozenset(one.upper() for one in behavior.texts(name)) or READ_METHODS


def _associations(behavior: Section) -> list[FunctionAssociation]:
    found = []
    for name, kind, arn_property in (
        ("FunctionAssociations", FunctionKind.CLOUDFRONT_FUNCTION, "FunctionARN"),
        ("LambdaFunctionAssociations", FunctionKind.LAMBDA_AT_EDGE, "LambdaFunctionARN"),
    ):
        for entry in behavior.sections(name):
            allowed = [
                event
                for event in EventType
                if kind is FunctionKind.LAMBDA_AT_EDGE or event.is_viewer
            ]
            named = entry.text("EventType")
            if named not in allowed:
                entry.notes.error(
                    f"{named!r} is no event of a {kind} (known: {', '.join(allowed)}).",
                    entry.place("EventType"),
                    "Mend the event type.",
                )
                continue
            found.append(
                FunctionAssociation(
                    EventType(named),
                    kind,
                    entry.text(arn_property),
                    entry.truth("IncludeBody"),
                )
            )
    return found


def _note_certificate(config: Section) -> None:
    """Nothing here needs a certificate; AWS does, and says so only when deploying."""
    certificate = config.section("ViewerCertificate")
    arn = certificate.text("AcmCertificateArn")
    if config.has("Aliases") and not arn and not certificate.has("IamCertificateId"):
        config.notes.warn(
            "To add an alternate domain name (CNAME) to a CloudFront distribution, you must attach"
            " a trusted certificate that validates your authorization to use the domain name.",
            config.place("ViewerCertificate"),
            "Name one, AcmCertificateArn.",
        )
    parts = arn.split(":")
    if len(parts) > 3 and parts[2] == "acm" and parts[3] != "us-east-1":
        config.notes.warn(
            "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid,"
            " or doesn't include a valid certificate chain.",
            certificate.place("AcmCertificateArn"),
            f"It is in {parts[3]}; make one in us-east-1.",
        )
