"""The deployable function `answer_lookup`, in the real engine: hits, and everything else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import orjson
import pytest

from emulator import quotas
from emulator.clock.virtual import VirtualClock
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_2, check
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions, LoadedFunction
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent, FunctionRun
from emulator.values.headers import Headers
from emulator.values.key_values import StoreSnapshot
from emulator.values.messages import Request, Response
from emulator.values.origin_changes import CreatedOriginGroup

pytestmark = pytest.mark.anyio

CODE = Path(__file__).parents[2] / "edge_functions" / "answer_lookup" / "index.js"
NOW_S = 1_800_000_000
KEY = "a session key of at least thirty-two bytes"
ARN = "arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-0123456789ab"
ANSWER = {"answer": "Gräte: 3 alerts", "generated": NOW_S - 42, "expires": NOW_S + 600}
HEADER = {"alg": "HS256", "typ": "JWT"}
CLAIMS = {"sub": "user-001", "iat": NOW_S - 10, "exp": NOW_S + 3600}


def part(value: object) -> str:
    """One segment of a token."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims: Any = CLAIMS, header: Any = HEADER, key: str = KEY, name: str = "sha256") -> str:
    """A session, signed as told."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(key.encode(), signed.encode(), name))}"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all tests here, because the engine lives on it."""
    return "asyncio"


@pytest.fixture(scope="module")
async def function(anyio_backend: str) -> AsyncIterator[LoadedFunction]:
    """The function as deployed, at a fixed time."""
    engine = CloudFrontFunctions(VirtualClock(epoch_ms=NOW_S * 1000 + 500), changes_origins=True)
    yield engine.load("answer_lookup", CODE.read_text("utf-8"), RUNTIME_2)
    await engine.close()


VERSION = iter(range(1, 10_000))


@dataclass
class Ask:
    """One request of a viewer, and the store it meets."""

    session: str | None = token()
    uri: str = "/answers/morning-briefing"
    method: str = "GET"
    accept: str = "*/*"
    headers: tuple[tuple[str, str], ...] = ()
    querystring: str = ""
    key: str | None = KEY
    answer: Any = None
    stored_as: str = "user-001_morning-briefing"
    has_store: bool = True
    version: str | None = None

    def event(self) -> FunctionEvent:
        """The event that the function gets."""
        lines = [("Host", "d1.cloudfront.net"), ("Accept", self.accept), *self.headers]
        if self.session is not None:
            lines.append(("Cookie", f"theme=dark; session={self.session}"))
        request = Request(self.method, self.uri, self.querystring, Headers(lines))
        place = EdgeLocation("NRT", "192.0.2.1", "ap-northeast-1")
        return FunctionEvent(
            EventType.VIEWER_REQUEST, "E1", "d1.cloudfront.net", "id==", place, request
        )

    def snapshot(self) -> StoreSnapshot | None:
        """The store's version."""
        if not self.has_store:
            return None
        answer = ANSWER if self.answer is None else self.answer
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        items = {self.stored_as: text}
        if self.key is not None:
            items["config/session-key"] = self.key
        if self.version is not None:
            items["version/policies"] = self.version
        return StoreSnapshot(ARN, next(VERSION), items, 0, 0.0, 0.0)


async def run(function: LoadedFunction, ask: Ask) -> tuple[FunctionEvent, FunctionRun]:
    """Ask once."""
    event = ask.event()
    return event, await function.run(event, ask.snapshot())


def test_it_deploys() -> None:
    """CloudFront takes the file as it is: within 10 KB, and nothing to refuse or to warn of."""
    code = CODE.read_text("utf-8")

    assert len(code.encode()) < quotas.FUNCTION_CODE_MAX_BYTES
    assert check(code, RUNTIME_2) == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_hit(function: LoadedFunction, method: str) -> None:
    """A signed session and a stored answer give the answer, its age and its expiry."""
    _, outcome = await run(function, Ask(method=method))
    response = outcome.result

    assert isinstance(response, Response)
    assert response.status == 200
    assert response.body == '{"action":"morning-briefing","answer":"Gräte: 3 alerts"}'.encode()
    assert response.headers.pairs == (
        ("Content-Type", "application/json; charset=utf-8"),
        ("Cache-Control", "private, no-store"),
        ("X-Answer-Source", "edge"),
        ("X-Answer-Age", "42"),
        ("X-Answer-Expires", formatdate(NOW_S + 600, usegmt=True)),
        ("Content-Length", "57"),
    )
    assert outcome.store_reads == 2


@pytest.mark.parametrize(
    "ask",
    [
        Ask(accept="text/event-stream"),
        Ask(accept="application/json, Text/Event-Stream;q=0.9"),
        Ask(headers=(("Accept", "text/event-stream"),)),
    ],
    ids=["alone", "among others", "in a second header"],
)
async def test_hit_as_server_sent_events(function: LoadedFunction, ask: Ask) -> None:
    """A viewer that accepts events gets the whole answer as one, then done."""
    _, outcome = await run(function, ask)
    response = outcome.result

    assert isinstance(response, Response)
    assert response.headers.get("content-type") == "text/event-stream"
    assert bytes(response.body).decode() == (  # type: ignore[arg-type]
        'data: {"text":"Gräte: 3 alerts"}\n\nevent: done\ndata: {"action":"morning-briefing"}\n\n'
    )


async def test_hit_for_an_answer_of_1_kb(function: LoadedFunction) -> None:
    """The largest value a store can hold comes through whole."""
    text = 'line\n"quoted" ünï ' * 40
    _, outcome = await run(function, Ask(answer={**ANSWER, "answer": text}))

    assert isinstance(outcome.result, Response)
    assert orjson.loads(bytes(outcome.result.body))["answer"] == text  # type: ignore[arg-type]


HS256_KEYED_BY_NONE = f"{part({'alg': 'none'})}.{part(CLAIMS)}."
PARTS = token().split(".")
EXPIRED = {**ANSWER, "expires": NOW_S}
VERSIONED = {**ANSWER, "version": "v2", "scope": "policies"}
# 42 seconds old: 0.66 has become 0.4934, and 1 has become 0.7474.
SURE = {**ANSWER, "confidence": 1, "half_life": 100}
LONG = {"body": "/answer-bodies/" + "aB3-_" * 6 + "xy", "generated": NOW_S - 42}
LONG = {**LONG, "expires": NOW_S + 600}

MISSES = {
    "no session": Ask(session=None),
    "an empty session": Ask(session=""),
    "not a token": Ask(session="abc"),
    "two segments": Ask(session=".".join(PARTS[:2])),
    "four segments": Ask(session=token() + ".x"),
    "no signature": Ask(session=f"{PARTS[0]}.{PARTS[1]}."),
    "forged with another key": Ask(session=token(key="another key")),
    "claims of another": Ask(
        session=f"{PARTS[0]}.{part({**CLAIMS, 'sub': 'user-002'})}.{PARTS[2]}",
        stored_as="user-002_morning-briefing",
    ),
    "one character changed": Ask(session=token()[:-2] + ("AA" if token()[-2:] != "AA" else "BB")),
    "alg none": Ask(session=HS256_KEYED_BY_NONE),
    "alg none, signed": Ask(session=token(header={"alg": "none", "typ": "JWT"})),
    "alg hs256 in small letters": Ask(session=token(header={"alg": "hs256"})),
    "alg HS1": Ask(session=token(header={"alg": "HS1"}, name="sha1")),
    "no alg": Ask(session=token(header={"typ": "JWT"})),
    "a header that adds rules": Ask(session=token(header={**HEADER, "crit": ["exp"]})),
    "a header that is not JSON": Ask(session=token(header=b"nope")),
    "a header that is null": Ask(session=token(header=None)),
    "claims that are not JSON": Ask(session=token(claims=b"nope")),
    "claims that are null": Ask(session=token(claims=None)),
    "an expired session": Ask(session=token({**CLAIMS, "exp": NOW_S})),
    "no expiry": Ask(session=token({"sub": "user-001"})),
    "an expiry in text": Ask(session=token({**CLAIMS, "exp": str(NOW_S + 60)})),
    "no user": Ask(session=token({"exp": NOW_S + 60})),
    "a user with an underscore": Ask(
        session=token({**CLAIMS, "sub": "a_b"}), stored_as="a_b_morning-briefing"
    ),
    "a user that is no text": Ask(session=token({**CLAIMS, "sub": 1})),
    "a user of 65 characters": Ask(
        session=token({**CLAIMS, "sub": "a" * 65}), stored_as=f"{'a' * 65}_morning-briefing"
    ),
    "an unknown action": Ask(uri="/answers/weekly-review"),
    "the answer of another user": Ask(stored_as="user-002_morning-briefing"),
    "an expired answer": Ask(answer=EXPIRED),
    "an answer without expiry": Ask(answer={"answer": "x", "generated": 1}),
    "an expiry in text ": Ask(answer={**ANSWER, "expires": str(NOW_S + 60)}),
    "an expiry that is true": Ask(answer={**ANSWER, "expires": True}),
    "an expiry after the last date": Ask(answer={**ANSWER, "expires": 10**15}),
    "an answer that is no text": Ask(answer={**ANSWER, "answer": {"a": 1}}),
    "another session's answer": Ask(answer={**VERSIONED, "scope": "session"}),
    "an answer that lags": Ask(answer=VERSIONED, version="v3"),
    "a confidence that has run out": Ask(answer={**SURE, "confidence": 0.66}),
    "a confidence under its own floor": Ask(answer={**SURE, "floor": 0.75}),
    "a confidence in text": Ask(answer={**SURE, "confidence": "1"}),
    "a confidence without half-life": Ask(answer={**ANSWER, "confidence": 1}),
    "a half-life of nothing": Ask(answer={**SURE, "half_life": 0}),
    "a version with a line break": Ask(answer={**ANSWER, "version": "a\r\nb"}),
    "a scope that is no name": Ask(answer={**VERSIONED, "scope": "../config"}),
    "a body elsewhere": Ask(answer={**LONG, "body": "/elsewhere/" + "a" * 32}),
    "a body that climbs": Ask(answer={**LONG, "body": "/answer-bodies/../../x"}),
    "a body that is no text": Ask(answer={**LONG, "body": 7}),
    "a long answer that has expired": Ask(answer={**LONG, "expires": NOW_S}),
    "a value that is not JSON": Ask(answer="nope"),
    "a value that is null": Ask(answer="null"),
    "no session key": Ask(key=None),
    "an empty session key": Ask(key="", session=token(key="")),
    "no store": Ask(has_store=False),
    "POST": Ask(method="POST"),
    "DELETE": Ask(method="DELETE"),
    "OPTIONS": Ask(method="OPTIONS"),
    "a deeper path": Ask(uri="/answers/morning-briefing/more"),
    "an action in upper case": Ask(uri="/answers/Morning-Briefing"),
    "an escaped action": Ask(uri="/answers/morning%2Dbriefing"),
    "the session key as an action": Ask(uri="/answers/session-key", stored_as="config/session-key"),
    "no action": Ask(uri="/answers/"),
    "another path": Ask(uri="/morning-briefing"),
    "a user in a header": Ask(session=None, headers=(("X-User-Id", "user-001"),)),
    "a session in a header": Ask(session=None, headers=(("Authorization", f"Bearer {token()}"),)),
    "a session in the query": Ask(session=None, querystring=f"session={token()}&user=user-001"),
}


@pytest.mark.parametrize("ask", MISSES.values(), ids=MISSES.keys())
async def test_everything_else_is_passed_on(function: LoadedFunction, ask: Ask) -> None:
    """Not a clear hit: the request goes on, unchanged, without an error to the viewer."""
    event, outcome = await run(function, ask)

    assert outcome.result is event.request


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (VERSIONED, None),
        (VERSIONED, "v2"),
        ({**ANSWER, "version": "v2"}, "v3"),
        ({**ANSWER, "version": str(NOW_S - 10), "scope": "session"}, None),
        (SURE, None),
        ({**SURE, "confidence": 0.67}, None),
        ({**SURE, "confidence": 0.1, "floor": 0.07}, None),
        ({**SURE, "confidence": 0.5, "generated": NOW_S + 1000}, None),
    ],
)
async def test_an_answer_that_keeps_its_contract_is_a_hit(
    function: LoadedFunction, answer: dict[str, Any], version: str | None
) -> None:
    """Current, or of a scope that never changed; sure enough still; its version is shown."""
    _, outcome = await run(function, Ask(answer=answer, version=version))

    assert isinstance(outcome.result, Response)
    assert outcome.result.status == 200
    assert outcome.result.headers.get("x-answer-version") == answer.get("version", "")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (EXPIRED, "expired"),
        ({**SURE, "confidence": 0.5}, "degraded"),
        (VERSIONED, "lagging"),
    ],
)
async def test_stale_and_worse_than_none(
    function: LoadedFunction, answer: dict[str, Any], why: str
) -> None:
    """With `fallback` "none" a viewer is told so, and the origin is not asked."""
    _, outcome = await run(function, Ask(answer={**answer, "fallback": "none"}, version="v3"))
    response = outcome.result

    assert isinstance(response, Response)
    assert response.status == 404
    assert response.body == b'{"action":"morning-briefing","answer":null}'
    assert response.headers.get("x-answer-source") == "none"
    assert response.headers.get("x-answer-stale") == why
    assert response.headers.get("cache-control") == "private, no-store"


@pytest.mark.parametrize(
    ("accept", "form"), [("*/*", "json"), ("text/event-stream", "sse")], ids=["JSON", "events"]
)
async def test_a_long_answer_is_asked_for_in_the_bucket(
    function: LoadedFunction, accept: str, form: str
) -> None:
    """As a whole, without the viewer's query; the origin stands by."""
    headers = (("Range", "bytes=0-9"), ("If-None-Match", '"x"'), ("X-Other", "stays"))
    ask = Ask(answer=LONG, accept=accept, headers=headers, querystring="versionId=1")
    _, outcome = await run(function, ask)
    request = outcome.result

    assert isinstance(request, Request)
    assert request.uri == f"{LONG['body']}/{form}/morning-briefing"
    assert request.querystring == ""
    assert "range" not in request.headers
    assert "if-none-match" not in request.headers
    assert request.headers.get("x-other") == "stays"
    change = outcome.origin_change
    assert isinstance(change, CreatedOriginGroup)
    assert (change.primary.origin_id, change.secondary.origin_id) == ("AnswerBodies", "Api")
    assert {403, 404, 503} <= set(change.status_codes)


async def test_the_user_of_the_session_counts(function: LoadedFunction) -> None:
    """What a stranger can write next to a valid session changes nothing."""
    ask = Ask(
        headers=(("X-User-Id", "user-002"), ("Cookie", "user=user-002")),
        querystring="sub=user-002&user=user-002",
    )
    _, outcome = await run(function, ask)

    assert isinstance(outcome.result, Response)


def test_the_reference_signature() -> None:
    """The tests' own tokens are HMAC SHA-256 as RFC 7515 has it."""
    signed = ".".join(PARTS[:2]).encode()
    wanted = hmac.new(KEY.encode(), signed, hashlib.sha256).digest()

    assert base64.urlsafe_b64decode(PARTS[2] + "=") == wanted
