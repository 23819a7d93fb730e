"""What is generated, end to end: follow-ups, cycles, recommendations, a model that goes wrong."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.running import free_port, localpop, project
from tests.app.test_background import PATHS, Backend, keys_of, now_s, until

WISHES = """
ANSWER_BUS_NAME = "${AnswerEvents}"
FOLLOW_UP_PROBABILITY = "0.25"
"""


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A whole localpop whose origin wishes for follow-ups; each test has users of its own."""
    folder = project(tmp_path_factory.mktemp("generation"), origin_port=free_port())
    file = folder / "localpop.toml"
    text = file.read_text(encoding="utf-8").replace("DISABLED", "ENABLED")
    file.write_text(text + WISHES, encoding="utf-8")
    with localpop(folder, "--latency", "off") as running:
        running.control("PUT", "/_localpop/bedrock", {"time_scale": 0})
        backend = Backend(running)
        yield backend
        for client in backend.clients.values():
            client.close()


def plan(backend: Backend, fault: str, count: int) -> None:
    """The next calls of the model end like this."""
    body = {"service": "bedrock-runtime", "fault": fault, "count": count}
    backend.running.control("POST", "/_localpop/faults", body)


def dead_letter(backend: Backend, user: str) -> dict[str, str]:
    """The reason of the one dead letter of a user."""

    def find() -> dict[str, Any] | None:
        for letter in backend.letters("answer-events-dead"):
            if json.loads(letter["Body"]).get("user_id") == user:
                return letter
        return None

    letter = until(find, f"a dead letter of {user}")
    return {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}


def test_the_next_answer_is_there_for_its_session_alone(backend: Backend) -> None:
    """A page tells what the edge has answered; the likely next answer is made for its session."""
    mine = backend.session("user-010")
    said = urllib.request.Request(
        f"{backend.running.viewer_url}/asked/deployment-summary",
        b"",
        {"Cookie": mine},
        method="POST",
    )
    with urllib.request.urlopen(said, timeout=30) as noted:
        assert noted.status == 204
    key = "user-010_incident-timeline"
    stored = until(lambda: backend.stored().get(key), "the follow-up in the store")
    assert stored["expires"] - stored["generated"] == 300

    for path in PATHS:
        answer = backend.running.get(f"{path}/incident-timeline", Cookie=mine)
        assert answer.headers["x-answer-source"] == "edge", path
    while (other := backend.session("user-010")) == mine:
        continue
    for path in PATHS:
        answer = backend.running.get(f"{path}/incident-timeline", Cookie=other)
        assert answer.headers["x-answer-source"] == "origin", path


def test_recommendations_come_through_the_edge(backend: Backend) -> None:
    """Ranked for the session's user, never cached for somebody else."""
    seen = []
    for user in ("user-011", "user-016", "user-011"):
        answer = backend.running.get(
            "/recommendations?last=incident-timeline", Cookie=backend.session(user)
        )
        assert answer.headers["x-recommendation-order"] in {"reranked", "precomputed"}
        assert answer.headers["cache-control"] == "private, no-store"
        seen.append([item["id"] for item in json.loads(answer.body)["items"]])
    assert [len(ids) for ids in seen] == [5, 5, 5]
    assert seen[0] != seen[1]


def test_a_cycle_fires_when_its_time_has_come(backend: Backend) -> None:
    """A quarter of an hour later, the deployment summaries of every user are there."""
    backend.running.control("POST", "/_localpop/clock", {"forward_s": 901})

    wanted = {f"user-{number:03d}_deployment-summary" for number in range(1, 51)}
    until(lambda: wanted <= set(backend.stored()), "the summaries of 50 users in the store")


@pytest.mark.parametrize(
    ("fault", "user", "reason"),
    [
        pytest.param("empty", "user-021", "the model answered nothing", id="empty"),
        pytest.param("garbage", "user-022", "hardly any letters", id="garbage"),
        pytest.param("control-characters", "user-023", "control character U+0000", id="controls"),
        pytest.param("over-long", "user-024", "cut off after 300 tokens", id="over-long"),
    ],
)
def test_garbage_never_gets_to_the_edge(
    backend: Backend, fault: str, user: str, reason: str
) -> None:
    """A model that has gone wrong: a dead letter with the reason; when it is well, answers."""
    # Two draws for each of the three prompts.
    plan(backend, fault, 6)
    backend.login(user)

    attributes = dead_letter(backend, user)
    assert attributes["ERROR_CODE"] == "AnswersUnusable"
    assert reason in attributes["ERROR_MESSAGE"]
    before = keys_of(user) & set(backend.stored())
    assert before <= {f"{user}_deployment-summary"}, "at the most that of the cycle"
    backend.login(user)
    until(lambda: keys_of(user) <= set(backend.stored()), "three answers in the store")


@pytest.mark.parametrize("fault", ["throttle", "unavailable"])
def test_a_model_without_room_loses_nothing(backend: Backend, fault: str) -> None:
    """Dozens of refused calls: every answer of every login is there in the end, told of once."""
    users = [f"user-{number:03d}" for number in range(31, 36)]
    heard = backend.listen("AnswersStored")
    plan(backend, fault, 40)
    ids = set(backend.login(*users))
    told: list[tuple[str, str]] = []

    def all_told() -> bool:
        for letter in backend.letters(heard):
            for event in json.loads(letter["Body"])["detail"]["events"]:
                if event["event_id"] in ids:
                    told.extend((event["user_id"], action) for action in event["actions"])
        return len(told) >= 15

    until(all_told, "15 answers told of")
    assert len(told) == len(set(told)) == 15
    assert backend.letters("answer-events-dead") == []
    assert backend.running.control("GET", "/_localpop/faults")["faults"] == []


def test_live_only_tasks_are_refused_with_the_reason(backend: Backend) -> None:
    """Somebody wants a price ahead of time: a dead letter says why there will be none."""
    entry = {
        "Source": "localpop.answers",
        "DetailType": "AnswersWanted",
        "Detail": json.dumps({"user_id": "user-040", "actions": ["price-quote"], "reason": "x"}),
        "EventBusName": "localpop-answers",
        "Time": now_s(),
    }
    backend.client("events").put_events(Entries=[entry])

    attributes = dead_letter(backend, "user-040")
    assert attributes["ERROR_CODE"] == "BadEvent"
    assert "A price is a promise" in attributes["ERROR_MESSAGE"]
