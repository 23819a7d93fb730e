"""The session: who asks, as a signed cookie that edge and origin check with one key.

A session is a JSON Web Token in compact form, signed with HMAC SHA-256 (RFC 7519 "JSON Web Token",
RFC 7515 "JSON Web Signature", RFC 7518 section 3.2), in the cookie `session`:

    {"alg":"HS256","typ":"JWT"} . {"sub":"user-001","iat":1763719200,"exp":1763762400} . signature

The UserID is only ever taken from here, never from a header or a query that a stranger can write.
The key is the environment variable SESSION_KEY on the origin's side, and the entry
`config/session-key` of the key value store at the edge; the `/` keeps it apart from every answer,
because neither a UserID nor an ActionID can hold one.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

COOKIE_NAME = "session"
SESSION_KEY_VARIABLE = "SESSION_KEY"
SESSION_KEY_IN_STORE = "config/session-key"
USER_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
"""No `_`: so `UserID_ActionID` has exactly one reading."""

# RFC 7518 section 3.2: "A key of the same size as the hash output (for instance, 256 bits for
# "HS256") or larger MUST be used with this algorithm."
MIN_KEY_BYTES = 32
# Browsers keep cookies of at least 4,096 bytes (RFC 6265 section 6.1); nothing longer is ours.
MAX_TOKEN_CHARS = 4096

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = {"alg": "HS256", "typ": "JWT"}


class SessionProblem(Enum):
    """Why a session was not accepted."""

    MISSING = "missing"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    FORGED = "forged"
    CLAIMS = "claims"
    EXPIRED = "expired"


class SessionError(Exception):
    """A session was not accepted; `problem` says why, the message says it to the viewer."""

    def __init__(self, problem: SessionProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


class SessionKeyError(Exception):
    """The session key is missing or too weak; the message says how to mend it."""


@dataclass(frozen=True, slots=True)
class Session:
    """An accepted session.

    Attributes:
        user_id: The UserID (claim `sub`).
        issued_at_s: Epoch seconds (claim `iat`).
        expires_at_s: Epoch seconds (claim `exp`); at this second it is no longer valid.
    """

    user_id: str
    issued_at_s: int
    expires_at_s: int


def issue(user_id: str, key: str, *, now_s: int, ttl_s: int) -> str:
    """Sign a session for one user.

    Args:
        user_id: Whom the session is for.
        key: The session key, as text; its UTF-8 bytes are the HMAC key.
        now_s: Epoch seconds.
        ttl_s: How long the session is valid; at least one second.

    Raises:
        ValueError: The UserID or the time to live cannot be in a session.
    """
    if not USER_ID.fullmatch(user_id):
        raise ValueError(
            f"UserID {user_id!r}: 1 to 64 characters of A-Z, a-z, 0-9, '.' and '-' expected"
        )
    if ttl_s < 1:
        raise ValueError(f"ttl_s {ttl_s}: a session is valid for at least one second")
    claims = {"sub": user_id, "iat": now_s, "exp": now_s + ttl_s}
    signed = f"{_encode_json(_HEADER)}.{_encode_json(claims)}"
    return f"{signed}.{_signature(signed, key)}"


def verify(token: str, key: str, *, now_s: float) -> Session:
    """Accept a session, or say why not.

    Nothing inside the token is believed before its signature is: only the algorithm's name is read
    earlier, so that a token of another algorithm gets a message of its own.

    Args:
        token: The cookie's value.
        key: The session key, as text.
        now_s: Epoch seconds.

    Raises:
        SessionError: Not accepted; the message holds nothing secret.
    """
    if not token:
        raise SessionError(SessionProblem.MISSING, f"no {COOKIE_NAME!r} cookie was sent")
    segments = token.split(".") if len(token) <= MAX_TOKEN_CHARS else []
    if len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise SessionError(SessionProblem.MALFORMED, "the session is not a compact JWT")
    header, claims, signature = segments
    _check_header(_decode_json(header))
    # Compared as text: so there is one spelling of a signature, and the comparison takes the same
    # time wherever the first difference is.
    if not hmac.compare_digest(_signature(f"{header}.{claims}", key), signature):
        raise SessionError(
            SessionProblem.FORGED, "the session's signature does not belong to this site's key"
        )
    session = _read_claims(_decode_json(claims))
    if session.expires_at_s <= now_s:
        raise SessionError(
            SessionProblem.EXPIRED, f"the session expired at {_as_utc(session.expires_at_s)}"
        )
    return session


def read_session_key(environment: Mapping[str, str]) -> str:
    """The session key from the environment.

    Raises:
        SessionKeyError: It is missing, or shorter than RFC 7518 allows.
    """
    key = environment.get(SESSION_KEY_VARIABLE, "")
    remedy = (
        f"Set {SESSION_KEY_VARIABLE} to a random text of at least {MIN_KEY_BYTES} bytes, such as "
        "the output of: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
    )
    if not key:
        raise SessionKeyError(f"{SESSION_KEY_VARIABLE} is not set. {remedy}")
    try:
        length_bytes = len(key.encode())
    except UnicodeEncodeError:
        raise SessionKeyError(f"{SESSION_KEY_VARIABLE} is not valid UTF-8. {remedy}") from None
    if length_bytes < MIN_KEY_BYTES:
        raise SessionKeyError(
            f"{SESSION_KEY_VARIABLE} has {length_bytes} bytes, too short for HS256. {remedy}"
        )
    return key


def _signature(signed: str, key: str) -> str:
    return _encode(hmac.digest(key.encode(), signed.encode(), hashlib.sha256))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _encode_json(value: Mapping[str, object]) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _decode_json(segment: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    # RecursionError: four thousand opening brackets are enough for one.
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise SessionError(SessionProblem.MALFORMED, "the session is not a compact JWT")
    return value


def _check_header(header: Mapping[str, Any]) -> None:
    # RFC 8725 section 3.1: the verifier names the algorithms it accepts, the token does not choose.
    # RFC 7515 section 4.1.11: a token with `crit` must be refused by who does not know its entries.
    if header.get("alg") != "HS256" or "crit" in header:
        raise SessionError(SessionProblem.ALGORITHM, "only sessions signed with HS256 are accepted")


def _read_claims(claims: Mapping[str, Any]) -> Session:
    user_id, issued_at_s, expires_at_s = claims.get("sub"), claims.get("iat"), claims.get("exp")
    if not isinstance(user_id, str) or not USER_ID.fullmatch(user_id):
        raise SessionError(SessionProblem.CLAIMS, "the session's 'sub' is not a UserID")
    # `type(...) is int`: in Python, True is an int as well.
    if type(issued_at_s) is not int or type(expires_at_s) is not int:
        raise SessionError(
            SessionProblem.CLAIMS, "the session's 'iat' and 'exp' must be whole epoch seconds"
        )
    return Session(user_id, issued_at_s, expires_at_s)


def _as_utc(epoch_s: int) -> str:
    try:
        return datetime.fromtimestamp(epoch_s, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{epoch_s} (epoch seconds)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        key = read_session_key(os.environ)
    except SessionKeyError as error:
        print(f"origin.session: {error}", file=sys.stderr)
        return 2
    if options.command == "issue":
        return _issue_sessions(key, users=options.users, hours=options.hours)
    return _publish_key(key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m origin.session",
        description=f"Issue sessions, and publish their key. The key is ${SESSION_KEY_VARIABLE}.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    issuing = commands.add_parser("issue", help="print one line 'user-001 <jwt>' for each user")
    issuing.add_argument("--users", type=_at_least_one, required=True, metavar="N")
    issuing.add_argument("--hours", type=_hours, default=12.0, help="validity (default: 12)")
    commands.add_parser(
        "publish-key",
        help=f"write the key to {SESSION_KEY_IN_STORE} in the key value store $ANSWER_STORE_ARN",
    )
    return parser


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: at least 1 expected")
    return number


def _hours(text: str) -> float:
    hours = float(text)
    # A year is far beyond any sensible session; the bound also refuses nan and inf.
    if not 1 / 3600 <= hours <= 8760:
        raise argparse.ArgumentTypeError(f"{text}: between one second and 8760 hours expected")
    return hours


def _issue_sessions(key: str, *, users: int, hours: float) -> int:
    now_s = int(time.time())
    for number in range(1, users + 1):
        user_id = f"user-{number:03d}"
        print(user_id, issue(user_id, key, now_s=now_s, ttl_s=int(hours * 3600)))
    return 0


def _publish_key(key: str) -> int:
    # Imported here: boto3 takes half a second that `issue` need not spend.
    from origin.store import StoreError, StoreWriter, open_store

    try:
        with open_store(os.environ) as (client, store_arn):
            StoreWriter(client, store_arn).update({SESSION_KEY_IN_STORE: key})
    except StoreError as error:
        print(f"origin.session: {error}", file=sys.stderr)
        return 2
    print(f"published the session key as {SESSION_KEY_IN_STORE} in {store_arn}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
