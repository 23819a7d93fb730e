"""Requests read and answers written by AWS's own models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ApiError
from emulator.wire.service_model import ServiceApi
from emulator.wire.service_model_words import ErrorWords


@pytest.fixture(scope="module")
def cloudfront() -> ServiceApi:
    """CloudFront's model."""
    return ServiceApi.load("cloudfront", ErrorWords("MalformedInput", "InvalidArgument"))


@pytest.mark.parametrize(
    ("method", "path", "query", "operation", "labels"),
    [
        ("POST", "/2020-05-31/distribution", "", "CreateDistribution", {}),
        ("POST", "/2020-05-31/distribution", "WithTags", "CreateDistributionWithTags", {}),
        ("GET", "/2020-05-31/distribution/E1", "", "GetDistribution", {"Id": "E1"}),
        ("GET", "/2020-05-31/distribution/E1/config", "", "GetDistributionConfig", {"Id": "E1"}),
        ("PUT", "/2020-05-31/distribution/E1/config", "", "UpdateDistribution", {"Id": "E1"}),
        ("GET", "/2020-05-31/function/a%2Fb", "", "GetFunction", {"Name": "a/b"}),
        ("POST", "/2020-05-31/tagging", "Operation=Untag&Resource=r", "UntagResource", {}),
        ("GET", "/2020-05-31/tagging", "Resource=r", "ListTagsForResource", {}),
    ],
)
def test_a_request_means_an_operation(
    cloudfront: ServiceApi,
    method: str,
    path: str,
    query: str,
    operation: str,
    labels: dict[str, str],
) -> None:
    """By method, path and the literals of its query."""
    matched = cloudfront.match(method, path, query)

    assert matched is not None
    assert (matched.operation, matched.labels) == (operation, labels)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_path_breaks_the_routes(path: str, query: str) -> None:
    """Whatever is asked for, there is an operation or there is none."""
    model = ServiceApi.load("lambda", ErrorWords("a", "b"))

    model.match("GET", f"/{path}", query)


@given(st.binary(max_size=200))
def test_no_body_breaks_the_reader(body: bytes) -> None:
    """It is read, or refused with a 400."""
    model = ServiceApi.load("lambda", ErrorWords("Malformed", "Invalid"))
    matched = model.match("POST", "/2015-03-31/functions", "")
    assert matched is not None
    status = 400
    try:
        model.read_input(matched, "", {}, body)
    except ApiError as error:
        status = error.status

    assert status == 400


def test_what_is_written_is_read_back(cloudfront: ServiceApi) -> None:
    """Lists, numbers, booleans, text that XML must escape."""
    config = {
        "Name": "a <b> & c",
        "Comment": "",
        "MinTTL": 1,
        "ParametersInCacheKeyAndForwardedToOrigin": {
            "EnableAcceptEncodingGzip": True,
            "HeadersConfig": {
                "HeaderBehavior": "whitelist",
                "Headers": {"Quantity": 2, "Items": ["x", "y"]},
            },
            "CookiesConfig": {"CookieBehavior": "none"},
            "QueryStringsConfig": {"QueryStringBehavior": "none"},
        },
    }
    written = cloudfront.write_output(
        "GetCachePolicyConfig", {"CachePolicyConfig": config, "ETag": "E1"}
    )
    matched = cloudfront.match("POST", "/2020-05-31/cache-policy", "")
    assert matched is not None
    read = cloudfront.read_input(matched, "", {}, written.body)

    assert read == {"CachePolicyConfig": config}
    assert written.headers == {"ETag": "E1"}


def test_a_message_names_the_place(cloudfront: ServiceApi) -> None:
    """Required members, words that are none of the model's, and what is no number."""
    matched = cloudfront.match("POST", "/2020-05-31/cache-policy", "")
    assert matched is not None

    def message(inner: str) -> str:
        body = f"<CachePolicyConfig>{inner}</CachePolicyConfig>".encode()
        with pytest.raises(ApiError) as refused:
            cloudfront.read_input(matched, "", {}, body)
        return refused.value.message

    assert "MinTTL must be a number" in message("<Name>a</Name><MinTTL>x</MinTTL>")
    assert "has no member Nope" in message("<Nope/>")
    assert "HeadersConfig is required" in message(
        "<Name>a</Name><MinTTL>1</MinTTL>"
        "<ParametersInCacheKeyAndForwardedToOrigin>"
        "<EnableAcceptEncodingGzip>true</EnableAcceptEncodingGzip>"
        "</ParametersInCacheKeyAndForwardedToOrigin>"
    )
