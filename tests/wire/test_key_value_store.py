"""The data API's JSON."""

from __future__ import annotations

import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ApiError
from emulator.rules.key_value_store import StoreUpdate
from emulator.values.key_values import StoreSnapshot, StoreStatus
from emulator.wire.key_value_store import (
    dump_counts,
    dump_description,
    dump_key,
    dump_page,
    dump_update_keys,
    parse_put_key,
    parse_update_keys,
)

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_SNAPSHOT = StoreSnapshot(
    arn="arn:aws:cloudfront::123456789012:key-value-store/1",
    version=3,
    items={"key": "value"},
    total_size_bytes=8,
    created_ms=1_700_000_000_123.4,
    last_modified_ms=1_700_000_001_000.0,
)


@given(st.lists(st.tuples(_text, _text)), st.lists(_text))
def test_updates_survive_the_wire(puts: list[tuple[str, str]], deletes: list[str]) -> None:
    """What is dumped is parsed to the same update."""
    update = StoreUpdate(tuple(puts), tuple(deletes))

    assert parse_update_keys(orjson.dumps(dump_update_keys(update))) == update


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_parser(body: bytes) -> None:
    """Any body is an update or a ValidationException."""
    with contextlib.suppress(ApiError):
        parse_update_keys(body)


@pytest.mark.conformance("KVS-61")
@pytest.mark.parametrize("body", [b"", b"{}", b'{"Puts": null, "Deletes": null, "Other": 1}'])
def test_absent_lists_are_empty(body: bytes) -> None:
    """Both lists are optional; null is absent, and unknown members are ignored."""
    assert parse_update_keys(body) == StoreUpdate()


def test_escaped_text_is_text() -> None:
    r"""boto3 escapes what is not ASCII: `w\u00f6rld` (facts/kvs.md 2.4)."""
    assert parse_put_key(b'{"Value": "w\\u00f6rld"}') == "wörld"


@pytest.mark.conformance("KVS-10", "KVS-11", "KVS-59")
def test_answers_are_spelled_as_aws_spells_them() -> None:
    """The members of every answer; dates are epoch seconds to the millisecond."""
    assert dump_counts(_SNAPSHOT) == {"ItemCount": 1, "TotalSizeInBytes": 8}
    assert dump_key(_SNAPSHOT, "key", "value") == {
        "Key": "key",
        "Value": "value",
        "ItemCount": 1,
        "TotalSizeInBytes": 8,
    }
    assert dump_page([("key", "value")], None) == {"Items": [{"Key": "key", "Value": "value"}]}
    assert dict(dump_page([], "token")) == {"Items": [], "NextToken": "token"}
    assert dump_description(_SNAPSHOT, StoreStatus.READY) == {
        "ItemCount": 1,
        "TotalSizeInBytes": 8,
        "KvsARN": _SNAPSHOT.arn,
        "Created": 1_700_000_000.123,
        "LastModified": 1_700_000_001.0,
        "Status": "READY",
    }
