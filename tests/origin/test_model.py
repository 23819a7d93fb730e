"""The model: Bedrock's wire format in, text out; every fault sorted."""

from __future__ import annotations

import os
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from origin.model import Completion, Model, ModelError, ModelFault, Prompt, open_model
from tests.origin.aws_stand_in import ANSWER, StandIn, eventually, pieces_of

PROMPT = Prompt(system="Be brief.", text="How is é?", max_tokens=300)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)


def test_a_whole_answer(stand_in: StandIn, model: Model) -> None:
    """InvokeModel sends the Messages API's body, and returns text, tokens and stop reason."""
    completion = model.complete(PROMPT)

    assert completion == Completion(ANSWER, 400, 60, "end_turn")
    assert stand_in.prompts == [
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 300,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": "How is é?"}],
        }
    ]
    assert stand_in.model_ids == ["us.anthropic.claude-haiku-4-5-20251001-v1:0"]


def test_a_streamed_answer(stand_in: StandIn, model: Model) -> None:
    """InvokeModelWithResponseStream yields the model's own pieces."""
    assert list(model.stream(PROMPT)) == pieces_of(ANSWER)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_any_text_survives_both_ways(stand_in: StandIn, model: Model, text: str) -> None:
    """What the model writes arrives unchanged, whole or in pieces."""
    stand_in.answer = lambda prompt: text

    assert model.complete(PROMPT).text == text
    assert "".join(model.stream(PROMPT)) == text


def test_the_model_is_configuration(stand_in: StandIn) -> None:
    """BEDROCK_MODEL_ID names the model; an inference profile's ARN is one as well."""
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    with closing(open_model({"BEDROCK_MODEL_ID": profile}, max_connections=1)) as model:
        model.complete(PROMPT)

    assert stand_in.model_ids == [profile]


@pytest.mark.parametrize(
    ("status", "code", "fault"),
    [
        (429, "ThrottlingException", ModelFault.THROTTLED),
        (503, "ServiceUnavailableException", ModelFault.THROTTLED),
        (429, "ModelNotReadyException", ModelFault.THROTTLED),
        (400, "ServiceQuotaExceededException", ModelFault.THROTTLED),
        (500, "InternalServerException", ModelFault.UNREACHABLE),
        (408, "ModelTimeoutException", ModelFault.UNREACHABLE),
        (424, "ModelErrorException", ModelFault.UNREACHABLE),
        (403, "AccessDeniedException", ModelFault.REFUSED),
        (403, "UnrecognizedClientException", ModelFault.REFUSED),
        (404, "ResourceNotFoundException", ModelFault.REFUSED),
        (400, "ValidationException", ModelFault.REFUSED),
    ],
)
def test_errors_are_sorted_and_not_retried(
    stand_in: StandIn, model: Model, status: int, code: str, fault: ModelFault
) -> None:
    """Each error says what it means to the caller, at once, and tells strangers nothing."""
    stand_in.model_error = (status, code)

    for call in (model.complete, lambda prompt: list(model.stream(prompt))):
        with pytest.raises(ModelError) as caught:
            call(PROMPT)
        assert (caught.value.fault, caught.value.code) == (fault, code)
        assert "123456789012" in str(caught.value)
        assert "123456789012" not in caught.value.public_message
    assert len(stand_in.prompts) == 2


@pytest.mark.parametrize(
    ("how", "fault", "code"),
    [
        ("exception", ModelFault.UNREACHABLE, "ModelStreamErrorException"),
        ("end", ModelFault.BROKEN, "StreamEnded"),
    ],
)
def test_a_stream_that_breaks_is_an_error(
    stand_in: StandIn, model: Model, how: str, fault: ModelFault, code: str
) -> None:
    """The good pieces arrive, and then the error: half an answer is never taken for a whole."""
    stand_in.break_after, stand_in.break_how = 3, how
    pieces = model.stream(PROMPT)

    assert [next(pieces) for _ in range(3)] == pieces_of(ANSWER)[:3]
    with pytest.raises(ModelError) as caught:
        next(pieces)
    assert (caught.value.fault, caught.value.code) == (fault, code)


def test_closing_a_stream_stops_the_model(stand_in: StandIn, model: Model) -> None:
    """Who stops reading and closes, closes the connection: the model is told."""
    stand_in.hold_before = 4
    with closing(model.stream(PROMPT)) as pieces:
        assert next(pieces) == pieces_of(ANSWER)[0]

    # The stand-in holds the next frame until the client is gone; it is never released.
    eventually(lambda: stand_in.streams_abandoned == 1)
    assert stand_in.pieces_sent == 4


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("AWS_ENDPOINT_URL", "http://local@127.0.0.1:9", ModelFault.UNREACHABLE),
        ("AWS_ENDPOINT_URL", "nonsense", ModelFault.REFUSED),
        ("AWS_DEFAULT_REGION", None, ModelFault.REFUSED),
        ("AWS_SECRET_ACCESS_KEY", None, ModelFault.REFUSED),
    ],
)
def test_a_wrong_environment_is_an_error(
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str | None,
    fault: ModelFault,
) -> None:
    """No region, no credentials, nobody there: a ModelError like any other."""
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)

    # Either of the two may be where boto3 finds out.
    with (
        pytest.raises(ModelError) as caught,
        closing(open_model(os.environ, max_connections=1)) as model,
    ):
        model.complete(PROMPT)

    assert caught.value.fault is fault
