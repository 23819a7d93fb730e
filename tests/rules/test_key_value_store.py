"""The laws of a key value store, without any server."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import quotas
from emulator.errors import ApiError
from emulator.rules.key_value_store import (
    StoreContents,
    StoreRules,
    StoreUpdate,
    apply_update,
    contents_of,
    control_etag,
    data_etag,
    dump_page_token,
    list_page,
    parse_arn,
    parse_max_results,
    parse_page_token,
    require_match,
    require_same_account,
    sorted_keys,
)

_HOST = "h" * 60
_LENIENT = StoreRules(repeated_keys_refused=False)
_keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
_values = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
_items = st.dictionaries(_keys, _values, max_size=20)


@given(
    _items,
    st.lists(st.tuples(_keys, _values), max_size=10),
    st.lists(_keys, max_size=10),
)
def test_an_update_is_deletes_then_puts(
    items: dict[str, str], puts: list[tuple[str, str]], deletes: list[str]
) -> None:
    """The result is what a dictionary gives, weighed byte by byte; the old one is unharmed."""
    before = contents_of(dict(items))

    after = apply_update(before, StoreUpdate(puts, deletes), _LENIENT)

    expected = {key: value for key, value in items.items() if key not in deletes} | dict(puts)
    assert after.items == expected
    assert after.total_size_bytes == sum(
        len(key.encode()) + len(value.encode()) for key, value in expected.items()
    )
    assert before == contents_of(items)


@pytest.mark.conformance("KVS-15", "KVS-16", "KVS-17")
@pytest.mark.parametrize(
    ("pairs", "size"),
    [
        ([("/sample", "sample")], 13),
        ([("k", "wörld")], 7),
        # The example from the field, with a backend of 60 letters.
        (
            [(f"pr-{i}", f'{{"assets":"/pr-{i}","backend":"{_HOST}"}}') for i in (1, 2)],
            190,
        ),
    ],
)
def test_sizes_seen_at_real_aws(pairs: list[tuple[str, str]], size: int) -> None:
    """Bytes of keys and values, and nothing for the item itself (facts/kvs.md)."""
    assert apply_update(StoreContents(), StoreUpdate(puts=pairs)).total_size_bytes == size


@pytest.mark.parametrize(
    ("update", "code"),
    [
        pytest.param(
            StoreUpdate(puts=[(f"{i}", "") for i in range(51)]),
            "ServiceQuotaExceededException",
            id="51 puts",
        ),
        pytest.param(
            StoreUpdate(puts=[("a", "")] * 26, deletes=["b"] * 25),
            "ServiceQuotaExceededException",
            id="51 entries",
        ),
        pytest.param(
            StoreUpdate(deletes=["k" * 513]), "ServiceQuotaExceededException", id="long delete"
        ),
        pytest.param(StoreUpdate(deletes=[""]), "ValidationException", id="empty key"),
        pytest.param(StoreUpdate(puts=[("\ud800", "v")]), "ValidationException", id="surrogate"),
        pytest.param(StoreUpdate(puts=[("k", "\ud800")]), "ValidationException", id="in value"),
        pytest.param(
            StoreUpdate(puts=[("k", "1"), ("k", "2")]), "ValidationException", id="two puts"
        ),
        pytest.param(
            StoreUpdate(puts=[("k", "1")], deletes=["k"]),
            "ValidationException",
            id="put and delete",
        ),
    ],
)
def test_updates_that_are_refused(update: StoreUpdate, code: str) -> None:
    """Quotas are 402, bad input is 400."""
    with pytest.raises(ApiError) as refusal:
        apply_update(contents_of({"there": "v"}), update)

    assert refusal.value.code == code
    assert refusal.value.status == (400 if code == "ValidationException" else 402)


@pytest.mark.conformance("KVS-28")
def test_a_full_store_may_still_shrink_and_change() -> None:
    """At exactly 5 MB a delete and a change of the same length pass."""
    value = "v" * 1018
    full = contents_of({f"{i:06}": value for i in range(5 * 1024)})
    assert full.total_size_bytes == quotas.STORE_MAX_BYTES

    changed = apply_update(full, StoreUpdate(puts=[("000000", "w" * 1018)]))
    swapped = apply_update(full, StoreUpdate(puts=[("999999", value)], deletes=["000000"]))

    assert changed.total_size_bytes == swapped.total_size_bytes == quotas.STORE_MAX_BYTES
    with pytest.raises(ApiError, match="Maximum size of an individual key value store"):
        apply_update(full, StoreUpdate(puts=[("k", "")]))


@pytest.mark.conformance("KVS-18", "KVS-22")
def test_etags_name_versions() -> None:
    """`KV` or `E` and 13 characters, another one for each version."""
    tokens = [data_etag(version) for version in range(1, 500)]

    assert all(re.fullmatch(r"KV[0-9A-Z]{13}", token) for token in tokens)
    assert len(set(tokens)) == len(tokens)
    assert control_etag(1) == "E" + data_etag(1).removeprefix("KV")


@pytest.mark.conformance("KVS-19", "KVS-20")
@pytest.mark.parametrize(
    "if_match", [None, "", "*", data_etag(6), control_etag(7), "STALEETAG12345"]
)
def test_any_other_etag_is_stale(if_match: str | None) -> None:
    """Only the newest version's own ETag passes."""
    require_match(7, data_etag(7))

    with pytest.raises(ApiError) as refusal:
        require_match(7, if_match)

    assert (refusal.value.status, refusal.value.code) == (400, "ValidationException")


@pytest.mark.conformance("KVS-33")
@given(_items, st.integers(1, 50), st.data())
def test_pages_visit_every_lasting_key_once(
    items: dict[str, str], page_size: int, data: st.DataObject
) -> None:
    """Also when other keys come and go between two pages."""
    seen: list[str] = []
    alive, after, lasting = dict(items), None, set(items)
    while True:
        page, more = list_page(sorted_keys(alive), after, page_size)
        assert len(page) <= page_size
        seen += page
        if not more:
            break
        after = parse_page_token("store", dump_page_token("store", page[-1]))
        gone = data.draw(st.sets(st.sampled_from(sorted(alive))))
        lasting -= gone
        alive = {key: value for key, value in alive.items() if key not in gone}
        alive |= data.draw(st.dictionaries(_keys, _values, max_size=3))

    assert len(seen) == len(set(seen))
    assert seen == sorted(seen, key=str.encode)
    assert lasting <= set(seen)


@given(st.text(max_size=20))
def test_no_text_is_a_token_by_chance(token: str) -> None:
    """A token that this store did not hand out is refused, whatever it looks like."""
    with pytest.raises(ApiError, match="NextToken"):
        parse_page_token("store", token)


@pytest.mark.conformance("KVS-32")
@pytest.mark.parametrize(
    ("text", "number"),
    [(None, 10), ("1", 1), ("50", 50), ("0050", 50)]
    + [(text, None) for text in ("0", "51", "-1", "", " 5", "5.0", "٥", "9" * 30)],
)
def test_page_sizes(text: str | None, number: int | None) -> None:
    """1 to 50, 10 when absent."""
    if number is not None:
        assert parse_max_results(text) == number
        return

    with pytest.raises(ApiError, match="MaxResults"):
        parse_max_results(text)


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "not an arn",
        "arn:aws:s3:::bucket",
        "arn:aws:cloudfront:us-east-1:123456789012:key-value-store/1",
        "arn:aws:cloudfront::123456789012:function/f",
        "arn:aws-cn:cloudfront::123456789012:key-value-store/1",
        "arn:aws:cloudfront::123456789012:key-value-store/1/keys",
    ],
)
def test_what_is_no_stores_arn(arn: str) -> None:
    """Anything but a store's own ARN is refused in the SDKs' words."""
    with pytest.raises(ApiError, match="KVS ARN must be a valid ARN"):
        parse_arn(arn)


@pytest.mark.conformance("KVS-9")
def test_the_hosts_account_may_be_absent_but_not_another() -> None:
    """Without an account in the host there is nothing to disagree with."""
    require_same_account("123456789012", None)
    require_same_account("123456789012", "123456789012")

    with pytest.raises(ApiError) as refusal:
        require_same_account("123456789012", "999999999999")

    assert (refusal.value.status, refusal.value.code) == (403, "AccessDeniedException")
