"""Sessions: issued, verified, refused with the reason."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.session import (
    Session,
    SessionError,
    SessionKeyError,
    SessionProblem,
    issue,
    main,
    read_session_key,
    verify,
)
from tests.origin.aws_stand_in import STORE_ARN, StandIn
from tests.origin.conftest import SESSION_KEY

NOW_S = 1_763_719_200
USER_IDS = st.from_regex(r"[A-Za-z0-9.-]{1,64}", fullmatch=True)
KEYS = st.text(st.characters(codec="utf-8"), min_size=32)


def encode(value: object) -> str:
    """One segment of a token, from JSON."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def sign(header: object, claims: object, key: str = SESSION_KEY) -> str:
    """A token with a right signature over whatever it says."""
    signed = f"{encode(header)}.{encode(claims)}"
    digest = hmac.digest(key.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def refusal(token: str, now_s: float = NOW_S) -> SessionProblem:
    """Why a token is refused."""
    with pytest.raises(SessionError) as caught:
        verify(token, SESSION_KEY, now_s=now_s)
    assert SESSION_KEY not in str(caught.value)
    return caught.value.problem


@given(USER_IDS, KEYS, st.integers(0, 2**40), st.integers(1, 10**8), st.data())
def test_round_trip(user_id: str, key: str, now_s: int, ttl_s: int, draw: st.DataObject) -> None:
    """An issued session is accepted, as issued, at every second until it expires."""
    token = issue(user_id, key, now_s=now_s, ttl_s=ttl_s)
    later_s = draw.draw(st.integers(now_s, now_s + ttl_s - 1))

    assert verify(token, key, now_s=later_s) == Session(user_id, now_s, now_s + ttl_s)


def test_wire_form() -> None:
    """The token is the one that the contract with the edge functions spells out."""
    token = issue("user-001", SESSION_KEY, now_s=NOW_S, ttl_s=60)

    header, claims, _ = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
    )
    assert header == b'{"alg":"HS256","typ":"JWT"}'
    assert claims == b'{"sub":"user-001","iat":1763719200,"exp":1763719260}'


def test_the_rfc_example() -> None:
    """The signature of RFC 7515 appendix A.1 is right by our code: only its claims are not ours."""
    key = base64.urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    signed = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    )
    digest = hmac.digest(key, signed.encode(), hashlib.sha256)

    assert base64.urlsafe_b64encode(digest) == b"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk="


@given(st.data())
def test_any_change_is_refused(draw: st.DataObject) -> None:
    """No other spelling of a token is accepted: one changed character is enough."""
    token = issue("user-001", SESSION_KEY, now_s=NOW_S, ttl_s=60)
    at = draw.draw(st.integers(0, len(token) - 1))
    other = draw.draw(st.characters(codec="utf-8").filter(lambda character: character != token[at]))

    with pytest.raises(SessionError):
        verify(token[:at] + other + token[at + 1 :], SESSION_KEY, now_s=NOW_S)


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")))
def test_garbage_is_refused(token: str) -> None:
    """Whatever a stranger sends raises SessionError, and nothing else."""
    with pytest.raises(SessionError):
        verify(token, SESSION_KEY, now_s=NOW_S)


HEADER = {"alg": "HS256", "typ": "JWT"}
CLAIMS = {"sub": "user-001", "iat": NOW_S, "exp": NOW_S + 60}


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        pytest.param("", SessionProblem.MISSING, id="nothing"),
        pytest.param("a.b", SessionProblem.MALFORMED, id="two segments"),
        pytest.param("a." * 3, SessionProblem.MALFORMED, id="an empty segment"),
        pytest.param("A" * 5000, SessionProblem.MALFORMED, id="too long for a cookie"),
        pytest.param(sign("HS256", CLAIMS), SessionProblem.MALFORMED, id="a header that is text"),
        pytest.param(
            f"{base64.urlsafe_b64encode(b'[' * 1800).decode().rstrip('=')}.YQ.YQ",
            SessionProblem.MALFORMED,
            id="deeply nested",
        ),
        pytest.param(
            f"{encode({'alg': 'none'})}.{encode(CLAIMS)}.",
            SessionProblem.MALFORMED,
            id="alg none, unsigned",
        ),
        pytest.param(
            sign({"alg": "none"}, CLAIMS), SessionProblem.ALGORITHM, id="alg none, signed"
        ),
        pytest.param(sign({"alg": "HS512"}, CLAIMS), SessionProblem.ALGORITHM, id="alg HS512"),
        pytest.param(sign({"alg": "hs256"}, CLAIMS), SessionProblem.ALGORITHM, id="alg hs256"),
        pytest.param(sign({"typ": "JWT"}, CLAIMS), SessionProblem.ALGORITHM, id="no alg"),
        pytest.param(
            sign({**HEADER, "crit": ["b64"]}, CLAIMS), SessionProblem.ALGORITHM, id="crit"
        ),
        pytest.param(
            sign(HEADER, CLAIMS, key="x" * 32), SessionProblem.FORGED, id="another site's key"
        ),
        pytest.param(sign(HEADER, {**CLAIMS, "sub": "a_b"}), SessionProblem.CLAIMS, id="sub a_b"),
        pytest.param(sign(HEADER, {**CLAIMS, "sub": 1}), SessionProblem.CLAIMS, id="sub 1"),
        pytest.param(sign(HEADER, {**CLAIMS, "sub": ""}), SessionProblem.CLAIMS, id="empty sub"),
        pytest.param(
            sign(HEADER, {**CLAIMS, "sub": "user-001\n"}), SessionProblem.CLAIMS, id="sub with \\n"
        ),
        pytest.param(sign(HEADER, {**CLAIMS, "exp": None}), SessionProblem.CLAIMS, id="no exp"),
        pytest.param(sign(HEADER, {**CLAIMS, "exp": "9" * 11}), SessionProblem.CLAIMS, id="text"),
        pytest.param(sign(HEADER, {**CLAIMS, "exp": 1e300}), SessionProblem.CLAIMS, id="fraction"),
        pytest.param(sign(HEADER, {**CLAIMS, "exp": True}), SessionProblem.CLAIMS, id="exp true"),
        pytest.param(sign(HEADER, {"sub": "u", "exp": 1}), SessionProblem.CLAIMS, id="no iat"),
        pytest.param(sign(HEADER, {**CLAIMS, "exp": NOW_S}), SessionProblem.EXPIRED, id="now"),
        pytest.param(sign(HEADER, {**CLAIMS, "exp": -(10**30)}), SessionProblem.EXPIRED, id="ages"),
    ],
)
def test_refused_with_the_reason(token: str, problem: SessionProblem) -> None:
    """Each way to be wrong has its own reason."""
    assert refusal(token) is problem


def test_expires_to_the_second() -> None:
    """A session is valid before `exp` and not at it (RFC 7519 section 4.1.4)."""
    token = issue("user-001", SESSION_KEY, now_s=NOW_S, ttl_s=60)

    assert verify(token, SESSION_KEY, now_s=NOW_S + 59.999).user_id == "user-001"
    assert refusal(token, now_s=NOW_S + 60) is SessionProblem.EXPIRED


@pytest.mark.parametrize(
    ("user_id", "ttl_s"), [("a_b", 60), ("", 60), ("x" * 65, 60), ("user-001", 0)]
)
def test_nothing_wrong_is_issued(user_id: str, ttl_s: int) -> None:
    """What could not be verified is not issued."""
    with pytest.raises(ValueError, match=r"UserID|ttl_s"):
        issue(user_id, SESSION_KEY, now_s=NOW_S, ttl_s=ttl_s)


@pytest.mark.parametrize(
    ("key", "words"),
    [("", "is not set"), ("é" * 15, "has 30 bytes"), ("\udc80" * 40, "not valid UTF-8")],
)
def test_weak_keys_are_refused(key: str, words: str) -> None:
    """A key that is missing or short is refused, with the way to make one."""
    with pytest.raises(SessionKeyError, match=words) as caught:
        read_session_key({"SESSION_KEY": key})

    assert "secrets.token_urlsafe" in str(caught.value)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    known = {name: value for name, value in os.environ.items() if name != "SESSION_KEY"}
    return subprocess.run(
        [sys.executable, "-m", "origin.session", *arguments],
        env={**known, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_issues_sessions() -> None:
    """`issue` prints a line for each user, valid for the hours asked for."""
    done = run("issue", "--users", "3", "--hours", "0.5", SESSION_KEY=SESSION_KEY)

    lines = [line.split(" ") for line in done.stdout.splitlines()]
    sessions = [verify(token, SESSION_KEY, now_s=NOW_S) for _, token in lines]
    assert [user_id for user_id, _ in lines] == ["user-001", "user-002", "user-003"]
    assert [session.user_id for session in sessions] == [user_id for user_id, _ in lines]
    assert {session.expires_at_s - session.issued_at_s for session in sessions} == {1800}
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        pytest.param(["issue", "--users", "1"], {}, "SESSION_KEY is not set", id="no key"),
        pytest.param(
            ["issue", "--users", "0"], {"SESSION_KEY": SESSION_KEY}, "at least 1", id="no users"
        ),
        pytest.param(
            ["issue", "--users", "1", "--hours", "nan"],
            {"SESSION_KEY": SESSION_KEY},
            "8760 hours expected",
            id="nan hours",
        ),
        pytest.param(
            ["publish-key"],
            {"SESSION_KEY": SESSION_KEY, "ANSWER_STORE_ARN": ""},
            "ANSWER_STORE_ARN is not set",
            id="no store",
        ),
    ],
)
def test_command_refuses_bad_input(
    arguments: list[str], environment: dict[str, Any], words: str
) -> None:
    """Bad input is one message and exit code 2."""
    done = run(*arguments, **environment)

    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout) == (2, "")


def test_command_publishes_the_key(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """`publish-key` writes the key, through a conflict, and never prints it."""
    stand_in.interlopers = 1

    exit_code = main(["publish-key"])

    assert exit_code == 0
    assert stand_in.entries == {"config/session-key": SESSION_KEY}
    assert stand_in.describes == 2
    said = capsys.readouterr()
    assert STORE_ARN in said.out
    assert SESSION_KEY not in said.out + said.err
