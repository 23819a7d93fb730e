"""A DistributionConfig read into values: everything of the configuration, and every mistake."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.project.local import Answers
from emulator.project.template import Inspection, inspect_templates
from emulator.values.distribution import (
    CustomErrorResponse,
    GeoRestriction,
    OriginGroup,
    OriginKind,
    Selection,
)
from emulator.values.findings import Severity
from tests.project.conftest import Wrap, Write

BUCKET = {"Id": "Bucket", "DomainName": "b.s3.amazonaws.com", "S3OriginConfig": {}}
PEM = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"


@pytest.fixture
def inspected(write: Write, distribution_of: Wrap) -> Any:
    """Inspects a minimal distribution with changes on top."""

    def inspect(answers: Answers | None = None, **changes: dict[str, Any]) -> Inspection:
        path = write(distribution_of(**changes), "template.json")
        return inspect_templates(path, answers or Answers())

    return inspect


def test_the_whole_of_a_configuration(inspected: Any) -> None:
    """Groups, error pages, geo restriction, logs, HTTP/3, aliases, default root object."""
    inspection = inspected(
        config={
            "Aliases": ["WWW.example.com"],
            "ViewerCertificate": {"AcmCertificateArn": "arn:aws:acm:us-east-1:1:certificate/c"},
            "DefaultRootObject": "index.html",
            "HttpVersion": "http2and3",
            "Enabled": "false",
            "Logging": {"Bucket": "b.s3.amazonaws.com", "IncludeCookies": "true"},
            "Restrictions": {
                "GeoRestriction": {"RestrictionType": "whitelist", "Locations": ["DE", "FR"]}
            },
            "Origins": [
                {
                    "Id": "Api",
                    "DomainName": "api.example.com",
                    "OriginPath": "/v1",
                    "ConnectionAttempts": "2",
                    "ResponseCompletionTimeout": 90,
                    "OriginShield": {"Enabled": True, "OriginShieldRegion": "eu-west-1"},
                    "CustomOriginConfig": {
                        "OriginProtocolPolicy": "match-viewer",
                        "HTTPPort": 8080,
                        "HTTPSPort": 8443,
                    },
                },
                BUCKET | {"S3OriginConfig": {"OriginReadTimeout": 20}},
            ],
            "OriginGroups": {
                "Quantity": 1,
                "Items": [
                    {
                        "Id": "Both",
                        "FailoverCriteria": {"StatusCodes": {"Quantity": 1, "Items": ["503"]}},
                        "Members": {
                            "Quantity": 2,
                            "Items": [{"OriginId": "Bucket"}, {"OriginId": "Api"}],
                        },
                    }
                ],
            },
            "CustomErrorResponses": [
                {"ErrorCode": 404, "ResponsePagePath": "/e.html", "ResponseCode": "200"}
            ],
        },
        behavior={"TargetOriginId": "Both", "GrpcConfig": {"Enabled": False}},
    )
    (distribution,) = inspection.declared.distributions
    api, bucket = distribution.origins.values()

    assert not inspection.findings
    assert distribution.aliases == ("www.example.com",)
    assert (distribution.default_root_object, distribution.enabled) == ("index.html", False)
    assert (distribution.http3, distribution.logs, distribution.logs_cookies) == (True, True, True)
    assert distribution.geo_restriction is GeoRestriction.ALLOW
    assert distribution.geo_locations == {"DE", "FR"}
    assert distribution.origin_groups == {
        "Both": OriginGroup("Both", "Bucket", "Api", frozenset({503}))
    }
    assert distribution.custom_errors == {404: CustomErrorResponse(404, "/e.html", 200, 10)}
    assert (api.match_viewer, api.port, api.http_port) == (True, 8443, 8080)
    assert (api.shield_region, api.connection_attempts) == ("eu-west-1", 2)
    assert api.response_completion_timeout_s == 90
    assert (bucket.kind, bucket.read_timeout_s) == (OriginKind.S3, 20)


def test_who_may_read_a_bucket(inspected: Any) -> None:
    """Origin access control, and the identity that came before it."""
    control = {
        "Type": "AWS::CloudFront::OriginAccessControl",
        "Properties": {
            "OriginAccessControlConfig": {
                "Name": "mine",
                "OriginAccessControlOriginType": "s3",
                "SigningBehavior": "no-override",
                "SigningProtocol": "sigv4",
            }
        },
    }
    identity = {"Type": "AWS::CloudFront::CloudFrontOriginAccessIdentity"}
    origins = [
        BUCKET | {"Id": "New", "OriginAccessControlId": {"Ref": "Control"}},
        BUCKET
        | {
            "Id": "Old",
            "S3OriginConfig": {
                "OriginAccessIdentity": {"Fn::Sub": "origin-access-identity/cloudfront/${Identity}"}
            },
        },
    ]
    inspection = inspected(
        config={"Origins": origins},
        behavior={"TargetOriginId": "New"},
        resources={"Control": control, "Identity": identity},
    )
    new, old = inspection.declared.distributions[0].origins.values()

    assert not inspection.findings
    assert (new.access_control.name, new.access_control.signing_behavior) == ("mine", "no-override")
    assert old.access_control is None
    assert old.access_identity.startswith("E")


def test_trusted_key_groups(inspected: Any) -> None:
    """A behavior's keys with their ids and PEM, through group and key."""
    resources = {
        "Key": {
            "Type": "AWS::CloudFront::PublicKey",
            "Properties": {"PublicKeyConfig": {"Name": "k", "EncodedKey": PEM}},
        },
        "Group": {
            "Type": "AWS::CloudFront::KeyGroup",
            "Properties": {"KeyGroupConfig": {"Name": "g", "Items": [{"Ref": "Key"}]}},
        },
    }
    inspection = inspected(behavior={"TrustedKeyGroups": [{"Ref": "Group"}]}, resources=resources)
    (key,) = inspection.declared.distributions[0].behaviors[0].trusted_keys

    assert not inspection.findings
    assert key.id.startswith("K")
    assert key.pem == PEM


def test_a_vpc_origin_is_a_custom_origin(inspected: Any) -> None:
    """It is mapped like any other; only its time-outs stand elsewhere."""
    origin = {
        "Id": "Api",
        "DomainName": "internal.example.com",
        "VpcOriginConfig": {"VpcOriginId": "vo_1", "OriginReadTimeout": 50},
    }
    inspection = inspected(config={"Origins": [origin]})
    found = inspection.declared.distributions[0].origins["Api"]

    assert not inspection.findings
    assert (found.vpc, found.kind, found.read_timeout_s) == (True, OriginKind.CUSTOM, 50)


def test_every_mistake_is_found_at_once(inspected: Any) -> None:
    """One mistake does not hide the next; each says where."""
    inspection = inspected(
        config={"Origins": [{"Id": "Api", "DomainName": "a.example.com", "OriginPath": "v1/"}]},
        behavior={
            "ViewerProtocolPolicy": "allow-some",
            "AllowedMethods": ["GET", "POST"],
            "CachePolicyId": "nonsense",
            "Compress": "perhaps",
            "LambdaFunctionAssociations": [{"EventType": "origin-requst"}],
            "FunctionAssociations": {"EventType": "viewer-request"},
            "TrustedKeyGroups": ["nobody"],
        },
    )
    wheres = [one.where.rpartition("DistributionConfig")[2] for one in inspection.errors]

    assert set(wheres) == {
        ".Origins[0].OriginPath",
        ".DefaultCacheBehavior.ViewerProtocolPolicy",
        ".DefaultCacheBehavior.AllowedMethods",
        ".DefaultCacheBehavior.CachePolicyId",
        ".DefaultCacheBehavior.Compress",
        ".DefaultCacheBehavior.LambdaFunctionAssociations[0].EventType",
        ".DefaultCacheBehavior.FunctionAssociations",
        ".DefaultCacheBehavior.TrustedKeyGroups",
    }
    assert all(one.mend for one in inspection.errors)
    assert any(
        "'origin-requst' is no event of a Lambda@Edge" in one.what for one in inspection.errors
    )


@pytest.mark.parametrize(
    ("behavior", "words"),
    [
        (
            {"ForwardedValues": {"QueryString": False}},
            "The parameter ForwardedValues cannot be used when a cache policy is associated",
        ),
        ({"MinTTL": 0}, "The parameter MinTTL cannot be used when a cache policy is associated"),
        ({"CachePolicyId": ""}, "has no cache policy"),
    ],
)
def test_policies_and_legacy_settings_exclude_each_other(
    inspected: Any, behavior: dict[str, Any], words: str
) -> None:
    """In CloudFront's own words."""
    (error,) = inspected(behavior=behavior).errors

    assert words in error.what


def test_legacy_settings_are_two_policies(inspected: Any) -> None:
    """All query strings go to the origin, some are in the key; cookie names may be patterns."""
    behavior = {
        "CachePolicyId": None,
        "MinTTL": 10,
        "ForwardedValues": {
            "QueryString": True,
            "QueryStringCacheKeys": ["q"],
            "Headers": ["Origin"],
            "Cookies": {"Forward": "whitelist", "WhitelistedNames": ["user", "s_*"]},
        },
    }
    inspection = inspected(behavior=behavior)
    (found,) = inspection.declared.distributions[0].behaviors
    cookies = found.cache_policy.cookies

    assert not inspection.findings
    assert found.forwards_all_headers
    assert (found.cache_policy.min_ttl_s, found.cache_policy.default_ttl_s) == (10, 86_400)
    assert found.cache_policy.query_strings.names == {"q"}
    assert found.origin_request_policy.query_strings.selection is Selection.ALL
    assert found.cache_policy.headers.names == {"origin"}
    assert [cookies.takes(name) for name in ("user", "s_1", "users")] == [True, True, False]


def test_legacy_settings_that_forward_every_header_do_not_cache(inspected: Any) -> None:
    """The header `*`: everything goes to the origin, nothing is kept."""
    behavior = {"CachePolicyId": None, "ForwardedValues": {"QueryString": "true", "Headers": ["*"]}}
    (found,) = inspected(behavior=behavior).declared.distributions[0].behaviors

    assert found.cache_policy.caching_disabled
    assert found.origin_request_policy.headers.selection is Selection.ALL_VIEWER


def test_aliases_without_a_certificate_are_a_surprise(inspected: Any) -> None:
    """Nothing here needs one; AWS refuses the deployment."""
    (warning,) = inspected(config={"Aliases": ["www.example.com"]}).findings

    assert warning.severity is Severity.WARNING
    assert "you must attach a trusted certificate" in warning.what


def test_a_certificate_elsewhere(inspected: Any) -> None:
    """Certificates of distributions are in us-east-1."""
    certificate = {"AcmCertificateArn": "arn:aws:acm:eu-west-1:1:certificate/c"}
    (warning,) = inspected(config={"ViewerCertificate": certificate}).findings

    assert "isn't in us-east-1" in warning.what


def test_a_mapped_origin_needs_no_domain(inspected: Any) -> None:
    """Only AWS knows the domain: one line, and the line is enough."""
    origin = {"DomainName": {"Fn::ImportValue": "net:Domain"}}
    (error,) = inspected(origin=origin).errors
    answered = Answers(mapped_origins=frozenset({"Api"}))

    assert error.mend == 'Add to localpop.toml: [origins.Api] url = "http://127.0.0.1:8081"'
    assert not inspected(answered, origin=origin).findings
