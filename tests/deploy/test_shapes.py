from __future__ import annotations

from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.deploy.shapes import differences, overlay, to_api, with_defaults_of, without
from emulator.errors import ConfigError
from emulator.project.api_shapes import config_from_api
from emulator.wire.distribution_config import with_defaults


@pytest.fixture(scope="module")
def model() -> Any:
    """AWS's own model of CloudFront's API."""
    client = boto3.client(
        "cloudfront", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    found = client.meta.service_model
    client.close()
    return found


BEHAVIOR = {
    "TargetOriginId": "api",
    "ViewerProtocolPolicy": "https-only",
    "AllowedMethods": ["GET", "HEAD", "OPTIONS"],
    "CachedMethods": ["GET", "HEAD"],
    "TrustedKeyGroups": ["group"],
    "Compress": "true",
    "LambdaFunctionAssociations": [
        {"EventType": "origin-request", "LambdaFunctionARN": "arn:1", "IncludeBody": True}
    ],
}
CONFIG = {
    "Enabled": True,
    "IPV6Enabled": True,
    "HttpVersion": "http2and3",
    "Aliases": ["a.example.com"],
    "Origins": [
        {
            "Id": "api",
            "DomainName": "api.example.com",
            "OriginCustomHeaders": [{"HeaderName": "x-a", "HeaderValue": "1"}],
            "CustomOriginConfig": {
                "OriginProtocolPolicy": "https-only",
                "OriginSSLProtocols": ["TLSv1.2"],
                "OriginReadTimeout": "60",
            },
        }
    ],
    "OriginGroups": {
        "Quantity": 1,
        "Items": [
            {
                "Id": "both",
                "FailoverCriteria": {"StatusCodes": {"Quantity": 1, "Items": [500]}},
                "Members": {"Quantity": 2, "Items": [{"OriginId": "api"}, {"OriginId": "b"}]},
            }
        ],
    },
    "DefaultCacheBehavior": BEHAVIOR,
    "CacheBehaviors": [{"PathPattern": "/a/*", **BEHAVIOR}],
    "CustomErrorResponses": [{"ErrorCode": 404, "ResponseCode": 200, "ResponsePagePath": "/x"}],
    "Logging": {"Bucket": "logs.s3.amazonaws.com"},
    "Restrictions": {"GeoRestriction": {"RestrictionType": "whitelist", "Locations": ["DE"]}},
    "ViewerCertificate": {"AcmCertificateArn": "arn:acm", "SslSupportMethod": "sni-only"},
}


def test_cloudformations_form_becomes_the_apis(model: Any) -> None:
    """Lists, numbers and names as CreateDistribution takes them."""
    made = to_api(CONFIG, model.shape_for("DistributionConfig"), "here")
    behavior = made["DefaultCacheBehavior"]
    (origin,) = made["Origins"]["Items"]

    assert behavior["AllowedMethods"] == {
        "Quantity": 3,
        "Items": ["GET", "HEAD", "OPTIONS"],
        "CachedMethods": {"Quantity": 2, "Items": ["GET", "HEAD"]},
    }
    assert behavior["TrustedKeyGroups"] == {"Enabled": True, "Quantity": 1, "Items": ["group"]}
    assert behavior["Compress"] is True
    assert origin["CustomOriginConfig"] == {
        "HTTPPort": 80,
        "HTTPSPort": 443,
        "OriginProtocolPolicy": "https-only",
        "OriginSslProtocols": {"Quantity": 1, "Items": ["TLSv1.2"]},
        "OriginReadTimeout": 60,
    }
    assert origin["CustomHeaders"]["Quantity"] == 1
    assert made["IsIPV6Enabled"] is True
    assert made["Comment"] == ""
    assert made["ViewerCertificate"]["ACMCertificateArn"] == "arn:acm"
    geo = made["Restrictions"]["GeoRestriction"]
    assert geo == {"Quantity": 1, "Items": ["DE"], "RestrictionType": "whitelist"}
    assert made["CustomErrorResponses"]["Items"][0]["ResponseCode"] == "200"
    assert made["Logging"]["Enabled"] is True


def test_it_reads_back_as_it_was_written(model: Any) -> None:
    """The reader of the API's form finds what CloudFormation's form says."""
    made = to_api(CONFIG, model.shape_for("DistributionConfig"), "here")
    again = config_from_api(made)

    for name in ("Aliases", "Origins", "OriginGroups", "Restrictions", "HttpVersion"):
        written = CONFIG[name]
        if name == "Origins":
            assert again[name][0]["CustomOriginConfig"]["OriginSSLProtocols"] == ["TLSv1.2"]
        else:
            assert again[name] == written
    assert again["CacheBehaviors"][0]["CachedMethods"] == ["GET", "HEAD"]


def test_what_the_model_takes_boto3_takes(model: Any) -> None:
    """AWS's own validation of inputs has no complaint."""
    from botocore.validate import ParamValidator

    made = to_api(CONFIG, model.shape_for("DistributionConfig"), "here")
    shape = model.operation_model("CreateDistribution").input_shape
    given = {"DistributionConfig": {"CallerReference": "1", **made}}

    assert ParamValidator().validate(given, shape).generate_report() == ""


@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param({"Orgins": []}, "no member Orgins", id="a name that is none"),
        pytest.param({"Enabled": "perhaps"}, "not true or false", id="no truth"),
        pytest.param({"Origins": "api"}, "not a list", id="no list"),
        pytest.param({"Comment": {"a": 1}}, "not a text", id="no text"),
        pytest.param(
            {"DefaultCacheBehavior": {"MinTTL": "soon"}}, "not a whole number", id="no number"
        ),
    ],
)
def test_what_the_api_has_not_is_refused(model: Any, config: dict[str, Any], said: str) -> None:
    """With its place."""
    with pytest.raises(ConfigError, match=said) as caught:
        to_api(config, model.shape_for("DistributionConfig"), "template: here")

    assert caught.value.where.startswith("template: here")


# --- comparing, laying over each other: for all configurations ----------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d"])
SCALARS = st.one_of(st.integers(0, 3), st.booleans(), st.sampled_from(["x", "y"]))


def listed(items: Any) -> dict[str, Any]:
    """`{Quantity, Items}`, without Items when there are none, as AWS does."""
    made: dict[str, Any] = {"Quantity": len(items)}
    if items:
        made["Items"] = list(items)
    return made


ENTRIES = st.builds(
    lambda entries: listed([{"Id": name, **rest} for name, rest in entries.items()]),
    st.dictionaries(NAMES, st.dictionaries(st.sampled_from(["v", "w"]), SCALARS), max_size=3),
)
WORDS = st.builds(lambda words: listed(sorted(words)), st.sets(NAMES, max_size=3))
CONFIGS = st.fixed_dictionaries(
    {"words": WORDS, "entries": ENTRIES},
    optional={"s": SCALARS, "inner": st.dictionaries(NAMES, SCALARS)},
)


@given(CONFIGS, CONFIGS)
def test_laid_over_it_says_what_it_shall(actual: Any, wanted: Any) -> None:
    """No difference is left, and laying it over again changes nothing."""
    laid = overlay(actual, wanted)

    assert list(differences(wanted, laid)) == []
    assert overlay(laid, wanted) == laid


@given(CONFIGS, CONFIGS)
def test_there_is_a_difference_exactly_when_something_would_change(a: Any, b: Any) -> None:
    """What the plan shows is what UpdateDistribution would do."""
    laid = overlay(a, b)
    changes = list(differences(laid, a, exact=True))
    canonical = [
        {**one, "entries": sorted(map(str, one["entries"].get("Items", [])))} for one in (laid, a)
    ]

    assert bool(changes) == (canonical[0] != canonical[1])


@given(CONFIGS, CONFIGS)
def test_what_is_not_ours_stays(theirs: Any, ours: Any) -> None:
    """On a distribution that was there: all of their entries that we do not name, all members."""
    laid = overlay(theirs, ours, keeps_others=True)
    names = {one["Id"] for one in laid["entries"].get("Items", [])}

    assert {one["Id"] for one in theirs["entries"].get("Items", [])} <= names
    assert set(theirs["words"].get("Items", [])) <= set(laid["words"].get("Items", []))
    assert theirs.keys() <= laid.keys()


@given(CONFIGS, CONFIGS)
def test_taken_back_it_is_as_it_was(theirs: Any, ours: Any) -> None:
    """What `localpop destroy` does to a distribution that was there."""
    laid = overlay(theirs, ours, keeps_others=True)
    back = without(laid, ours, theirs)

    assert list(differences(theirs, back, exact=True)) == []


@given(CONFIGS, CONFIGS, CONFIGS)
def test_what_was_ours_and_is_not_any_more_goes(theirs: Any, first: Any, second: Any) -> None:
    """Entries that only the earlier deployment had are gone after the later one."""
    laid = overlay(overlay(theirs, first, keeps_others=True), second, first, keeps_others=True)
    ids = {one["Id"] for one in laid["entries"].get("Items", [])}
    gone = {one["Id"] for one in first["entries"].get("Items", [])} - {
        one["Id"] for one in second["entries"].get("Items", [])
    }

    assert not ids & gone


def test_what_is_left_out_says_its_default_again() -> None:
    """A template that does not say HttpVersion any more means CloudFormation's default."""
    origins = {"Quantity": 1, "Items": [{"Id": "a", "DomainName": "a"}]}
    behavior = {"TargetOriginId": "a", "ViewerProtocolPolicy": "allow-all"}
    second = {"Origins": origins, "DefaultCacheBehavior": behavior}
    first = {
        "HttpVersion": "http3",
        "Origins": origins,
        "DefaultCacheBehavior": {**behavior, "Compress": True, "CachePolicyId": "p"},
    }
    whole = with_defaults_of(second, first, with_defaults(second))
    laid = overlay(with_defaults(first), whole, first)

    assert laid["HttpVersion"] == "http2"
    assert laid["DefaultCacheBehavior"]["Compress"] is False
    assert "CachePolicyId" not in laid["DefaultCacheBehavior"]
    assert "Aliases" not in whole
