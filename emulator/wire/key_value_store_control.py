"""The control API's XML for key value stores, and the JSON of an import file.

AWS: API reference of Amazon CloudFront (botocore model 2020-05-31); the import file is described in
facts/kvs.md 4.8.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from xml.etree import ElementTree

import orjson

from emulator.rules.key_value_store_control import invalid_argument
from emulator.values.key_values import KeyValueStore, NewStore, StoreStatus
from emulator.wire.xml import CLOUDFRONT_NAMESPACE, XmlShape, dump_xml, parse_xml


def parse_create(body: bytes) -> NewStore:
    """The body of CreateKeyValueStore.

    Raises:
        ApiError: 400 MalformedInput or InvalidArgument.
    """
    root = parse_xml(body, "CreateKeyValueStoreRequest")
    source = root.find("ImportSource")
    return NewStore(
        name=_required(root, "Name"),
        comment=root.findtext("Comment") or "",
        source_arn=None if source is None else _source_arn(source),
        tags={_required(tag, "Key"): tag.findtext("Value") or "" for tag in root.iter("Tag")},
    )


def parse_update(body: bytes) -> str:
    """The comment in the body of UpdateKeyValueStore.

    Raises:
        ApiError: 400 MalformedInput or InvalidArgument.
    """
    return _required(parse_xml(body, "UpdateKeyValueStoreRequest"), "Comment")


def dump_store(store: KeyValueStore, status: StoreStatus) -> bytes:
    """The `KeyValueStore` document that create, describe and update answer."""
    return dump_xml("KeyValueStore", _store(store, status), CLOUDFRONT_NAMESPACE)


def dump_store_list(
    stores: Sequence[tuple[KeyValueStore, StoreStatus]], max_items: int, next_marker: str | None
) -> bytes:
    """The `KeyValueStoreList` document."""
    shape: dict[str, XmlShape] = {} if next_marker is None else {"NextMarker": next_marker}
    shape |= {
        "MaxItems": max_items,
        "Quantity": len(stores),
        "Items": [("KeyValueStore", _store(store, status)) for store, status in stores],
    }
    return dump_xml("KeyValueStoreList", shape, CLOUDFRONT_NAMESPACE)


def parse_import_file(body: bytes) -> Sequence[tuple[str, str]]:
    """The pairs in an import file: `{"data": [{"key": "..", "value": ".."}, ...]}`.

    Raises:
        ApiError: 400 InvalidArgument.
    """
    try:
        shape = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_argument(f"The import source is not UTF-8 JSON: {error}") from error
    data = shape.get("data") if isinstance(shape, dict) else None
    if not isinstance(data, list):
        raise invalid_argument('The import source must be an object with a list named "data"')
    pairs = []
    for i, entry in enumerate(data):
        pair = (entry.get("key"), entry.get("value")) if isinstance(entry, dict) else (None, None)
        if not isinstance(pair[0], str) or not isinstance(pair[1], str):
            raise invalid_argument(
                f'The import source, data[{i}]: "key" and "value" must be strings'
            )
        pairs.append((pair[0], pair[1]))
    return pairs


def _store(store: KeyValueStore, status: StoreStatus) -> dict[str, XmlShape]:
    moment = datetime.datetime.fromtimestamp(store.modified_ms / 1e3, datetime.UTC)
    return {
        "Name": store.name,
        "Id": store.id,
        "Comment": store.comment,
        "ARN": store.arn,
        "Status": status.value,
        "LastModifiedTime": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1_000:03}Z",
    }


def _required(root: ElementTree.Element, name: str) -> str:
    element = root.find(name)
    if element is None:
        raise invalid_argument(f"{name} is required")
    return element.text or ""


def _source_arn(source: ElementTree.Element) -> str:
    if (kind := _required(source, "SourceType")) != "S3":
        raise invalid_argument(f"ImportSource.SourceType must be S3, not {kind!r}")
    return _required(source, "SourceARN")
