"""The single writer, against a real endpoint: nothing lost, nothing twice, nothing old over new."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from origin.precompute.artifact import Artifact
from origin.precompute.messages import Delete, NewVersion
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

NONE_LEFT: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """One endpoint for all tests here."""
    with endpoint(tmp_path_factory.mktemp("writer")) as running:
        yield running


@pytest.fixture
def pipeline(running: Endpoint) -> Pipeline:
    """Resources that no other test uses."""
    return new_pipeline(running)


def metrics(pipeline: Pipeline) -> dict[str, Any]:
    """The last line of metrics."""
    found: dict[str, Any] = json.loads([line for line in pipeline.log if '"_aws"' in line][-1])
    return found


def test_many_users_share_one_atomic_call(pipeline: Pipeline) -> None:
    """Ten users' answers, thirty keys, one UpdateKeys; and the event tells of all of them."""
    actions = ("morning-briefing", "ticket-digest", "deployment-summary")
    users = [f"user-{number:03d}" for number in range(10)]
    event = batch(*(put(*(artifact(user, action) for action in actions)) for user in users))

    assert pipeline.writer().handle(event) == NONE_LEFT
    stored = pipeline.stored()
    assert set(stored) == {f"{user}_{action}" for user in users for action in actions}
    assert metrics(pipeline)["UpdateKeysCalls"] == 1
    assert metrics(pipeline)["AnswersStored"] == 30
    assert metrics(pipeline)["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "PrecomputedAnswers"
    [(name, detail)] = pipeline.happened(wait_for=1)
    assert (name, detail["answers"]) == ("AnswersStored", 30)
    assert [one["user_id"] for one in detail["events"]] == users


def test_a_users_answers_are_never_split(pipeline: Pipeline) -> None:
    """Two users of thirty answers are two calls, not fifty keys and ten."""
    event = batch(
        *(put(*(artifact(user, f"action-{n}") for n in range(30))) for user in ("one", "two"))
    )

    assert pipeline.writer().handle(event) == NONE_LEFT
    assert metrics(pipeline)["UpdateKeysCalls"] == 2
    assert len(pipeline.stored()) == 60


def test_duplicates_and_disorder_change_nothing(pipeline: Pipeline) -> None:
    """A message that comes twice is written once; an older answer never replaces a newer one."""
    now = now_s()
    old = put(artifact(answer="old", generated_s=now - 60))
    new = put(artifact(answer="new", generated_s=now))
    writer = pipeline.writer()

    assert writer.handle(batch(new)) == NONE_LEFT
    assert writer.handle(batch(old, new)) == NONE_LEFT
    assert metrics(pipeline)["UpdateKeysCalls"] == 0
    assert metrics(pipeline)["AnswersSkipped"] == 2
    assert writer.handle(batch(put(artifact(answer="newer")), old)) == NONE_LEFT
    assert pipeline.stored()["user-001_ticket-digest"]["answer"] == "newer"


def test_the_last_message_of_a_call_counts(pipeline: Pipeline) -> None:
    """Two answers to one question in one batch: one key, the newer one, whichever comes first."""
    now = now_s()
    first, second = (
        put(artifact(answer=text, generated_s=at)) for text, at in (("1", now - 1), ("2", now))
    )
    pipeline.writer().handle(batch(first, second))

    assert pipeline.stored()["user-001_ticket-digest"]["answer"] == "2"
    pipeline.writer().handle(batch(second, first))
    assert pipeline.stored()["user-001_ticket-digest"]["answer"] == "2"


def test_a_delete_spares_what_was_generated_after_the_change(pipeline: Pipeline) -> None:
    """And what does not name the subject, and what it does not know."""
    now = now_s()
    writer = pipeline.writer()
    ids = {"before": now - 20, "after": now - 5}
    answers = [artifact("u", name, generated_s=at) for name, at in ids.items()]
    other = artifact("u", "other", generated_s=now - 20, subjects=["policy:refunds"])
    writer.handle(batch(put(*answers, other)))
    keys = ("u_before", "u_after", "u_other", "u_unknown")

    delete = Delete("e", keys, "deployment:4711", int((now - 10) * 1000))
    assert writer.handle(batch(delete)) == NONE_LEFT
    assert set(pipeline.stored()) == {"u_after", "u_other"}
    # Out of order: the older generation arrives once more, after the delete.
    assert writer.handle(batch(put(artifact("u", "before", generated_s=now - 21)))) == NONE_LEFT
    assert set(pipeline.stored()) == {"u_after", "u_other"}


def test_an_answer_of_the_first_use_path_is_deleted_by_its_own_age(pipeline: Pipeline) -> None:
    """The registry does not know it; its value tells when it was generated."""
    now = int(now_s())
    writer = pipeline.writer()
    values = {
        f"u_{name}": json.dumps({"answer": "x", "generated": at, "expires": now + 60})
        for name, at in {"old": now - 50, "new": now}.items()
    }
    writer.store.update({**values, "u_broken": "{"})
    keys = ("u_old", "u_new", "u_broken")
    writer.handle(batch(Delete("e", keys, "row:a/1", (now - 10) * 1000)))

    left = pipeline.client("cloudfront-keyvaluestore").list_keys(KvsARN=pipeline.arn)["Items"]
    assert {item["Key"] for item in left} == {"u_new", "u_broken"}


def test_what_changed_under_way_is_not_stored_but_wanted_again(pipeline: Pipeline) -> None:
    """The change came before the answer, which was generated from the old state."""
    writer = pipeline.writer()
    answer = artifact(generated_s=now_s() - 1)
    pipeline.registry().subject_changed("deployment:4711", int(now_s() * 1000))

    assert writer.handle(batch(put(answer))) == NONE_LEFT
    assert pipeline.stored() == {}
    [(name, detail)] = pipeline.happened(wait_for=1)
    assert (name, detail["user_id"], detail["actions"]) == (
        "AnswersWanted",
        "user-001",
        ["ticket-digest"],
    )


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_a_change_while_an_answer_is_named_takes_it_away(pipeline: Pipeline, moment: str) -> None:
    """Its subject changes after the look-up, before or after it is known who names it."""
    now = now_s()
    writer, invalidator = pipeline.writer(), pipeline.invalidator()

    def change(at_s: float) -> None:
        detail = {"subject": "deployment:4711", "occurred_at": at_s}
        invalidator.handle({"id": f"change-{at_s}", "detail": detail})

    # The registry has a record of it, which says that it is gone.
    writer.handle(batch(put(artifact(generated_s=now - 30))))
    change(now - 20)
    pipeline.deliver(writer)
    assert pipeline.stored() == {}

    events, changes = pipeline.client("dynamodb").meta.events, [now - 5]
    name = f"{moment}.dynamodb.BatchWriteItem"
    events.register(name, lambda **_: change(changes.pop()) if changes else None)
    writer.handle(batch(put(artifact(generated_s=now - 10))))
    assert not changes
    pipeline.deliver(writer)
    assert pipeline.stored() == {}


def test_a_version_tag_makes_others_stale(pipeline: Pipeline) -> None:
    """It lies in the store for the edge; an answer of another version is not stored any more."""
    writer, now_ms = pipeline.writer(), int(now_s() * 1000)
    old = put(artifact("u", "old", version="v1", scope="policies"))
    new = put(artifact("u", "new", version="v2", scope="policies"))
    tag = NewVersion("e", "policies", "v2", now_ms)
    late = NewVersion("e", "policies", "v1", now_ms - 1)

    assert writer.handle(batch(tag, old, new, late)) == NONE_LEFT
    assert set(pipeline.stored()) == {"version/policies", "u_new"}
    assert pipeline.stored()["version/policies"] == "v2"
    assert writer.handle(batch(old)) == NONE_LEFT
    assert set(pipeline.stored()) == {"version/policies", "u_new"}
    names = [name for name, _ in pipeline.happened(wait_for=3)]
    assert sorted(names) == ["AnswerContractBroken", "AnswerContractBroken", "AnswersStored"]


def test_too_late_and_expired_answers_are_not_stored(pipeline: Pipeline) -> None:
    """Past its SLA before it is there: the contract is broken, and somebody is told."""
    now = now_s()
    late = artifact("u", "late", generated_s=now - 700, sla_s=600, ttl_s=9000)
    expired = artifact("u", "expired", generated_s=now - 700, sla_s=9000, ttl_s=600)
    pipeline.writer().handle(batch(put(late, expired)))

    assert pipeline.stored() == {}
    [(name, detail)] = pipeline.happened(wait_for=1)
    assert (name, detail["reason"], detail["served"]) == ("AnswerContractBroken", "late", False)


LONG = "A long answer, ünï. " * 200


def test_a_long_answer_goes_to_the_bucket_before_its_pointer(pipeline: Pipeline) -> None:
    """Both forms, with what the edge needs for the headers; a change takes them away at once."""
    writer = pipeline.writer()
    first = artifact(answer=LONG, version="v1", generated_s=now_s() - 9)
    writer.handle(batch(put(first)))
    pointer = pipeline.stored()["user-001_ticket-digest"]

    assert set(pointer) == {"body", "generated", "expires", "version"}
    found = pipeline.client("s3").get_object(
        Bucket=pipeline.name, Key=f"{pointer['body'][1:]}/json/ticket-digest"
    )
    assert json.loads(found["Body"].read()) == {"action": "ticket-digest", "answer": LONG}
    assert found["ContentType"] == "application/json; charset=utf-8"
    assert found["Metadata"] == {
        "generated": str(pointer["generated"]),
        "expires": str(pointer["expires"]),
        "version": "v1",
    }
    assert len(pipeline.objects()) == 2
    changed_ms = int(now_s() * 1000)
    writer.handle(batch(Delete("e", ("user-001_ticket-digest",), "deployment:4711", changed_ms)))
    assert pipeline.stored() == {}
    assert pipeline.objects() == []


POISON = {
    "no JSON": "nope",
    "no object": "[]",
    "nested": "[" * 100_000,
    "another operation": '{"operation":"drop"}',
    "no answers": '{"operation":"put","event_id":"e","user_id":"u","answers":[]}',
    "answers that are none": '{"operation":"put","event_id":"e","user_id":"u","answers":[1]}',
    "the session key": '{"operation":"delete","event_id":"e","keys":["config/session-key"],'
    '"subject":"a:b","before_ms":1}',
    "no subject": '{"operation":"delete","event_id":"e","keys":["u_a"],"before_ms":1}',
    "a scope that climbs": '{"operation":"version","event_id":"e","scope":"../x","version":"1",'
    '"changed_ms":1}',
}


def test_poison_harms_only_itself(pipeline: Pipeline) -> None:
    """Each goes to the dead letters with its reason; what is around it is written at once."""
    good = [put(artifact(f"user-{number}")) for number in range(len(POISON) + 1)]
    messages: list[Any] = [good[0]]
    for poison, one in zip(POISON.values(), good[1:], strict=True):
        messages += [poison, one]
    event = batch(*messages)

    assert pipeline.writer().handle(event) == NONE_LEFT
    assert len(pipeline.stored()) == len(good)
    dead = pipeline.letters(pipeline.dead_url)
    assert [letter["Body"] for letter in dead] == list(POISON.values())
    reasons = [letter["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"] for letter in dead]
    assert all(reasons)
    assert {one["MessageAttributes"]["ERROR_CODE"]["StringValue"] for one in dead} == {
        "InvalidMessage"
    }
    # Delivered once more, nothing is buried a second time.
    pipeline.writer().handle(event)
    assert pipeline.letters(pipeline.dead_url) == []


def test_another_users_answer_is_poison(pipeline: Pipeline) -> None:
    """A message is one user's."""
    message = json.loads(batch(put(artifact("user-001")))["Records"][0]["body"])
    message["answers"][0]["user_id"] = "user-002"
    pipeline.writer().handle(batch(json.dumps(message)))

    assert pipeline.stored() == {}
    [letter] = pipeline.letters(pipeline.dead_url)
    assert "'user-002'" in letter["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]


def test_a_fault_that_passes_gives_messages_back_in_order(
    pipeline: Pipeline, running: Endpoint
) -> None:
    """The store is gone for a while: nothing is dropped, and later all of it is there."""
    first = [artifact("one", f"action-{n}") for n in range(40)]
    event = batch(put(*first), put(*(artifact("two", f"action-{n}") for n in range(40))))
    writer = pipeline.writer()
    writer.store = type(writer.store)(
        pipeline.client("cloudfront-keyvaluestore"), pipeline.arn[:-4] + "0000"
    )

    left = writer.handle(event)["batchItemFailures"]
    assert [one["itemIdentifier"] for one in left] == [
        record["messageId"] for record in event["Records"]
    ]
    assert pipeline.stored() == {}
    assert pipeline.writer().handle(event) == NONE_LEFT
    assert len(pipeline.stored()) == 80


def test_writers_from_elsewhere_are_outlasted(pipeline: Pipeline) -> None:
    """The writer's ETag is stale after somebody else's write; it tries again."""
    writer, other = pipeline.writer(), pipeline.writer()
    writer.handle(batch(put(artifact("one"))))
    other.store.update({"config/session-key": "secret"})
    writer.handle(batch(put(artifact("two"))))

    assert set(pipeline.stored()) == {
        "one_ticket-digest",
        "config/session-key",
        "two_ticket-digest",
    }
    assert writer.store.conflicts == 1


def test_a_full_store_evicts_what_is_used_least(pipeline: Pipeline) -> None:
    """By predicted use, lowest first; with a line in the log and an event."""

    def filled(name: str, use: float) -> Artifact:
        return artifact(name, answer="x" * 900, use=use, subjects=())

    writer = pipeline.writer(evict_above_bytes=20_000)
    uses = {f"user-{number:02d}": ((number * 7) % 19) / 19 for number in range(19)}
    writer.handle(batch(*(put(filled(name, use)) for name, use in uses.items())))
    before = set(pipeline.stored())
    assert len(before) == 19
    assert pipeline.happened(wait_for=1)[0][0] == "AnswersStored"

    writer.handle(batch(put(filled("new-1", 0.99)), put(filled("new-2", 0.98))))
    gone = before - set(pipeline.stored())
    ranked = sorted(uses, key=uses.__getitem__)
    assert gone == {f"{name}_ticket-digest" for name in ranked[: len(gone)]}
    assert 2 <= len(gone) <= 6
    happened = dict(pipeline.happened(wait_for=2))
    assert set(happened["AnswersEvicted"]["keys"]) == gone
    assert any("evicted" in line for line in pipeline.log)
    assert writer.store.size_bytes < 20_000
    assert metrics(pipeline)["AnswersEvicted"] == len(gone)


def test_old_subjects_are_forgotten(pipeline: Pipeline) -> None:
    """A newer answer depends on something else: only that takes it away from now on."""
    writer, registry = pipeline.writer(), pipeline.registry()
    writer.handle(batch(put(artifact(subjects=["row:a/1", "row:a/2"]))))
    assert registry.keys_naming("row:a/1") == ["user-001_ticket-digest"]
    writer.handle(batch(put(artifact(subjects=["row:a/2", "row:a/3"]))))

    assert [registry.keys_naming(f"row:a/{n}") for n in (1, 2, 3)] == [
        [],
        ["user-001_ticket-digest"],
        ["user-001_ticket-digest"],
    ]
