"""What moto does behind the endpoint, as a real boto3 sees it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.aws.cloudfront.shapes import distribution, listed, refusal, zipped
from tests.aws.endpoint import Endpoint, client, send_raw


@pytest.fixture(scope="module")
def s3(account: Endpoint) -> Iterator[Any]:
    """S3 with a bucket named `bucket`."""
    with contextlib.closing(client("s3", account.url)) as made:
        made.create_bucket(Bucket="bucket")
        yield made


def trust(*services: str) -> str:
    """An assume-role policy."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": list(services)},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_moto_is_not_imported_before_it_is_needed() -> None:
    """`localpop up` pays neither for moto nor for botocore's models."""
    words = (
        "import sys, emulator.cli.main; "
        "print([name for name in ('moto', 'flask', 'botocore') if name in sys.modules])"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=True
    )

    assert outcome.stdout.strip() == "[]"


@pytest.mark.parametrize("key", ["a%2Fb", "a/b", "c d+é?&=", "x//y", "..", "%25"])
def test_an_s3_key_is_kept_as_it_is(s3: Any, key: str) -> None:
    """Raw paths reach moto: `a%2Fb` is not `a/b`."""
    s3.put_object(Bucket="bucket", Key=key, Body=key.encode())
    body = s3.get_object(Bucket="bucket", Key=key)["Body"].read()
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="bucket")["Contents"]]
    s3.delete_object(Bucket="bucket", Key=key)

    assert body == key.encode()
    assert keys == [key]


def test_concurrent_writers_lose_nothing(account: Endpoint) -> None:
    """One lock per service: moto alone loses updates (facts/local-aws.md section 1)."""
    with contextlib.closing(client("dynamodb", account.url)) as dynamodb:
        dynamodb.create_table(
            TableName="counters",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

        def add(_: int) -> None:
            dynamodb.update_item(
                TableName="counters",
                Key={"id": {"S": "one"}},
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(120)))
        item = dynamodb.get_item(TableName="counters", Key={"id": {"S": "one"}})["Item"]

    assert item["n"] == {"N": "120"}


def test_every_service_of_the_loop_answers(account: Endpoint) -> None:
    """SQS, EventBridge, Step Functions, IAM, STS and logs."""
    with contextlib.ExitStack() as stack:

        def of(service: str) -> Any:
            return stack.enter_context(contextlib.closing(client(service, account.url)))

        queue = of("sqs").create_queue(QueueName="queue")["QueueUrl"]
        entry = {"Source": "a", "DetailType": "b", "Detail": "{}"}
        sent = of("events").put_events(Entries=[entry])
        caller = of("sts").get_caller_identity()
        of("logs").create_log_group(logGroupName="group")
        definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
        machine = of("stepfunctions").create_state_machine(
            name="machine",
            definition=json.dumps(definition),
            roleArn="arn:aws:iam::123456789012:role/any",
        )

    assert queue.endswith("/queue")
    assert sent["FailedEntryCount"] == 0
    assert caller["Account"] == "123456789012"
    assert machine["stateMachineArn"].endswith(":machine")


def test_one_request_id_is_enough(account: Endpoint) -> None:
    """Moto brings its own, which would stand there twice."""
    answer = send_raw(account.port, "GET", "/bucket-that-is-not-there")

    assert answer.status == 404
    assert "," not in answer.headers["x-amzn-requestid"]


@pytest.mark.parametrize("service", ["outposts", "deadline"])
def test_a_service_that_nobody_has_is_named(account: Endpoint, service: str) -> None:
    """501 NotEmulated."""
    with contextlib.closing(client(service, account.url)) as made:
        operation = {"outposts": "list_outposts", "deadline": "list_farms"}[service]
        error, status, message = refusal(getattr(made, operation))

    assert (error, status) == ("NotEmulated", 501)
    assert service in message


@pytest.mark.conformance("KVS-41")
def test_a_store_is_imported_from_s3(account: Endpoint, cloudfront: Any, s3: Any) -> None:
    """From motos bucket; an object that is not there makes the creation fail."""
    body = json.dumps({"data": [{"key": "k", "value": "v"}]}).encode()
    s3.put_object(Bucket="bucket", Key="import.json", Body=body)

    def create(name: str, key: str) -> Any:
        source = {"SourceType": "S3", "SourceARN": f"arn:aws:s3:::bucket/{key}"}
        return cloudfront.create_key_value_store(Name=name, ImportSource=source)

    arn = create("imported", "import.json")["KeyValueStore"]["ARN"]
    missing = refusal(lambda: create("missing", "nope.json"))
    with contextlib.closing(client("cloudfront-keyvaluestore", account.url)) as kvs:
        value = kvs.get_key(KvsARN=arn, Key="k")["Value"]

    assert value == "v"
    assert missing[:2] == ("InvalidArgument", 400)


def test_a_function_comes_from_s3_with_a_role_that_the_edge_may_assume(
    account: Endpoint, cloudfront: Any, lambda_client: Any, s3: Any, name: str
) -> None:
    """A role made here that does not trust edgelambda is refused in CloudFront's words."""
    s3.put_object(
        Bucket="bucket",
        Key="code.zip",
        Body=zipped({"handler.py": "def handler(event, context):\n    return event\n"}),
    )
    with contextlib.closing(client("iam", account.url)) as iam:
        role = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=trust("lambda.amazonaws.com")
        )["Role"]["Arn"]
        made = lambda_client.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="handler.handler",
            Code={"S3Bucket": "bucket", "S3Key": "code.zip"},
            Publish=True,
        )
        association = {"EventType": "viewer-request", "LambdaFunctionARN": made["FunctionArn"]}
        config = distribution(name, LambdaFunctionAssociations=listed(association))
        refused = refusal(lambda: cloudfront.create_distribution(DistributionConfig=config))
        iam.update_assume_role_policy(
            RoleName=name,
            PolicyDocument=trust("lambda.amazonaws.com", "edgelambda.amazonaws.com"),
        )
        iam.attach_role_policy(
            RoleName=name,
            PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        )
        created = cloudfront.create_distribution(DistributionConfig=config)

    assert refused[:2] == ("InvalidLambdaFunctionAssociation", 400)
    assert "must be assumable with edgelambda.amazonaws.com" in refused[2]
    assert created["Distribution"]["Status"] == "Deployed"
