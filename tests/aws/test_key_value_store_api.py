"""The KeyValueStore data API as a real boto3 sees it."""

from __future__ import annotations

import concurrent.futures
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from emulator.rules.key_value_store import StoreRules, control_etag, data_etag
from tests.aws.endpoint import Endpoint, Options, client, running_endpoint, send_raw

_ODD_KEY = "a/b c+d?e%é/"
_UNKNOWN = "arn:aws:cloudfront::123456789012:key-value-store/00000000-0000-0000-0000-000000000000"


def _etag(kvs: Any, arn: str) -> str:
    return str(kvs.describe_key_value_store(KvsARN=arn)["ETag"])


def _put(kvs: Any, arn: str, key: str, value: str) -> Any:
    return kvs.put_key(KvsARN=arn, Key=key, Value=value, IfMatch=_etag(kvs, arn))


def _fill(endpoint: Endpoint, arn: str, items: Sequence[tuple[str, str]]) -> None:
    async def fill() -> None:
        for start in range(0, len(items), 50):
            version = endpoint.stores.snapshot(arn).version
            await endpoint.stores.update(
                arn, puts=items[start : start + 50], if_match=data_etag(version)
            )

    endpoint.run(fill())


def _path(arn: str, key: str | None = None) -> str:
    path = f"/key-value-stores/{quote(arn, safe='')}"
    return path if key is None else f"{path}/keys/{quote(key, safe='')}"


def _state(kvs: Any, arn: str) -> tuple[int, int, str]:
    description = kvs.describe_key_value_store(KvsARN=arn)
    return description["ItemCount"], description["TotalSizeInBytes"], description["ETag"]


# --- How requests arrive ------------------------------------------------------------------------


@pytest.mark.conformance("KVS-1")
def test_the_arn_is_one_percent_encoded_segment(endpoint: Endpoint, arn: str) -> None:
    """The encoded ARN is the route; a bare slash in it does not open a second one."""
    encoded = send_raw(endpoint.port, "GET", _path(arn))
    colons_bare = send_raw(endpoint.port, "GET", f"/key-value-stores/{arn.replace('/', '%2F')}")
    bare = send_raw(endpoint.port, "GET", f"/key-value-stores/{arn}")

    assert encoded.json["KvsARN"] == arn
    assert colons_bare.status == 200
    assert bare.status == 404


@pytest.mark.conformance("KVS-2")
@pytest.mark.parametrize(
    "host", ["123456789012.localhost:4566", "localhost", "[::1]:80", "123456789012.127.0.0.1"]
)
def test_the_host_does_not_route(endpoint: Endpoint, arn: str, host: str) -> None:
    """With an account id before it or without, every local name reaches the store."""
    answer = send_raw(endpoint.port, "GET", _path(arn), headers={"Host": host})

    assert answer.json["KvsARN"] == arn


@pytest.mark.conformance("KVS-3")
def test_a_proxys_client_sends_the_absolute_form(endpoint: Endpoint, arn: str) -> None:
    """With HTTP_PROXY set, boto3 needs no name resolution at all."""
    through_proxy = client(
        "cloudfront-keyvaluestore",
        "http://kvs.emulator.invalid",
        proxies={"http": f"http://127.0.0.1:{endpoint.port}"},
    )

    _put(through_proxy, arn, _ODD_KEY, "value")

    assert through_proxy.get_key(KvsARN=arn, Key=_ODD_KEY)["Value"] == "value"


@pytest.mark.conformance("KVS-4", "KVS-6", "KVS-7")
@pytest.mark.parametrize(
    "config",
    [
        pytest.param({}, id="SigV4A through awscrt"),
        pytest.param({"signature_version": "v4"}, id="SigV4"),
        pytest.param({"signature_version": UNSIGNED}, id="unsigned"),
    ],
)
def test_every_operation_works_with_every_signature(
    endpoint: Endpoint, arn: str, config: dict[str, Any]
) -> None:
    """All six operations parse, whatever the client signs with."""
    kvs = client("cloudfront-keyvaluestore", endpoint.url, **config)

    etag = kvs.describe_key_value_store(KvsARN=arn)["ETag"]
    etag = kvs.put_key(KvsARN=arn, Key="one", Value="1", IfMatch=etag)["ETag"]
    etag = kvs.update_keys(
        KvsARN=arn, IfMatch=etag, Puts=[{"Key": "two", "Value": "2"}], Deletes=[{"Key": "one"}]
    )["ETag"]
    got = kvs.get_key(KvsARN=arn, Key="two")
    listed = kvs.list_keys(KvsARN=arn)
    after = kvs.delete_key(KvsARN=arn, Key="two", IfMatch=etag)

    assert (got["Key"], got["Value"], got["ItemCount"], got["TotalSizeInBytes"]) == (
        *("two", "2"),
        *(1, 4),
    )
    assert listed["Items"] == [{"Key": "two", "Value": "2"}]
    assert (after["ItemCount"], after["TotalSizeInBytes"]) == (0, 0)


@pytest.mark.conformance("KVS-5")
def test_strict_mode_wants_a_signature(store_file: Path) -> None:
    """With `require_auth`, an unsigned call is 403 and a signed one passes."""
    with running_endpoint(store_file, Options(require_auth=True)) as strict:
        arn = strict.new_store("strict")
        unsigned = client("cloudfront-keyvaluestore", strict.url, signature_version=UNSIGNED)
        signed = client("cloudfront-keyvaluestore", strict.url)

        with pytest.raises(unsigned.exceptions.AccessDeniedException) as refusal:
            unsigned.describe_key_value_store(KvsARN=arn)
        description = signed.describe_key_value_store(KvsARN=arn)

    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert description["KvsARN"] == arn


@pytest.mark.conformance("KVS-9")
def test_host_and_arn_must_name_the_same_account(endpoint: Endpoint, arn: str) -> None:
    """Two different accounts in one request are 403, and the message names both."""
    answer = send_raw(endpoint.port, "GET", _path(arn), headers={"Host": "999999999999.localhost"})

    assert answer.status == 403
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"
    assert "999999999999" in answer.json["Message"]
    assert "123456789012" in answer.json["Message"]


@pytest.mark.conformance("KVS-58")
@pytest.mark.parametrize("prefix", ["/kvs", "/kvs/", "/a/b"])
def test_the_endpoint_may_have_a_path(endpoint: Endpoint, arn: str, prefix: str) -> None:
    """An endpoint URL with a path of its own works."""
    kvs = client("cloudfront-keyvaluestore", endpoint.url + prefix)

    _put(kvs, arn, "key", "value")

    assert kvs.get_key(KvsARN=arn, Key="key")["Value"] == "value"


@pytest.mark.conformance("KVS-62")
@pytest.mark.parametrize("method", ["HEAD", "PATCH", "OPTIONS", "POST"])
def test_unknown_methods_are_refused_cleanly(endpoint: Endpoint, arn: str, method: str) -> None:
    """A method without an operation is 405 in AWS's shape."""
    answer = send_raw(endpoint.port, method, _path(arn, "key"), body=b"")

    assert answer.status == 405
    assert answer.headers["x-amzn-errortype"] == "UnknownOperationException"


@pytest.mark.parametrize("path", ["", "/keys/a/b", "/values", "/keys/a/keys"])
def test_unknown_paths_are_refused_cleanly(endpoint: Endpoint, arn: str, path: str) -> None:
    """A path without an operation is 404 in AWS's shape."""
    target = _path(arn) + path if path else "/key-value-stores/arn%3A/"

    answer = send_raw(endpoint.port, "GET", target)

    assert answer.status in (400, 404)
    assert "x-amzn-errortype" in answer.headers


def test_bytes_that_are_no_utf8_are_refused(endpoint: Endpoint, arn: str) -> None:
    """A key of broken UTF-8 is 400, not a crash."""
    answer = send_raw(endpoint.port, "GET", f"{_path(arn)}/keys/%ff%fe")

    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")


@pytest.mark.conformance("KVS-63")
def test_every_answer_has_a_request_id(endpoint: Endpoint, arn: str) -> None:
    """Answers and refusals carry an `x-amzn-RequestId` of their own."""
    answers = [
        send_raw(endpoint.port, "GET", _path(arn)),
        send_raw(endpoint.port, "GET", _path(arn, "absent")),
        send_raw(endpoint.port, "PATCH", _path(arn)),
        send_raw(endpoint.port, "GET", "/anything"),
        send_raw(endpoint.port, "GET", _path(arn), headers={"Host": "evil.example"}),
    ]

    ids = [answer.headers["x-amzn-requestid"] for answer in answers]
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one) for one in ids)
    assert len(set(ids)) == len(ids)


# --- Reading ------------------------------------------------------------------------------------


@pytest.mark.conformance("KVS-10", "KVS-59")
def test_describe_tells_counts_dates_and_state(endpoint: Endpoint, kvs: Any, arn: str) -> None:
    """Describe has an unquoted ETag, dates as numbers with fractions, and READY."""
    answer = send_raw(endpoint.port, "GET", _path(arn))
    description = kvs.describe_key_value_store(KvsARN=arn)

    assert re.fullmatch(r"KV[0-9A-Z]{13}", answer.headers["etag"])
    assert isinstance(answer.json["Created"], float)
    assert answer.json["Status"] == "READY"
    assert answer.json["KvsARN"] == arn
    assert description["Created"].timestamp() == answer.json["Created"]
    assert description["LastModified"] >= description["Created"]


@pytest.mark.conformance("KVS-11")
def test_get_has_the_pair_and_the_counts_but_no_etag(
    endpoint: Endpoint, kvs: Any, arn: str
) -> None:
    """GetKey answers four members, and never an ETag."""
    _put(kvs, arn, "key", "value")

    answer = send_raw(endpoint.port, "GET", _path(arn, "key"))

    assert answer.json == {"Key": "key", "Value": "value", "ItemCount": 1, "TotalSizeInBytes": 8}
    assert "etag" not in answer.headers


@pytest.mark.conformance("KVS-12", "KVS-64")
def test_an_absent_key_is_not_found(endpoint: Endpoint, kvs: Any, arn: str) -> None:
    """404, named in the header and with its words under `Message`; boto3 makes it a type."""
    answer = send_raw(endpoint.port, "GET", _path(arn, "absent"))

    assert answer.status == 404
    assert answer.headers["x-amzn-errortype"] == "ResourceNotFoundException"
    assert answer.json["Message"]
    with pytest.raises(kvs.exceptions.ResourceNotFoundException):
        kvs.get_key(KvsARN=arn, Key="absent")


@pytest.mark.conformance("KVS-13", "KVS-14")
@pytest.mark.parametrize(
    "key", [_ODD_KEY, "..", ".", "a/../b", "%2F", "with\nline", "\u65e5\u672c"]
)
def test_any_text_can_be_a_key(kvs: Any, arn: str, key: str) -> None:
    """Keys go through put, get, list and delete unharmed."""
    _put(kvs, arn, key, "value")

    got = kvs.get_key(KvsARN=arn, Key=key)
    listed = kvs.list_keys(KvsARN=arn)["Items"]
    after = kvs.delete_key(KvsARN=arn, Key=key, IfMatch=_etag(kvs, arn))

    assert (got["Key"], got["Value"]) == (key, "value")
    assert listed == [{"Key": key, "Value": "value"}]
    assert after["ItemCount"] == 0


@pytest.mark.conformance("KVS-32")
def test_pages_have_ten_keys_unless_told(endpoint: Endpoint, kvs: Any, arn: str) -> None:
    """10 by default; 1 and 50 work; 0, 51 and nonsense are refused."""
    _fill(endpoint, arn, [(f"key-{i:03}", "v") for i in range(60)])

    default = kvs.list_keys(KvsARN=arn)
    one = kvs.list_keys(KvsARN=arn, MaxResults=1)
    fifty = kvs.list_keys(KvsARN=arn, MaxResults=50)

    assert [len(page["Items"]) for page in (default, one, fifty)] == [10, 1, 50]
    with pytest.raises(kvs.exceptions.ValidationException):
        kvs.list_keys(KvsARN=arn, MaxResults=51)
    for text in ("0", "-1", "ten", "", "1e1"):
        answer = send_raw(endpoint.port, "GET", f"{_path(arn)}/keys?MaxResults={text}")
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")


@pytest.mark.conformance("KVS-33", "KVS-34")
@pytest.mark.parametrize("page_size", [1, 7, 50])
def test_paging_visits_every_key_once(
    endpoint: Endpoint, kvs: Any, arn: str, page_size: int
) -> None:
    """boto3's paginator collects all keys of a 120-key store, in byte order."""
    keys = [f"key {i}/é" for i in range(120)]
    _fill(endpoint, arn, [(key, key) for key in keys])

    pages = list(kvs.get_paginator("list_keys").paginate(KvsARN=arn, MaxResults=page_size))

    assert [item["Key"] for page in pages for item in page["Items"]] == sorted(keys)
    assert "NextToken" not in pages[-1]


@pytest.mark.conformance("KVS-35")
@pytest.mark.parametrize("token", ["x", "AAAA", "====", "", "é", "Zm9vYmFyYmF6"])
def test_a_made_up_token_is_refused(kvs: Any, arn: str, token: str) -> None:
    """A NextToken that was not handed out is a ValidationException."""
    with pytest.raises(kvs.exceptions.ValidationException):
        kvs.list_keys(KvsARN=arn, NextToken=token)


def test_a_token_belongs_to_its_store(endpoint: Endpoint, kvs: Any, arn: str) -> None:
    """Another store's NextToken is refused, too."""
    other = endpoint.new_store(f"other-of-{arn[-12:]}")
    _fill(endpoint, other, [(f"{i}", "v") for i in range(11)])
    token = kvs.list_keys(KvsARN=other)["NextToken"]

    with pytest.raises(kvs.exceptions.ValidationException):
        kvs.list_keys(KvsARN=arn, NextToken=token)


@pytest.mark.conformance("KVS-36", "KVS-37")
def test_unknown_deleted_and_unfinished_stores(endpoint: Endpoint, kvs: Any) -> None:
    """404 for a store that never was, 409 for one that is deleted or PROVISIONING."""
    deleted = endpoint.new_store("to-be-deleted")
    endpoint.run(endpoint.stores.delete("to-be-deleted", if_match=control_etag(1)))
    provisioning = endpoint.new_store("unfinished", provisioning_ms=3_600_000.0)

    with pytest.raises(kvs.exceptions.ResourceNotFoundException):
        kvs.describe_key_value_store(KvsARN=_UNKNOWN)
    calls: list[Callable[[str], Any]] = [
        lambda arn: kvs.describe_key_value_store(KvsARN=arn),
        lambda arn: kvs.get_key(KvsARN=arn, Key="key"),
        lambda arn: kvs.list_keys(KvsARN=arn),
        lambda arn: kvs.put_key(KvsARN=arn, Key="key", Value="v", IfMatch="any"),
    ]
    for call in calls:
        for arn in (deleted, provisioning):
            with pytest.raises(kvs.exceptions.ConflictException, match="was not in expected state"):
                call(arn)


# --- Writing ------------------------------------------------------------------------------------


@pytest.mark.conformance("KVS-15", "KVS-16", "KVS-17")
def test_sizes_are_utf8_bytes_of_keys_and_values(kvs: Any, arn: str) -> None:
    """New keys add both, changed values the difference; `/sample` = `sample` is 13."""
    first = _put(kvs, arn, "/sample", "sample")
    second = _put(kvs, arn, "k", "wörld")
    changed = _put(kvs, arn, "/sample", "s")

    assert (first["ItemCount"], first["TotalSizeInBytes"]) == (1, 13)
    assert (second["ItemCount"], second["TotalSizeInBytes"]) == (2, 13 + 1 + 6)
    assert (changed["ItemCount"], changed["TotalSizeInBytes"]) == (2, 8 + 1 + 6)


@pytest.mark.conformance("KVS-18", "KVS-19", "KVS-21", "CF-97")
def test_one_etag_serves_one_write(kvs: Any, arn: str) -> None:
    """Any write makes every other holder's ETag stale, also for another key."""
    old = _etag(kvs, arn)
    new = kvs.put_key(KvsARN=arn, Key="a", Value="1", IfMatch=old)["ETag"]

    with pytest.raises(kvs.exceptions.ValidationException) as refusal:
        kvs.put_key(KvsARN=arn, Key="b", Value="2", IfMatch=old)

    assert new != old
    error = refusal.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Error"]["Message"] == "Pre-Condition failed during update of Key-Value-Store"
    assert _state(kvs, arn) == (1, 2, new)


@pytest.mark.conformance("KVS-20")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_writes_need_an_etag(endpoint: Endpoint, arn: str, method: str) -> None:
    """A write without If-Match is a ValidationException."""
    target = f"{_path(arn)}/keys" if method == "POST" else _path(arn, "key")

    answer = send_raw(endpoint.port, method, target, body=b'{"Value": "v"}')

    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")


@pytest.mark.conformance("KVS-22")
def test_the_control_planes_etag_is_another(endpoint: Endpoint, kvs: Any, arn: str) -> None:
    """The data API refuses the ETag that the control API gives for the same store."""
    store = endpoint.stores.describe(arn)

    with pytest.raises(kvs.exceptions.ValidationException):
        kvs.put_key(KvsARN=arn, Key="k", Value="v", IfMatch=control_etag(store.control_version))


@pytest.mark.conformance("KVS-23", "KVS-24", "KVS-25", "CF-96")
@pytest.mark.parametrize(
    ("key", "value", "quota"),
    [
        pytest.param("k", "v" * 1024, None, id="value of 1,024 bytes"),
        pytest.param("k", "é" * 512, None, id="value of 1,024 bytes in 512 letters"),
        pytest.param("k", "", None, id="empty value"),
        pytest.param("k" * 512, "v", None, id="key of 512 bytes"),
        pytest.param("é" * 256, "v", None, id="key of 512 bytes in 256 letters"),
        pytest.param(
            "k", "v" * 1025, "Maximum size of the value in a key value pair", id="value too long"
        ),
        pytest.param(
            "k", "é" * 513, "Maximum size of the value in a key value pair", id="in letters"
        ),
        pytest.param(
            "k" * 513, "v", "Maximum size of a key in a key value pair", id="key too long"
        ),
    ],
)
def test_keys_and_values_are_limited_in_bytes(
    kvs: Any, arn: str, key: str, value: str, quota: str | None
) -> None:
    """512 and 1,024 bytes pass; one more is 402 with the quota's name."""
    if quota is None:
        _put(kvs, arn, key, value)
        assert kvs.get_key(KvsARN=arn, Key=key)["Value"] == value
        return
    before = _state(kvs, arn)

    with pytest.raises(kvs.exceptions.ServiceQuotaExceededException) as refusal:
        _put(kvs, arn, key, value)

    error = refusal.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert error["Error"]["Message"] == f"Limit exceeded: {quota}"
    assert _state(kvs, arn) == before


@pytest.mark.conformance("KVS-26", "CF-96")
def test_fifty_keys_an_update(kvs: Any, arn: str) -> None:
    """Puts and deletes together may be 50, not 51."""
    puts = [{"Key": f"k{i}", "Value": "v"} for i in range(30)]
    deletes = [{"Key": f"d{i}"} for i in range(20)]

    kvs.update_keys(KvsARN=arn, IfMatch=_etag(kvs, arn), Puts=puts, Deletes=deletes)

    with pytest.raises(kvs.exceptions.ServiceQuotaExceededException):
        kvs.update_keys(
            KvsARN=arn, IfMatch=_etag(kvs, arn), Puts=puts, Deletes=[*deletes, {"Key": "d20"}]
        )


@pytest.mark.conformance("KVS-27")
@pytest.mark.parametrize("chunked", [False, True], ids=["length told", "chunked"])
def test_a_payload_over_three_megabytes_is_refused(
    endpoint: Endpoint, kvs: Any, arn: str, chunked: bool
) -> None:
    """More than 3 MB is 402, whether the size is announced or not."""
    body = b'{"Puts": [{"Key": "k", "Value": "' + b"v" * 3 * 1024 * 1024 + b'"}]}'
    headers = {"If-Match": _etag(kvs, arn)}
    if chunked:
        headers["Transfer-Encoding"] = "chunked"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    answer = send_raw(endpoint.port, "POST", f"{_path(arn)}/keys", body=body, headers=headers)

    assert answer.status == 402
    assert answer.headers["x-amzn-errortype"] == "ServiceQuotaExceededException"


@pytest.mark.conformance("KVS-28", "CF-96")
def test_a_store_holds_five_megabytes(endpoint: Endpoint, kvs: Any) -> None:
    """The write that would pass 5 MB is 402 and leaves the store as it was."""
    items = {f"{i:06}": "v" * 1018 for i in range(5 * 1024)}
    arn = endpoint.new_store("full", items=items)
    before = _state(kvs, arn)

    with pytest.raises(kvs.exceptions.ServiceQuotaExceededException) as refusal:
        _put(kvs, arn, "one", "more")

    assert before[1] == 5 * 1024 * 1024
    assert "key value store" in refusal.value.response["Error"]["Message"]
    assert _state(kvs, arn) == before


@pytest.mark.conformance("KVS-29")
@pytest.mark.parametrize(
    "bad",
    [
        {"Key": "k" * 513, "Value": "v"},
        {"Key": "k", "Value": "v" * 1025},
        {"Key": "good", "Value": "again"},
    ],
    ids=["key too long", "value too long", "key named twice"],
)
def test_one_bad_entry_spoils_the_whole_update(kvs: Any, arn: str, bad: dict[str, str]) -> None:
    """UpdateKeys is all or nothing: neither contents nor ETag move."""
    _put(kvs, arn, "there", "before")
    before = _state(kvs, arn)

    with pytest.raises(ClientError):
        kvs.update_keys(
            KvsARN=arn,
            IfMatch=before[2],
            Puts=[{"Key": "good", "Value": "v"}, bad],
            Deletes=[{"Key": "there"}],
        )

    assert _state(kvs, arn) == before
    assert kvs.get_key(KvsARN=arn, Key="there")["Value"] == "before"


@pytest.mark.conformance("KVS-30", "KVS-31")
def test_an_update_may_put_only_delete_only_or_delete_what_is_absent(kvs: Any, arn: str) -> None:
    """Either list may be missing; deleting an absent key changes no counts."""
    put = kvs.update_keys(KvsARN=arn, IfMatch=_etag(kvs, arn), Puts=[{"Key": "k", "Value": "v"}])
    absent = kvs.update_keys(KvsARN=arn, IfMatch=put["ETag"], Deletes=[{"Key": "absent"}])
    gone = kvs.update_keys(KvsARN=arn, IfMatch=absent["ETag"], Deletes=[{"Key": "k"}])

    assert [answer["ItemCount"] for answer in (put, absent, gone)] == [1, 1, 0]
    assert len({answer["ETag"] for answer in (put, absent, gone)}) == 3


def test_deleting_an_absent_key_succeeds_unless_switched(
    kvs: Any, arn: str, store_file: Path
) -> None:
    """DeleteKey of an absent key is 200 by default; the switch makes it 404."""
    lenient = kvs.delete_key(KvsARN=arn, Key="absent", IfMatch=_etag(kvs, arn))
    with running_endpoint(
        store_file, Options(store_rules=StoreRules(missing_key_delete_succeeds=False))
    ) as strict:
        other = strict.new_store("strict")
        strict_kvs = client("cloudfront-keyvaluestore", strict.url)

        with pytest.raises(strict_kvs.exceptions.ResourceNotFoundException):
            strict_kvs.delete_key(KvsARN=other, Key="absent", IfMatch=_etag(strict_kvs, other))

    assert lenient["ItemCount"] == 0


@pytest.mark.conformance("KVS-60")
def test_of_many_writers_with_one_etag_one_wins(endpoint: Endpoint, kvs: Any, arn: str) -> None:
    """Twelve writers at once with the same ETag: one write happens."""
    etag = _etag(kvs, arn)

    def write(i: int) -> bool:
        try:
            kvs.put_key(KvsARN=arn, Key=f"writer-{i}", Value="v", IfMatch=etag)
        except kvs.exceptions.ValidationException:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        winners = [i for i, won in enumerate(threads.map(write, range(12))) if won]

    assert len(winners) == 1
    assert [item["Key"] for item in kvs.list_keys(KvsARN=arn)["Items"]] == [f"writer-{winners[0]}"]


@pytest.mark.conformance("KVS-61")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"{}",
        b'{"Value": 1}',
        b'{"Value": null}',
        b'{"Value": {"a": 1}}',
        b'{"Value": "\\ud800"}',
        b'{"value": "lower case"}',
        b"[" * 5_000,
    ],
)
def test_bodies_that_are_no_put_are_refused(
    endpoint: Endpoint, kvs: Any, arn: str, body: bytes
) -> None:
    """PutKey with malformed JSON or a Value that is no text is a ValidationException."""
    answer = send_raw(
        endpoint.port, "PUT", _path(arn, "k"), body=body, headers={"If-Match": _etag(kvs, arn)}
    )

    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")


@pytest.mark.conformance("KVS-61")
@pytest.mark.parametrize(
    "body",
    [
        b'{"Puts": {}}',
        b'{"Puts": ["k"]}',
        b'{"Puts": [{"Key": "k"}]}',
        b'{"Puts": [{"Key": 1, "Value": "v"}]}',
        b'{"Puts": [{"Key": "", "Value": "v"}]}',
        b'{"Deletes": [{}]}',
        b'{"Deletes": "k"}',
    ],
)
def test_bodies_that_are_no_update_are_refused(
    endpoint: Endpoint, kvs: Any, arn: str, body: bytes
) -> None:
    """UpdateKeys says which entry is wrong."""
    answer = send_raw(
        endpoint.port,
        "POST",
        f"{_path(arn)}/keys",
        body=body,
        headers={"If-Match": _etag(kvs, arn)},
    )

    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert re.search("Puts|Deletes|Key", answer.json["Message"])


def test_an_empty_update_makes_a_version(endpoint: Endpoint, kvs: Any, arn: str) -> None:
    """Neither puts nor deletes, or null in their place, is a write like any other."""
    before = _state(kvs, arn)

    answer = send_raw(
        endpoint.port,
        "POST",
        f"{_path(arn)}/keys",
        body=b'{"Puts": null}',
        headers={"If-Match": before[2]},
    )

    assert answer.status == 200
    assert answer.headers["etag"] != before[2]
