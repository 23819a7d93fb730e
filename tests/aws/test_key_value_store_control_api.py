"""The control API of key value stores as a real boto3 sees it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator import quotas
from emulator.errors import ApiError
from emulator.rules.key_value_store import StoreRules, data_etag
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint, send_raw

_COLLECTION = "/2020-05-31/key-value-store"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cloudfront(endpoint: Endpoint) -> Iterator[Any]:
    """The control API's client."""
    with contextlib.closing(client("cloudfront", endpoint.url)) as made:
        yield made


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"controlled-{next(_numbers)}"


def _code(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as refusal:
        call()
    response = refusal.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.conformance("KVS-38")
def test_create_answers_201_with_etag_and_location(cloudfront: Any, name: str) -> None:
    """The store is READY at once by default, and its Id ends its ARN."""
    made = cloudfront.create_key_value_store(Name=name, Comment="Ready & <answers>")
    store = made["KeyValueStore"]
    described = cloudfront.describe_key_value_store(Name=name)

    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["ETag"].startswith("E")
    assert made["Location"].endswith(f"{_COLLECTION}/{name}")
    assert store["ARN"].endswith(f":key-value-store/{store['Id']}")
    assert (store["Name"], store["Comment"], store["Status"]) == (
        *(name, "Ready & <answers>"),
        "READY",
    )
    assert abs(store["LastModifiedTime"].timestamp() - _now()) < 60
    assert (described["KeyValueStore"], described["ETag"]) == (store, made["ETag"])


def _now() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()


@pytest.mark.conformance("KVS-37", "KVS-38")
def test_a_new_store_may_take_its_time(store_file: Path) -> None:
    """With a delay, it is PROVISIONING first, and the data API answers 409."""
    rules = StoreRules(provisioning_ms=3_600_000.0)
    with running_endpoint(store_file, Options(store_rules=rules)) as endpoint:
        store = client("cloudfront", endpoint.url).create_key_value_store(Name="slow")[
            "KeyValueStore"
        ]
        kvs = client("cloudfront-keyvaluestore", endpoint.url)

        assert store["Status"] == "PROVISIONING"
        with pytest.raises(kvs.exceptions.ConflictException):
            kvs.describe_key_value_store(KvsARN=store["ARN"])


@pytest.mark.conformance("KVS-39", "KVS-46")
def test_names_are_unique_and_of_a_form(endpoint: Endpoint, cloudfront: Any, name: str) -> None:
    """A second store of a name is 409; a name of another form, and a long comment, are 400."""
    cloudfront.create_key_value_store(Name=name)

    with pytest.raises(cloudfront.exceptions.EntityAlreadyExists) as refusal:
        cloudfront.create_key_value_store(Name=name)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    for bad in ("a b", "é", "x" * 65, "a/b", ""):
        body = f"<CreateKeyValueStoreRequest><Name>{bad}</Name></CreateKeyValueStoreRequest>"
        answer = send_raw(endpoint.port, "POST", _COLLECTION, body=body.encode())
        assert answer.status == 400
        assert b"<Code>InvalidArgument</Code>" in answer.body
    with pytest.raises(cloudfront.exceptions.InvalidArgument):
        cloudfront.create_key_value_store(Name=f"{name}-2", Comment="c" * 129)


@pytest.mark.conformance("KVS-40")
@pytest.mark.parametrize("profile", [quotas.STORES_PER_ACCOUNT, quotas.STORES_PER_ACCOUNT_2025])
def test_an_account_has_so_many_stores(store_file: Path, profile: int) -> None:
    """Number 201, or 51 in the older profile, is EntityLimitExceeded."""
    options = Options(store_rules=StoreRules(stores_per_account=profile))
    with running_endpoint(store_file, options) as endpoint:
        for i in range(profile):
            endpoint.new_store(f"store-{i}")
        cloudfront = client("cloudfront", endpoint.url)

        refusal = _code(lambda: cloudfront.create_key_value_store(Name="one-more"))

    assert refusal == ("EntityLimitExceeded", 400)


@pytest.mark.conformance("KVS-22", "KVS-42", "KVS-44")
def test_update_changes_the_comment_and_its_etag_only(cloudfront: Any, kvs: Any, name: str) -> None:
    """Another control ETag; the data, and the data's ETag, stay."""
    made = cloudfront.create_key_value_store(Name=name, Comment="one")
    arn = made["KeyValueStore"]["ARN"]
    put = kvs.put_key(KvsARN=arn, Key="k", Value="v", IfMatch=data_etag(1))

    changed = cloudfront.update_key_value_store(Name=name, Comment="two", IfMatch=made["ETag"])

    assert changed["KeyValueStore"]["Comment"] == "two"
    assert changed["ETag"] != made["ETag"]
    assert changed["KeyValueStore"]["LastModifiedTime"] >= made["KeyValueStore"]["LastModifiedTime"]
    assert kvs.describe_key_value_store(KvsARN=arn)["ETag"] == put["ETag"]
    assert kvs.get_key(KvsARN=arn, Key="k")["Value"] == "v"


@pytest.mark.conformance("KVS-22", "KVS-43", "KVS-46")
def test_changes_need_the_control_etag(
    endpoint: Endpoint, cloudfront: Any, kvs: Any, name: str
) -> None:
    """A stale ETag, and the data API's, are 412; none at all is 400; an unknown store 404."""
    made = cloudfront.create_key_value_store(Name=name)
    data = kvs.describe_key_value_store(KvsARN=made["KeyValueStore"]["ARN"])["ETag"]

    for etag in ("E2QWRUHEXAMPLE", data):
        with pytest.raises(cloudfront.exceptions.PreconditionFailed):
            cloudfront.update_key_value_store(Name=name, Comment="c", IfMatch=etag)
        with pytest.raises(cloudfront.exceptions.PreconditionFailed):
            cloudfront.delete_key_value_store(Name=name, IfMatch=etag)
    without = send_raw(endpoint.port, "DELETE", f"{_COLLECTION}/{name}")
    assert (without.status, b"InvalidIfMatchVersion" in without.body) == (400, True)
    with pytest.raises(cloudfront.exceptions.EntityNotFound):
        cloudfront.describe_key_value_store(Name="absent")
    with pytest.raises(cloudfront.exceptions.EntityNotFound):
        cloudfront.delete_key_value_store(Name="absent", IfMatch=made["ETag"])


@pytest.mark.conformance("KVS-36", "KVS-43")
def test_a_store_in_use_is_not_deleted(store_file: Path) -> None:
    """409 as long as a function is associated; afterwards 204, and the ARN answers 409."""
    used: set[str] = set()
    with running_endpoint(store_file, Options(store_in_use=used.__contains__)) as endpoint:
        cloudfront = client("cloudfront", endpoint.url)
        kvs = client("cloudfront-keyvaluestore", endpoint.url)
        made = cloudfront.create_key_value_store(Name="used")
        arn = made["KeyValueStore"]["ARN"]
        used.add(arn)

        in_use = _code(lambda: cloudfront.delete_key_value_store(Name="used", IfMatch=made["ETag"]))
        used.clear()
        deleted = cloudfront.delete_key_value_store(Name="used", IfMatch=made["ETag"])
        gone = _code(lambda: kvs.describe_key_value_store(KvsARN=arn))
        again = cloudfront.create_key_value_store(Name="used")

    assert in_use == ("CannotDeleteEntityWhileInUse", 409)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert gone == ("ConflictException", 409)
    assert again["KeyValueStore"]["ARN"] != arn


@pytest.mark.conformance("KVS-45")
def test_lists_page_and_filter(store_file: Path) -> None:
    """Marker and MaxItems page by name, Status filters, boto3's paginator sees each once."""
    with running_endpoint(store_file) as endpoint:
        names = [f"s-{i:02}" for i in range(7)]
        for one in names:
            endpoint.new_store(one, provisioning_ms=1e9 if one == "s-03" else 0.0)
        cloudfront = client("cloudfront", endpoint.url)

        def listed(**filters: Any) -> list[str]:
            pages = cloudfront.get_paginator("list_key_value_stores").paginate(**filters)
            return [
                store["Name"]
                for page in pages
                for store in page["KeyValueStoreList"].get("Items", [])
            ]

        first = cloudfront.list_key_value_stores(MaxItems="3")["KeyValueStoreList"]

        assert (first["Quantity"], first["MaxItems"], first["NextMarker"]) == (3, 3, "s-02")
        assert listed(PaginationConfig={"PageSize": 2}) == names
        assert listed(Status="PROVISIONING") == ["s-03"]
        assert listed(Status="READY") == [one for one in names if one != "s-03"]
        for bad in ({"MaxItems": "0"}, {"MaxItems": "x"}, {"Status": "SLEEPING"}):
            refusal = _code(functools.partial(cloudfront.list_key_value_stores, **bad))
            assert refusal == ("InvalidArgument", 400)


def _import(
    endpoint: Endpoint, name: str, arn: str = "arn:aws:s3:::bucket/folder/file.json"
) -> Any:
    return client("cloudfront", endpoint.url).create_key_value_store(
        Name=name, ImportSource={"SourceType": "S3", "SourceARN": arn}
    )


@pytest.mark.conformance("KVS-41", "KVS-57")
def test_an_import_fills_the_store_or_makes_none(store_file: Path) -> None:
    """A good file fills it; a bad one is refused, and the name stays free."""
    big = {"data": [{"key": f"{i}", "value": "v" * 1000} for i in range(5_300)]}
    good = {"data": [{"key": "a", "value": "1"}, {"key": "é", "value": ""}]}
    files = {
        "good.json": json.dumps(good).encode(),
        "empty.json": b'{"data": []}',
        "twice.json": b'{"data": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}',
        "text.json": b"key=value",
        "list.json": b"[]",
        "number.json": b'{"data": [{"key": "a", "value": 1}]}',
        "long-key.json": json.dumps({"data": [{"key": "k" * 513, "value": ""}]}).encode(),
        "long-value.json": json.dumps({"data": [{"key": "k", "value": "v" * 1025}]}).encode(),
        "big.json": json.dumps(big).encode(),
    }

    async def fetch(bucket: str, key: str) -> bytes:
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, as a real fetch would take
        if bucket != "bucket" or key not in files:
            raise ApiError(400, "InvalidArgument", f"s3://{bucket}/{key} cannot be read")
        return files[key]

    with running_endpoint(store_file, Options(fetch_object=fetch)) as endpoint:
        kvs = client("cloudfront-keyvaluestore", endpoint.url)
        made = _import(endpoint, "good", "arn:aws:s3:::bucket/good.json")
        listed = kvs.list_keys(KvsARN=made["KeyValueStore"]["ARN"])["Items"]
        _import(endpoint, "empty", "arn:aws:s3:::bucket/empty.json")
        refusals = {
            key: _code(functools.partial(_import, endpoint, "bad", f"arn:aws:s3:::bucket/{key}"))
            for key in files
            if key not in ("good.json", "empty.json")
        }
        absent = _code(lambda: _import(endpoint, "bad", "arn:aws:s3:::bucket/absent"))
        no_arn = _code(lambda: _import(endpoint, "bad", "s3://bucket/good.json"))
        free = endpoint.stores.find("bad")

    assert listed == [{"Key": "a", "Value": "1"}, {"Key": "é", "Value": ""}]
    assert refusals.pop("big.json") == ("EntitySizeLimitExceeded", 413)
    assert set(refusals.values()) == {("InvalidArgument", 400)}
    assert absent == no_arn == ("InvalidArgument", 400)
    assert free is None


def test_what_is_missing_says_so(endpoint: Endpoint, cloudfront: Any, name: str) -> None:
    """Alone, without S3 and an account: imports, tags, and CloudFront's other operations."""
    tags = {"Items": [{"Key": "k", "Value": "v"}]}

    assert _code(lambda: _import(endpoint, name)) == ("NotEmulated", 501)
    assert _code(lambda: cloudfront.create_key_value_store(Name=name, Tags=tags)) == (
        "NotEmulated",
        501,
    )
    assert _code(lambda: cloudfront.list_distributions()) == ("NotEmulated", 501)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"\xff",
        b"<Other/>",
        b"<CreateKeyValueStoreRequest>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><CreateKeyValueStoreRequest><Name>&a;</Name>'
        b"</CreateKeyValueStoreRequest>",
        '<?xml version="1.0" encoding="UTF-16"?><CreateKeyValueStoreRequest/>'.encode("utf-16"),
        b"{}",
    ],
)
def test_malformed_xml_is_refused(endpoint: Endpoint, body: bytes) -> None:
    """400 in CloudFront's shape; entities are never expanded."""
    answer = send_raw(endpoint.port, "POST", _COLLECTION, body=body)

    assert answer.status == 400
    assert b"<Code>MalformedInput</Code>" in answer.body


def test_an_oversized_body_is_refused(endpoint: Endpoint) -> None:
    """A create request has no business being larger than 64 KB."""
    assert send_raw(endpoint.port, "POST", _COLLECTION, body=b" " * 70_000).status == 413
