"""The laws of the control plane of key value stores: names, comments, ETags, imports. No I/O.

AWS: API reference of Amazon CloudFront (botocore model 2020-05-31) and "Create a key value store
with key-value pairs", https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/
kvs-with-functions-create-s3-kvp.html, read 2026-11-20; gathered in facts/kvs.md section 4. Codes
and statuses are the model's; the sentences are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from emulator import quotas
from emulator.errors import ApiError
from emulator.rules.key_value_store import StoreRules, contents_of, control_etag, pair_bytes

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def require_control_match(version: int, if_match: str | None) -> None:
    """Refuse a change whose If-Match is absent or names another control version.

    Raises:
        ApiError: 400 InvalidIfMatchVersion when absent, 412 PreconditionFailed when another.
    """
    if not if_match:
        raise ApiError(
            400,
            "InvalidIfMatchVersion",
            "The If-Match version is missing or not valid for the resource.",
        )
    if if_match != control_etag(version):
        raise ApiError(
            412,
            "PreconditionFailed",
            "The precondition in one or more of the request fields failed",
        )


def require_store_name(name: str) -> str:
    """The name, if a store may have it.

    Raises:
        ApiError: 400 InvalidArgument (facts/kvs.md 4.1).
    """
    if not _NAME.fullmatch(name):
        raise invalid_argument(
            f"The name {name!r} must be 1 to 64 letters, digits, hyphens and underscores"
        )
    return name


def require_comment(comment: str) -> str:
    """The comment, if a store may have it.

    Raises:
        ApiError: 400 InvalidArgument (facts/kvs.md 4.1).
    """
    if len(comment) > quotas.STORE_COMMENT_MAX_CHARS:
        raise invalid_argument(
            f"The comment has {len(comment)} characters, and "
            f"{quotas.STORE_COMMENT_MAX_CHARS} are allowed"
        )
    return comment


def require_room_for_store(present: int, rules: StoreRules) -> None:
    """Refuse one store too many.

    Raises:
        ApiError: 400 EntityLimitExceeded.
    """
    if present >= rules.stores_per_account:
        raise ApiError(
            400,
            "EntityLimitExceeded",
            f"An account may have {rules.stores_per_account} key value stores",
        )


def require_import_size(size_bytes: int) -> None:
    """Refuse an import file of more than 5 MB.

    Raises:
        ApiError: 413 EntitySizeLimitExceeded.
    """
    if size_bytes > quotas.STORE_MAX_BYTES:
        raise _import_too_large()


def import_items(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The items of an import file.

    Raises:
        ApiError: 400 InvalidArgument for a repeated key, or a key or value over its quota; 413
            EntitySizeLimitExceeded for more than a store holds (facts/kvs.md 4.8).
    """
    items: dict[str, str] = {}
    for key, value in pairs:
        if key in items:
            raise invalid_argument(f"The import source names the key {key!r} twice")
        try:
            pair_bytes(key, value)
        except ApiError as error:
            raise invalid_argument(f"The import source, key {key!r}: {error.message}") from error
        items[key] = value
    if contents_of(items).total_size_bytes > quotas.STORE_MAX_BYTES:
        raise _import_too_large()
    return items


def _import_too_large() -> ApiError:
    return ApiError(
        413,
        "EntitySizeLimitExceeded",
        f"The import source is larger than {quotas.STORE_MAX_BYTES} bytes",
    )


def invalid_argument(message: str) -> ApiError:
    """400 InvalidArgument, the control plane's word for bad input."""
    return ApiError(400, "InvalidArgument", message)


def no_store_named(name: str) -> ApiError:
    """404 EntityNotFound."""
    return ApiError(404, "EntityNotFound", f"There is no key value store named {name}")
