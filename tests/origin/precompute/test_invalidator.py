"""State changes and the contract watch, against a real endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from origin.precompute.invalidator import BadEventError
from origin.precompute.messages import Put
from tests.aws.endpoint import Endpoint
from tests.origin.precompute.pipeline import (
    Pipeline,
    artifact,
    batch,
    endpoint,
    new_pipeline,
    now_s,
    put,
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """One endpoint for all tests here."""
    with endpoint(tmp_path_factory.mktemp("invalidator")) as running:
        yield running


@pytest.fixture
def pipeline(running: Endpoint) -> Pipeline:
    """Resources that no other test uses."""
    return new_pipeline(running)


def changed(subject: str = "deployment:4711", **detail: Any) -> dict[str, Any]:
    """A StateChanged as EventBridge hands it over."""
    return {
        "id": f"id-{now_s()}",
        "time": datetime.fromtimestamp(now_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "detail-type": "StateChanged",
        "source": "localpop.backend",
        "detail": {"subject": subject, "change": "failed", **detail},
    }


def test_exactly_the_answers_that_name_it_go(pipeline: Pipeline) -> None:
    """Seventy of them, more than one call takes; the others stay."""
    writer, generated_s = pipeline.writer(), now_s() - 5

    def answers(user_id: str, count: int, subject: str) -> Put:
        names = [f"action-{number}" for number in range(count)]
        return put(
            *(artifact(user_id, n, generated_s=generated_s, subjects=[subject]) for n in names)
        )

    named = [answers("one", 40, "deployment:4711"), answers("two", 30, "deployment:4711")]
    writer.handle(batch(*named, answers("three", 20, "deployment:4712")))
    pipeline.happened(wait_for=1)

    answered = pipeline.invalidator().handle(changed())
    letters = pipeline.deliver(writer)
    assert answered == {"subject": "deployment:4711", "invalidated": 70}
    assert len(letters) == 2
    assert set(pipeline.stored()) == {f"three_action-{number}" for number in range(20)}
    [(name, detail)] = pipeline.happened(wait_for=1)
    assert (name, detail["invalidated"], len(detail["keys"])) == ("AnswersInvalidated", 70, 70)
    # Once more, it finds nothing.
    assert pipeline.invalidator().handle(changed())["invalidated"] == 0


def test_new_answers_are_wanted_user_by_user(pipeline: Pipeline) -> None:
    """When the change asks for it."""
    generated_s = now_s() - 5
    pipeline.writer().handle(
        batch(
            put(*(artifact("one", name, generated_s=generated_s) for name in ("a", "b"))),
            put(artifact("two", "a", generated_s=generated_s)),
        )
    )
    pipeline.happened(wait_for=1)
    pipeline.invalidator().handle(changed(regenerate=True))

    wanted = [d for name, d in pipeline.happened(wait_for=3) if name == "AnswersWanted"]
    assert {(one["user_id"], *one["actions"]) for one in wanted} == {
        ("one", "a", "b"),
        ("two", "a"),
    }
    assert {one["reason"] for one in wanted} == {"StateChanged/deployment:4711 failed"}


def test_what_is_under_way_is_caught_too(pipeline: Pipeline) -> None:
    """Generated from the old state, arriving after the change, unknown to the registry."""
    late = put(artifact(generated_s=now_s() - 2))
    pipeline.invalidator().handle(changed(occurred_at=now_s() - 1))
    pipeline.writer().handle(batch(late))
    assert pipeline.stored() == {}

    pipeline.writer().handle(batch(put(artifact())))
    assert set(pipeline.stored()) == {"user-001_ticket-digest"}


def test_a_change_of_the_future_does_not_block_answers(pipeline: Pipeline) -> None:
    """A clock that is wrong, or somebody who means harm: at most everything up to now is old."""
    pipeline.invalidator().handle(changed(occurred_at=now_s() + 10**9))
    pipeline.writer().handle(batch(put(artifact(generated_s=now_s() + 1))))

    assert set(pipeline.stored()) == {"user-001_ticket-digest"}


def test_a_version_comes_with_the_change(pipeline: Pipeline) -> None:
    """The tag goes the same way as deletes, before them."""
    event = changed("policy:refunds", scope="policies", version="v2")
    pipeline.invalidator().handle(event)
    pipeline.deliver(pipeline.writer())

    assert pipeline.stored() == {"version/policies": "v2"}


POISON: dict[str, Any] = {
    "nothing": None,
    "a list": [],
    "no detail": {"id": "1"},
    "no id": {"detail": {"subject": "a:b"}},
    "no subject": changed(None),  # type: ignore[arg-type]
    "a subject that is none": changed("everything"),
    "huge": changed("a:" + "x" * 200_000),
    "regenerate in text": changed(regenerate="yes"),
    "a version without scope": changed(version="v2"),
    "a scope that climbs": changed(scope="../x", version="v2"),
    "a version with a line break": changed(scope="policies", version="a\nb"),
}


@pytest.mark.parametrize("event", POISON.values(), ids=POISON.keys())
def test_poison_is_refused_with_its_reason(pipeline: Pipeline, event: Any) -> None:
    """The function fails, and its dead letters keep event and reason."""
    with pytest.raises(BadEventError, match=r"\w"):
        pipeline.invalidator().handle(event)

    assert pipeline.letters(pipeline.queue_url) == []


def test_the_watch_tells_of_broken_contracts_once_and_sweeps(pipeline: Pipeline) -> None:
    """Past its SLA and still served: broken. Expired: swept. Neither: left alone."""
    began_s, writer = now_s(), pipeline.writer()
    writer.handle(
        batch(
            put(
                artifact("u", "kept", sla_s=600, ttl_s=600),
                artifact("u", "broken", sla_s=30, ttl_s=600),
                artifact("u", "gone", sla_s=600, ttl_s=30),
            )
        )
    )
    pipeline.happened(wait_for=1)
    watch = pipeline.watch(now_s=lambda: began_s + 60)

    assert watch.handle() == {"broken": 1, "swept": 1}
    [(name, detail)] = pipeline.happened(wait_for=1)
    assert name == "AnswerContractBroken"
    assert (detail["key"], detail["owner"], detail["served"]) == ("u_broken", "platform", True)
    # The writer believes its own clock: by that, nothing has expired yet.
    letters = pipeline.deliver(writer)
    assert len(letters) == 1
    assert len(pipeline.stored()) == 3
    writer.now_s = watch.now_s
    writer.handle(batch(letters[0]["Body"]))
    assert set(pipeline.stored()) == {"u_kept", "u_broken"}
    assert watch.handle() == {"broken": 0, "swept": 0}
