"""The laws of a key value store: sizes, quotas, versions, pages. No I/O.

AWS: "CloudFront KeyValueStore" and "Quotas", https://docs.aws.amazon.com/AmazonCloudFront/latest/
DeveloperGuide/kvs-with-functions.html and .../cloudfront-limits.html, read 2026-11-20; API
reference of CloudFront KeyValueStore (botocore model 2022-07-26). The numbers and AWS's words are
gathered in facts/kvs.md, sections 2 and 3; a message marked "ours" is not known from real AWS.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from emulator import quotas
from emulator.errors import ApiError

ACCOUNT_ID: Final = "123456789012"
_ID_NAMESPACE = uuid.UUID("6c6f6361-6c70-5f70-8b76-732d73746f72")
_ARN = re.compile(r"arn:aws:cloudfront::(\d{12}):key-value-store/([0-9A-Za-z-]{1,64})")
_MAX_RESULTS = re.compile(r"[0-9]{1,9}")
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Thirteen base-36 digits without a leading zero that still fit 64 bits: all four tokens seen
# from real AWS (1F83G8C2ARO7P, 1PA6795UKMFR9, 13V1IB3VIYZZH, 3UN6WX5RRO2AG) are of this kind.
_TOKEN_MIN, _TOKEN_MAX = 36**12, 2**64
_TOKEN_CHECK_BYTES = 6


@dataclass(frozen=True, slots=True)
class StoreRules:
    """What AWS does not document, as switches with the default that facts/kvs.md advises.

    Args:
        missing_key_delete_succeeds: DeleteKey of an absent key answers 200, as UpdateKeys is
            known to (facts 2.12); False answers 404, which the model allows.
        repeated_keys_refused: A key that stands twice in one UpdateKeys, in Puts, in Deletes or in
            both, is a ValidationException (facts 2.13: unverified); False lets a put win over a
            delete, and the last put over the ones before it.
        stores_per_account: 200 in AWS's newest text; the older text is
            `quotas.STORES_PER_ACCOUNT_2025` (facts/kvs.md section 3).
        provisioning_ms: How long a store made through the control API stays PROVISIONING; some
            35,000 at AWS in the one run that was measured (facts 4.3).
    """

    missing_key_delete_succeeds: bool = True
    repeated_keys_refused: bool = True
    stores_per_account: int = quotas.STORES_PER_ACCOUNT
    provisioning_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class StoreUpdate:
    """What one write asks for; all of it happens or none.

    Args:
        puts: Pairs of key and value.
        deletes: Keys.
    """

    puts: Sequence[tuple[str, str]] = ()
    deletes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StoreContents:
    """The items of one version and what they weigh.

    Args:
        items: Key to value.
        total_size_bytes: UTF-8 bytes of all keys and values, without any overhead per item
            (facts/kvs.md, "TotalSizeInBytes").
    """

    items: Mapping[str, str] = field(default_factory=dict)
    total_size_bytes: int = 0


# --- Versions ---------------------------------------------------------------------------------


def data_etag(version: int) -> str:
    """The data API's ETag of a version: `KV` and 13 characters (facts/kvs.md 2.6).

    The token says nothing but the version: real tokens, too, look like constants per version
    that all stores share, so none may be used as an identity.
    """
    return "KV" + _version_token(version)


def control_etag(version: int) -> str:
    """The control API's ETag of a version: `E` and 13 characters (facts/kvs.md 4.7)."""
    return "E" + _version_token(version)


def require_match(version: int, if_match: str | None) -> None:
    """Refuse a write whose If-Match is absent or names another version.

    Raises:
        ApiError: 400 ValidationException. Real AWS answers a stale ETag so, not with 409 or 412
            (facts/kvs.md 2.10, a transcript from the field).
    """
    if if_match is None:
        raise invalid("If-Match header is required")  # ours
    if if_match != data_etag(version):
        raise invalid("Pre-Condition failed during update of Key-Value-Store")


def _version_token(version: int) -> str:
    digest = hashlib.sha256(f"key value store version {version}".encode()).digest()
    number = _TOKEN_MIN + int.from_bytes(digest[:16]) % (_TOKEN_MAX - _TOKEN_MIN)
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits


# --- Writing ----------------------------------------------------------------------------------


def apply_update(
    contents: StoreContents, update: StoreUpdate, rules: StoreRules | None = None
) -> StoreContents:
    """The contents after a write; the given ones are left as they are.

    Args:
        contents: The version before.
        update: What to put and to delete. A delete of an absent key changes nothing and is no
            error (facts/kvs.md 2.12).
        rules: The switches for what AWS leaves open.

    Raises:
        ApiError: 402 ServiceQuotaExceededException or 400 ValidationException; nothing happened.
    """
    rules = rules or StoreRules()
    _require_entry_count(update)
    sizes = [pair_bytes(key, value) for key, value in update.puts]
    for key in update.deletes:
        _key_bytes(key)
    if rules.repeated_keys_refused:
        _require_no_repeats(update)

    items, total = dict(contents.items), contents.total_size_bytes
    for key in update.deletes:
        old = items.pop(key, None)
        if old is not None:
            total -= item_bytes(key, old)
    for (key, value), size in zip(update.puts, sizes, strict=True):
        old = items.get(key)
        total += size - (item_bytes(key, old) if old is not None else 0)
        items[key] = value
    if total > quotas.STORE_MAX_BYTES:
        raise over_quota("Maximum size of an individual key value store")
    return StoreContents(items, total)


def contents_of(items: Mapping[str, str]) -> StoreContents:
    """Items with their weight, for a store that is read back or imported."""
    return StoreContents(items, sum(item_bytes(key, value) for key, value in items.items()))


def item_bytes(key: str, value: str) -> int:
    """What one item adds to TotalSizeInBytes."""
    return len(key.encode()) + len(value.encode())


def over_quota(quota: str) -> ApiError:
    """402 in the one shape that is known from the field (facts/kvs.md 2.10).

    Args:
        quota: The quota's name, as on AWS's page of quotas.
    """
    return ApiError(402, "ServiceQuotaExceededException", f"Limit exceeded: {quota}")


def invalid(message: str) -> ApiError:
    """400 ValidationException."""
    return ApiError(400, "ValidationException", message)


def not_found(message: str) -> ApiError:
    """404 ResourceNotFoundException."""
    return ApiError(404, "ResourceNotFoundException", message)


def not_in_expected_state() -> ApiError:
    """409 for a store that is deleted or not yet READY (facts/kvs.md 2.10)."""
    return ApiError(409, "ConflictException", "Key-Value-Store was not in expected state")


def _require_entry_count(update: StoreUpdate) -> None:
    if len(update.puts) + len(update.deletes) > quotas.STORE_UPDATE_MAX_KEYS:
        raise over_quota("Maximum key value pairs that can be updated in a single API request")


def pair_bytes(key: str, value: str) -> int:
    """What a pair weighs, if it may be in a store at all.

    Raises:
        ApiError: 402 ServiceQuotaExceededException or 400 ValidationException.
    """
    key_bytes, value_bytes = _key_bytes(key), len(_utf8(value))
    if value_bytes > quotas.STORE_VALUE_MAX_BYTES:
        raise over_quota("Maximum size of the value in a key value pair")
    return key_bytes + value_bytes


def _key_bytes(key: str) -> int:
    # The model allows 1,024 characters, the quota 512 bytes: the quota counts (facts 2.16).
    size = len(_utf8(key))
    if size == 0:
        raise invalid("Key must have at least 1 character")  # ours
    if size > quotas.STORE_KEY_MAX_BYTES:
        raise over_quota("Maximum size of a key in a key value pair")
    return size


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise invalid("Keys and values must be valid UTF-8") from error  # ours


def _require_no_repeats(update: StoreUpdate) -> None:
    keys = [key for key, _ in update.puts]
    keys += update.deletes
    if len(set(keys)) != len(keys):
        raise invalid("A key can be named only once in an update of a Key-Value-Store")  # ours


# --- Reading ----------------------------------------------------------------------------------


def parse_max_results(text: str | None) -> int:
    """The page size of ListKeys: 10 unless told, 1 to 50 (facts/kvs.md 2.14).

    Raises:
        ApiError: 400 ValidationException for anything else; botocore does not check it.
    """
    if text is None:
        return quotas.STORE_LIST_PAGE_DEFAULT
    if not _MAX_RESULTS.fullmatch(text) or not 1 <= int(text) <= quotas.STORE_LIST_PAGE_MAX:
        raise invalid(  # ours
            f"MaxResults must be a whole number between 1 and {quotas.STORE_LIST_PAGE_MAX}"
        )
    return int(text)


def list_page(
    keys: Sequence[str], after: str | None, max_results: int
) -> tuple[Sequence[str], bool]:
    """One page of ListKeys, and whether more follow.

    A page begins after the last key of the one before, so keys that come or go in between never
    make another key appear twice or be left out.

    Args:
        keys: All keys in order. AWS's order is unverified; ours is that of the UTF-8 bytes, which
            for Python's text is the natural one.
        after: The last key of the page before; None for the first page.
        max_results: The page's size.
    """
    start = 0 if after is None else bisect_right(keys, after)
    return keys[start : start + max_results], start + max_results < len(keys)


def dump_page_token(store_id: str, last_key: str) -> str:
    """The NextToken after a page: opaque to clients, worthless for another store."""
    raw = last_key.encode()
    return base64.urlsafe_b64encode(_token_check(store_id, raw) + raw).decode()


def parse_page_token(store_id: str, token: str) -> str:
    """The last key of the page before.

    Raises:
        ApiError: 400 ValidationException for a token that this store did not hand out.
    """
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        check, key = raw[:_TOKEN_CHECK_BYTES], raw[_TOKEN_CHECK_BYTES:]
        if key and check == _token_check(store_id, key):
            return key.decode()
    except (binascii.Error, UnicodeError):
        pass
    raise invalid("NextToken is not valid")  # ours


def _token_check(store_id: str, key: bytes) -> bytes:
    return hashlib.blake2b(key, key=store_id.encode()[:64], digest_size=_TOKEN_CHECK_BYTES).digest()


# --- Names ------------------------------------------------------------------------------------


def parse_arn(arn: str) -> tuple[str, str]:
    """The account and the id in a store's ARN.

    Raises:
        ApiError: 400 ValidationException, in the words of the SDKs' own rule (facts/kvs.md 1.2).
    """
    match = _ARN.fullmatch(arn)
    if match is None:
        raise invalid("KVS ARN must be a valid ARN")
    return match[1], match[2]


def store_arn(name: str, deletions: int = 0) -> str:
    """The ARN of the store of this name: the same at every start, so that templates know it.

    Args:
        name: The store's name.
        deletions: How many stores of this name were deleted before; each successor has a new id,
            as at AWS.
    """
    # A name cannot hold `#`, so a successor never takes another name's id.
    store_id = uuid.uuid5(_ID_NAMESPACE, f"{name}#{deletions}" if deletions else name)
    return f"arn:aws:cloudfront::{ACCOUNT_ID}:key-value-store/{store_id}"


def require_same_account(arn_account: str, host_account: str | None) -> None:
    """Refuse a call that names one account in its host and another in its ARN.

    The SDKs take the host's account from the ARN, so the two agree unless someone built the
    request by hand. What AWS answers is unverified; 403 is the answer that every operation models.

    Args:
        arn_account: The account in the ARN.
        host_account: The account before the host's name; None when it has none.

    Raises:
        ApiError: 403 AccessDeniedException.
    """
    if host_account is not None and host_account != arn_account:
        raise ApiError(
            403,
            "AccessDeniedException",
            f"The host names account {host_account} and the KVS ARN account {arn_account}",
        )


def sorted_keys(keys: Iterable[str]) -> list[str]:
    """Keys in the order of their UTF-8 bytes; code points sort the same way."""
    return sorted(keys)
