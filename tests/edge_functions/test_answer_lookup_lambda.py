from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from emulator.clock.real import RealClock
from emulator.errors import FailureKind
from emulator.runtimes.lambda_edge import (
    LambdaFunctionError,
    LambdaFunctions,
    LoadedLambda,
    build,
)
from emulator.values.functions import EdgeLocation, EventType, FunctionEvent
from emulator.values.headers import Headers
from emulator.values.lambda_edge import LambdaDeclaration, LambdaRun
from emulator.values.messages import Request, Response

SOURCE = Path(__file__).parents[2] / "edge_functions" / "answer_lookup_lambda"
ARN = "arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-0123456789ab"
KEY = "a test's session key of at least 32 bytes"


class StandInStore:
    """The GetKey call of the key value store's data API, over real HTTP."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.calls: list[str] = []
        self.delay_s = 0.0
        self.closing = threading.Event()
        self.broken = False
        self.authorizations: list[str] = []
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet: in two, the second waits for the other side's ACK.
            wbufsize = 65_536

            def do_GET(self) -> None:
                key = unquote(self.path.rpartition("/")[2])
                assert self.path.startswith("/from-region/eu-west-2/key-value-stores/arn%3Aaws")
                store.calls.append(key)
                store.authorizations.append(self.headers["Authorization"])
                store.closing.wait(store.delay_s)
                if store.broken:
                    self._answer(500, {"Message": "no"}, "InternalServerException")
                elif key in store.values:
                    value = {"Key": key, "Value": store.values[key]}
                    self._answer(200, {**value, "ItemCount": 1, "TotalSizeInBytes": 1})
                else:
                    self._answer(404, {"Message": "no such key"}, "ResourceNotFoundException")

            def _answer(self, status: int, body: Any, error: str = "") -> None:
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                if error:
                    self.send_header("x-amzn-ErrorType", error)
                self.end_headers()
                self.wfile.write(raw)
                self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that gave up is no news."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Desk:
    """The deployable function in a real sandbox, beside a store that a test fills."""

    runner: asyncio.Runner
    functions: LambdaFunctions
    store: StandInStore
    folder: Path
    loaded: list[LoadedLambda] = field(default_factory=list)

    def fresh(self) -> LoadedLambda:
        """The function with nothing in its memory."""
        package = build(SOURCE, self.folder / "package", {"config.json": {"store_arn": ARN}})
        return self.load(package)

    def load(self, package: Path) -> LoadedLambda:
        """Load a package folder."""
        while self.loaded:
            self.functions.unload(self.loaded.pop())
        declaration = LambdaDeclaration(
            "answer-lookup", "handler.handler", "python3.13", package, timeout_s=5
        )
        self.loaded.append(self.functions.load(declaration))
        return self.loaded[-1]

    def ask(self, function: LoadedLambda, request: Request) -> LambdaRun:
        """One viewer request."""
        event = FunctionEvent(
            EventType.VIEWER_REQUEST,
            "EDFDVBD6EXAMPLE",
            "d111111abcdef8.cloudfront.net",
            "id==",
            EdgeLocation("LHR", "192.0.2.1", "eu-west-2"),
            request,
        )
        return self.runner.run(function.run(event))


@pytest.fixture
def store() -> Iterator[StandInStore]:
    """A store with the session key and one answer."""
    store = StandInStore()
    store.values["config/session-key"] = KEY
    store.values["user-001_morning-briefing"] = answer("Two alerts, both closed. Grüße.")
    yield store
    store.close()


@pytest.fixture
def desk(store: StandInStore, tmp_path: Path) -> Iterator[Desk]:
    """The function's runtime, pointed at the store."""
    with asyncio.Runner() as runner:
        functions = LambdaFunctions(
            RealClock(),
            endpoint_url=lambda region: f"http://local@127.0.0.1:{store.port}/from-region/{region}",
        )
        yield Desk(runner, functions, store, tmp_path)
        runner.run(functions.close())


def now_s() -> int:
    """The wall clock's second: the sandbox is a real process with a real clock."""
    return int(RealClock().epoch_ms() / 1000)


def answer(text: str, *, generated_ago_s: int = 60, expires_in_s: int = 600) -> str:
    """A stored answer."""
    now = now_s()
    return json.dumps(
        {"answer": text, "generated": now - generated_ago_s, "expires": now + expires_in_s},
        ensure_ascii=False,
    )


def more(**members: object) -> str:
    """A stored answer with more members."""
    return json.dumps({**json.loads(answer("x")), **members})


def segment(value: object) -> str:
    """One part of a JWT."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def session(
    user_id: object = "user-001",
    *,
    key: str = KEY,
    header: object = None,
    **claims: Any,
) -> str:
    """A session cookie's value."""
    now = now_s()
    body = {"sub": user_id, "iat": now, "exp": now + 3600, **claims}
    signed = f"{segment(header or {'alg': 'HS256', 'typ': 'JWT'})}.{segment(body)}"
    return f"{signed}.{segment(hmac.digest(key.encode(), signed.encode(), hashlib.sha256))}"


def get(
    token: str | None,
    uri: str = "/lambda-answers/morning-briefing",
    *,
    accept: str = "*/*",
    method: str = "GET",
) -> Request:
    """A viewer's request."""
    lines = [
        ("Host", "d111111abcdef8.cloudfront.net"),
        ("Accept", accept),
        ("Cookie", "theme=dark"),
    ]
    if token is not None:
        lines.append(("Cookie", f"a=b; session={token}; c=d"))
    return Request(method, uri, headers=Headers(lines))


def test_a_hit_is_answered_at_the_edge(desk: Desk) -> None:
    """JSON, with its source, age and expiry; the second time without asking the store."""
    function = desk.fresh()
    run = desk.ask(function, get(session()))
    response = run.result
    calls = list(desk.store.calls)
    again = desk.ask(function, get(session()))

    assert isinstance(response, Response)
    assert response.status == 200
    assert response.body == (
        '{"action":"morning-briefing","answer":"Two alerts, both closed. Grüße."}'.encode()
    )
    stored = json.loads(desk.store.values["user-001_morning-briefing"])
    expires = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(stored["expires"]))
    headers = dict(response.headers.pairs)
    assert int(headers.pop("X-Answer-Age")) in range(60, 66)
    # What the store's two reads took; answered from memory there are none.
    assert re.fullmatch(r"store;dur=\d+\.\d", headers.pop("Server-Timing"))
    assert "server-timing" not in again.result.headers
    assert headers == {
        "Content-Type": "application/json; charset=utf-8",
        "Cache-Control": "private, no-store",
        "X-Answer-Source": "edge",
        "X-Answer-Expires": expires,
    }
    assert calls == ["config/session-key", "user-001_morning-briefing"]
    assert desk.store.calls == calls
    assert again.result.body == response.body


def test_a_hit_is_sent_as_events_to_who_accepts_them(desk: Desk) -> None:
    """One event with the whole answer, then the done event."""
    response = desk.ask(desk.fresh(), get(session(), accept="text/event-stream")).result

    assert response.headers.get("content-type") == "text/event-stream"
    assert (
        response.body
        == (
            'data: {"text":"Two alerts, both closed. Grüße."}\n\n'
            'event: done\ndata: {"action":"morning-briefing"}\n\n'
        ).encode()
    )


@pytest.mark.conformance("LAE-80")
def test_the_store_is_asked_with_a_sigv4a_signature(desk: Desk) -> None:
    """boto3's own default, through the endpoint of the environment and the account's host."""
    desk.ask(desk.fresh(), get(session()))

    assert all(
        line.startswith("AWS4-ECDSA-P256-SHA256 Credential=") for line in desk.store.authorizations
    )


@pytest.mark.conformance("LAE-33")
def test_everything_else_goes_on_unchanged(desk: Desk) -> None:
    """No answer, no session, a forged or expired one, another path or method."""
    function, now = desk.fresh(), now_s()
    good = session()
    stored = {
        "user-001_expired": answer("old", expires_in_s=0),
        "user-001_no-json": "{",
        "user-001_no-object": "[]",
        "user-001_no-text": '{"answer": 1, "generated": 1, "expires": 9999999999}',
        "user-001_no-date": '{"answer": "x", "generated": 1, "expires": 1e400}',
        "user-001_far-date": '{"answer": "x", "generated": 1, "expires": 99999999999999}',
        "user-001_half-character": '{"answer": "\\ud800", "generated": 1, "expires": 9999999999}',
        "user-001_true": '{"answer": "x", "generated": true, "expires": 9999999999}',
        "a_b_morning-briefing": answer("not a UserID"),
        "user-001_lagging": more(version="v2", scope="policies"),
        "user-001_session": more(version="7", scope="session"),
        "user-001_unsure": more(confidence=0.6, half_life=100),
        "user-001_under-its-floor": more(confidence=0.9, half_life=10**6, floor=0.95),
        "user-001_no-half-life": more(confidence=1),
        "user-001_no-scope": more(version="v2", scope="../x"),
        "user-001_no-version": more(version="a\r\nb"),
        "user-001_elsewhere": more(body="/elsewhere/x"),
        "version/policies": "v3",
    }
    desk.store.values.update(stored)
    requests = {
        "no answer": get(good, "/lambda-answers/weekly-review"),
        "another user": get(session("user-002")),
        **{key: get(good, f"/lambda-answers/{key.partition('_')[2]}") for key in stored},
        "no cookie": get(None),
        "empty cookie": get(""),
        "another key": get(session(key="x" * 40)),
        "changed claims": get(_with_changed_claims(good)),
        "algorithm none": get(_unsigned(now)),
        "another algorithm": get(session(header={"alg": "HS512", "typ": "JWT"})),
        "critical extension": get(session(header={"alg": "HS256", "crit": ["x"]})),
        "expired": get(session(exp=now)),
        "no expiry": get(session(exp=None)),
        "expiry as text": get(session(exp=str(now + 60))),
        "no UserID": get(session(None)),
        "UserID with an underscore": get(session("a_b")),
        "UserID with a line break": get(session("user-001\n")),
        "no JWT": get("abc"),
        "not base64": get("a.b.c"),
        "nested": get(f"{segment(b'[' * 2000)}.x.y"),
        "huge": get("a" * 20_000),
        "another path": get(good, "/lambda-answers/morning-briefing/x"),
        "upper case": get(good, "/lambda-answers/Morning-Briefing"),
        "no action": get(good, "/lambda-answers/"),
        "escaped": get(good, "/lambda-answers/morning%2Dbriefing"),
        "POST": get(good, method="POST"),
    }

    outcomes = {name: desk.ask(function, request).result for name, request in requests.items()}

    assert {name for name, result in outcomes.items() if result is not requests[name]} == set()


def _with_changed_claims(token: str) -> str:
    header, claims, signature = token.split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed["sub"] = "user-002"
    return f"{header}.{segment(changed)}.{signature}"


def _unsigned(now: int) -> str:
    claims = {"sub": "user-001", "iat": now, "exp": now + 3600}
    return f"{segment({'alg': 'none'})}.{segment(claims)}.{segment(b'x')}"


def test_a_store_that_is_down_is_a_miss_and_left_alone_for_a_while(desk: Desk) -> None:
    """The request goes on; the next ones do not wait for the same time-out again."""
    function, request = desk.fresh(), get(session())
    desk.store.broken = True
    first = desk.ask(function, request)
    calls = len(desk.store.calls)
    second = desk.ask(function, request)

    assert first.result is request
    assert any("the key value store cannot be read" in line for line in first.logs)
    assert second.result is request
    assert len(desk.store.calls) == calls == 1


def test_nobody_listening_is_a_miss(desk: Desk) -> None:
    """No connection at all."""
    function, request = desk.fresh(), get(session())
    desk.store.close()

    assert desk.ask(function, request).result is request


def test_a_slow_store_is_a_miss_within_its_timeout(desk: Desk) -> None:
    """One attempt, given up before the function's own time-out would end it."""
    function, request = desk.fresh(), get(session())
    desk.store.delay_s = 60

    assert desk.ask(function, request).result is request


def test_an_answer_that_expires_while_it_is_remembered_is_a_miss(desk: Desk) -> None:
    """What is remembered is not served after its time."""
    function, request = desk.fresh(), get(session())
    desk.ask(function, get(session("user-002")))
    desk.store.values["user-001_morning-briefing"] = answer("short-lived", expires_in_s=3)
    hit = desk.ask(function, request).result
    while desk.ask(function, request).result is not request:
        time.sleep(0.1)

    assert isinstance(hit, Response)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "config.json is missing beside handler.py"),
        ("{", "config.json is not"),
        ({"arn": "x"}, "config.json is not"),
        ({"store_arn": "x"}, "is not a key value store's ARN"),
    ],
)
def test_without_its_configuration_it_says_so(desk: Desk, config: object, said: str) -> None:
    """At the start, in the log; the viewer gets 503."""
    baked = {} if config is None else {"config.json": config}
    function = desk.load(build(SOURCE, desk.folder / "package", baked))
    with pytest.raises(LambdaFunctionError) as caught:
        desk.ask(function, get(session()))

    assert caught.value.kind is FailureKind.LAMBDA_EXECUTION
    assert said in caught.value.detail


@pytest.mark.conformance("LAE-80")
def test_without_awscrt_in_its_requirements_every_read_fails_as_on_aws(desk: Desk) -> None:
    """Botocore refuses to sign with SigV4A; the function survives it, and its log says why."""
    package = build(
        SOURCE,
        desk.folder / "package",
        {"config.json": {"store_arn": ARN}, "requirements.txt": ""},
    )
    request = get(session())
    run = desk.ask(desk.load(package), request)

    assert run.result is request
    assert desk.store.calls == []
    assert any("MissingDependencyException" in line for line in run.logs)


def test_an_answer_that_keeps_its_contract_is_a_hit(desk: Desk) -> None:
    """Current, of a scope that never changed, or still sure enough; its version is shown."""
    function = desk.fresh()
    desk.store.values |= {
        "version/policies": "v2",
        "user-001_current": more(version="v2", scope="policies"),
        "user-001_never-changed": more(version="v2", scope="others"),
        "user-001_sure": more(version="v2", confidence=1, half_life=100),
        "user-001_session": more(version="7", scope="session"),
    }
    mine = get(session(iat=7), "/lambda-answers/session")
    assert isinstance(desk.ask(function, mine).result, Response)
    for action in ("current", "never-changed", "sure"):
        response = desk.ask(function, get(session(), f"/lambda-answers/{action}")).result
        assert isinstance(response, Response), action
        assert response.headers.get("x-answer-version") == "v2"


def test_stale_and_worse_than_none(desk: Desk) -> None:
    """With `fallback` "none" a viewer is told so, and why."""
    function = desk.fresh()
    desk.store.values |= {
        "version/policies": "v3",
        "user-001_lagging": more(version="v2", scope="policies", fallback="none"),
        "user-001_degraded": more(confidence=0.6, half_life=100, fallback="none"),
        "user-001_expired": more(expires=1, fallback="none"),
    }
    for why in ("lagging", "degraded", "expired"):
        response = desk.ask(function, get(session(), f"/lambda-answers/{why}")).result
        assert isinstance(response, Response), why
        assert response.status == 404
        assert response.body == f'{{"action":"{why}","answer":null}}'.encode()
        assert response.headers.get("x-answer-stale") == why


@pytest.mark.parametrize(
    ("accept", "form"), [("*/*", "json"), ("text/event-stream", "sse")], ids=["JSON", "events"]
)
def test_a_long_answer_is_asked_for_by_its_path(desk: Desk, accept: str, form: str) -> None:
    """The function at origin-request takes it from there."""
    body = "/answer-bodies/" + "aB3-_" * 6 + "xy"
    desk.store.values["user-001_morning-briefing"] = more(body=body)
    result = desk.ask(desk.fresh(), get(session(), accept=accept)).result

    assert isinstance(result, Request)
    assert result.uri == f"{body}/{form}/morning-briefing"
