"""`localpop events`, `dead-letters` and `clock`, against a whole emulator."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from emulator.cli.common import get_json
from emulator.cli.events import parse_entries, parse_forward
from emulator.cli.main import run
from emulator.cli.project import show_project, validate_project
from emulator.errors import ConfigError
from emulator.project.local import read_local
from tests.app.running import Localpop, localpop

TEMPLATE = """
Resources:
  Bus: {Type: AWS::Events::EventBus, Properties: {Name: answers}}
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: dead}}
  Good: {Type: AWS::SQS::Queue, Properties: {QueueName: good}}
  LoggedIn:
    Type: AWS::Events::Rule
    Properties:
      Name: logged-in
      EventBusName: !Ref Bus
      EventPattern: {detail-type: [UserLoggedIn]}
      Targets:
        - Id: fifo
          Arn: arn:aws:sqs:us-east-1:123456789012:later
          DeadLetterConfig: {Arn: !GetAtt Dead.Arn}
          InputPath: $.detail.user_id
  Daily:
    Type: AWS::Scheduler::Schedule
    Properties:
      Name: daily
      ScheduleExpression: cron(0 3 * * ? *)
      FlexibleTimeWindow: {Mode: "OFF"}
      Target: {Arn: !GetAtt Good.Arn, RoleArn: role, Input: warm}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localpop]:
    """A project whose rule has a target that nobody has made yet."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "localpop.toml").write_text('template = "template.yaml"\n')
    with localpop(folder, "--https-port", "0") as running:
        yield running


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


def command(served: Localpop, *words: str) -> Outcome:
    """Run one of the commands; in this process, because a new one takes a second to begin."""
    out, err = io.StringIO(), io.StringIO()
    port = served.aws_url.rpartition(":")[2]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([*words, "--aws-port", port])
    return Outcome(code, out.getvalue(), err.getvalue())


def saved(served: Localpop, text: str) -> str:
    """A file of events."""
    path = served.folder / "events.json"
    path.write_text(text)
    return str(path)


def letters(served: Localpop, count: int) -> list[Any]:
    """The dead letters, once there are so many."""
    end_s = time.monotonic() + 15
    while True:
        found: list[Any] = served.control("GET", "/_localpop/dead-letters")["dead_letters"]
        if len(found) == count:
            return found
        assert time.monotonic() < end_s, found


def sqs(served: Localpop, operation: str, given: Any) -> Any:
    """An operation of SQS, by the CLI's own way."""
    url = served.aws_url.replace("local@", "")
    headers = {"X-Amz-Target": f"AmazonSQS.{operation}"}
    return get_json(url, method="POST", body=given, headers=headers)


def test_from_event_to_dead_letter_and_back(served: Localpop) -> None:
    """Put, refused by its target, listed with the reason, replayed once the target is there."""
    event = {"Source": "s", "DetailType": "UserLoggedIn", "Detail": {"user_id": "user-001"}}
    put = command(served, "events", "put", saved(served, json.dumps(event)), "--bus", "answers")
    (letter,) = letters(served, 1)
    shown = command(served, "dead-letters")
    early = command(served, "dead-letters", "replay", "dead")
    letters(served, 1)
    sqs(served, "CreateQueue", {"QueueName": "later"})
    late = command(served, "dead-letters", "replay", "dead")
    got = sqs(served, "ReceiveMessage", {"QueueUrl": "later", "WaitTimeSeconds": 5})

    assert put.returncode == 0
    assert json.loads(letter["body"])["id"] == put.stdout.strip()
    assert "NO_RESOURCE: The specified queue does not exist." in shown.stdout
    assert "rule/answers/logged-in" in shown.stdout
    assert early.stdout == "1 sent back, 0 left\n"
    assert late.stdout == "1 sent back, 0 left\n"
    assert [one["Body"] for one in got["Messages"]] == ['"user-001"']
    assert command(served, "dead-letters").stdout == "no dead letters\n"


def test_what_is_sent_back_is_no_dead_letter_any_more(served: Localpop) -> None:
    """While it waits in its queue it is not listed, nor sent back once more."""
    sqs(served, "CreateQueue", {"QueueName": "source"})
    texts = {
        "TARGET_ARN": "arn:aws:sqs:us-east-1:123456789012:source",
        "ERROR_CODE": "Poison",
        "ERROR_MESSAGE": '{"Error": "Poison", "Cause": "{\\"errorMessage\\": \\"no user\\"}"}',
        "own": "kept",
    }
    attributes = {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}
    letter = {"QueueUrl": "dead", "MessageBody": "poison", "MessageAttributes": attributes}
    sqs(served, "SendMessage", letter)
    shown = command(served, "dead-letters", "dead")
    sent = command(served, "dead-letters", "replay")
    after = command(served, "dead-letters")
    asked = {"QueueUrl": "source", "MessageAttributeNames": ["All"]}
    (got,) = sqs(served, "ReceiveMessage", asked)["Messages"]

    assert "  Poison: no user\n" in shown.stdout
    assert sent.stdout == "1 sent back, 0 left\n"
    assert after.stdout == "no dead letters\n"
    assert (got["Body"], list(got["MessageAttributes"])) == ("poison", ["own"])


def test_rules_are_listed(served: Localpop) -> None:
    """Bus, pattern, target; the same as JSON."""
    shown = command(served, "events", "rules")
    told = json.loads(command(served, "events", "rules", "--json").stdout)

    assert "answers\n  logged-in\n" in shown.stdout
    assert '{"detail-type":["UserLoggedIn"]}' in shown.stdout
    assert "to     arn:aws:sqs:us-east-1:123456789012:later" in shown.stdout
    assert [one["name"] for one in told["buses"]] == ["default", "answers"]


def test_the_clock_is_moved(served: Localpop) -> None:
    """A day further, the daily schedule has fired; its message is there."""
    moved = command(served, "clock", "+1d")
    shown = command(served, "clock")
    got = sqs(served, "ReceiveMessage", {"QueueUrl": "good", "WaitTimeSeconds": 5})

    assert "1 fired" in moved.stdout
    assert "(24 h ahead of this machine)" in shown.stdout
    assert "schedule/default/daily" in shown.stdout
    assert [one["Body"] for one in got["Messages"]] == ["warm"]


def test_what_is_wrong_is_said(served: Localpop) -> None:
    """A refused event is exit code 1; bad input is exit code 2, with the place."""
    two = [{"Source": "s", "DetailType": "d", "Detail": {}}, {"Source": "aws.x"}]
    refused = command(served, "events", "put", saved(served, json.dumps(two)))
    broken = command(served, "events", "put", saved(served, "{}\nnot JSON"))
    absent = command(served, "events", "put", "absent.json")
    back = command(served, "clock", "yesterday")
    queue = command(served, "dead-letters", "replay", "absent")
    unknown = command(served, "dead-letters", "absent")
    event = json.dumps({"Source": "s", "DetailType": "d", "Detail": {}})
    bus = command(served, "events", "put", saved(served, event), "--bus", "absent")

    assert (refused.returncode, "event 2: InvalidArgument" in refused.stdout) == (1, True)
    assert (broken.returncode, "Line 2 is not JSON" in broken.stderr) == (2, True)
    assert (absent.returncode, "absent.json cannot be read" in absent.stderr) == (2, True)
    assert (back.returncode, "no way forward" in back.stderr) == (2, True)
    assert (queue.returncode, "There is no queue absent.\n" in queue.stderr) == (2, True)
    assert (unknown.returncode, "There are: dead" in unknown.stderr) == (2, True)
    assert (bus.returncode, "There are: default, answers" in bus.stderr) == (2, True)


def test_show_and_validate_mention_them(served: Localpop) -> None:
    """Rules, schedules and queues of the template."""
    settings = read_local(served.folder)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        validate_project(settings)
        show_project(settings, as_json=False)

    assert "2 SQS Queue(s), 1 Events EventBus(s), 1 Events Rule(s)" in out.getvalue()
    assert "cron(0 3 * * ? *) -> good" in out.getvalue()


@pytest.mark.parametrize(
    "text",
    ['{"Source": "s"}', '[{"Source": "s"}]', '{"Entries": [{"Source": "s"}]}', '\n{"Source":"s"}'],
)
def test_files_of_events(text: str) -> None:
    """One event, a list, PutEvents' own input, one a line."""
    assert parse_entries(text, "f", "b") == [{"Source": "s", "EventBusName": "b"}]


@pytest.mark.parametrize("text", ["[]", "1", "[1]", ""])
def test_files_without_events_are_refused(text: str) -> None:
    """By name."""
    with pytest.raises(ConfigError, match="f"):
        parse_entries(text, "f")


@pytest.mark.parametrize(
    ("text", "seconds"), [("+6h", 21_600), ("15m", 900), ("+1.5d", 129_600), ("+30s", 30)]
)
def test_ways_forward(text: str, seconds: float) -> None:
    """Seconds, minutes, hours and days."""
    assert parse_forward(text) == seconds
