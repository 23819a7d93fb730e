"""Services call each other without HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.aws.in_process import InProcess
from emulator.errors import ApiError, NotEmulated
from tests.aws.endpoint import Endpoint
from tests.aws.test_lambda_api import BROKEN, create


def test_a_lambda_function_is_invoked(account: Endpoint, lambda_client: Any, name: str) -> None:
    """The payload comes back as bytes, as boto3's stream holds it."""
    create(lambda_client, name)
    output = account.run(
        account.in_process.call(
            "lambda", "Invoke", {"FunctionName": name, "Payload": b'{"seen": true}'}
        )
    )

    assert json.loads(output["Payload"]) == {"seen": True}
    assert (output["StatusCode"], output.get("FunctionError")) == (200, None)


def test_a_function_that_throws_says_so(account: Endpoint, lambda_client: Any, name: str) -> None:
    """FunctionError is there, as in the header."""
    create(lambda_client, name, BROKEN)
    output = account.run(account.in_process.call("lambda", "Invoke", {"FunctionName": name}))

    assert output["FunctionError"] == "Unhandled"


def test_an_absent_function_is_an_error(account: Endpoint) -> None:
    """AWS's own error, as through HTTP."""
    with pytest.raises(ApiError) as caught:
        account.run(account.in_process.call("lambda", "Invoke", {"FunctionName": "absent"}))

    assert (caught.value.status, caught.value.code) == (404, "ResourceNotFoundException")


def test_moto_is_called_by_any_protocol(account: Endpoint, name: str) -> None:
    """JSON (DynamoDB) and XML (S3) alike, with bytes, dates and errors as boto3 has them."""
    call = account.in_process.call
    account.run(call("s3", "CreateBucket", {"Bucket": name}))
    account.run(call("s3", "PutObject", {"Bucket": name, "Key": "a b/é", "Body": b"body"}))
    found = account.run(call("s3", "GetObject", {"Bucket": name, "Key": "a b/é"}))
    with pytest.raises(ApiError) as caught:
        account.run(call("dynamodb", "DescribeTable", {"TableName": "absent"}))

    assert found["Body"].read() == b"body"
    assert (caught.value.status, caught.value.code) == (400, "ResourceNotFoundException")


def test_what_nobody_does_is_said(account: Endpoint) -> None:
    """A name that is no operation, and a service that nobody has."""
    with pytest.raises(NotEmulated, match="dynamodb:Dance"):
        account.run(account.in_process.call("dynamodb", "Dance", {}))
    with pytest.raises(NotEmulated, match="sqs:SendMessage"):
        account.run(InProcess().call("sqs", "SendMessage", {}))
