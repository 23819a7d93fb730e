"""Lambda@Edge, viewer-request: returns a pre-computed answer from the key value store.

`GET /lambda-answers/{ActionID}` with a valid session is looked up as `UserID_ActionID`. A hit is
answered here; everything else (another path, no valid session, no answer, an expired one, a store
that cannot be reached) goes on to the origin unchanged, which then says what is wrong, if anything.
An answer too long for the store lies in S3: the request goes on with the body's path, and the
function answer_body_lambda at the same behavior's origin-request fetches it.

The members of a stored answer stand in origin/precompute/artifact.py.

Only CloudFront Functions can read a key value store at the edge. A Lambda@Edge function asks the
store's data API over the network, signed with SigV4A; hence `awscrt` in requirements.txt, the
client at module scope (its connection outlives an invocation) and the short memory of answers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

# Seconds. What was read is believed for this long, so a new or deleted answer shows up that late.
ANSWER_TTL_S = 5.0
MISS_TTL_S = 1.0
SESSION_KEY_TTL_S = 60.0
# After a failed read the store is left alone for this long; its time-outs would cost every viewer.
STORE_PAUSE_S = 2.0
# A scope's current version tag: shorter than an answer, because it says which answers are stale.
VERSION_TTL_S = 1.0
# Below this confidence an answer without a floor of its own is stale.
CONFIDENCE_FLOOR = 0.5
# Entries of at most 1.5 KB each, in a function of 128 MB.
MEMORY_MAX_ENTRIES = 2_000

SESSION_KEY_NAME = "config/session-key"
_PATH = re.compile(r"/lambda-answers/([a-z0-9-]{1,64})")
_USER_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_BODY = re.compile(r"/answer-bodies/[A-Za-z0-9_-]{32}")
_SCOPE = re.compile(r"[a-z0-9-]{1,64}")
_VERSION = re.compile(r"[A-Za-z0-9._:+-]{1,64}")
_OF_FILES = (
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
)
_TOKEN_MAX_CHARS = 4_096
# 9999-12-31T23:59:59Z: later than any HTTP date.
_LAST_DATE_S = 253_402_300_799

Event = dict[str, Any]


def _read_store_arn() -> str:
    """The store's ARN, baked into the package because Lambda@Edge has no environment variables."""
    file = Path(__file__).with_name("config.json")
    try:
        arn = json.loads(file.read_text(encoding="utf-8"))["store_arn"]
    except FileNotFoundError:
        raise RuntimeError(
            f"{file.name} is missing beside {Path(__file__).name}: it is written when the function "
            'is packaged, as {"store_arn": "arn:aws:cloudfront::…:key-value-store/…"}'
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(f'{file.name} is not {{"store_arn": "…"}}: {error!r}') from None
    if not isinstance(arn, str) or ":key-value-store/" not in arn:
        raise RuntimeError(f"store_arn in {file.name} is not a key value store's ARN: {arn!r}")
    return arn


class Memory:
    """A bounded dictionary whose entries are forgotten after a while."""

    def __init__(self, max_entries: int) -> None:
        self._entries: dict[str, tuple[float, str | None]] = {}
        self._max_entries = max_entries

    def get(self, key: str) -> tuple[bool, str | None]:
        """Whether the key is remembered, and its value; None for a key that the store has not."""
        entry = self._entries.get(key)
        if entry is None or entry[0] <= time.monotonic():
            return False, None
        return True, entry[1]

    def put(self, key: str, value: str | None, ttl_s: float) -> None:
        """Remember a value; the oldest entry makes room."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._max_entries:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (time.monotonic() + ttl_s, value)


class Store:
    """The key value store, as this execution environment remembers it."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        # One quick attempt: the origin is there for whoever cannot be answered here.
        self._client = boto3.client(
            "cloudfront-keyvaluestore",
            config=Config(connect_timeout=0.5, read_timeout=1.0, retries={"total_max_attempts": 1}),
        )
        self._memory = Memory(MEMORY_MAX_ENTRIES)
        self._paused_until_s = 0.0
        self.waited_s = 0.0
        """For the network, in this invocation; `handler` starts it anew."""

    def get(self, key: str, ttl_s: float) -> str | None:
        """The value of a key; None when there is none, or the store cannot be reached."""
        remembered, value = self._memory.get(key)
        if remembered:
            return value
        if time.monotonic() < self._paused_until_s:
            return None
        asked_s = time.perf_counter()
        try:
            value = self._client.get_key(KvsARN=self._arn, Key=key)["Value"]
        except self._client.exceptions.ResourceNotFoundException:
            value, ttl_s = None, MISS_TTL_S
        # Whatever the SDK raises, the viewer gets the origin's answer instead of an error.
        except Exception as error:
            print(f"[ERROR] the key value store cannot be read: {type(error).__name__}: {error}")
            self._paused_until_s = time.monotonic() + STORE_PAUSE_S
            return None
        finally:
            self.waited_s += time.perf_counter() - asked_s
        self._memory.put(key, value, ttl_s)
        return value


STORE = Store(_read_store_arn())


def handler(event: Event, context: object) -> Event:
    """Answer the viewer, or pass the request on as it is."""
    request: Event = event["Records"][0]["cf"]["request"]
    STORE.waited_s = 0.0
    path = _PATH.fullmatch(request["uri"])
    if request["method"] != "GET" or path is None:
        return request
    now_s = time.time()
    claims = _session_claims(request["headers"], now_s)
    if claims is None:
        return request
    answer = _stored_answer(f"{claims['sub']}_{path[1]}")
    if answer is None:
        return request
    stale = _staleness(answer, claims, now_s)
    if stale is not None:
        return _no_answer(path[1], stale) if answer.get("fallback") == "none" else request
    as_events = _accepts_events(request["headers"])
    if "body" in answer:
        return _to_body(request, path[1], answer["body"], as_events)
    return _response(path[1], answer, as_events, now_s)


def _stored_answer(key: str) -> Event | None:
    """An answer with all that a hit needs, and nothing broken in it."""
    value = STORE.get(key, ANSWER_TTL_S)
    try:
        answer = json.loads(value or "null")
    except ValueError:
        print(f"[ERROR] the value of {key!r} is not JSON")
        return None
    return answer if isinstance(answer, dict) and _is_whole(answer) else None


def _is_whole(answer: Event) -> bool:
    generated, expires = answer.get("generated"), answer.get("expires")
    # `type(...) is int`: in Python, True is an int as well.
    if type(generated) is not int or type(expires) is not int or expires > _LAST_DATE_S:
        return False
    if "body" in answer:
        has_text = _matches(_BODY, answer["body"])
    else:
        has_text = _is_text(answer.get("answer"))
    return (
        has_text
        and ("version" not in answer or _matches(_VERSION, answer["version"]))
        and ("scope" not in answer or _matches(_SCOPE, answer["scope"]))
        and ("floor" not in answer or _is_number(answer["floor"]))
        and (
            "confidence" not in answer
            or (_is_number(answer["confidence"]) and _is_positive(answer.get("half_life")))
        )
    )


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and abs(value) < 1e18  # type: ignore[arg-type]


def _is_positive(value: object) -> bool:
    return type(value) is int and 0 < value < 10**18


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(value.encode())
    # Half a character, which JSON can hold and a response cannot.
    except UnicodeEncodeError:
        return False


def _staleness(answer: Event, claims: Event, now_s: float) -> str | None:
    """Why an answer may not be served any more."""
    if answer["expires"] <= now_s:
        return "expired"
    if "confidence" in answer:
        age_s = max(0.0, now_s - answer["generated"])
        left = answer["confidence"] * 0.5 ** (age_s / answer["half_life"])
        if left < answer.get("floor", CONFIDENCE_FLOOR):
            return "degraded"
    if "scope" in answer:
        if answer["scope"] == "session":
            current: str | None = str(claims["iat"])
        else:
            current = STORE.get(f"version/{answer['scope']}", VERSION_TTL_S)
        # As long as nothing has changed there is no tag.
        if current is not None and current != answer.get("version"):
            return "lagging"
    return None


def _to_body(request: Event, action_id: str, body: str, as_events: bool) -> Event:
    """The request for the body in S3; if it is not to be had, the origin answers at that path."""
    request["uri"] = f"{body}/{'sse' if as_events else 'json'}/{action_id}"
    request["querystring"] = ""
    # The body is one answer and not a file: no parts of it, and no 304.
    for name in _OF_FILES:
        request["headers"].pop(name, None)
    return request


def _no_answer(action_id: str, stale: str) -> Event:
    """What the contract asks for where an old answer would be worse than none."""
    headers = {
        "content-type": "application/json; charset=utf-8",
        "cache-control": "private, no-store",
        "x-answer-source": "none",
        "x-answer-stale": stale,
    }
    return {
        "status": "404",
        "statusDescription": "Not Found",
        "headers": {name: [{"value": value}] for name, value in headers.items()},
        "body": _json({"action": action_id, "answer": None}),
    }


def _response(action_id: str, answer: Event, as_events: bool, now_s: float) -> Event:
    """The generated response: JSON, or the same as server-sent events."""
    text = answer["answer"]
    done = {"action": action_id}
    if as_events:
        content_type = "text/event-stream"
        body = f"data: {_json({'text': text})}\n\nevent: done\ndata: {_json(done)}\n\n"
    else:
        content_type = "application/json; charset=utf-8"
        body = _json({**done, "answer": text})
    headers = {
        "content-type": content_type,
        "cache-control": "private, no-store",
        "x-answer-source": "edge",
        "x-answer-age": str(max(0, int(now_s) - answer["generated"])),
        "x-answer-expires": formatdate(answer["expires"], usegmt=True),
    }
    if "version" in answer:
        headers["x-answer-version"] = answer["version"]
    if STORE.waited_s:
        # W3C "Server Timing": a browser's developer tools show it, and load tests add it up.
        headers["server-timing"] = f"store;dur={STORE.waited_s * 1_000:.1f}"
    return {
        "status": "200",
        "statusDescription": "OK",
        "headers": {name: [{"value": value}] for name, value in headers.items()},
        "body": body,
    }


def _json(value: Event) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _accepts_events(headers: Event) -> bool:
    return any("text/event-stream" in line["value"].lower() for line in headers.get("accept", ()))


def _session_claims(headers: Event, now_s: float) -> Event | None:
    """The claims of a valid session; never from anything that a stranger can write."""
    token = _session_cookie(headers)
    if token is None:
        return None
    segments = token.split(".") if len(token) <= _TOKEN_MAX_CHARS else []
    if len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        return None
    header, claims, signature = segments
    algorithm = _decoded(header)
    # RFC 8725 3.1: the token does not choose its algorithm. RFC 7515 4.1.11: nor may it add rules.
    if algorithm.get("alg") != "HS256" or "crit" in algorithm:
        return None
    key = STORE.get(SESSION_KEY_NAME, SESSION_KEY_TTL_S)
    if not key:
        return None
    expected = hmac.digest(key.encode(), f"{header}.{claims}".encode(), hashlib.sha256)
    # As text: a signature has one spelling, and the comparison takes the same time for any.
    if not hmac.compare_digest(base64.urlsafe_b64encode(expected).rstrip(b"="), signature.encode()):
        return None
    return _valid(_decoded(claims), now_s)


def _valid(claims: Event, now_s: float) -> Event | None:
    user_id, issued, expires = claims.get("sub"), claims.get("iat"), claims.get("exp")
    if type(issued) is not int or type(expires) is not int or expires <= now_s:
        return None
    valid = isinstance(user_id, str) and _USER_ID.fullmatch(user_id)
    return claims if valid else None


def _session_cookie(headers: Event) -> str | None:
    """The value of the cookie `session`; the last one wins, as at the origin."""
    found = None
    for line in headers.get("cookie", ()):
        for crumb in line["value"].split(";"):
            name, equals, value = crumb.strip().partition("=")
            if equals and name == "session":
                found = value
    return found


def _decoded(segment: str) -> Event:
    try:
        value = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    # RecursionError: four thousand opening brackets are enough for one.
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
