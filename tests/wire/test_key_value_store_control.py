"""The control API's XML for key value stores, and import files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ApiError
from emulator.values.key_values import KeyValueStore, NewStore, StoreSnapshot, StoreStatus
from emulator.wire.key_value_store_control import (
    dump_store,
    dump_store_list,
    parse_create,
    parse_import_file,
    parse_update,
)

_NS = b'xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"'
_ARN = "arn:aws:cloudfront::123456789012:key-value-store/1"
_STORE = KeyValueStore(
    name="answers",
    arn=_ARN,
    comment="A & B",
    control_version=1,
    modified_ms=1_700_000_000_123.0,
    ready_at_ms=0.0,
    snapshot=StoreSnapshot(_ARN, 1, {}, 0, 0.0, 0.0),
)


@pytest.mark.conformance("KVS-57")
def test_create_with_everything() -> None:
    """The body as facts/kvs.md section 4 shows it; the API spells `SourceARN`."""
    body = (
        b"<CreateKeyValueStoreRequest " + _NS + b"><Name>answers</Name><Comment>c</Comment>"
        b"<ImportSource><SourceType>S3</SourceType><SourceARN>arn:aws:s3:::b/k</SourceARN>"
        b"</ImportSource></CreateKeyValueStoreRequest>"
    )

    assert parse_create(body) == NewStore("answers", "c", "arn:aws:s3:::b/k")


@pytest.mark.parametrize(
    "inner",
    [
        b"",
        b"<Name>n</Name><ImportSource/>",
        b"<Name>n</Name><ImportSource><SourceType>S3</SourceType></ImportSource>",
        b"<Name>n</Name><ImportSource><SourceType>FTP</SourceType><SourceARN/></ImportSource>",
    ],
)
def test_what_create_cannot_be(inner: bytes) -> None:
    """A missing member and a source that is not S3 are InvalidArgument."""
    with pytest.raises(ApiError) as refusal:
        parse_create(b"<CreateKeyValueStoreRequest>%s</CreateKeyValueStoreRequest>" % inner)

    assert refusal.value.code == "InvalidArgument"


def test_tags_are_read() -> None:
    """A key may stand without a value."""
    items = b"<Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key></Tag>"
    made = parse_create(
        b"<CreateKeyValueStoreRequest><Name>n</Name><Tags><Items>%s</Items></Tags>"
        b"</CreateKeyValueStoreRequest>" % items
    )

    assert made.tags == {"a": "1", "b": ""}


def test_update_needs_a_comment() -> None:
    """An empty one is a comment, none at all is not."""
    assert (
        parse_update(b"<UpdateKeyValueStoreRequest><Comment/></UpdateKeyValueStoreRequest>") == ""
    )

    with pytest.raises(ApiError, match="Comment is required"):
        parse_update(b"<UpdateKeyValueStoreRequest/>")


def test_a_store_is_spelled_as_aws_spells_it() -> None:
    """Members, escapes, and a date with milliseconds."""
    expected = (
        b"<Name>answers</Name><Id>1</Id><Comment>A &amp; B</Comment><ARN>"
        + _ARN.encode()
        + b"</ARN>"
        b"<Status>READY</Status><LastModifiedTime>2023-11-14T22:13:20.123Z</LastModifiedTime>"
    )

    assert expected in dump_store(_STORE, StoreStatus.READY)
    page = dump_store_list([(_STORE, StoreStatus.READY)], 10, "answers")
    assert b"<NextMarker>answers</NextMarker><MaxItems>10</MaxItems><Quantity>1</Quantity>" in page
    assert b"<Items><KeyValueStore>" + expected + b"</KeyValueStore></Items>" in page
    assert b"NextMarker" not in dump_store_list([], 10, None)


@pytest.mark.conformance("KVS-41")
def test_an_import_file_is_pairs() -> None:
    """Other members are ignored; repeated keys are for the rules to refuse."""
    body = b'{"data": [{"key": "a", "value": "1", "x": 0}, {"key": "a", "value": ""}], "y": []}'

    assert parse_import_file(body) == [("a", "1"), ("a", "")]


@given(st.binary(max_size=60))
def test_no_bytes_are_an_import_file_by_chance(body: bytes) -> None:
    """Whatever it is, it is InvalidArgument, not a crash."""
    with pytest.raises(ApiError) as refusal:
        parse_import_file(body)

    assert refusal.value.code == "InvalidArgument"
