"""The writer of a key value store: ETags, conflicts, and errors one can act on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from origin.backoff import Backoff
from origin.store import (
    StoreConflictError,
    StoreRefusedError,
    StoreUnavailableError,
    StoreWriter,
    open_store,
)
from tests.origin.aws_stand_in import STORE_ARN, StandIn


@pytest.fixture
def waits() -> list[float]:
    """The waits of the writer's back-off, in place of waiting."""
    return []


@pytest.fixture
def writer(stand_in: StandIn, waits: list[float]) -> Iterator[StoreWriter]:
    """A writer to the stand-in's store."""
    with open_store(os.environ) as (client, store_arn):
        backoff = Backoff(attempts=4, base_s=0.1, cap_s=1.0, sleep=waits.append)
        yield StoreWriter(client, store_arn, backoff=backoff)


def test_one_batch_is_one_call(stand_in: StandIn, writer: StoreWriter) -> None:
    """All entries of a batch go in one UpdateKeys, letters beyond ASCII and all."""
    writer.update({"user-001_a": "é", "user-001_b": "😀", "user-001_c": "\n"})

    assert stand_in.batches == [{"user-001_a": "é", "user-001_b": "😀", "user-001_c": "\n"}]


def test_the_etag_is_asked_for_once(
    stand_in: StandIn, writer: StoreWriter, waits: list[float]
) -> None:
    """Without a competitor, each write uses the ETag that the one before it returned."""
    for number in range(5):
        writer.update({f"k{number}": "v"})

    assert len(stand_in.batches) == 5
    assert stand_in.describes == 1
    assert waits == []


def test_a_conflict_is_tried_again(
    stand_in: StandIn, writer: StoreWriter, waits: list[float]
) -> None:
    """Another writer's ETag is fetched, after a jittered wait, until the batch is in."""
    stand_in.interlopers = 3

    writer.update({"k": "v"})

    assert stand_in.entries == {"k": "v"}
    assert stand_in.describes == 4
    assert len(waits) == 3


def test_conflicts_without_end_are_an_error(stand_in: StandIn, writer: StoreWriter) -> None:
    """The tries are bounded; the message counts them, and nothing is written."""
    stand_in.interlopers = 1000

    with pytest.raises(StoreConflictError, match="at each of 4 tries"):
        writer.update({"k": "v"})

    assert stand_in.entries == {}
    assert stand_in.interlopers == 1000 - 4


def test_the_writer_recovers(stand_in: StandIn, writer: StoreWriter) -> None:
    """After an error the next batch starts from a fresh ETag."""
    stand_in.refused_write = (402, "ServiceQuotaExceededException", "Limit exceeded: x")
    with pytest.raises(StoreRefusedError, match=r"Limit exceeded: x\. A store holds 5 MB"):
        writer.update({"k": "v" * 2000})
    stand_in.refused_write = None
    stand_in.interlopers = 1

    writer.update({"k": "v"})

    assert stand_in.entries == {"k": "v"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ((404, "ResourceNotFoundException", "x"), "There is no such store: mend ANSWER_STORE_ARN"),
        ((409, "ConflictException", "Key-Value-Store was not in expected state"), "wait, or name"),
        ((403, "AccessDeniedException", "x"), "Allow cloudfront-keyvaluestore:DescribeKeyValue"),
        ((400, "ValidationException", "x"), "answered ValidationException: x"),
    ],
)
def test_an_unusable_store_is_explained(
    stand_in: StandIn, writer: StoreWriter, error: tuple[int, str, str], words: str
) -> None:
    """Each of the store's answers comes with what to do, before anything is written."""
    stand_in.store_error = error

    with pytest.raises(StoreUnavailableError, match=words) as caught:
        writer.connect()

    assert STORE_ARN in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ANSWER_STORE_ARN", "", "ANSWER_STORE_ARN is not set"),
        ("ANSWER_STORE_ARN", "my-store", "KVS ARN must be a valid ARN"),
        ("AWS_ENDPOINT_URL", "http://local@127.0.0.1:9", "cannot reach the key value store"),
        ("AWS_ENDPOINT_URL", "nonsense", "nonsense"),
        ("AWS_ACCESS_KEY_ID", "", "credentials"),
    ],
)
def test_a_wrong_environment_is_explained(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    """What is missing or wrong in the environment is named."""
    monkeypatch.setenv(variable, value)
    if variable == "AWS_ACCESS_KEY_ID":
        monkeypatch.delenv(variable)
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    # Either of the two may be where boto3 finds out.
    with (
        pytest.raises(StoreUnavailableError, match=words),
        open_store(os.environ) as (client, store_arn),
    ):
        StoreWriter(client, store_arn).connect()
