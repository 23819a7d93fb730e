"""The laws of the control plane of key value stores."""

from __future__ import annotations

import pytest

from emulator import quotas
from emulator.errors import ApiError
from emulator.rules.key_value_store import StoreRules, control_etag, data_etag, parse_arn, store_arn
from emulator.rules.key_value_store_control import (
    import_items,
    require_comment,
    require_control_match,
    require_import_size,
    require_room_for_store,
    require_store_name,
)


@pytest.mark.conformance("KVS-39")
@pytest.mark.parametrize("name", ["a", "Answers-2_b", "x" * 64])
def test_names_that_may_be(name: str) -> None:
    """1 to 64 letters, digits, hyphens and underscores."""
    assert require_store_name(name) == name


@pytest.mark.conformance("KVS-39")
@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a.b", "é", "a\n", "a/b", "#"])
def test_names_that_may_not_be(name: str) -> None:
    """Anything else is InvalidArgument."""
    with pytest.raises(ApiError) as refusal:
        require_store_name(name)

    assert (refusal.value.status, refusal.value.code) == (400, "InvalidArgument")


def test_comments_have_128_characters() -> None:
    """Characters, not bytes."""
    assert require_comment("é" * 128)

    with pytest.raises(ApiError, match="129 characters"):
        require_comment("c" * 129)


@pytest.mark.conformance("KVS-22", "KVS-43")
@pytest.mark.parametrize(
    ("if_match", "code", "status"),
    [
        (None, "InvalidIfMatchVersion", 400),
        ("", "InvalidIfMatchVersion", 400),
        (control_etag(4), "PreconditionFailed", 412),
        (data_etag(5), "PreconditionFailed", 412),
    ],
)
def test_only_the_newest_control_etag_passes(if_match: str | None, code: str, status: int) -> None:
    """Absent is 400, another is 412."""
    require_control_match(5, control_etag(5))

    with pytest.raises(ApiError) as refusal:
        require_control_match(5, if_match)

    assert (refusal.value.code, refusal.value.status) == (code, status)


@pytest.mark.conformance("KVS-40")
def test_both_texts_of_the_quota() -> None:
    """200 by default, 50 in the older text."""
    require_room_for_store(199, StoreRules())

    for rules in (StoreRules(), StoreRules(stores_per_account=quotas.STORES_PER_ACCOUNT_2025)):
        with pytest.raises(ApiError, match=str(rules.stores_per_account)):
            require_room_for_store(rules.stores_per_account, rules)


@pytest.mark.conformance("KVS-41")
@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([("a", "1"), ("a", "1")], "twice"),
        ([("k" * 513, "")], "Maximum size of a key"),
        ([("k", "v" * 1025)], "Maximum size of the value"),
        ([("", "v")], "at least 1 character"),
    ],
)
def test_an_import_is_good_as_a_whole_or_refused(pairs: list[tuple[str, str]], words: str) -> None:
    """The message names the key and what is wrong with it."""
    with pytest.raises(ApiError, match=words) as refusal:
        import_items([("good", "v"), *pairs])

    assert refusal.value.code == "InvalidArgument"


@pytest.mark.conformance("KVS-41")
def test_an_import_has_five_megabytes() -> None:
    """Both the file and what it holds; more than 50 keys are fine."""
    require_import_size(quotas.STORE_MAX_BYTES)
    assert len(import_items([(f"{i}", "v") for i in range(500)])) == 500

    with pytest.raises(ApiError) as file_too_large:
        require_import_size(quotas.STORE_MAX_BYTES + 1)
    with pytest.raises(ApiError) as items_too_large:
        import_items([(f"{i:06}", "v" * 1018) for i in range(5 * 1024 + 1)])

    assert file_too_large.value.status == items_too_large.value.status == 413


def test_arns_follow_from_names() -> None:
    """The same name, the same ARN; another after each deletion; none that two names share."""
    arns = [store_arn("answers"), store_arn("answers", 1), store_arn("answers", 2), store_arn("b")]

    assert store_arn("answers") == arns[0]
    assert len(set(arns)) == len(arns)
    assert all(parse_arn(arn)[0] == "123456789012" for arn in arns)
