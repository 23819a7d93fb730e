"""Step Functions' spelling of SDK operations."""

from __future__ import annotations

import pytest

from emulator.wire.sdk_integration import UnknownIntegrationError, pascal_case, sdk_operation


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("stateMachineArn", "StateMachineArn"),
        ("MD5OfMessageBody", "Md5OfMessageBody"),
        ("ETag", "ETag"),
        ("SSEKMSKeyId", "SsekmsKeyId"),
        ("s3Uri", "S3Uri"),
    ],
)
def test_names_in_pascal_case(name: str, shown: str) -> None:
    """Words of capitals keep their first one."""
    assert pascal_case(name) == shown


def test_a_request_is_spelled_as_the_api_has_it() -> None:
    """At every depth; maps keep their keys, texts and blobs become JSON."""
    dynamodb = sdk_operation("dynamodb", "putItem")
    model = sdk_operation("bedrockruntime", "invokeModel")

    assert dynamodb.request({"TableName": "t", "Item": {"Id": {"S": "x"}}}) == {
        "TableName": "t",
        "Item": {"Id": {"S": "x"}},
    }
    assert model.request({"ModelId": "m", "Body": {"a": 1}}) == {"modelId": "m", "body": b'{"a":1}'}
    assert (model.service, model.name) == ("bedrock-runtime", "InvokeModel")


def test_errors_are_those_of_the_sdk_for_java() -> None:
    """A name that the service's model knows, else the service's own."""
    store = sdk_operation("cloudfrontkeyvaluestore", "getKey")

    assert store.error_name("ResourceNotFoundException") == (
        "CloudFrontKeyValueStore.ResourceNotFoundException"
    )
    assert store.error_name("Odd") == ("CloudFrontKeyValueStore.CloudFrontKeyValueStoreException")


@pytest.mark.parametrize(("service", "action"), [("nobody", "x"), ("sqs", "paint")])
def test_what_no_sdk_has(service: str, action: str) -> None:
    """It is said."""
    with pytest.raises(UnknownIntegrationError):
        sdk_operation(service, action)
