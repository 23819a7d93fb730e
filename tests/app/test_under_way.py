"""What was under way when localpop was killed goes on at the next start."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from tests.app.running import localpop
from tests.aws.endpoint import client

TEMPLATE = """
Resources:
  Done: {Type: AWS::SQS::Queue, Properties: {QueueName: done}}
  Machine:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      StateMachineName: waits
      RoleArn: arn:aws:iam::123456789012:role/r
      Definition:
        StartAt: Wait
        States:
          Wait: {Type: Wait, Seconds: 2, Next: Tell}
          Tell:
            Type: Task
            Resource: arn:aws:states:::sqs:sendMessage
            Parameters: {QueueUrl: !Ref Done, MessageBody.$: $.name}
            End: true
  Slow:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: slow
      Runtime: python3.13
      Handler: index.handler
      Role: arn:aws:iam::123456789012:role/r
      Timeout: 30
      Environment: {Variables: {QUEUE_URL: !Ref Done}}
      Code:
        ZipFile: |
          import os, time, boto3
          def handler(event, context):
              time.sleep(event["seconds"])
              boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody="slow")
"""


def test_a_kill_loses_neither_executions_nor_events(tmp_path: Path) -> None:
    """An execution begins again, an asynchronous event is handed over again; then both are done."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "localpop.toml").write_text('template = "template.yaml"\n')
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:waits"
    with localpop(tmp_path) as first:
        states = client("stepfunctions", first.aws_url)
        started = states.start_execution(stateMachineArn=arn, name="one", input='{"name": "one"}')
        payload = json.dumps({"seconds": 2}).encode()
        client("lambda", first.aws_url).invoke(
            FunctionName="slow", InvocationType="Event", Payload=payload
        )
        first.stop(signal.SIGKILL)
    bodies: list[str] = []
    with localpop(tmp_path) as second:
        queues = client("sqs", second.aws_url)
        queue = queues.get_queue_url(QueueName="done")["QueueUrl"]
        end_s = time.monotonic() + 30
        while len(bodies) < 2 and time.monotonic() < end_s:
            answer = queues.receive_message(QueueUrl=queue, WaitTimeSeconds=5)
            bodies += [message["Body"] for message in answer.get("Messages", [])]
        described = client("stepfunctions", second.aws_url).describe_execution(
            executionArn=started["executionArn"]
        )
    kept = (tmp_path / ".localpop" / "under-way.jsonl").read_text()

    assert sorted(bodies) == ["one", "slow"]
    assert described["status"] in ("RUNNING", "SUCCEEDED")
    assert "execution:" not in kept
    assert "invocation:" not in kept
