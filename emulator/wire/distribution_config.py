"""A DistributionConfig in the API's form: AWS's defaults, and a declared distribution shown.

Shapes: facts/cloudfront.md 20.1 (botocore model 2020-05-31).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from emulator import quotas
from emulator.values.distribution import (
    CacheBehavior,
    CachePolicy,
    Distribution,
    Origin,
    OriginKind,
    OriginRequestPolicy,
    ResponseHeadersPolicy,
)
from emulator.values.functions import FunctionKind

PolicyId = Callable[[CachePolicy | OriginRequestPolicy | ResponseHeadersPolicy], str]
"""The id of a policy; empty when it has none that the API knows."""

_NONE: Final = {"Quantity": 0}
_READ: Final = {"Quantity": 2, "Items": ["HEAD", "GET"]}
_CONFIG_DEFAULTS: Final[dict[str, Any]] = {
    "Aliases": _NONE,
    "DefaultRootObject": "",
    "OriginGroups": _NONE,
    "CacheBehaviors": _NONE,
    "CustomErrorResponses": _NONE,
    "Logging": {"Enabled": False, "IncludeCookies": False, "Bucket": "", "Prefix": ""},
    "PriceClass": "PriceClass_All",
    "ViewerCertificate": {
        "CloudFrontDefaultCertificate": True,
        "SSLSupportMethod": "vip",
        "MinimumProtocolVersion": "TLSv1",
        "CertificateSource": "cloudfront",
    },
    "Restrictions": {"GeoRestriction": {"RestrictionType": "none", "Quantity": 0}},
    "WebACLId": "",
    "HttpVersion": "http2",
    "IsIPV6Enabled": True,
    "ContinuousDeploymentPolicyId": "",
    "Staging": False,
}
_BEHAVIOR_DEFAULTS: Final[dict[str, Any]] = {
    "TrustedSigners": {"Enabled": False, "Quantity": 0},
    "TrustedKeyGroups": {"Enabled": False, "Quantity": 0},
    "AllowedMethods": {**_READ, "CachedMethods": _READ},
    "SmoothStreaming": False,
    "Compress": False,
    "LambdaFunctionAssociations": _NONE,
    "FunctionAssociations": _NONE,
    "FieldLevelEncryptionId": "",
    "GrpcConfig": {"Enabled": False},
}
_ORIGIN_DEFAULTS: Final[dict[str, Any]] = {
    "OriginPath": "",
    "CustomHeaders": _NONE,
    "ConnectionAttempts": quotas.ORIGIN_CONNECTION_ATTEMPTS,
    "ConnectionTimeout": quotas.ORIGIN_CONNECTION_TIMEOUT_S,
    "OriginShield": {"Enabled": False},
    "OriginAccessControlId": "",
}
_CUSTOM_ORIGIN_DEFAULTS: Final[dict[str, Any]] = {
    "OriginSslProtocols": {"Quantity": 1, "Items": ["TLSv1.2"]},
    "OriginReadTimeout": quotas.ORIGIN_READ_TIMEOUT_S,
    "OriginKeepaliveTimeout": quotas.ORIGIN_KEEPALIVE_TIMEOUT_S,
}


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as the API gives it back: what was left out stands there with its default."""
    whole = {**_CONFIG_DEFAULTS, **config}
    whole["DefaultCacheBehavior"] = _behavior(config["DefaultCacheBehavior"])
    listed = whole["CacheBehaviors"].get("Items")
    if listed:
        whole["CacheBehaviors"] = {
            **whole["CacheBehaviors"],
            "Items": [_behavior(behavior) for behavior in listed],
        }
    origins = config["Origins"].get("Items") or []
    whole["Origins"] = {**config["Origins"], "Items": [_origin(origin) for origin in origins]}
    return whole


def _behavior(behavior: Mapping[str, Any]) -> dict[str, Any]:
    whole = {**_BEHAVIOR_DEFAULTS, **behavior}
    whole["AllowedMethods"] = {"CachedMethods": _READ, **whole["AllowedMethods"]}
    return whole


def _origin(origin: Mapping[str, Any]) -> dict[str, Any]:
    whole = {**_ORIGIN_DEFAULTS, **origin}
    if "CustomOriginConfig" in origin:
        whole["CustomOriginConfig"] = {**_CUSTOM_ORIGIN_DEFAULTS, **origin["CustomOriginConfig"]}
    return whole


# --- a distribution that is a value already -----------------------------------------------------


def dump_distribution(distribution: Distribution, policy_id: PolicyId) -> dict[str, Any]:
    """The configuration that a template's distribution would have at AWS.

    Args:
        distribution: The distribution.
        policy_id: Gives the ids of policies, which the values do not carry.
    """
    *listed, default = distribution.behaviors
    shape: dict[str, Any] = {
        "CallerReference": distribution.id,
        "Comment": "Declared in the project's template",
        "Enabled": distribution.enabled,
        "Aliases": _listed(distribution.aliases),
        "DefaultRootObject": distribution.default_root_object,
        "Origins": _listed([_dump_origin(one) for one in distribution.origins.values()]),
        "DefaultCacheBehavior": _dump_behavior(default, policy_id),
        "CacheBehaviors": _listed(
            [{"PathPattern": one.path_pattern, **_dump_behavior(one, policy_id)} for one in listed]
        ),
        "OriginGroups": _listed(
            [
                {
                    "Id": group.id,
                    "FailoverCriteria": {"StatusCodes": _listed(sorted(group.status_codes))},
                    "Members": _listed(
                        [{"OriginId": group.primary}, {"OriginId": group.secondary}]
                    ),
                }
                for group in distribution.origin_groups.values()
            ]
        ),
        "CustomErrorResponses": _listed(
            [
                {
                    "ErrorCode": one.error_code,
                    "ResponsePagePath": one.response_page_path,
                    "ResponseCode": str(one.response_code or ""),
                    "ErrorCachingMinTTL": one.error_caching_min_ttl_s,
                }
                for one in distribution.custom_errors.values()
            ]
        ),
        "Restrictions": {
            "GeoRestriction": {
                "RestrictionType": distribution.geo_restriction.value,
                **_listed(sorted(distribution.geo_locations)),
            }
        },
    }
    return shape


def _dump_origin(origin: Origin) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "Id": origin.id,
        "DomainName": origin.domain_name,
        "OriginPath": origin.path,
        "CustomHeaders": _listed(
            [{"HeaderName": name, "HeaderValue": value} for name, value in origin.custom_headers]
        ),
        "ConnectionAttempts": origin.connection_attempts,
        "ConnectionTimeout": int(origin.connection_timeout_s),
        "OriginAccessControlId": origin.access_control.id if origin.access_control else "",
    }
    if origin.kind is OriginKind.S3:
        return shape | {"S3OriginConfig": {"OriginAccessIdentity": ""}}
    policy = "https-only" if origin.https else "http-only"
    custom = {
        "HTTPPort": origin.http_port if origin.https else origin.port,
        "HTTPSPort": origin.port if origin.https else 443,
        "OriginProtocolPolicy": "match-viewer" if origin.match_viewer else policy,
        "OriginReadTimeout": int(origin.read_timeout_s),
        "OriginKeepaliveTimeout": int(origin.keepalive_timeout_s),
    }
    return shape | {"CustomOriginConfig": custom}


def _dump_behavior(behavior: CacheBehavior, policy_id: PolicyId) -> dict[str, Any]:
    functions = [
        {"FunctionARN": one.arn, "EventType": one.event_type.value}
        for one in behavior.functions
        if one.kind is FunctionKind.CLOUDFRONT_FUNCTION
    ]
    lambdas = [
        {
            "LambdaFunctionARN": one.arn,
            "EventType": one.event_type.value,
            "IncludeBody": one.include_body,
        }
        for one in behavior.functions
        if one.kind is FunctionKind.LAMBDA_AT_EDGE
    ]
    shape: dict[str, Any] = {
        "TargetOriginId": behavior.target_origin_id,
        "ViewerProtocolPolicy": behavior.viewer_protocol_policy.value,
        "AllowedMethods": {
            **_listed(sorted(behavior.allowed_methods)),
            "CachedMethods": _listed(sorted(behavior.cached_methods)),
        },
        "Compress": behavior.compress,
        "FunctionAssociations": _listed(functions),
        "LambdaFunctionAssociations": _listed(lambdas),
    }
    for name, policy in (
        ("CachePolicyId", behavior.cache_policy),
        ("OriginRequestPolicyId", behavior.origin_request_policy),
        ("ResponseHeadersPolicyId", behavior.response_headers_policy),
    ):
        if policy is not None and (identity := policy_id(policy)):
            shape[name] = identity
    return shape


def _listed(items: Sequence[Any]) -> dict[str, Any]:
    return {"Quantity": len(items), "Items": list(items)} if items else dict(_NONE)
