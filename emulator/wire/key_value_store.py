"""The KeyValueStore data API's JSON, in and out (REST-JSON 1.1).

AWS: API reference of CloudFront KeyValueStore (botocore model 2022-07-26); what the model leaves
open is in facts/kvs.md section 2. ETags travel as headers, never in these bodies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict

import orjson

from emulator.rules.key_value_store import StoreUpdate, invalid
from emulator.values.key_values import StoreSnapshot, StoreStatus


class KeyShape(TypedDict):
    """One entry of `Deletes`."""

    Key: str


class PairShape(TypedDict):
    """One entry of `Puts` and of `Items`."""

    Key: str
    Value: str


class PutKeyShape(TypedDict):
    """The body of PutKey."""

    Value: str


class UpdateKeysShape(TypedDict):
    """The body of UpdateKeys."""

    Puts: NotRequired[list[PairShape]]
    Deletes: NotRequired[list[KeyShape]]


class CountsShape(TypedDict):
    """What every write answers."""

    ItemCount: int
    TotalSizeInBytes: int


class GetKeyShape(CountsShape):
    """What GetKey answers."""

    Key: str
    Value: str


class ListKeysShape(TypedDict):
    """What ListKeys answers."""

    Items: list[PairShape]
    NextToken: NotRequired[str]


class DescriptionShape(CountsShape):
    """What DescribeKeyValueStore answers; dates are epoch seconds with a fraction."""

    KvsARN: str
    Created: float
    LastModified: float
    Status: str


def parse_put_key(body: bytes) -> str:
    """The value in the body of PutKey.

    Raises:
        ApiError: 400 ValidationException.
    """
    return _text(_object(body), "Value", "Value")


def parse_update_keys(body: bytes) -> StoreUpdate:
    """The body of UpdateKeys; an empty one asks for nothing.

    Raises:
        ApiError: 400 ValidationException.
    """
    shape = _object(body) if body else {}
    puts = _entries(shape, "Puts")
    deletes = _entries(shape, "Deletes")
    return StoreUpdate(
        puts=tuple(
            (_text(entry, "Key", f"Puts[{i}].Key"), _text(entry, "Value", f"Puts[{i}].Value"))
            for i, entry in enumerate(puts)
        ),
        deletes=tuple(_text(entry, "Key", f"Deletes[{i}].Key") for i, entry in enumerate(deletes)),
    )


def dump_update_keys(update: StoreUpdate) -> UpdateKeysShape:
    """The body of UpdateKeys."""
    return {
        "Puts": [{"Key": key, "Value": value} for key, value in update.puts],
        "Deletes": [{"Key": key} for key in update.deletes],
    }


def dump_counts(snapshot: StoreSnapshot) -> CountsShape:
    """The answer to a write."""
    return {
        "ItemCount": len(snapshot.items),
        "TotalSizeInBytes": snapshot.total_size_bytes,
    }


def dump_key(snapshot: StoreSnapshot, key: str, value: str) -> GetKeyShape:
    """The answer to GetKey."""
    return {
        "Key": key,
        "Value": value,
        "ItemCount": len(snapshot.items),
        "TotalSizeInBytes": snapshot.total_size_bytes,
    }


def dump_page(pairs: Iterable[tuple[str, str]], next_token: str | None) -> ListKeysShape:
    """The answer to ListKeys; the last page has no token."""
    page: ListKeysShape = {"Items": [{"Key": key, "Value": value} for key, value in pairs]}
    if next_token is not None:
        page["NextToken"] = next_token
    return page


def dump_description(snapshot: StoreSnapshot, status: StoreStatus) -> DescriptionShape:
    """The answer to DescribeKeyValueStore."""
    return {
        "ItemCount": len(snapshot.items),
        "TotalSizeInBytes": snapshot.total_size_bytes,
        "KvsARN": snapshot.arn,
        "Created": _epoch_s(snapshot.created_ms),
        "LastModified": _epoch_s(snapshot.last_modified_ms),
        "Status": status.value,
    }


def _epoch_s(epoch_ms: float) -> float:
    return round(epoch_ms) / 1_000


def _object(body: bytes) -> dict[str, Any]:
    try:
        shape = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error
    if not isinstance(shape, dict):
        raise invalid("The request body must be a JSON object")
    return shape


def _entries(shape: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = shape.get(name)
    # AWS's JSON protocols read null as absent.
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise invalid(f"{name} must be a list")
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise invalid(f"{name}[{i}] must be an object")
    return entries


def _text(shape: dict[str, Any], name: str, place: str) -> str:
    value = shape.get(name)
    if value is None:
        raise invalid(f"{place} is required")
    if not isinstance(value, str):
        raise invalid(f"{place} must be a string")
    return value
