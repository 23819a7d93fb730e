"""Schedules on a clock that is moved: EventBridge Scheduler and scheduled rules, through boto3."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.endpoint import Endpoint, client, send_raw
from tests.aws.events.test_api import received

ROLE = "arn:aws:iam::123456789012:role/scheduler"
OFF = {"Mode": "OFF"}


@pytest.fixture
def clients(account: Endpoint) -> Iterator[tuple[Any, Any, Any]]:
    """Scheduler's, EventBridge's and SQS's."""
    names = ("scheduler", "events", "sqs")
    with contextlib.ExitStack() as stack:
        made = [
            stack.enter_context(contextlib.closing(client(name, account.url))) for name in names
        ]
        yield made[0], made[1], made[2]


@pytest.fixture
def queue(clients: tuple[Any, Any, Any], name: str) -> tuple[str, str]:
    """A queue's URL and ARN."""
    url = clients[2].create_queue(QueueName=f"{name}-due")["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:123456789012:{name}-due"


def clock(account: Endpoint, body: Any = None) -> Any:
    """GET the schedules' clock, or move it."""
    method = "GET" if body is None else "POST"
    given = None if body is None else json.dumps(body).encode()
    return send_raw(account.port, method, "/_localpop/clock", body=given).json


def now(account: Endpoint) -> datetime:
    """The schedules' date."""
    return datetime.fromisoformat(clock(account)["now"])


def test_a_rate_fires_as_the_clock_is_moved(
    account: Endpoint, clients: tuple[Any, Any, Any], queue: tuple[str, str], name: str
) -> None:
    """At once when it is made, then each occurrence once, in order, with its own time."""
    scheduler, _, sqs = clients
    scheduler.create_schedule(
        Name=name,
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow=OFF,
        Target={
            "Arn": queue[1],
            "RoleArn": ROLE,
            "Input": json.dumps(
                {"at": "<aws.scheduler.scheduled-time>", "of": "<aws.scheduler.schedule-arn>"}
            ),
        },
    )
    before = now(account)
    moved = clock(account, {"forward_s": 3 * 3_600})
    fired = [one for one in moved["fired"] if one["schedule"].endswith(f"/{name}")]
    scheduler.delete_schedule(Name=name)
    bodies = [json.loads(one["Body"]) for one in received(sqs, queue[0])]
    times = [datetime.fromisoformat(one["at"]) for one in bodies]

    assert len(fired) == 3
    assert abs(times[0] - before) < timedelta(seconds=30)
    assert bodies[0]["of"] == f"arn:aws:scheduler:us-east-1:123456789012:schedule/default/{name}"
    assert times == sorted(times)
    assert [after - time for time, after in itertools.pairwise(times)] == [timedelta(hours=1)] * 3


def test_a_scheduled_rule_sends_awss_event(
    account: Endpoint, clients: tuple[Any, Any, Any], queue: tuple[str, str], name: str
) -> None:
    """`Scheduled Event` of `aws.events`, with the rule among its resources."""
    _, events, sqs = clients
    made = events.put_rule(Name=name, ScheduleExpression="cron(0 0 * * ? *)")
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": queue[1]}])
    clock(account, {"forward_s": 86_400})
    events.remove_targets(Rule=name, Ids=["q"])
    events.delete_rule(Name=name)
    (message,) = received(sqs, queue[0])
    event = json.loads(message["Body"])

    assert (event["source"], event["detail-type"]) == ("aws.events", "Scheduled Event")
    assert event["resources"] == [made["RuleArn"]]
    assert event["time"].endswith("T00:00:00Z")
    assert event["detail"] == {}


def test_once_in_a_time_zone_and_then_no_more(
    account: Endpoint, clients: tuple[Any, Any, Any], queue: tuple[str, str], name: str
) -> None:
    """at() fires once; ActionAfterCompletion DELETE takes it away."""
    scheduler, _, sqs = clients
    due = (now(account) + timedelta(hours=10)).astimezone().replace(microsecond=0)
    tokyo = due.astimezone(UTC) + timedelta(hours=9)
    scheduler.create_schedule(
        Name=name,
        ScheduleExpression=f"at({tokyo:%Y-%m-%dT%H:%M:%S})",
        ScheduleExpressionTimezone="Asia/Tokyo",
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        ActionAfterCompletion="DELETE",
        Target={"Arn": queue[1], "RoleArn": ROLE, "Input": "once"},
    )
    early = clock(account, {"forward_s": 9.9 * 3_600})
    late = clock(account, {"forward_s": 3_600})
    keys = [
        [one for one in moved["fired"] if one["schedule"].endswith(f"/{name}")]
        for moved in (early, late)
    ]
    with pytest.raises(ClientError) as caught:
        scheduler.get_schedule(Name=name)

    assert list(map(len, keys)) == [0, 1]
    assert [one["Body"] for one in received(sqs, queue[0])] == ["once"]
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_start_and_end_bound_a_schedule(
    account: Endpoint, clients: tuple[Any, Any, Any], queue: tuple[str, str], name: str
) -> None:
    """Nothing before StartDate, nothing after EndDate."""
    scheduler, _, _ = clients
    start = now(account) + timedelta(days=2)
    scheduler.create_schedule(
        Name=name,
        ScheduleExpression="rate(12 hours)",
        StartDate=start,
        EndDate=start + timedelta(days=1, minutes=1),
        FlexibleTimeWindow=OFF,
        Target={"Arn": queue[1], "RoleArn": ROLE},
    )
    found = scheduler.get_schedule(Name=name)
    moved = clock(account, {"forward_s": 5 * 86_400})
    times = [
        datetime.fromisoformat(one["time"])
        for one in moved["fired"]
        if one["schedule"].endswith(f"/{name}")
    ]
    scheduler.delete_schedule(Name=name)

    assert abs(found["StartDate"] - start) < timedelta(seconds=1)
    assert [round((time - start).total_seconds() / 3_600) for time in times] == [0, 12, 24]


def test_targets_of_every_kind(
    account: Endpoint, clients: tuple[Any, Any, Any], queue: tuple[str, str], name: str
) -> None:
    """An event bus, a universal target, and a dead letter for a target that is gone."""
    scheduler, events, sqs = clients
    events.create_event_bus(Name=name)
    events.put_rule(Name="r", EventBusName=name, EventPattern='{"source": ["cycle"]}')
    events.put_targets(Rule="r", EventBusName=name, Targets=[{"Id": "q", "Arn": queue[1]}])
    message = json.dumps({"QueueUrl": queue[0], "MessageBody": "universal"})
    targets: tuple[dict[str, Any], ...] = (
        {
            "Arn": f"arn:aws:events:us-east-1:123456789012:event-bus/{name}",
            "EventBridgeParameters": {"DetailType": "Cycle", "Source": "cycle"},
            "Input": '{"cycle": "daily"}',
        },
        {"Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage", "Input": message},
        {"Arn": f"{queue[1]}-gone", "DeadLetterConfig": {"Arn": queue[1]}, "Input": "letter"},
    )
    for number, target in enumerate(targets):
        scheduler.create_schedule(
            Name=f"{name}-{number}",
            ScheduleExpression="cron(0 0 * * ? *)",
            FlexibleTimeWindow=OFF,
            Target={"RoleArn": ROLE, **target},
        )
    clock(account, {"forward_s": 86_400})
    found: list[Any] = []
    while len(found) < 3:
        found += received(sqs, queue[0])
    for number in range(3):
        scheduler.delete_schedule(Name=f"{name}-{number}")
    bodies = [one["Body"] for one in found]
    letter = found[bodies.index("letter")]["MessageAttributes"]
    event = next(json.loads(body) for body in bodies if body.startswith("{"))

    assert "universal" in bodies
    assert (event["source"], event["detail"]) == ("cycle", {"cycle": "daily"})
    assert letter["SCHEDULE_ARN"]["StringValue"].endswith(f"/{name}-2")
    assert letter["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


def test_groups_and_lists(clients: tuple[Any, Any, Any], queue: tuple[str, str], name: str) -> None:
    """A group takes its schedules with it; lists filter; updates replace."""
    scheduler, _, _ = clients
    scheduler.create_schedule_group(Name=name)
    given = {
        "Name": "s",
        "GroupName": name,
        "FlexibleTimeWindow": OFF,
        "Target": {"Arn": queue[1], "RoleArn": ROLE},
    }
    scheduler.create_schedule(ScheduleExpression="rate(1 day)", Description="d", **given)
    scheduler.update_schedule(ScheduleExpression="rate(2 days)", State="DISABLED", **given)
    got = scheduler.get_schedule(Name="s", GroupName=name)
    listed = scheduler.list_schedules(GroupName=name, State="DISABLED")["Schedules"]
    groups = [one["Name"] for one in scheduler.list_schedule_groups()["ScheduleGroups"]]
    scheduler.delete_schedule_group(Name=name)
    with pytest.raises(ClientError):
        scheduler.get_schedule(Name="s", GroupName=name)

    assert (got["ScheduleExpression"], got["State"]) == ("rate(2 days)", "DISABLED")
    assert "Description" not in got
    assert [one["Name"] for one in listed] == ["s"]
    assert {"default", name} <= set(groups)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        pytest.param({"ScheduleExpression": "cron(0 * * * * *)"}, "ValidationException", id="cron"),
        pytest.param({"ScheduleExpressionTimezone": "Mars"}, "ValidationException", id="zone"),
        pytest.param({"Name": "a/b"}, "ValidationException", id="name"),
        pytest.param({"GroupName": "absent"}, "ResourceNotFoundException", id="group"),
        pytest.param(
            {"Target": {"Arn": "arn:aws:ecs:us-east-1:123456789012:cluster/c", "RoleArn": ROLE}},
            "NotEmulated",
            id="target",
        ),
    ],
)
def test_what_scheduler_refuses(
    clients: tuple[Any, Any, Any], changed: dict[str, Any], code: str
) -> None:
    """In AWS's codes; what nobody can call is said at once."""
    given = {
        "Name": "refused",
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": OFF,
        "Target": {"Arn": "arn:aws:sqs:us-east-1:123456789012:q", "RoleArn": ROLE},
        **changed,
    }
    with pytest.raises(ClientError) as caught:
        clients[0].create_schedule(**given)

    assert caught.value.response["Error"]["Code"] == code


def test_the_clock_moves_forward_only_and_not_too_far(
    account: Endpoint, clients: tuple[Any, Any, Any], queue: tuple[str, str], name: str
) -> None:
    """Nothing moves when it would fire ten thousand times."""
    scheduler, _, _ = clients
    scheduler.create_schedule(
        Name=name,
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow=OFF,
        Target={"Arn": queue[1], "RoleArn": ROLE},
    )
    before = clock(account)["ahead_s"]
    far = clock(account, {"forward_s": 30 * 86_400})
    back = clock(account, {"forward_s": -1})
    scheduler.delete_schedule(Name=name)

    assert "smaller steps" in far["message"]
    assert "forward only" in back["message"]
    assert clock(account)["ahead_s"] == before
