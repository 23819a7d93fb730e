"""Batch inference through a real boto3: JSONL in, JSONL out."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.cloudfront.shapes import ROLE
from tests.aws.endpoint import Endpoint, client, send_raw

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
_numbers = itertools.count(1)


class Batch:
    """A bucket and the three clients."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.bedrock, self.s3 = client("bedrock", endpoint.url), client("s3", endpoint.url)
        self.bucket = f"batches-{next(_numbers)}"
        self.s3.create_bucket(Bucket=self.bucket)

    def submit(self, lines: list[str], **more: Any) -> str:
        """A job over these lines; its ARN."""
        self.s3.put_object(Bucket=self.bucket, Key="in/a.jsonl", Body="\n".join(lines).encode())
        given = {
            "jobName": f"job-{next(_numbers)}",
            "roleArn": ROLE,
            "modelId": MODEL,
            "inputDataConfig": {"s3InputDataConfig": {"s3Uri": f"s3://{self.bucket}/in/a.jsonl"}},
            "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{self.bucket}/out/"}},
            **more,
        }
        arn: str = self.bedrock.create_model_invocation_job(**given)["jobArn"]
        return arn

    def ended(self, arn: str) -> Any:
        """The job once it has ended, and the states it was seen in."""
        seen: list[str] = []
        for _ in range(3_000):
            job = self.bedrock.get_model_invocation_job(jobIdentifier=arn)
            if job["status"] not in seen:
                seen.append(job["status"])
            if "endTime" in job:
                return {**job, "seen": seen}
            time.sleep(0.01)
        raise AssertionError("the job does not end")

    def read(self, arn: str, name: str) -> str:
        """A file of its output."""
        key = f"out/{arn.rpartition('/')[2]}/{name}"
        text: str = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode()
        return text


@pytest.fixture
def batch(account: Endpoint) -> Batch:
    """An empty bucket."""
    return Batch(account)


def record(number: int, **more: Any) -> str:
    """One line of input."""
    model_input = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 8,
        "messages": [{"role": "user", "content": f"question {number}"}],
        **more,
    }
    return json.dumps({"recordId": f"R{number:010d}", "modelInput": model_input})


def test_every_record_is_answered(batch: Batch, account: Endpoint) -> None:
    """In the input's order, with the models' usage; a throttled model is asked again."""
    fault = {"service": "bedrock-runtime", "fault": "throttle", "count": 3}
    body = json.dumps(fault).encode()
    send_raw(account.port, "POST", "/_localpop/faults", body=body)
    arn = batch.submit([record(number) for number in range(120)])
    job = batch.ended(arn)
    lines = [json.loads(line) for line in batch.read(arn, "a.jsonl.out").splitlines()]
    manifest = json.loads(batch.read(arn, "manifest.json.out"))

    assert (job["status"], job["totalRecordCount"], job["successRecordCount"]) == (
        "Completed",
        120,
        120,
    )
    assert [line["recordId"] for line in lines] == [f"R{number:010d}" for number in range(120)]
    assert all(line["modelOutput"]["content"][0]["text"] for line in lines)
    assert manifest["processedRecordCount"] == 120
    assert manifest["outputTokenCount"] == sum(
        line["modelOutput"]["usage"]["output_tokens"] for line in lines
    )


def test_a_bad_record_harms_itself_alone(batch: Batch) -> None:
    """It has an error in place of an answer."""
    lines = [record(number) for number in range(100)]
    lines[7] = record(7, max_tokens=0)
    lines[8] = "{not JSON"
    arn = batch.submit(lines)
    job = batch.ended(arn)
    answers = [json.loads(line) for line in batch.read(arn, "a.jsonl.out").splitlines()]

    assert (job["status"], job["errorRecordCount"], job["successRecordCount"]) == (
        "Completed",
        2,
        98,
    )
    assert answers[7]["error"]["errorCode"] == 400
    assert "max_tokens" in answers[7]["error"]["errorMessage"]
    assert "modelOutput" not in answers[8]


def test_too_few_records_fail_the_job(batch: Batch) -> None:
    """The quota is said; a file that is not there fails it too."""
    few = batch.ended(batch.submit([record(1)]))
    source = {"s3InputDataConfig": {"s3Uri": f"s3://{batch.bucket}/nowhere.jsonl"}}
    none = batch.ended(batch.submit([record(1)], inputDataConfig=source))

    assert (few["status"], none["status"]) == ("Failed", "Failed")
    assert "required minimum of: 100" in few["message"]
    assert "nowhere.jsonl" in none["message"]


def test_its_states_are_told(batch: Batch, account: Endpoint) -> None:
    """On the default bus, as Bedrock tells them; a rule can wait for the end."""
    events, queues = client("events", account.url), client("sqs", account.url)
    queue = queues.create_queue(QueueName=batch.bucket)["QueueUrl"]
    events.put_rule(
        Name=batch.bucket, EventPattern='{"source":["aws.bedrock"],"detail":{"status":["Failed"]}}'
    )
    arn = f"arn:aws:sqs:us-east-1:123456789012:{batch.bucket}"
    events.put_targets(Rule=batch.bucket, Targets=[{"Id": "q", "Arn": arn}])
    job = batch.submit([record(1)])
    (message,) = queues.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    event = json.loads(message["Body"])
    events.remove_targets(Rule=batch.bucket, Ids=["q"])

    assert event["detail-type"] == "Batch Inference Job State Change"
    assert (event["detail"]["batchJobArn"], event["detail"]["status"]) == (job, "Failed")


def test_jobs_are_listed_stopped_and_made_once(batch: Batch) -> None:
    """The same token is the same job; one that has ended cannot stop."""
    token, name = f"token-{batch.bucket}", f"listed-{batch.bucket}"
    lines = [record(number) for number in range(100)]
    arn = batch.submit(lines, clientRequestToken=token, jobName=name)
    again = batch.submit(lines, clientRequestToken=token, jobName=name)
    batch.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    job = batch.ended(arn)
    listed = batch.bedrock.list_model_invocation_jobs(nameContains=name)["invocationJobSummaries"]
    with pytest.raises(ClientError) as refused:
        batch.bedrock.stop_model_invocation_job(jobIdentifier=arn)
    with pytest.raises(ClientError) as unknown:
        batch.bedrock.get_model_invocation_job(jobIdentifier="nobody12letr")

    assert again == arn
    assert job["status"] == "Stopped"
    assert [one["jobArn"] for one in listed] == [arn]
    assert refused.value.response["Error"]["Code"] == "ConflictException"
    assert unknown.value.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"modelId": "nobody.model"}, id="an unknown model"),
        pytest.param({"jobName": "no spaces"}, id="a bad name"),
        pytest.param({"timeoutDurationInHours": 999}, id="too long"),
        pytest.param(
            {"outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "https://x"}}}, id="no S3 URI"
        ),
    ],
)
def test_what_is_refused_at_once(more: dict[str, Any], batch: Batch) -> None:
    """ValidationException; no job is made."""
    with pytest.raises(ClientError) as refused:
        batch.submit([record(1)], **more)

    assert refused.value.response["Error"]["Code"] == "ValidationException"
