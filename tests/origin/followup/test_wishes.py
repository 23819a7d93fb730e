"""Follow-ups of the running backend: one wish for each likely next answer, on a real bus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from origin.app import create_app
from origin.dataset import DataSet
from origin.followup.wishes import FollowUpError, FollowUps, open_follow_ups
from origin.model import Model
from origin.session import Session, issue
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint
from tests.origin.aws_stand_in import StandIn, eventually, serve
from tests.origin.conftest import SESSION_KEY, BorrowedModel, set_environment

NOW_S = 1_763_719_200
SESSION = Session("user-036", NOW_S, NOW_S + 3600)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The endpoint with buses and queues."""
    path = tmp_path_factory.mktemp("endpoint") / "stores.sqlite"
    with running_endpoint(path, Options(control=True)) as endpoint:
        yield endpoint


@pytest.fixture
def queue(endpoint: Endpoint) -> Iterator[tuple[Any, str]]:
    """A queue with every event of the bus `wishes`."""
    events, sqs = client("events", endpoint.url), client("sqs", endpoint.url)
    url = sqs.create_queue(QueueName="wishes")["QueueUrl"]
    events.create_event_bus(Name="wishes")
    pattern = '{"source":["localpop.answers"],"detail-type":["AnswersWanted"]}'
    events.put_rule(Name="all", EventBusName="wishes", EventPattern=pattern)
    target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:wishes"}
    events.put_targets(Rule="all", EventBusName="wishes", Targets=[target])
    yield sqs, url
    events.remove_targets(Rule="all", EventBusName="wishes", Ids=["1"])
    events.delete_rule(Name="all", EventBusName="wishes")
    events.delete_event_bus(Name="wishes")
    sqs.delete_queue(QueueUrl=url)
    events.close()
    sqs.close()


@pytest.fixture
def follow_ups(endpoint: Endpoint) -> Iterator[FollowUps]:
    """Follow-ups from a probability of 0.25 on, at one moment."""
    with pytest.MonkeyPatch.context() as environment:
        set_environment(environment, endpoint.url)
        made = open_follow_ups({"ANSWER_BUS_NAME": "wishes", "FOLLOW_UP_PROBABILITY": "0.25"})
    assert made is not None
    made.now_s = lambda: NOW_S
    yield made
    made.close()


def receive(queue: tuple[Any, str]) -> dict[str, Any]:
    """The next event's detail."""
    sqs, url = queue
    while True:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10).get("Messages", ()):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            detail: dict[str, Any] = json.loads(message["Body"])["detail"]
            return detail


def test_what_is_likely_is_wanted_once(follow_ups: FollowUps, queue: tuple[Any, str]) -> None:
    """A wish names user, actions and session; the same one comes again only after five minutes."""
    assert follow_ups.asked(SESSION, "deployment-summary") == ("incident-timeline",)
    assert receive(queue) == {
        "user_id": "user-036",
        "actions": ["incident-timeline"],
        "reason": f"follow-up/{NOW_S}",
    }
    # Also likely after the briefing, but this session has it already.
    assert follow_ups.asked(SESSION, "morning-briefing") == ()
    other = replace(SESSION, issued_at_s=NOW_S + 1)
    assert follow_ups.asked(other, "morning-briefing") == ("incident-timeline",)
    follow_ups.now_s = lambda: NOW_S + 300
    assert follow_ups.asked(SESSION, "morning-briefing") == ("incident-timeline",)
    # What is made at login is there already; what is unlikely is not made.
    assert follow_ups.asked(SESSION, "weekly-review") == ()
    assert follow_ups.asked(SESSION, "nonsense") == ()


def test_a_bus_that_is_gone_harms_nobody(follow_ups: FollowUps) -> None:
    """The wish is dropped and counted; whoever asked has noticed nothing."""
    url = "http://127.0.0.1:1"
    follow_ups.bus = replace(follow_ups.bus, client=client("events", url))

    follow_ups.asked(SESSION, "deployment-summary")

    eventually(lambda: follow_ups.dropped == 1)
    assert follow_ups.sent == 0


def test_the_backend_wishes_for_what_is_asked_next(
    endpoint: Endpoint,
    data: DataSet,
    model: Model,
    stand_in: StandIn,
    follow_ups: FollowUps,
    queue: tuple[Any, str],
) -> None:
    """Both ways: an answer that the backend gave, and one that a page says the edge gave."""
    app = create_app(
        model=BorrowedModel(model),
        data=data,
        session_key=SESSION_KEY,
        now_s=lambda: NOW_S,
        follow_ups=follow_ups,
    )
    cookie = {"cookie": "session=" + issue("user-036", SESSION_KEY, now_s=NOW_S, ttl_s=60)}
    with serve(app) as authority, httpx2.Client(base_url=f"http://{authority}") as viewer:
        assert viewer.post("/asked/deployment-summary").status_code == 401
        assert viewer.post("/asked/nonsense", headers=cookie).status_code == 404
        assert viewer.get("/asked/ticket-digest", headers=cookie).status_code == 405
        assert viewer.get("/answers/ticket-digest", headers=cookie).status_code == 200
        assert receive(queue)["actions"] == ["weekly-review"]
        noted = viewer.post("/asked/deployment-summary", headers=cookie)
        assert (noted.status_code, noted.content) == (204, b"")
        assert receive(queue)["actions"] == ["incident-timeline"]


@pytest.mark.parametrize("text", ["0", "1.5", "often", "nan", "-1"])
def test_a_probability_that_is_none_is_refused(text: str) -> None:
    """The backend does not start with a setting that means nothing."""
    with pytest.raises(FollowUpError, match="FOLLOW_UP_PROBABILITY"):
        open_follow_ups({"ANSWER_BUS_NAME": "x", "FOLLOW_UP_PROBABILITY": text})


@pytest.mark.parametrize(
    "environment", [{}, {"ANSWER_BUS_NAME": "x"}, {"FOLLOW_UP_PROBABILITY": "0.25"}]
)
def test_without_bus_or_probability_there_are_none(environment: dict[str, str]) -> None:
    """Follow-ups are for who asks for them."""
    assert open_follow_ups(environment) is None
