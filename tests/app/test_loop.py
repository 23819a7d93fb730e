"""The loop end to end, through real servers and real boto3."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from emulator.clock.real import RealClock
from emulator.rules.key_value_store import store_arn
from origin.session import issue
from tests.app.running import Answer, Localpop, free_port, localpop, project

CLOCK = RealClock()
ARN = store_arn("localpop-answers")
PATHS = ("/answers", "/lambda-answers")
GENERATED = {"/answers": "FunctionGeneratedResponse", "/lambda-answers": "LambdaGeneratedResponse"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localpop]:
    """A whole emulator with the example origin and an instant model."""
    folder = tmp_path_factory.mktemp("project")
    with localpop(project(folder, origin_port=free_port()), "--latency", "off") as running:
        running.control("PUT", "/_localpop/bedrock", {"time_scale": 0})
        yield running


def store_client(running: Localpop) -> Any:
    """An unmodified boto3 client."""
    return boto3.client(
        "cloudfront-keyvaluestore",
        endpoint_url=running.aws_url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )


def put(running: Localpop, key: str, value: str) -> None:
    """Write one key."""
    client = store_client(running)
    etag = client.describe_key_value_store(KvsARN=ARN)["ETag"]
    client.put_key(KvsARN=ARN, Key=key, Value=value, IfMatch=etag)


def put_answer(running: Localpop, user: str, action: str, *, expires_in_s: int = 600) -> None:
    """Store an answer as the pre-computation does."""
    now_s = int(CLOCK.epoch_ms() / 1000)
    value = {"answer": f"ready for {user}", "generated": now_s, "expires": now_s + expires_in_s}
    put(running, f"{user}_{action}", json.dumps(value))


def session(running: Localpop, user: str, *, key: str = "", issued_ago_s: int = 0) -> str:
    """A session cookie, signed with the project's own key unless another is given."""
    secret = json.loads((running.folder / ".localpop" / "secrets.json").read_text())["SESSION_KEY"]
    now_s = int(CLOCK.epoch_ms() / 1000) - issued_ago_s
    return f"session={issue(user, key or secret, now_s=now_s, ttl_s=600)}"


def is_hit(answer: Answer, path: str) -> bool:
    """Whether the edge answered by itself."""
    return answer.status == 200 and answer.x_cache == GENERATED[path]


@pytest.mark.parametrize("path", PATHS)
def test_a_stored_answer_is_a_hit(served: Localpop, path: str) -> None:
    """Answered at the edge, with age and expiry in headers."""
    put_answer(served, "user-001", "morning-briefing")

    answer = served.get(f"{path}/morning-briefing", Cookie=session(served, "user-001"))

    assert is_hit(answer, path)
    assert json.loads(answer.body) == {
        "action": "morning-briefing",
        "answer": "ready for user-001",
    }
    assert answer.headers["x-answer-source"] == "edge"
    assert int(answer.headers["x-answer-age"]) < 60
    assert answer.headers["x-answer-expires"].endswith("GMT")
    assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("path", PATHS)
def test_anything_else_falls_back_to_the_model(served: Localpop, path: str) -> None:
    """A miss is answered by the origin, unchanged on its way."""
    answer = served.get(f"{path}/weekly-review", Cookie=session(served, "user-002"))

    assert (answer.status, answer.x_cache) == (200, "Miss")
    assert answer.headers["x-answer-source"] == "origin"
    assert json.loads(answer.body)["action"] == "weekly-review"


@pytest.mark.parametrize("path", PATHS)
def test_an_expired_answer_is_a_miss(served: Localpop, path: str) -> None:
    """Stale answers are never served from the edge."""
    put_answer(served, "user-003", "deployment-summary", expires_in_s=-1)

    answer = served.get(f"{path}/deployment-summary", Cookie=session(served, "user-003"))

    assert (answer.x_cache, answer.headers["x-answer-source"]) == ("Miss", "origin")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["none", "forged", "expired", "garbage"])
def test_a_wrong_session_is_a_401_from_the_origin(served: Localpop, path: str, kind: str) -> None:
    """The edge never answers a stranger; the origin says what is wrong."""
    put_answer(served, "user-004", "morning-briefing")
    headers = {
        "none": {},
        "forged": {"Cookie": session(served, "user-004", key="x" * 40)},
        "expired": {"Cookie": session(served, "user-004", issued_ago_s=700)},
        "garbage": {"Cookie": "session=not.a.token"},
    }[kind]

    answer = served.get(f"{path}/morning-briefing", **headers)

    assert answer.status == 401
    assert "error" in json.loads(answer.body)


@pytest.mark.parametrize("path", PATHS)
def test_the_user_never_comes_from_what_a_stranger_can_write(served: Localpop, path: str) -> None:
    """Query and headers change nothing."""
    put_answer(served, "user-005", "morning-briefing")

    answer = served.get(f"{path}/morning-briefing?user=user-005&sub=user-005", X_User="user-005")

    assert answer.status == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_streaming_viewer_gets_server_sent_events(served: Localpop, path: str) -> None:
    """From the store as one event, from the model piece by piece."""
    put_answer(served, "user-006", "morning-briefing")
    cookie = session(served, "user-006")

    hit = served.get(f"{path}/morning-briefing", Cookie=cookie, Accept="text/event-stream")
    miss = served.get(f"{path}/weekly-review", Cookie=cookie, Accept="text/event-stream")

    assert is_hit(hit, path)
    for answer in (hit, miss):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.body.rstrip().endswith(b"}")
        assert b"event: done" in answer.body
    assert hit.body.count(b"data: ") == 2
    assert miss.body.count(b"data: ") > 3


def test_a_write_is_seen_by_the_next_request(served: Localpop) -> None:
    """boto3 in, edge out; a delete makes it a miss again."""
    cookie = session(served, "user-007")
    before = served.get("/answers/ticket-digest", Cookie=cookie)
    put_answer(served, "user-007", "ticket-digest")
    during = served.get("/answers/ticket-digest", Cookie=cookie)
    client = store_client(served)
    etag = client.describe_key_value_store(KvsARN=ARN)["ETag"]
    client.delete_key(KvsARN=ARN, Key="user-007_ticket-digest", IfMatch=etag)
    after = served.get("/answers/ticket-digest", Cookie=cookie)

    assert [one.x_cache for one in (before, during, after)] == [
        "Miss",
        "FunctionGeneratedResponse",
        "Miss",
    ]


def test_a_throttled_model_is_a_503_and_nothing_worse(served: Localpop) -> None:
    """The fallback says so; the next request is served."""
    fault = {"service": "bedrock-runtime", "fault": "throttle", "count": 1}
    served.control("POST", "/_localpop/faults", fault)
    cookie = session(served, "user-008")

    throttled = served.get("/answers/weekly-review", Cookie=cookie)
    after = served.get("/answers/weekly-review", Cookie=cookie)

    assert (throttled.status, after.status) == (503, 200)


def test_the_trace_tells_every_stage(served: Localpop) -> None:
    """X-Localpop-Trace leads to the dashboard's page and its .json twin."""
    put_answer(served, "user-009", "morning-briefing")
    answer = served.get("/answers/morning-briefing", Cookie=session(served, "user-009"))
    trace_id = answer.headers["x-localpop-trace"].partition(";")[0]

    seen = Localpop(served.process, served.folder, viewer_url=served.dashboard_url)
    page = seen.get(f"/traces/{trace_id}")
    twin = json.loads(seen.get(f"/traces/{trace_id}.json").body)

    assert page.status == 200
    assert [stage["name"] for stage in twin["stages"]][-1].startswith("CloudFront Function")
    assert {stage["component"] for stage in twin["stages"]} >= {"viewer", "function"}
    parts = dict(
        part.split(":")
        for part in answer.headers["x-localpop-trace"].partition("parts=")[2].split(",")
    )
    assert {"viewer", "function", "store"} <= set(parts)
    assert sum(map(float, parts.values())) == pytest.approx(twin["simulated_ms"], abs=0.05)
    assert twin["request_id"] == answer.headers["x-amz-cf-id"]
    assert seen.get("/traces/nothing.json").status == 404
    assert b"morning-briefing" in seen.get("/").body
