"""Logins a second through the background path, and how long an event takes to its end.

Run: `python -m benchmarks.logins`. A real `localpop up` in a process of its own: PutEvents -> rule
-> state machine (native runner) -> Lambda function in a sandbox -> FIFO queue with one group.
An event's end is the moment its message is in the queue; both moments are of this machine's clock.
First as many logins as come through, then at steady rates, where the delay means something.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

_ENTRIES = 10
_RATES = (50, 100, 200)
_GOAL_PER_S = 200

_TEMPLATE = """
Resources:
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: logins}}
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern: {source: [backend], detail-type: [UserLoggedIn]}
      Targets:
        - Id: machine
          Arn: !Ref Machine
          RoleArn: arn:aws:iam::123456789012:role/r
          InputTransformer:
            InputPathsMap: {id: $.id, user: $.detail.user_id, at: $.detail.at}
            InputTemplate: '{"event_id": <id>, "user_id": <user>, "at": <at>}'
  Machine:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      StateMachineName: logins
      RoleArn: arn:aws:iam::123456789012:role/r
      Definition:
        StartAt: Generate
        States:
          Generate:
            Type: Task
            Resource: arn:aws:states:::lambda:invoke
            Parameters: {FunctionName: !GetAtt Generate.Arn, Payload.$: $}
            ResultSelector: {answers.$: $.Payload.answers}
            ResultPath: $.generated
            Retry: [{ErrorEquals: [States.ALL], IntervalSeconds: 1, MaxAttempts: 2}]
            Next: Push
          Push:
            Type: Task
            Resource: arn:aws:states:::sqs:sendMessage
            Parameters:
              QueueUrl: !Ref Writes
              MessageGroupId: writer
              MessageDeduplicationId.$: $.event_id
              MessageBody: {user_id.$: $.user_id, at.$: $.at, answers.$: $.generated.answers}
            End: true
  Generate:
    Type: AWS::Lambda::Function
    Properties:
      FunctionName: generate
      Runtime: python3.13
      Handler: index.handler
      Role: arn:aws:iam::123456789012:role/r
      Code:
        ZipFile: |
          def handler(event, context):
              return {"answers": [{"action": a, "answer": "x" * 200} for a in "abc"]}
  Writes:
    Type: AWS::SQS::Queue
    Properties: {QueueName: writes.fifo, FifoQueue: true, VisibilityTimeout: 600}
"""


@dataclass(frozen=True)
class Measured:
    """One run.

    Args:
        sent: Events that were put.
        delays_ms: From PutEvents to the queue, of each message.
        per_s: Messages a second, from the first to the last.
        cpu_ms: The server's CPU for each login, sandboxes and all.
    """

    sent: int
    delays_ms: list[float]
    per_s: float
    cpu_ms: float


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--logins", type=int, default=2_000, help="at full speed (2000)")
    parser.add_argument("--seconds", type=int, default=5, help="at each steady rate (5)")
    arguments = parser.parse_args()
    with _localpop() as (url, process):
        clients = _Clients(url, process)
        clients.flood(100)
        rows = [("as fast as it can", clients.flood(arguments.logins))]
        for rate in _RATES:
            rows.append((f"{rate} logins/s", clients.steady(rate, arguments.seconds)))
    print(f"{'':20}{'sent':>7}{'arrived':>9}{'per s':>8}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>8}")
    for name, one in rows:
        p99 = statistics.quantiles(one.delays_ms, n=100)[98]
        print(
            f"{name:20}{one.sent:>7}{len(one.delays_ms):>9}{one.per_s:>8.0f}"
            f"{statistics.median(one.delays_ms):>9.1f}{p99:>9.1f}{one.cpu_ms:>8.2f}"
        )
    reached = rows[0][1].per_s
    verdict = "reached" if reached >= _GOAL_PER_S else "not reached"
    print(f"goal: {_GOAL_PER_S} logins/s on two cores; {verdict} ({os.cpu_count()} cores here)")


class _Clients:
    """What drives and what listens."""

    def __init__(self, url: str, process: subprocess.Popen[str]) -> None:
        self._events, self._sqs = _client("events", url), _client("sqs", url)
        self._queue = self._sqs.get_queue_url(QueueName="writes.fifo")["QueueUrl"]
        self._process = process

    def flood(self, count: int) -> Measured:
        """So many logins, ten in a call, four calls at a time."""
        with ThreadPoolExecutor(4) as pool:
            before_s = _cpu_s(self._process.pid)
            sent = list(pool.map(self._put, [_ENTRIES] * (count // _ENTRIES)))
            return self._collected(sum(sent), before_s)

    def steady(self, rate: int, seconds: int) -> Measured:
        """Logins at a steady rate, each call when it is due, whatever became of the last."""
        step_s = 1 / rate
        with ThreadPoolExecutor(8) as pool:
            before_s, begun_s = _cpu_s(self._process.pid), time.monotonic()
            for number in range(rate * seconds):
                wait_s = begun_s + number * step_s - time.monotonic()
                if wait_s > 0:
                    time.sleep(wait_s)
                pool.submit(self._put, 1)
            return self._collected(rate * seconds, before_s)

    def _put(self, count: int) -> int:
        entries = [
            {
                "EventBusName": "logins",
                "Source": "backend",
                "DetailType": "UserLoggedIn",
                "Detail": json.dumps({"user_id": f"user-{n:03}", "at": time.time() * 1_000}),
            }
            for n in range(count)
        ]
        answer = self._events.put_events(Entries=entries)
        assert answer["FailedEntryCount"] == 0
        return count

    def _collected(self, count: int, cpu_before_s: float) -> Measured:
        """Every message, taken out of the queue once all of them are there."""
        last = -1
        while (waiting := self._waiting()) < count and waiting != last:
            last = waiting
            time.sleep(2)
        cpu_s = _cpu_s(self._process.pid) - cpu_before_s
        delays_ms: list[float] = []
        arrivals_ms: list[float] = []
        while len(delays_ms) < count:
            answer = self._sqs.receive_message(
                QueueUrl=self._queue,
                MaxNumberOfMessages=10,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            messages = answer.get("Messages", [])
            if not messages:
                break
            for message in messages:
                arrived_ms = float(message["Attributes"]["SentTimestamp"])
                arrivals_ms.append(arrived_ms)
                delays_ms.append(arrived_ms - json.loads(message["Body"])["at"])
            self._sqs.delete_message_batch(
                QueueUrl=self._queue,
                Entries=[
                    {"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]}
                    for n, message in enumerate(messages)
                ],
            )
        took_s = (max(arrivals_ms) - min(arrivals_ms)) / 1_000
        per_login_ms = cpu_s * 1_000 / max(1, len(delays_ms))
        return Measured(count, delays_ms, len(delays_ms) / max(took_s, 0.001), per_login_ms)

    def _waiting(self) -> int:
        answer = self._sqs.get_queue_attributes(
            QueueUrl=self._queue, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def _client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
        config=Config(max_pool_connections=16),
    )


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process and all it started, ended or not; 0 where nobody can tell."""
    total = 0.0
    tick = os.sysconf("SC_CLK_TCK")
    with contextlib.suppress(OSError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
        total += sum(map(int, fields[11:15])) / tick
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        total += sum(_cpu_s(int(child)) for child in children)
    return total


@contextlib.contextmanager
def _localpop() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A running localpop: the AWS endpoint's URL, and the process."""
    with tempfile.TemporaryDirectory(prefix="localpop-logins-") as folder:
        Path(folder, "template.yaml").write_text(_TEMPLATE)
        Path(folder, "localpop.toml").write_text('template = "template.yaml"\n')
        ports = ["--viewer-port", "0", "--aws-port", "0", "--dashboard-port", "0"]
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("localpop")), "up", *ports],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        lines = process.stdout
        try:
            url = next(line.split()[-1] for line in lines if line.startswith("  AWS endpoint"))
            # Nobody else reads what it prints.
            threading.Thread(target=lines.read, daemon=True).start()
            yield url, process
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    main()
