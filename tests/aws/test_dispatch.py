"""Which service a request means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.aws.dispatch import Protocol, classify, is_signed, query_action, split_region

_ARN = "arn%3Aaws%3Acloudfront%3A%3A123456789012%3Akey-value-store%2F1"


def _v4(service: str) -> dict[str, str]:
    scope = f"AKID/20261121/us-east-1/{service}/aws4_request"
    return {
        "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    }


def _v4a(service: str) -> dict[str, str]:
    scope = f"AKID/20261121/{service}/aws4_request"
    return {
        "authorization": f"AWS4-ECDSA-P256-SHA256 Credential={scope},SignedHeaders=host,Signature=0"
    }


@pytest.mark.conformance("KVS-4", "KVS-58")
@pytest.mark.parametrize(
    ("path", "headers", "service", "own_path"),
    [
        pytest.param(
            f"/key-value-stores/{_ARN}",
            _v4a("cloudfront-keyvaluestore"),
            "cloudfront-keyvaluestore",
            f"/key-value-stores/{_ARN}",
            id="SigV4A, whose scope has no region",
        ),
        pytest.param(
            f"/kvs/key-value-stores/{_ARN}/keys",
            _v4("cloudfront-keyvaluestore"),
            "cloudfront-keyvaluestore",
            f"/key-value-stores/{_ARN}/keys",
            id="SigV4 and a prefix",
        ),
        pytest.param(
            f"/kvs/key-value-stores/{_ARN}",
            {},
            "cloudfront-keyvaluestore",
            f"/key-value-stores/{_ARN}",
            id="unsigned",
        ),
        pytest.param(
            "/bucket/key-value-stores/arn%3Aobject",
            _v4("s3"),
            "s3",
            "/bucket/key-value-stores/arn%3Aobject",
            id="an S3 key that looks like a store",
        ),
        pytest.param(
            "/bucket/key-value-stores/object",
            {},
            "s3",
            "/bucket/key-value-stores/object",
            id="an unsigned one without an ARN",
        ),
        pytest.param(
            "/model/us.anthropic.claude%3A0/invoke",
            _v4("bedrock"),
            "bedrock-runtime",
            "/model/us.anthropic.claude%3A0/invoke",
            id="the runtime shares Bedrock's signing name",
        ),
        pytest.param(
            "/foundation-models", _v4("bedrock"), "bedrock", "/foundation-models", id="Bedrock"
        ),
        pytest.param(
            "/model/m/converse-stream",
            {"authorization": "Bearer key"},
            "bedrock-runtime",
            "/model/m/converse-stream",
            id="Bedrock with an API key",
        ),
        pytest.param(
            "/2020-05-31/distribution",
            {},
            "cloudfront",
            "/2020-05-31/distribution",
            id="cloudfront",
        ),
        pytest.param("/2015-03-31/functions", {}, "lambda", "/2015-03-31/functions", id="lambda"),
        pytest.param(
            "/", {"x-amz-target": "DynamoDB_20120810.PutItem"}, "dynamodb", "/", id="dynamodb"
        ),
        pytest.param("/", {"x-amz-target": "AWSEvents.PutEvents"}, "events", "/", id="events"),
        pytest.param(
            "/", {"x-amz-target": "AWSStepFunctions.StartExecution"}, "states", "/", id="states"
        ),
        pytest.param("/bucket/a%2Fb", {}, "s3", "/bucket/a%2Fb", id="all the rest"),
        pytest.param(
            "/x", {"authorization": "AWS4-HMAC-SHA256 nonsense"}, "s3", "/x", id="garbage"
        ),
    ],
)
def test_signature_target_path_then_s3(
    path: str, headers: dict[str, str], service: str, own_path: str
) -> None:
    """The order of facts/local-aws.md section 2."""
    target = classify("GET", path, "", headers)

    assert (target.service, target.path) == (service, own_path)


def test_a_presigned_url_names_its_service_in_the_query() -> None:
    """`X-Amz-Credential` is a scope as well."""
    query = "X-Amz-Credential=AKID%2F20261121%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=1"

    assert classify("GET", "/", query, {}).service == "sts"
    assert is_signed(query, {})
    assert not is_signed("a=b", {"host": "localhost"})


@pytest.mark.parametrize(
    ("headers", "protocol", "operation"),
    [
        ({"x-amz-target": "DynamoDB_20120810.PutItem"}, Protocol.JSON, "PutItem"),
        (_v4("cloudfront"), Protocol.REST_XML, "POST /path"),
        (_v4("lambda"), Protocol.REST_JSON, "POST /path"),
        (
            _v4("sts") | {"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
            Protocol.QUERY,
            "POST /path",
        ),
    ],
)
def test_protocol_and_operation(
    headers: dict[str, str], protocol: Protocol, operation: str
) -> None:
    """How the service spells errors, and what the request is called in ours."""
    target = classify("POST", "/path", "", headers)

    assert (target.protocol, target.operation) == (protocol, operation)


def test_a_query_body_names_its_action() -> None:
    """The query protocol keeps the operation in the form."""
    assert query_action(b"Version=2011-06-15&Action=GetCallerIdentity") == "GetCallerIdentity"
    assert query_action(b"\xff\xfe") is None


@pytest.mark.parametrize(
    ("path", "region", "rest"),
    [
        ("/from-region/ap-northeast-1/key-value-stores/x", "ap-northeast-1", "/key-value-stores/x"),
        ("/from-region/eu-west-1", "eu-west-1", "/"),
        ("/from-region//x", None, "/from-region//x"),
        ("/x/from-region/eu-west-1/y", None, "/x/from-region/eu-west-1/y"),
    ],
)
def test_the_callers_region_stands_first(path: str, region: str | None, rest: str) -> None:
    """`/from-region/{region}` is taken off the front, and only there."""
    assert split_region(path) == (region, rest)


@given(
    st.text(max_size=30),
    st.text(max_size=30),
    st.dictionaries(
        st.sampled_from(["authorization", "x-amz-target", "content-type", "host"]),
        st.text(max_size=40) | st.text(max_size=20).map("AWS4-X Credential=".__add__),
    ),
)
def test_anything_can_be_classified(path: str, query: str, headers: dict[str, str]) -> None:
    """No request crashes the dispatcher."""
    assert classify("GET", "/" + path, query, headers).service
