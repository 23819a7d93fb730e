"""The API's form and CloudFormation's form of one distribution are the same distribution."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.project.account import ProjectAccount
from emulator.project.api_shapes import config_from_api
from emulator.project.distributions import DistributionReader
from emulator.project.local import Answers
from emulator.project.reading import Notes, Section
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.rules.response_headers_policy import MANAGED_RESPONSE_HEADERS_POLICIES
from emulator.values.distribution import ALL_METHODS, Distribution

READ = ["GET", "HEAD"]
NAMES = st.text("abcdefghijklmnop-", min_size=1, max_size=8)
ORIGIN_IDS = ("One", "Two", "Bucket")
PROTOCOLS = ["http-only", "https-only", "match-viewer"]


def read(config: dict[str, Any]) -> Distribution:
    """A DistributionConfig in CloudFormation's form, read without a mistake."""
    notes = Notes()
    account = ProjectAccount((), Answers(), notes)
    found = DistributionReader(account).read(
        Section(config, "config", notes), "E1", "d1.cloudfront.net"
    )
    assert [str(one) for one in notes.found if one.severity == "error"] == []
    return found


# --- random distributions, in CloudFormation's form ---------------------------------------------

custom_origins = st.fixed_dictionaries(
    {
        "DomainName": st.just("api.example.com"),
        "CustomOriginConfig": st.fixed_dictionaries(
            {
                "OriginProtocolPolicy": st.sampled_from(
                    ["http-only", "https-only", "match-viewer"]
                ),
                "HTTPPort": st.integers(1024, 65535),
                "HTTPSPort": st.integers(1024, 65535),
            },
            optional={
                "OriginReadTimeout": st.integers(1, 120),
                "OriginKeepaliveTimeout": st.integers(1, 120),
                "OriginSSLProtocols": st.just(["TLSv1.2"]),
            },
        ),
    },
    optional={
        "OriginPath": st.just("/v1"),
        "ConnectionAttempts": st.integers(1, 3),
        "ConnectionTimeout": st.integers(1, 10),
        "OriginCustomHeaders": st.lists(
            st.fixed_dictionaries({"HeaderName": NAMES, "HeaderValue": NAMES}), max_size=3
        ),
        "OriginShield": st.just({"Enabled": True, "OriginShieldRegion": "eu-west-1"}),
        "ResponseCompletionTimeout": st.integers(120, 300),
    },
)
associations = st.fixed_dictionaries(
    {},
    optional={
        "FunctionAssociations": st.just(
            [{"EventType": "viewer-request", "FunctionARN": "arn:aws:cloudfront::1:function/f"}]
        ),
        "LambdaFunctionAssociations": st.lists(
            st.fixed_dictionaries(
                {
                    "EventType": st.sampled_from(["origin-request", "origin-response"]),
                    "LambdaFunctionARN": st.just("arn:aws:lambda:us-east-1:1:function:f:1"),
                },
                optional={"IncludeBody": st.booleans()},
            ),
            max_size=2,
        ),
    },
)
forwarded = st.fixed_dictionaries(
    {"QueryString": st.booleans()},
    optional={
        "QueryStringCacheKeys": st.lists(NAMES, max_size=2, unique=True),
        "Headers": st.lists(NAMES, max_size=2, unique=True),
        "Cookies": st.one_of(
            st.just({"Forward": "none"}),
            st.fixed_dictionaries(
                {
                    "Forward": st.just("whitelist"),
                    "WhitelistedNames": st.lists(NAMES, min_size=1, max_size=2, unique=True),
                }
            ),
        ),
    },
)
policies = st.one_of(
    st.fixed_dictionaries(
        {"CachePolicyId": st.sampled_from(sorted(MANAGED_CACHE_POLICIES))},
        optional={
            "OriginRequestPolicyId": st.sampled_from(sorted(MANAGED_ORIGIN_REQUEST_POLICIES)),
            "ResponseHeadersPolicyId": st.sampled_from(sorted(MANAGED_RESPONSE_HEADERS_POLICIES)),
        },
    ),
    st.fixed_dictionaries({"ForwardedValues": forwarded}, optional={"MinTTL": st.integers(0, 60)}),
)


@st.composite
def behaviors(draw: st.DrawFn) -> dict[str, Any]:
    """A cache behavior without its path pattern."""
    methods, cached = draw(
        st.sampled_from(
            [(READ, READ), ([*READ, "OPTIONS"], [*READ, "OPTIONS"]), (sorted(ALL_METHODS), READ)]
        )
    )
    return {
        "TargetOriginId": draw(st.sampled_from(ORIGIN_IDS)),
        "ViewerProtocolPolicy": draw(
            st.sampled_from(["allow-all", "https-only", "redirect-to-https"])
        ),
        "AllowedMethods": methods,
        "CachedMethods": cached,
        "Compress": draw(st.booleans()),
        **draw(policies),
        **draw(associations),
    }


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """A DistributionConfig in CloudFormation's form."""
    listed = draw(st.lists(behaviors(), max_size=3))
    return {
        "Comment": "",
        "Enabled": draw(st.booleans()),
        "Origins": [
            {"Id": "One", **draw(custom_origins)},
            {"Id": "Two", **draw(custom_origins)},
            {
                "Id": "Bucket",
                "DomainName": "b.s3.us-east-1.amazonaws.com",
                "S3OriginConfig": {
                    "OriginAccessIdentity": draw(
                        st.sampled_from(["", "origin-access-identity/cloudfront/E1"])
                    )
                },
            },
        ],
        "CacheBehaviors": [
            {"PathPattern": f"/{number}/*", **one} for number, one in enumerate(listed)
        ],
        "DefaultCacheBehavior": draw(behaviors()),
        "OriginGroups": draw(
            st.sampled_from(
                [
                    {"Quantity": 0, "Items": []},
                    {
                        "Quantity": 1,
                        "Items": [
                            {
                                "Id": "Group",
                                "FailoverCriteria": {
                                    "StatusCodes": {"Quantity": 2, "Items": [500, 503]}
                                },
                                "Members": {
                                    "Quantity": 2,
                                    "Items": [{"OriginId": "One"}, {"OriginId": "Two"}],
                                },
                            }
                        ],
                    },
                ]
            )
        ),
        "CustomErrorResponses": draw(
            st.sampled_from(
                [
                    [],
                    [
                        {
                            "ErrorCode": 404,
                            "ResponsePagePath": "/404.html",
                            "ResponseCode": 200,
                            "ErrorCachingMinTTL": 5,
                        },
                        {"ErrorCode": 503, "ErrorCachingMinTTL": 0},
                    ],
                ]
            )
        ),
        "Aliases": draw(st.sampled_from([[], ["www.example.com", "*.example.org"]])),
        "DefaultRootObject": draw(st.sampled_from(["", "index.html"])),
        "HttpVersion": draw(st.sampled_from(["http1.1", "http2", "http3", "http2and3"])),
        "IPV6Enabled": True,
        "Restrictions": {
            "GeoRestriction": draw(
                st.sampled_from(
                    [
                        {"RestrictionType": "none"},
                        {"RestrictionType": "blacklist", "Locations": ["AQ", "DE"]},
                    ]
                )
            )
        },
        "Logging": draw(
            st.sampled_from([{"Bucket": "b.s3.amazonaws.com", "IncludeCookies": True}, {}])
        ),
        "ViewerCertificate": {
            "AcmCertificateArn": "arn:aws:acm:us-east-1:1:certificate/c",
            "SslSupportMethod": "sni-only",
        },
    }


# --- the same in the API's form, written from botocore's model alone ----------------------------


def counted(items: list[Any]) -> dict[str, Any]:
    """A list as the API has it."""
    return {"Quantity": len(items), "Items": items}


def behavior_to_api(behavior: dict[str, Any]) -> dict[str, Any]:
    """A cache behavior in the API's form."""
    api = dict(behavior)
    api["AllowedMethods"] = counted(behavior["AllowedMethods"]) | {
        "CachedMethods": counted(api.pop("CachedMethods"))
    }
    for name in ("FunctionAssociations", "LambdaFunctionAssociations"):
        api[name] = counted(behavior.get(name, []))
    if "ForwardedValues" in behavior:
        values = dict(behavior["ForwardedValues"])
        for name in ("Headers", "QueryStringCacheKeys"):
            if name in values:
                values[name] = counted(values[name])
        cookies = dict(values.get("Cookies", {"Forward": "none"}))
        if "WhitelistedNames" in cookies:
            cookies["WhitelistedNames"] = counted(cookies["WhitelistedNames"])
        api["ForwardedValues"] = values | {"Cookies": cookies}
    return api


def origin_to_api(origin: dict[str, Any]) -> dict[str, Any]:
    """An origin in the API's form."""
    api = dict(origin)
    api["CustomHeaders"] = counted(api.pop("OriginCustomHeaders", []))
    if "CustomOriginConfig" in api:
        custom = dict(api["CustomOriginConfig"])
        protocols = custom.pop("OriginSSLProtocols", [])
        api["CustomOriginConfig"] = custom | {"OriginSslProtocols": counted(protocols)}
    return api


def to_api(config: dict[str, Any]) -> dict[str, Any]:
    """A DistributionConfig in the API's form."""
    geo = config["Restrictions"]["GeoRestriction"]
    logging = config["Logging"] or {"Bucket": "", "IncludeCookies": False}
    certificate = config["ViewerCertificate"]
    errors = [
        one | ({"ResponseCode": str(one["ResponseCode"])} if "ResponseCode" in one else {})
        for one in config["CustomErrorResponses"]
    ]
    api = {
        **{name: value for name, value in config.items() if name != "IPV6Enabled"},
        "CallerReference": "r",
        "IsIPV6Enabled": config["IPV6Enabled"],
        "Origins": counted([origin_to_api(one) for one in config["Origins"]]),
        "CacheBehaviors": counted([behavior_to_api(one) for one in config["CacheBehaviors"]]),
        "DefaultCacheBehavior": behavior_to_api(config["DefaultCacheBehavior"]),
        "CustomErrorResponses": counted(errors),
        "Aliases": counted(config["Aliases"]),
        "Restrictions": {
            "GeoRestriction": {"RestrictionType": geo["RestrictionType"]}
            | counted(geo.get("Locations", []))
        },
        "Logging": {"Enabled": bool(config["Logging"]), "Prefix": "", **logging},
        "ViewerCertificate": {
            "ACMCertificateArn": certificate["AcmCertificateArn"],
            "SSLSupportMethod": certificate["SslSupportMethod"],
        },
    }
    if not api["OriginGroups"]["Items"]:
        del api["OriginGroups"]["Items"]
    return api


@pytest.mark.conformance("CF-115")
@settings(max_examples=80, deadline=None)
@given(config=configs())
def test_both_forms_load_to_the_same_value(config: dict[str, Any]) -> None:
    """Quantity and Items or plain lists, other names, texts for numbers: one distribution."""
    expected = read(config)

    assert read(config_from_api(to_api(config))) == expected


@settings(max_examples=30, deadline=None)
@given(config=configs())
def test_the_api_form_above_is_the_apis(config: dict[str, Any]) -> None:
    """Botocore's own model accepts what this test calls the API's form."""
    model = botocore.session.get_session().get_service_model("cloudfront")
    shape = model.shape_for("DistributionConfig")
    report = ParamValidator().validate(to_api(config), shape)

    assert not report.has_errors(), report.generate_report()


@settings(max_examples=40, deadline=None)
@given(config=configs(), as_text=st.booleans())
def test_numbers_and_booleans_may_be_texts(config: dict[str, Any], as_text: bool) -> None:
    """CloudFormation takes `"80"` for 80 and `"true"` for true."""

    def texts(value: Any) -> Any:
        match value:
            case bool():
                return str(value).lower()
            case int():
                return str(value)
            case dict():
                return {name: texts(one) for name, one in value.items()}
            case list():
                return [texts(one) for one in value]
            case _:
                return value

    assert read(texts(config) if as_text else config) == read(config)


def test_a_policys_lists_lose_their_quantity() -> None:
    """Response headers policies keep `Items` in CloudFormation, the others do not."""
    converted = config_from_api(
        {
            "Name": "P",
            "CustomHeadersConfig": {
                "Quantity": 1,
                "Items": [{"Header": "X-A", "Value": "1", "Override": True}],
            },
            "CorsConfig": {"AccessControlAllowOrigins": {"Quantity": 1, "Items": ["*"]}},
        }
    )

    assert converted["CustomHeadersConfig"]["Items"][0]["Header"] == "X-A"
    assert converted["CorsConfig"]["AccessControlAllowOrigins"] == ["*"]
