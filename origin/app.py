"""The origin's HTTP face: the routes behind the distribution, as a Starlette application.

An answer has one shape, wherever along the way it came from:

    JSON    {"action":"<ActionID>","answer":"<text>"}
    SSE     data: {"text":"<piece>"}  for each piece, then  event: done  with the ActionID

and the headers `cache-control: private, no-store` (it belongs to one user) and `x-answer-source`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from html import escape
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from origin.actions import ACTIONS, Action
from origin.candidates import CandidateSource
from origin.context import UnknownUserError, build_prompt
from origin.dataset import DataSet
from origin.followup.wishes import FollowUps
from origin.model import Model, ModelError, ModelFault, Prompt
from origin.recommendations import DEFAULT_BUDGET_MS, Item, Moment, catalog, rerank
from origin.session import COOKIE_NAME, Session, SessionError, verify
from origin.streaming import ModelThreads, PieceStream, TooManyAnswersError

logger = logging.getLogger(__name__)

# A thread waits for the model nearly all the time; 256 of them cost some 10 MB.
MAX_ANSWERS = 256
# Seconds a refused viewer should wait; the model's rate limits are per minute, most peaks shorter.
RETRY_AFTER_S = 1
# What is on a screen; more is nonsense.
MAX_OPEN_ITEMS = 32

_ANSWER_HEADERS = {"cache-control": "private, no-store", "x-answer-source": "origin"}
_NO_STORE = {"cache-control": "private, no-store"}
# The index is the same for everybody, so the CDN may keep it.
_SHARED = {"cache-control": "public, max-age=300"}


def create_app(
    *,
    model: Model,
    data: DataSet,
    session_key: str,
    now_s: Callable[[], float] = time.time,
    max_answers: int = MAX_ANSWERS,
    candidates: CandidateSource | None = None,
    budget_ms: float = DEFAULT_BUDGET_MS,
    follow_ups: FollowUps | None = None,
) -> Starlette:
    """Build the application.

    Args:
        model: Where answers come from.
        data: What answers are made from.
        session_key: What sessions are signed with.
        now_s: Epoch seconds; sessions expire by it.
        max_answers: How many answers may be under way at once; one more gets 503.
        candidates: Where recommendations come from; computed when there is none.
        budget_ms: How long a recommendation may take before its order is the one made ahead.
        follow_ups: Who has the likely next answers made; nobody when None.
    """
    threads = ModelThreads(model, max_answers=max_answers)
    answers = Answers(threads, data, session_key, now_s, follow_ups)
    source = candidates or CandidateSource(data, now_s=now_s)
    recommendations = Recommendations(source, catalog(data), session_key, now_s, budget_ms)

    async def health(request: Request) -> Response:
        return json_response(
            {"status": "ok", "model": model.model_id, "answering": threads.answering}
        )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        threads.close()
        source.close()
        if follow_ups is not None:
            await asyncio.to_thread(follow_ups.close)

    return Starlette(
        routes=[
            Route("/", _index),
            Route("/health", health),
            # The same answers twice: the distribution has a CloudFront Function before the first
            # route, and a Lambda@Edge function before the second.
            Route("/answers/{action}", answers.respond),
            Route("/lambda-answers/{action}", answers.respond),
            # A page tells of an answer that the edge has given: the backend has not seen it.
            Route("/asked/{action}", answers.note, methods=["POST"]),
            Route("/recommendations", recommendations.respond),
            # Where the edge sends on a request whose long answer is not in its bucket any more. As
            # above, the user comes from the session, so it is nobody's answer but the asker's own.
            Route("/answer-bodies/{name}/{form}/{action}", answers.respond),
        ],
        exception_handlers={HTTPException: _on_http_exception, Exception: _on_surprise},
        lifespan=lifespan,
    )


@dataclass(frozen=True, slots=True)
class Answers:
    """The one handler behind both routes."""

    threads: ModelThreads
    data: DataSet
    session_key: str
    now_s: Callable[[], float]
    follow_ups: FollowUps | None = None

    async def note(self, request: Request) -> Response:
        """Take note that a viewer was given an answer elsewhere; nothing comes back."""
        asked = self._asked(request)
        if isinstance(asked, Response):
            return asked
        self._predict(*asked)
        return Response(status_code=204, headers=_NO_STORE)

    async def respond(self, request: Request) -> Response:
        """Answer one request: who asks, what is asked, and then the model."""
        asked = self._asked(request)
        if isinstance(asked, Response):
            return asked
        session, action = asked
        try:
            prompt = build_prompt(self.data, session.user_id, action)
        except UnknownUserError as error:
            return _error(404, str(error))
        wants_stream = "text/event-stream" in request.headers.get("accept", "").lower()
        if request.method == "HEAD":
            # The headers do not depend on the answer, and nobody would read it: ask for none.
            return _sse_head() if wants_stream else _json_head()
        self._predict(session, action)
        try:
            if wants_stream:
                return SseAnswer(action, self.threads.stream(prompt))
            return await self._complete(action, prompt)
        except TooManyAnswersError:
            return _error(503, "the origin is at its limit; try again in a moment", **_later())

    def _asked(self, request: Request) -> tuple[Session, Action] | Response:
        """Who asks, and what; or why that is not to be answered."""
        token = request.cookies.get(COOKIE_NAME, "")
        try:
            session = verify(token, self.session_key, now_s=self.now_s())
        except SessionError as error:
            return _unauthorized(error)
        action = ACTIONS.get(request.path_params["action"])
        if action is None:
            asked = request.path_params["action"][:64]
            known = ", ".join(ACTIONS)
            return _error(404, f"unknown action {asked!r} (known: {known})", known=list(ACTIONS))
        return session, action

    def _predict(self, session: Session, action: Action) -> None:
        if self.follow_ups is not None:
            self.follow_ups.asked(session, action.action_id)

    async def _complete(self, action: Action, prompt: Prompt) -> Response:
        asked_s = time.perf_counter()
        try:
            completion = await self.threads.complete(prompt)
        except ModelError as error:
            return _model_failed(error)
        timing = _model_timing(asked_s)
        answer = {"action": action.action_id, "answer": completion.text}
        return json_response(answer, headers={**_ANSWER_HEADERS, **timing})


@dataclass(frozen=True, slots=True)
class Recommendations:
    """`/recommendations?last=<ActionID>&open=<item>,<item>`: 50 candidates, ranked to 5 now."""

    source: CandidateSource
    items: Mapping[str, Item]
    session_key: str
    now_s: Callable[[], float]
    budget_ms: float

    async def respond(self, request: Request) -> Response:
        """Rank for the session's user, within the budget; the headers say how it came about."""
        began_ms = _now_ms()
        token = request.cookies.get(COOKIE_NAME, "")
        try:
            session = verify(token, self.session_key, now_s=self.now_s())
        except SessionError as error:
            return _unauthorized(error)
        user = self.source.data.users.get(session.user_id)
        if user is None:
            return _error(404, f"there is no data about {session.user_id}")
        found = self.source.find(user.user_id)
        if found is None:
            found = await asyncio.to_thread(self.source.fetch, user.user_id)
        candidates, origin = found
        open_items = request.query_params.get("open", "").split(",")[:MAX_OPEN_ITEMS]
        moment = Moment(
            datetime.fromtimestamp(self.now_s(), _zone(user.time_zone)).hour,
            request.query_params.get("last", ""),
            frozenset(open_items),
        )
        ranking = rerank(
            candidates,
            self.items,
            moment,
            budget_ms=self.budget_ms - (_now_ms() - began_ms),
            now_ms=_now_ms,
        )
        return json_response(
            {"action": "recommendations", "items": [_dump_item(one) for one in ranking.items]},
            headers={
                **_ANSWER_HEADERS,
                "x-recommendation-order": ranking.order.value,
                "x-recommendation-candidates": origin.value,
                "x-recommendation-ms": f"{_now_ms() - began_ms:.2f}",
            },
        )


def _now_ms() -> float:
    return time.perf_counter() * 1000


def _dump_item(item: Item) -> dict[str, str]:
    return {
        "id": item.item_id,
        "kind": item.kind.value,
        "service": item.service,
        "title": item.title,
    }


@lru_cache
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


class SseAnswer(Response):
    """An answer as server-sent events, each piece sent when the model has written it.

    WHATWG HTML "Server-sent events", https://html.spec.whatwg.org/multipage/server-sent-events.html.
    The status waits for the first piece: an error before it still gets a status of its own. When
    the viewer leaves, the model is told to stop.
    """

    def __init__(self, action: Action, pieces: PieceStream) -> None:
        super().__init__(headers=_SSE_HEADERS)
        # Response has set it, for the empty body it knows of.
        del self.headers["content-length"]
        self._action = action
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer (ASGI)."""
        watcher = asyncio.create_task(_on_disconnect(receive, self._pieces.cancel))
        try:
            # OSError: what an ASGI server may raise when the viewer is gone.
            with suppress(OSError):
                await self._send(scope, receive, send)
        finally:
            watcher.cancel()
            self._pieces.cancel()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked_s = time.perf_counter()
        try:
            piece = await self._pieces.next()
        except ModelError as error:
            await _model_failed(error)(scope, receive, send)
            return
        if self._pieces.is_cancelled:
            return
        self.headers.update(_model_timing(asked_s))
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        closing = _sse_event({"action": self._action.action_id}, event="done")
        try:
            while piece is not None:
                await _send_body(send, _sse_event({"text": piece}), more=True)
                piece = await self._pieces.next()
        except ModelError as error:
            # The status is long sent: an event has to say it.
            _log_model_error(error)
            closing = _sse_event({"error": error.public_message}, event="error")
        if not self._pieces.is_cancelled:
            await _send_body(send, closing, more=False)


def _model_timing(asked_s: float) -> dict[str, str]:
    """How long the first byte waited for the model, where a browser's developer tools show it.

    W3C "Server Timing", https://www.w3.org/TR/server-timing/.
    """
    return {"server-timing": f"model;dur={(time.perf_counter() - asked_s) * 1000:.1f}"}


_SSE_HEADERS = {**_ANSWER_HEADERS, "content-type": "text/event-stream"}


async def _on_disconnect(receive: Receive, leave: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    leave()


async def _send_body(send: Send, body: bytes, *, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _sse_event(data: Mapping[str, str], *, event: str | None = None) -> bytes:
    # JSON holds no line break, so one `data:` line is enough.
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {_dumps(data)}\n\n".encode()


def json_response(
    body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response that nobody may store, spelled as compactly as at the edge."""
    return Response(
        _dumps(body).encode(),
        status_code=status,
        headers={
            **_NO_STORE,
            **(headers or {}),
            "content-type": "application/json; charset=utf-8",
        },
    )


def _dumps(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_head() -> Response:
    response = json_response({}, headers=_ANSWER_HEADERS)
    del response.headers["content-length"]
    return response


def _sse_head() -> Response:
    response = Response(headers=_SSE_HEADERS)
    del response.headers["content-length"]
    return response


def _later() -> dict[str, Any]:
    return {"headers": {"retry-after": str(RETRY_AFTER_S)}}


def _error(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    return json_response({"error": message, **more}, status=status, headers=headers)


def _unauthorized(error: SessionError) -> Response:
    # RFC 9110 section 11.6.1: a 401 carries WWW-Authenticate. There is no registered scheme for
    # cookies; the parameters are those of RFC 6750 section 3.
    challenge = (
        f'Session realm="answers", error="{error.problem.value}", error_description="{error}"'
    )
    return _error(401, str(error), headers={"www-authenticate": challenge})


def _model_failed(error: ModelError) -> Response:
    _log_model_error(error)
    if error.fault is ModelFault.THROTTLED:
        return _error(503, error.public_message, **_later())
    return _error(502, error.public_message)


def _log_model_error(error: ModelError) -> None:
    logger.warning("model %s: %s", error.fault.value, error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _error(error.status_code, error.detail, headers=error.headers)


async def _on_surprise(request: Request, error: Exception) -> Response:
    return _error(500, "the origin failed; its log says why")


async def _index(request: Request) -> Response:
    rows = "".join(
        f"<tr><td><code>/answers/{action.action_id}</code></td><td>{escape(action.title)}</td>"
        f"<td>{'ahead of time' if action.is_precomputed else 'when asked'}</td></tr>"
        for action in ACTIONS.values()
    )
    return HTMLResponse(_INDEX.replace("{rows}", rows), headers=_SHARED)


_INDEX = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The origin</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto;
    padding: 0 1rem }
  table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1.5rem .2rem 0 }
</style>
<h1>The origin</h1>
<p>The backend behind the distribution. It answers by asking a model, which takes seconds; what can
be answered ahead of time is pushed to the edge and rarely gets here.</p>
<table><tr><th>Route</th><th>Answer</th><th>Generated</th></tr>{rows}</table>
<p>Each route also exists as <code>/lambda-answers/&hellip;</code>. Send the session as the cookie
<code>session</code>; with <code>Accept: text/event-stream</code> the answer is streamed.
<code>/health</code> tells how the origin is.</p>
</html>
"""
