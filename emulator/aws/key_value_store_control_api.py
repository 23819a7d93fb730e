"""The control API of key value stores: five operations of `cloudfront` (facts/kvs.md section 4).

Stores are addressed by name here and by ARN on the data API, and the two have ETags of their own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.types import ASGIApp

from emulator.aws.answers import Answer
from emulator.aws.call import ApiCall, decode_segment
from emulator.errors import ApiError, NotEmulated
from emulator.quotas import KB
from emulator.rules import key_value_store_control as rules
from emulator.rules.key_value_store import control_etag
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.key_values import KeyValueStore, StoreStatus
from emulator.wire import key_value_store_control as wire

FetchObject = Callable[[str, str], Awaitable[bytes]]
"""Reads an S3 object, given bucket and key. Raises ApiError when it cannot be read."""
StoreInUse = Callable[[str], bool]
"""Whether a function is associated with the store of this ARN."""
KeepTags = Callable[[str, Mapping[str, str]], Awaitable[None]]
"""Keeps the tags of an ARN in place of those it had; none when it is gone."""

_COLLECTION: Final = "/2020-05-31/key-value-store"
_S3_OBJECT = re.compile(r"arn:aws:s3:::([^/]+)/(.+)")
_BODY_MAX_BYTES = 64 * KB
_MAX_ITEMS_DEFAULT = 100
_MAX_ITEMS = re.compile(r"[0-9]{1,9}")


async def no_s3(bucket: str, key: str) -> bytes:
    """S3 is not there yet.

    Raises:
        NotEmulated: Always.
    """
    raise NotEmulated("Importing a key value store from S3", where=f"s3://{bucket}/{key}")


class KeyValueStoreControlApi:
    """The key value stores' part of `cloudfront`, API version 2020-05-31.

    Args:
        stores: The stores to manage.
        in_use: Asked before a store is deleted.
        fetch_object: Where imports come from.
        keep_tags: Where tags go; without it they are refused.
    """

    def __init__(
        self,
        stores: KeyValueStores,
        *,
        in_use: StoreInUse = lambda arn: False,
        fetch_object: FetchObject = no_s3,
        keep_tags: KeepTags | None = None,
    ) -> None:
        self._stores, self._in_use, self._fetch_object = stores, in_use, fetch_object
        self._keep_tags = keep_tags
        self._of_one: Mapping[str, Callable[[ApiCall, str], Awaitable[ASGIApp]]] = {
            "GET": self._describe,
            "PUT": self._update,
            "DELETE": self._delete,
        }

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: Any of the control API's errors.
            NotEmulated: The rest of CloudFront's API.
        """
        if call.path == _COLLECTION:
            if call.method == "POST":
                return await self._create(call)
            if call.method == "GET":
                return self._list(call)
        collection, _, name = call.path.rpartition("/")
        operation = self._of_one.get(call.method)
        if collection != _COLLECTION or not name or operation is None:
            raise NotEmulated(f"The AWS operation cloudfront:{call.method} {call.path}")
        try:
            return await operation(call, decode_segment(name))
        except UnicodeDecodeError as error:
            raise rules.invalid_argument("The name must be UTF-8, percent-encoded") from error

    async def _create(self, call: ApiCall) -> ASGIApp:
        wanted = wire.parse_create(await _body(call))
        if wanted.tags and self._keep_tags is None:
            raise NotEmulated("Tags of a key value store")
        name = rules.require_store_name(wanted.name)
        comment = rules.require_comment(wanted.comment)
        items = {} if wanted.source_arn is None else await self._import(wanted.source_arn)
        store = await self._stores.create(
            name,
            comment=comment,
            items=items,
            provisioning_ms=self._stores.rules.provisioning_ms,
        )
        if wanted.tags and self._keep_tags is not None:
            await self._keep_tags(store.arn, wanted.tags)
        location = f"https://cloudfront.amazonaws.com{_COLLECTION}/{name}"
        return self._answer(store, status=201, headers={"Location": location})

    async def _import(self, source_arn: str) -> dict[str, str]:
        match = _S3_OBJECT.fullmatch(source_arn)
        if match is None:
            raise rules.invalid_argument(f"SourceARN {source_arn!r} is not the ARN of an S3 object")
        body = await self._fetch_object(match[1], match[2])
        rules.require_import_size(len(body))
        return rules.import_items(wire.parse_import_file(body))

    async def _describe(self, call: ApiCall, name: str) -> ASGIApp:
        return self._answer(self._named(name))

    def _list(self, call: ApiCall) -> ASGIApp:
        max_items = _max_items(call.query_value("MaxItems"))
        marker = call.query_value("Marker") or ""
        wanted = _status(call.query_value("Status"))
        stores = [
            (store, status)
            for store in self._stores.list_stores()
            if store.name > marker
            and ((status := self._stores.status(store)) is wanted or wanted is None)
        ]
        page = stores[:max_items]
        next_marker = page[-1][0].name if len(stores) > len(page) else None
        return Answer(
            200, wire.dump_store_list(page, max_items, next_marker), content_type="text/xml"
        )

    async def _update(self, call: ApiCall, name: str) -> ASGIApp:
        comment = rules.require_comment(wire.parse_update(await _body(call)))
        return self._answer(
            await self._stores.update_comment(name, comment, if_match=call.headers.get("if-match"))
        )

    async def _delete(self, call: ApiCall, name: str) -> ASGIApp:
        arn = self._named(name).arn
        await self._stores.delete(name, if_match=call.headers.get("if-match"), in_use=self._in_use)
        if self._keep_tags is not None:
            await self._keep_tags(arn, {})
        return Answer(204, b"", content_type="text/xml")

    def _named(self, name: str) -> KeyValueStore:
        store = self._stores.find(name)
        if store is None:
            raise rules.no_store_named(name)
        return store

    def _answer(
        self, store: KeyValueStore, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> ASGIApp:
        return Answer(
            status,
            wire.dump_store(store, self._stores.status(store)),
            content_type="text/xml",
            headers={"ETag": control_etag(store.control_version), **(headers or {})},
        )


def _max_items(text: str | None) -> int:
    if text is None:
        return _MAX_ITEMS_DEFAULT
    if not _MAX_ITEMS.fullmatch(text) or int(text) < 1:
        raise rules.invalid_argument(f"MaxItems must be a whole number from 1 on, not {text!r}")
    return int(text)


def _status(text: str | None) -> StoreStatus | None:
    if not text:
        return None
    try:
        return StoreStatus(text)
    except ValueError as error:
        choices = ", ".join(StoreStatus)
        raise rules.invalid_argument(f"Status must be one of {choices}, not {text!r}") from error


async def _body(call: ApiCall) -> bytes:
    return await call.body(
        _BODY_MAX_BYTES,
        lambda: ApiError(413, "RequestEntityTooLarge", "The request body is too large"),
    )
