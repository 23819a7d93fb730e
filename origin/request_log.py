"""Who asked for what, and when: read from a log of requests, whichever form it has.

Two forms are read, told apart by their first line:

    JSON lines    {"at": <epoch s>, "session": "<any>", "user_id": "user-001", "action": "<id>"}
    access log    CloudFront's standard log (`#Fields: date time … cs-uri-stem … cs(Cookie) …`,
                  Amazon CloudFront Developer Guide "Standard logging reference"); the session is
                  the session cookie's, or the viewer's address and agent where no cookie is logged

A line that cannot be read is counted and passed over: a log is evidence, not an input to refuse.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from origin.actions import ACTION_ID
from origin.session import USER_ID

_ANSWER_PATH = re.compile(r"/(?:lambda-)?answers/([a-z0-9-]{1,64})")
_COOKIE = re.compile(r"(?:^|;\s*)session=([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.")


class RequestLogError(Exception):
    """A log cannot be read at all; the message says why."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request for an answer, or for something else.

    Attributes:
        at_s: Epoch seconds.
        session: Whatever tells one sitting of one viewer from another.
        user_id: Who; empty when the log does not tell.
        action: The ActionID; empty for a path that is no answer.
        path: Path and query as they were asked for; empty in JSON lines.
    """

    at_s: float
    session: str
    user_id: str
    action: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class RequestLog:
    """A log as it was read.

    Attributes:
        requests: In the order of time.
        unreadable: How many lines were passed over.
    """

    requests: tuple[LoggedRequest, ...]
    unreadable: int = 0

    def sessions(self) -> list[list[str]]:
        """The actions of each session, in their order."""
        return [[one.action for one in visit] for visit in self.visits()]

    def visits(self) -> list[list[LoggedRequest]]:
        """The requests for answers of each session, in their order."""
        by_session: dict[str, list[LoggedRequest]] = {}
        for one in self.requests:
            if one.action:
                by_session.setdefault(one.session, []).append(one)
        return list(by_session.values())

    def by_user(self) -> dict[str, RequestLog]:
        """A log for each user who asked."""
        found: dict[str, list[LoggedRequest]] = {}
        for one in self._known():
            found.setdefault(one.user_id, []).append(one)
        return {user_id: RequestLog(tuple(requests)) for user_id, requests in found.items()}

    def sessions_of(self, user_id: str) -> int:
        """How many sessions one user had."""
        return len({one.session for one in self._known() if one.user_id == user_id})

    def popular_users(self) -> list[str]:
        """The users who asked, those who asked most first."""
        return [name for name, _ in Counter(one.user_id for one in self._known()).most_common()]

    def popular_actions(self, user_id: str) -> Counter[str]:
        """How often one user asked for what."""
        return Counter(one.action for one in self._known() if one.user_id == user_id)

    def popular_paths(self) -> list[str]:
        """The paths asked for that are nobody's own, the most popular first."""
        counted = Counter(one.path for one in self.requests if one.path and not one.action)
        return [path for path, _ in counted.most_common()]

    def _known(self) -> Iterator[LoggedRequest]:
        return (one for one in self.requests if one.user_id and one.action)


def read_log_file(path: Path) -> RequestLog:
    """Read a file, packed by gzip or not.

    Raises:
        RequestLogError: It cannot be opened.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RequestLogError(f"{path}: {error.strerror}") from error
    return read_log_bytes(raw)


def read_log_bytes(raw: bytes) -> RequestLog:
    """Read a whole log from its bytes, packed by gzip or not.

    Raises:
        RequestLogError: The packing is broken.
    """
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError) as error:
            raise RequestLogError(f"a broken gzip file: {error}") from error
    return read_log(raw.decode("utf-8", "replace").splitlines())


def read_log(lines: Iterable[str]) -> RequestLog:
    """Read a log line by line."""
    fields: Sequence[str] = ()
    requests: list[LoggedRequest] = []
    unreadable = 0
    for line in lines:
        if line.startswith("#Fields:"):
            fields = line.split()[1:]
            continue
        if not line.strip() or line.startswith("#"):
            continue
        request = _of_access_log(line, fields) if fields else _of_json(line)
        if request is None:
            unreadable += 1
        else:
            requests.append(request)
    requests.sort(key=lambda one: one.at_s)
    return RequestLog(tuple(requests), unreadable)


def _of_json(line: str) -> LoggedRequest | None:
    try:
        shape: Any = json.loads(line)
        at_s, session, user_id, action = (
            float(shape["at"]),
            str(shape["session"]),
            str(shape.get("user_id", "")),
            str(shape["action"]),
        )
    # RecursionError: brackets in brackets, some thousand times.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not ACTION_ID.fullmatch(action) or not (not user_id or USER_ID.fullmatch(user_id)):
        return None
    return LoggedRequest(at_s, session, user_id, action) if 0 <= at_s < 1e12 else None


def _of_access_log(line: str, fields: Sequence[str]) -> LoggedRequest | None:
    values = line.split("\t")
    if len(values) != len(fields):
        return None
    row = dict(zip(fields, values, strict=True))
    try:
        moment = datetime.fromisoformat(f"{row['date']}T{row['time']}+00:00")
        path = unquote(row["cs-uri-stem"])
        query = row.get("cs-uri-query", "-")
    except (KeyError, ValueError):
        return None
    cookie = _COOKIE.search(unquote(row.get("cs(Cookie)", "")))
    user_id, session = _of_cookie(cookie[2]) if cookie else ("", "")
    found = _ANSWER_PATH.fullmatch(path)
    return LoggedRequest(
        moment.timestamp(),
        session or f"{row.get('c-ip', '')} {row.get('cs(User-Agent)', '')}",
        user_id,
        found[1] if found else "",
        path if query in {"", "-"} else f"{path}?{query}",
    )


def _of_cookie(claims: str) -> tuple[str, str]:
    """User and session of a session cookie. Nothing is granted by it here, so nobody checks it."""
    try:
        shape = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        user_id, issued_at_s = shape["sub"], shape["iat"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "", ""
    if not isinstance(user_id, str) or not USER_ID.fullmatch(user_id):
        return "", ""
    return user_id, f"{user_id}/{issued_at_s}"
