"""The origin over real HTTP: who may ask, what comes back, what happens when the model fails."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import httpx2
import pytest

from origin.app import create_app
from origin.dataset import DataSet
from origin.model import open_model
from origin.session import issue
from tests.origin.aws_stand_in import ANSWER, StandIn, eventually, pieces_of, serve
from tests.origin.conftest import SESSION_KEY, Switchboard, set_environment

NOW_S = 1_763_719_200
MAX_ANSWERS = 8
TOKEN = issue("user-036", SESSION_KEY, now_s=NOW_S, ttl_s=60)
SSE = {"accept": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class Origin:
    """A running origin, and a client with a session."""

    url: str
    client: httpx2.Client

    def answering(self) -> int:
        """How many answers are under way."""
        return int(self.client.get("/health").json()["answering"])


@pytest.fixture(scope="module")
def url(switchboard: Switchboard, data: DataSet) -> Iterator[str]:
    """The origin on a free port, with the stand-in as its model, at one moment in time."""
    with pytest.MonkeyPatch.context() as environment:
        set_environment(environment, switchboard.url)
        model = open_model(os.environ, max_connections=MAX_ANSWERS)
    app = create_app(
        model=model,
        data=data,
        session_key=SESSION_KEY,
        now_s=lambda: NOW_S,
        max_answers=MAX_ANSWERS,
    )
    with serve(app) as authority:
        yield f"http://{authority}"


@pytest.fixture
def origin(stand_in: StandIn, url: str) -> Iterator[Origin]:
    """The origin with nothing under way, before the test and after it."""
    with httpx2.Client(base_url=url, cookies={"session": TOKEN}, timeout=30) as client:
        origin = Origin(url, client)
        yield origin
        eventually(lambda: origin.answering() == 0)


def read_events(body: str) -> list[tuple[str, dict[str, str]]]:
    """Name and data of each server-sent event; the name of a nameless one is `message`."""
    events = []
    for block in body.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        events.append((fields.get("event", "message"), json.loads(fields["data"])))
    return events


@pytest.mark.parametrize("path", ["/answers", "/lambda-answers"])
@pytest.mark.parametrize("action", ["morning-briefing", "weekly-review"])
def test_an_answer_as_json(origin: Origin, stand_in: StandIn, path: str, action: str) -> None:
    """Both routes answer every action, about the session's user, in the shape all parts share."""
    response = origin.client.get(f"{path}/{action}")

    assert response.status_code == 200
    assert response.content == f'{{"action":"{action}","answer":"{ANSWER}"}}'.encode()
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["x-answer-source"] == "origin"
    assert "Aiko Tanaka" in stand_in.prompts[0]["messages"][0]["content"]
    assert stand_in.prompts[0]["max_tokens"] == 300


@pytest.mark.parametrize("path", ["/answers", "/lambda-answers"])
def test_an_answer_as_events(origin: Origin, path: str) -> None:
    """A viewer that accepts an event stream gets one event for each of the model's pieces."""
    response = origin.client.get(
        f"{path}/ticket-digest", headers={"accept": "*/*, TEXT/event-stream"}
    )

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers["x-answer-source"] == "origin"
    assert "content-length" not in response.headers
    assert read_events(response.text) == [
        *(("message", {"text": piece}) for piece in pieces_of(ANSWER)),
        ("done", {"action": "ticket-digest"}),
    ]
    assert response.text.startswith('data: {"text":"Two"}\n\n')


def test_text_beyond_ascii(origin: Origin, stand_in: StandIn) -> None:
    """Line breaks and letters of any kind arrive as they are, in both forms."""
    stand_in.answer = lambda prompt: "é 😀\n\ndata: x \u2028 end"

    whole = origin.client.get("/answers/weekly-review").json()["answer"]
    events = read_events(origin.client.get("/answers/weekly-review", headers=SSE).text)
    assert whole == "é 😀\n\ndata: x \u2028 end"
    assert "".join(data["text"] for name, data in events if name == "message") == whole


def test_pieces_are_passed_on_at_once(origin: Origin, stand_in: StandIn) -> None:
    """A piece reaches the viewer before the model has written the next one."""
    stand_in.hold_before = 4
    with origin.client.stream("GET", "/answers/weekly-review", headers=SSE) as response:
        lines = (line for line in response.iter_lines() if line)
        first = [next(lines) for _ in range(2)]
        stand_in.hold_before = None
        rest = list(lines)

    assert first == ['data: {"text":"Two"}', 'data: {"text":" alerts"}']
    assert rest[-2:] == ["event: done", 'data: {"action":"weekly-review"}']


@pytest.mark.parametrize("hold_before", [0, 4], ids=["before the first piece", "in the middle"])
def test_a_viewer_that_leaves_stops_the_model(
    origin: Origin, stand_in: StandIn, hold_before: int
) -> None:
    """When the viewer leaves, the stream from the model is closed, and its thread is free."""
    stand_in.hold_before = hold_before
    with connect(origin) as viewer:
        viewer.sendall(
            b"GET /answers/weekly-review HTTP/1.1\r\nHost: origin\r\n"
            b"Accept: text/event-stream\r\nCookie: session=" + TOKEN.encode() + b"\r\n\r\n"
        )
        eventually(lambda: len(stand_in.prompts) == 1)
        if hold_before:
            assert viewer.recv(1) == b"H"

    # A piece is what the thread wakes up for. On a busy machine it may read one before the origin
    # has heard that the viewer left, so there is another every while, as from a real model.
    stand_in.hold_before, stand_in.piece_gap_s = None, 0.3
    eventually(lambda: stand_in.streams_abandoned == 1)
    eventually(lambda: origin.answering() == 0)


def connect(origin: Origin) -> socket.socket:
    """A bare connection to the origin."""
    _, _, authority = origin.url.rpartition("/")
    host, _, port = authority.partition(":")
    return socket.create_connection((host, int(port)), timeout=30)


def test_a_slow_answer_holds_up_nobody(origin: Origin, stand_in: StandIn) -> None:
    """While every thread but one waits for its first piece, the last one still answers."""
    stand_in.hold_before = 1
    with ThreadPoolExecutor(MAX_ANSWERS) as viewers:
        slow = [
            viewers.submit(origin.client.get, "/answers/weekly-review", headers=SSE)
            for _ in range(MAX_ANSWERS - 1)
        ]
        eventually(lambda: len(stand_in.prompts) == MAX_ANSWERS - 1)

        fast = origin.client.get("/answers/ticket-digest")
        still_waiting = not any(answer.done() for answer in slow)
        stand_in.hold_before = None

        assert (fast.status_code, still_waiting) == (200, True)
        assert {answer.result().status_code for answer in slow} == {200}


def test_one_too_many_is_told_to_come_back(origin: Origin, stand_in: StandIn) -> None:
    """Streams up to the limit run side by side; one more gets 503 at once, and later an answer."""
    stand_in.hold_before = 3
    with ExitStack() as streams:
        lines = [
            streams.enter_context(
                origin.client.stream("GET", "/answers/weekly-review", headers=SSE)
            ).iter_lines()
            for _ in range(MAX_ANSWERS)
        ]
        assert {next(one) for one in lines} == {'data: {"text":"Two"}'}
        assert origin.answering() == MAX_ANSWERS

        refused = origin.client.get("/answers/weekly-review", headers=SSE)
        stand_in.hold_before = None

        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "at its limit" in refused.json()["error"]
        assert {list(one)[-2] for one in lines} == {'data: {"action":"weekly-review"}'}
    eventually(lambda: origin.answering() == 0)
    assert stand_in.at_once == MAX_ANSWERS
    assert origin.client.get("/answers/weekly-review").status_code == 200


@pytest.mark.parametrize(
    ("cookie", "problem"),
    [
        pytest.param(None, "missing", id="no session"),
        pytest.param("nonsense", "malformed", id="nonsense"),
        pytest.param(
            issue("user-036", "x" * 32, now_s=NOW_S, ttl_s=60), "forged", id="another site's key"
        ),
        pytest.param(
            issue("user-036", SESSION_KEY, now_s=NOW_S - 60, ttl_s=60), "expired", id="expired"
        ),
    ],
)
def test_no_answer_without_a_session(
    origin: Origin, stand_in: StandIn, cookie: str | None, problem: str
) -> None:
    """A wrong session gets 401 with the reason, no word of the key, and no call of the model."""
    headers = {"cookie": f"session={cookie}"} if cookie else {}

    response = httpx2.get(f"{origin.url}/answers/ticket-digest", headers=headers)

    assert response.status_code == 401
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith(f'Session realm="answers", error="{problem}"')
    assert response.json()["error"] in challenge
    assert SESSION_KEY not in response.text + challenge
    assert response.headers["cache-control"] == "private, no-store"
    assert stand_in.prompts == []


def test_the_user_is_never_taken_from_elsewhere(origin: Origin, stand_in: StandIn) -> None:
    """A header or a query that names another user changes nothing."""
    origin.client.get("/answers/ticket-digest?user=user-001", headers={"x-user-id": "user-001"})

    assert "Aiko Tanaka" in stand_in.prompts[0]["messages"][0]["content"]


def test_an_unknown_action(origin: Origin) -> None:
    """404 names the actions there are."""
    response = origin.client.get("/answers/horoscope")

    assert response.status_code == 404
    assert response.json()["error"].startswith("unknown action 'horoscope' (known: morning-brief")
    assert response.json()["known"][0] == "morning-briefing"


def test_a_user_without_data(origin: Origin) -> None:
    """A right session of a user nobody knows is 404, not a guess of the model."""
    stranger = issue("user-051", SESSION_KEY, now_s=NOW_S, ttl_s=60)

    response = httpx2.get(
        f"{origin.url}/answers/ticket-digest", headers={"cookie": f"session={stranger}"}
    )

    assert response.status_code == 404
    assert response.json() == {"error": "there is no data about user-051"}


@pytest.mark.parametrize("headers", [{}, SSE], ids=["json", "events"])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        ((429, "ThrottlingException"), 503),
        ((503, "ServiceUnavailableException"), 503),
        ((500, "InternalServerException"), 502),
        ((403, "AccessDeniedException"), 502),
    ],
)
def test_a_model_that_fails_at_once(
    origin: Origin,
    stand_in: StandIn,
    headers: dict[str, str],
    error: tuple[int, str],
    status: int,
) -> None:
    """Before the first piece, an error has a status and JSON; only a busy model says when."""
    stand_in.model_error = error

    response = origin.client.get("/answers/weekly-review", headers=headers)

    assert response.status_code == status
    assert response.headers.get("retry-after") == ("1" if status == 503 else None)
    assert error[1] in response.json()["error"]
    assert "123456789012" not in response.text
    assert len(stand_in.prompts) == 1


@pytest.mark.parametrize("how", ["exception", "end"])
def test_a_model_that_fails_in_the_middle(origin: Origin, stand_in: StandIn, how: str) -> None:
    """After the first piece, an event says that the answer is not whole, and the stream ends."""
    stand_in.break_after, stand_in.break_how = 2, how

    response = origin.client.get("/answers/weekly-review", headers=SSE)

    *pieces, (name, data) = read_events(response.text)
    assert [event for _, event in pieces] == [{"text": "Two"}, {"text": " alerts"}]
    assert name == "error"
    assert data["error"].startswith(("the model cannot be reached", "the model's answer ended"))


def test_a_model_that_breaks_before_the_first_piece(origin: Origin, stand_in: StandIn) -> None:
    """A stream that opens well and then holds no piece is a 502, not an empty answer."""
    stand_in.break_after = 0

    response = origin.client.get("/answers/weekly-review", headers=SSE)

    assert response.status_code == 502
    assert "ModelStreamErrorException" in response.json()["error"]


@pytest.mark.parametrize("headers", [{}, SSE], ids=["json", "events"])
def test_head_asks_no_model(origin: Origin, stand_in: StandIn, headers: dict[str, str]) -> None:
    """HEAD has the headers of GET, and costs nothing."""
    head = origin.client.head("/answers/weekly-review", headers=headers)
    assert stand_in.prompts == []
    get = origin.client.get("/answers/weekly-review", headers=headers)

    unlike = {"date", "content-length", "transfer-encoding", "server-timing"}
    assert head.status_code == 200
    assert {name: head.headers[name] for name in set(head.headers) - unlike} == {
        name: get.headers[name] for name in set(get.headers) - unlike
    }


def test_the_index_tells_what_this_is(origin: Origin) -> None:
    """`/` is a page that names every route."""
    response = origin.client.get("/")

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for words in ("/answers/morning-briefing", "/answers/incident-timeline", "/lambda-answers/"):
        assert words in response.text


def test_health(origin: Origin) -> None:
    """`/health` says ok, the model, and how many answers are under way."""
    assert origin.client.get("/health").json() == {
        "status": "ok",
        "model": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "answering": 0,
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/answers/weekly-review", 405), ("GET", "/answers/", 404)],
)
def test_other_errors_are_json_too(origin: Origin, method: str, path: str, status: int) -> None:
    """Whatever is not there says so in the same shape."""
    response = origin.client.request(method, path)

    assert response.status_code == status
    assert set(response.json()) == {"error"}
