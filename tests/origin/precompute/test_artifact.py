"""The stored value: its key, its spelling, its quota."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin.actions import ACTION_ID
from origin.precompute.artifact import (
    MAX_VALUE_BYTES,
    AnswerTooLargeError,
    Artifact,
    Source,
    StoredAnswer,
    bodies,
    body_path,
    compact,
    dump_artifact,
    dump_value,
    make_entry,
    parse_artifact,
    parse_value,
    staleness,
    store_key,
)
from origin.precompute.contract import (
    SCOPE,
    SUBJECT,
    VERSION,
    Contract,
    FallbackIfStale,
    Staleness,
)
from origin.session import USER_ID

TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8")),
    # Long ones, around the quota.
    st.builds(
        lambda letter, count: letter * count, st.characters(codec="utf-8"), st.integers(200, 1100)
    ),
)
STORED = st.builds(StoredAnswer, TEXTS, st.integers(0, 2**40), st.integers(0, 2**40))


def test_the_spelling() -> None:
    """The value is the compact JSON that edge functions read."""
    value = dump_value(StoredAnswer("Good morning, Zoë", 1763719200, 1763722800))

    assert value == ('{"answer":"Good morning, Zoë","generated":1763719200,"expires":1763722800}')


@given(STORED)
def test_round_trip(stored: StoredAnswer) -> None:
    """What is stored is read back as it was."""
    assert parse_value(dump_value(stored)) == stored


@given(STORED)
def test_the_quota_is_in_bytes(stored: StoredAnswer) -> None:
    """An entry is made exactly when its value has at most 1,024 bytes in UTF-8."""
    size_bytes = len(dump_value(stored).encode())
    if size_bytes <= MAX_VALUE_BYTES:
        assert make_entry("u", "a", stored) == ("u_a", dump_value(stored))
    else:
        with pytest.raises(AnswerTooLargeError) as caught:
            make_entry("u", "a", stored)
        assert caught.value.size_bytes == size_bytes


@pytest.mark.parametrize("letter", ["x", "é", "😀", "\n"], ids=ascii)
def test_the_last_byte_counts(letter: str) -> None:
    """1,024 bytes are taken and the next letter is not, however many bytes a letter has."""
    around = len(dump_value(StoredAnswer("", 1763719200, 1763722800)))
    letter_bytes = len(json.dumps(letter, ensure_ascii=False).encode()) - 2
    letters, padding = divmod(MAX_VALUE_BYTES - around, letter_bytes)
    fitting = letter * letters + "." * padding

    key, value = make_entry("u", "a", StoredAnswer(fitting, 1763719200, 1763722800))

    assert (key, len(value.encode())) == ("u_a", 1024)
    with pytest.raises(AnswerTooLargeError):
        make_entry("u", "a", StoredAnswer(f"{fitting}.", 1763719200, 1763722800))


def test_the_refusal_says_what_to_do() -> None:
    """User, action, size, limit and remedy are in one message."""
    with pytest.raises(AnswerTooLargeError) as caught:
        make_entry("user-007", "ticket-digest", StoredAnswer("x" * 2000, 1763719200, 1763722800))

    assert str(caught.value).startswith(
        "user-007 ticket-digest: the answer takes 2057 bytes as a stored value, 1024 is the most. "
        "Ask for a shorter one (ANSWER_CHARS in origin/context.py)"
    )


@pytest.mark.parametrize("ids", [("a_b", "c"), ("a", "b_c"), ("", "a"), ("a", ""), ("a", "B")])
def test_keys_have_one_reading(ids: tuple[str, str]) -> None:
    """No key is made that could belong to another user or action."""
    with pytest.raises(ValueError, match="no key for"):
        store_key(*ids)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "[]",
        "7",
        "{}",
        '{"answer":"x","generated":1}',
        '{"answer":1,"generated":1,"expires":2}',
        '{"answer":"x","generated":1,"expires":"2"}',
        '{"answer":"x","generated":true,"expires":2}',
        '{"answer":"x","generated":1.5,"expires":2}',
    ],
)
def test_foreign_values_are_refused(value: str) -> None:
    """What is not one of our values raises ValueError, and nothing else."""
    with pytest.raises(ValueError, match=r"not a stored answer|Expecting value"):
        parse_value(value)


CONTRACTS = st.builds(
    Contract,
    st.integers(1, 10**6),
    st.lists(st.from_regex(SUBJECT, fullmatch=True), max_size=4, unique=True).map(tuple),
    st.sampled_from(FallbackIfStale),
    st.sampled_from(["platform", "support"]),
)
SOURCES = st.one_of(
    st.builds(Source, st.just("ab12")),
    st.builds(
        Source,
        st.just("ab12"),
        st.from_regex(VERSION, fullmatch=True),
        st.one_of(st.just(""), st.from_regex(SCOPE, fullmatch=True)),
    ),
)
SURE = st.one_of(
    st.just((None, 0, 0.5)), st.tuples(st.floats(0, 1), st.integers(1, 10**6), st.floats(0, 1))
)


@st.composite
def artifacts(draw: st.DrawFn) -> Artifact:
    """Any artifact."""
    generated_ms = draw(st.integers(0, 2**41))
    confidence, half_life_s, floor = draw(SURE)
    return Artifact(
        draw(st.from_regex(USER_ID, fullmatch=True)),
        draw(st.from_regex(ACTION_ID, fullmatch=True)),
        draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=1500)),
        generated_ms,
        generated_ms // 1000 + draw(st.integers(1, 10**6)),
        draw(CONTRACTS),
        draw(SOURCES),
        confidence,
        half_life_s,
        floor,
        draw(st.floats(0, 1e6)),
    )


@given(artifacts())
def test_the_full_form_round_trips(artifact: Artifact) -> None:
    """Through JSON, as on the queue."""
    assert parse_artifact(json.loads(json.dumps(dump_artifact(artifact)))) == artifact


@given(artifacts(), st.booleans())
def test_the_compact_form_keeps_what_the_edge_needs(artifact: Artifact, is_long: bool) -> None:
    """All its members come back, and no contract's name of an owner is in it."""
    stored = compact(artifact, body="/answer-bodies/x" if is_long else "")
    read = parse_value(dump_value(stored))
    if artifact.confidence is None:
        stored = replace(stored, floor=0.5)

    assert read == stored


def an_artifact(**changes: Any) -> Artifact:
    """An artifact for one test."""
    contract = Contract(600, ("deployment:4711",), FallbackIfStale.ORIGIN, "platform")
    usual = Artifact("user-001", "ticket-digest", "x", 1_000_000, 1_600, contract, Source("ab"))
    return replace(usual, **changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"answer": ""}, "answer: 0 bytes"),
        ({"answer": "x" * 200_001}, "answer: 200001 bytes"),
        ({"expires_at_s": 1000}, "expires: a second after"),
        ({"expires_at_s": 10**15}, "expires: no later than"),
        ({"confidence": 1.5, "half_life_s": 9}, r"confidence 1\.5"),
        ({"confidence": 0.5}, "half_life: at least"),
        ({"floor": -1.0}, "floor"),
        ({"predicted_use": float("nan")}, "predicted_use nan"),
        ({"user_id": "a_b"}, "no key for"),
    ],
)
def test_an_impossible_artifact_is_refused(changes: dict[str, Any], said: str) -> None:
    """With the member's name."""
    with pytest.raises(ValueError, match=said):
        an_artifact(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"user_id": 7}, "user_id must be text"),
        ({"answer": None}, "answer must be text"),
        ({"generated_ms": 1.5}, "generated_ms must be a whole number"),
        ({"expires": True}, "expires must be a whole number"),
        ({"invalidated_by": "x"}, "invalidated_by is no list"),
        ({"invalidated_by": [1]}, "1 is no text"),
        ({"invalidated_by": ["nonsense"]}, "subject 'nonsense'"),
        ({"invalidated_by": [f"a:{n}" for n in range(33)]}, "33 subjects"),
        ({"fallback_if_stale": "maybe"}, "'origin' or 'none' expected"),
        ({"owner": " "}, "owner"),
        ({"freshness_sla": 0}, "freshness_sla 0"),
        ({"scope": "policies"}, "together with a version"),
        ({"version": "a\r\nb"}, "version"),
        ({"confidence": 10**400, "half_life": 1}, "confidence must be a number"),
    ],
)
def test_a_wrong_message_is_refused(changes: dict[str, Any], said: str) -> None:
    """What comes over the queue is checked member by member."""
    with pytest.raises(ValueError, match=said):
        parse_artifact({**dump_artifact(an_artifact()), **changes})


@pytest.mark.parametrize("shape", [None, [], "x", 7, {}])
def test_no_artifact_at_all(shape: object) -> None:
    """Any JSON may come, and none of it does anything but raise ValueError."""
    with pytest.raises(ValueError, match="not an artifact"):
        parse_artifact(shape)


DEGRADING = StoredAnswer("x", 1_000, 2_000, "v2", "policies", 0.8, 100)


@pytest.mark.parametrize(
    ("now_s", "current", "wanted"),
    [
        (1_000, "v2", None),
        (1_000, None, None),
        (900, "v2", None),
        (1_067, "v2", None),
        (1_068, "v2", Staleness.DEGRADED),
        (1_000, "v3", Staleness.LAGGING),
        (2_000, "v3", Staleness.EXPIRED),
    ],
)
def test_staleness(now_s: int, current: str | None, wanted: Staleness | None) -> None:
    """Expired, degraded (0.8 halves in 100 s and is 0.5 after 67.8 s), lagging."""
    assert staleness(DEGRADING, now_s=now_s, current_version=current) is wanted


def test_paths_of_long_answers_cannot_be_guessed_and_do_not_change() -> None:
    """The same artifact of the same event has one path; whatever differs has another."""
    one = an_artifact()
    others = [an_artifact(user_id="user-002"), an_artifact(answer="y"), an_artifact(action_id="z")]
    paths = {body_path(one, "e1"), body_path(one, "e2"), *(body_path(o, "e1") for o in others)}

    assert body_path(one, "e1") in paths
    assert len(paths) == 5
    assert all(re.fullmatch(r"/answer-bodies/[A-Za-z0-9_-]{32}", path) for path in paths)


def test_bodies_are_spelled_as_the_origin_spells_them() -> None:
    """JSON, and server-sent events."""
    assert bodies(an_artifact(answer='ü"')) == {
        "json": (
            "application/json; charset=utf-8",
            '{"action":"ticket-digest","answer":"ü\\""}'.encode(),
        ),
        "sse": (
            "text/event-stream",
            'data: {"text":"ü\\""}\n\nevent: done\ndata: {"action":"ticket-digest"}\n\n'.encode(),
        ),
    }
