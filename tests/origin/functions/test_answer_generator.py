"""The Lambda function answer-generator, called as Lambda calls it, with a model over real HTTP."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from origin.actions import PRECOMPUTED_ACTION_IDS, TASKS
from origin.precompute.answering import (
    AnswersUnusable,
    BadEvent,
    GenerationError,
    ModelRefused,
    ModelThrottled,
    ModelUnavailable,
)
from origin.precompute.artifact import parse_artifact
from tests.origin.aws_stand_in import ANSWER, StandIn
from tests.origin.conftest import Switchboard, set_environment

HANDLER = Path(__file__).parents[3] / "origin" / "functions" / "answer-generator" / "handler.py"
EVENT = {
    "event_id": "11111111-2222-3333-4444-555555555555",
    "user_id": "user-036",
    "actions": [],
    "reason": "UserLoggedIn",
    "occurred_at": 1_763_719_200,
}
Handler = Callable[..., dict[str, Any]]


@dataclass
class Context:
    """What Lambda hands in, as far as the function looks at it."""

    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        """How long the call may still take."""
        return self.remaining_ms


@pytest.fixture(scope="module")
def module(switchboard: Switchboard) -> Iterator[Any]:
    """The function's module, imported once as a warm environment has it."""
    with pytest.MonkeyPatch.context() as environment:
        set_environment(environment, switchboard.url)
        spec = importlib.util.spec_from_file_location("answer_generator_handler", HANDLER)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    yield module
    module.ANSWERING.threads.shutdown(wait=True)
    module.ANSWERING.model.close()


@pytest.fixture
def generate(module: Any, stand_in: StandIn) -> Handler:
    """Call the function."""

    def call(remaining_ms: int = 30_000, **changes: Any) -> dict[str, Any]:
        result: dict[str, Any] = module.handler({**EVENT, **changes}, Context(remaining_ms))
        return result

    return call


def test_a_login(generate: Handler, stand_in: StandIn) -> None:
    """Three prompts at once, three artifacts with their tasks' contracts, tokens and cost."""
    result = generate()

    assert {name: result[name] for name in ("event_id", "user_id", "problems", "unfinished")} == {
        "event_id": EVENT["event_id"],
        "user_id": "user-036",
        "problems": [],
        "unfinished": [],
    }
    # 3 x 400 tokens at 1.10 USD, 3 x 60 at 5.50 USD for a million: Haiku 4.5, profile `us.`.
    assert result["usage"] == {"input_tokens": 1200, "output_tokens": 180, "usd": 0.00231}
    artifacts = [parse_artifact(shape) for shape in result["answers"]]
    assert tuple(one.action_id for one in artifacts) == PRECOMPUTED_ACTION_IDS
    for one in artifacts:
        task = TASKS[one.action_id]
        assert (one.answer, one.contract.owner) == (ANSWER, task.owner)
        assert one.contract.freshness_sla_s == task.freshness_sla_s
        assert one.expires_at_s - one.generated_at_ms // 1000 == task.freshness_sla_s
        assert len(one.source.content_hash) == 64
    by_action = {one.action_id: one.contract.invalidated_by for one in artifacts}
    assert by_action["deployment-summary"] == (
        "deployment:event-pipeline",
        "deployment:report-runner",
        "policy:summaries",
    )
    assert "row:tickets/T-2574" in by_action["ticket-digest"]


def test_a_follow_up_belongs_to_its_session(generate: Handler) -> None:
    """What a prediction asked for lives for five minutes, in the session that it is for."""
    result = generate(actions=["incident-timeline"], reason="follow-up/1763719200")

    (artifact,) = map(parse_artifact, result["answers"])
    assert artifact.expires_at_s - artifact.generated_at_ms // 1000 == 300
    assert (artifact.source.scope, artifact.source.version) == ("session", "1763719200")


def test_candidates_need_no_model(generate: Handler, stand_in: StandIn) -> None:
    """The base of the recommendations is computed: no prompt, no token."""
    result = generate(actions=["recommendation-candidates"], reason="cycle")

    (artifact,) = map(parse_artifact, result["answers"])
    assert len(artifact.answer.split()) == 50
    assert (stand_in.prompts, result["usage"]["usd"]) == ([], 0)


def test_what_fails_is_named_and_the_rest_is_kept(generate: Handler, stand_in: StandIn) -> None:
    """One unusable answer is one problem, after a second draw, and its tokens are counted."""
    stand_in.answer = lambda prompt: "\x07" if prompt.startswith("Digest") else ANSWER

    result = generate()

    assert [one["action"] for one in result["answers"]] == [
        "morning-briefing",
        "deployment-summary",
    ]
    assert result["problems"] == [
        "ticket-digest: unusable: the answer holds the control character U+0007"
    ]
    assert result["unfinished"] == []
    assert result["usage"]["input_tokens"] == 4 * 400


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "answered nothing", id="empty"),
        pytest.param(" \n\t ", "answered nothing", id="blank"),
        pytest.param("All is well.\x00", r"control character U\+0000", id="control"),
        pytest.param("abc\u202edef", r"control character U\+202E", id="turned around"),
        pytest.param("\ud800 half", "^(?!)", id="half a character is mended"),
        pytest.param("a\ufffdb", "could not be decoded", id="not decoded"),
        pytest.param("x" * 1401, "1401 characters", id="over-long"),
        pytest.param("#$%&/()=?" * 30, "hardly any letters", id="no letters"),
        pytest.param("the same " * 60, "repeats itself", id="in a loop"),
    ],
)
def test_garbage_is_never_stored(
    generate: Handler, stand_in: StandIn, text: str, problem: str
) -> None:
    """What a model may answer when it goes wrong is named, and is no answer."""
    stand_in.answer = lambda prompt: text

    if problem == "^(?!)":
        assert generate()["answers"][0]["answer"] == "? half"
        return
    with pytest.raises(AnswersUnusable, match=problem):
        generate()


def test_an_answer_cut_off_is_not_stored(generate: Handler, stand_in: StandIn) -> None:
    """A text that ends at the limit of tokens is half a text."""
    stand_in.stop_reason = "max_tokens"

    with pytest.raises(AnswersUnusable, match="cut off after 60 tokens"):
        generate()


def test_throttles_are_tried_again(generate: Handler, stand_in: StandIn) -> None:
    """A few throttles cost time, and no answer."""
    stand_in.throttles = 4

    result = generate()

    assert (len(result["answers"]), result["problems"]) == (3, [])
    assert len(stand_in.prompts) == 7


@pytest.mark.parametrize(
    ("model_error", "raised"),
    [
        pytest.param((429, "ThrottlingException"), ModelThrottled, id="throttled"),
        pytest.param((503, "ServiceUnavailableException"), ModelThrottled, id="no room"),
        pytest.param((500, "InternalServerException"), ModelUnavailable, id="down"),
        pytest.param((403, "AccessDeniedException"), ModelRefused, id="no right"),
    ],
)
def test_when_nothing_is_left_it_is_raised(
    generate: Handler,
    stand_in: StandIn,
    model_error: tuple[int, str],
    raised: type[GenerationError],
) -> None:
    """The error's class tells the state machine whether to try again; the message names all."""
    stand_in.model_error = model_error

    with pytest.raises(raised, match=r"user-036: morning-briefing: .*; deployment-summary: .*;"):
        generate(remaining_ms=1500)


def test_a_long_outage_is_waited_for_elsewhere(module: Any, stand_in: StandIn) -> None:
    """After six seconds of a clock that leaps, the function ends, with half an hour to go."""
    stand_in.throttles = 1_000
    now_s = [0.0]

    def sleep(seconds: float) -> None:
        now_s[0] += seconds

    chance = random.Random(1)
    answering = replace(module.ANSWERING, monotonic_s=lambda: now_s[0], sleep=sleep, chance=chance)
    with pytest.raises(ModelThrottled):
        answering.answer({**EVENT, "actions": ["ticket-digest"]}, remaining_s=1800)
    # The last wait, of up to four seconds, was not begun.
    assert 1.8 < now_s[0] < 6
    assert len(stand_in.prompts) < 50


def test_the_time_is_kept(generate: Handler, stand_in: StandIn) -> None:
    """Prompts wait for a slow model side by side, and are given up before the function's end."""
    stand_in.hold_before = 0
    try:
        with pytest.raises(ModelUnavailable, match="timed out: the model had not answered"):
            # Long enough for all three to begin on a machine that stalls.
            generate(remaining_ms=2_500)
    finally:
        stand_in.hold_before = None
    assert stand_in.at_once == 3
    assert len(generate()["answers"]) == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"event_id": None}, "event_id", id="no id"),
        pytest.param({"event_id": "x" * 101}, "event_id", id="a long id"),
        pytest.param({"user_id": "user_1"}, "user_id", id="a bad user"),
        pytest.param({"user_id": "user-999"}, "no data about user-999", id="an unknown user"),
        pytest.param({"actions": "all"}, "actions", id="no list"),
        pytest.param({"actions": [1]}, "actions", id="no names"),
        pytest.param({"actions": ["x"] * 1000}, "actions: a list of at most", id="too many"),
        pytest.param({"actions": ["nonsense"]}, "no such task 'nonsense'", id="unknown"),
        pytest.param({"actions": ["price-quote"]}, "price-quote: .*real-time: A price", id="live"),
        pytest.param({"reason": "x" * 1000}, "reason", id="a long reason"),
    ],
)
def test_a_poison_event_is_refused(
    generate: Handler, stand_in: StandIn, changes: dict[str, Any], problem: str
) -> None:
    """A wrong event is refused in words, before any token is paid for."""
    with pytest.raises(BadEvent, match=problem):
        generate(**changes)
    assert stand_in.prompts == []


def test_an_event_that_is_no_object(module: Any, stand_in: StandIn) -> None:
    """Whatever comes, it is refused in words."""
    with pytest.raises(BadEvent, match="an object expected, not list"):
        module.handler([1], Context())


def test_live_only_actions_do_not_harm_others(generate: Handler) -> None:
    """A task that is never made ahead is named; the others of the same event are made."""
    result = generate(actions=["cart-total", "ticket-digest"])

    assert [one["action"] for one in result["answers"]] == ["ticket-digest"]
    assert "cart-total: not made ahead: real-time" in result["problems"][0]
