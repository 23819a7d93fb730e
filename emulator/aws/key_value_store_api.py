"""The KeyValueStore data API: six operations on one path (facts/kvs.md section 2).

Reads never wait and never touch the disk. Every write names the ETag it was planned on; whoever
comes second gets a ValidationException and reads again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.types import ASGIApp

from emulator import quotas
from emulator.aws.answers import json_answer
from emulator.aws.bedrock.faults import FaultPlan
from emulator.aws.call import ApiCall, decode_segment
from emulator.aws.dispatch import KEY_VALUE_STORE
from emulator.aws.guard import host_account
from emulator.errors import ApiError
from emulator.rules import key_value_store as rules
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.key_values import StoreSnapshot
from emulator.wire import key_value_store as wire

_COLLECTION = "key-value-stores"


class KeyValueStoreApi:
    """`cloudfront-keyvaluestore`, API version 2022-07-26.

    Args:
        stores: The stores to serve.
        faults: Failures on demand.
    """

    def __init__(self, stores: KeyValueStores, faults: FaultPlan | None = None) -> None:
        self._stores, self._faults = stores, faults or FaultPlan()
        # By the number of path segments and the method.
        self._operations: Mapping[int, Mapping[str, _Operation]] = {
            2: {"GET": self._describe},
            3: {"GET": self._list, "POST": self._update},
            4: {"GET": self._get, "PUT": self._put, "DELETE": self._delete},
        }

    async def __call__(self, call: ApiCall) -> ASGIApp:
        """Answer a call.

        Raises:
            ApiError: Any of the data API's errors.
        """
        if self._faults.take(KEY_VALUE_STORE, streaming=False) is not None:
            # The one answer for trouble of their own that all six operations model.
            raise ApiError(500, "InternalServerException", "Asked for by /_localpop/faults")
        segments = call.path.split("/")[1:]
        methods = self._operations.get(len(segments), {})
        if segments[0] != _COLLECTION or not methods or segments[2:3] not in ([], ["keys"]):
            raise ApiError(404, "UnknownOperationException", f"No operation is at {call.path}")
        operation = methods.get(call.method)
        if operation is None:
            raise ApiError(
                405,
                "UnknownOperationException",
                f"{call.method} is no operation of this path, only {', '.join(methods)}",
            )
        try:
            arn = decode_segment(segments[1])
            key = decode_segment(segments[3]) if len(segments) == 4 else ""
        except UnicodeDecodeError as error:
            raise rules.invalid("The path must be UTF-8, percent-encoded") from error
        if account := host_account(call.headers.get("host", "")):
            rules.require_same_account(rules.parse_arn(arn)[0], account)
        return await operation(call, arn, key)

    async def _describe(self, call: ApiCall, arn: str, key: str) -> ASGIApp:
        store = self._stores.describe(arn)
        shape = wire.dump_description(store.snapshot, self._stores.status(store))
        return json_answer(shape, headers={"ETag": rules.data_etag(store.snapshot.version)})

    async def _get(self, call: ApiCall, arn: str, key: str) -> ASGIApp:
        snapshot = self._stores.snapshot(arn)
        value = snapshot.items.get(key)
        if value is None:
            raise rules.not_found("Key was not found in the Key-Value-Store")  # ours
        return json_answer(wire.dump_key(snapshot, key, value))

    async def _list(self, call: ApiCall, arn: str, key: str) -> ASGIApp:
        snapshot = self._stores.snapshot(arn)
        max_results = rules.parse_max_results(call.query_value("MaxResults"))
        token = call.query_value("NextToken")
        after = None if token is None else rules.parse_page_token(snapshot.id, token)
        keys, more = rules.list_page(self._stores.sorted_keys(snapshot), after, max_results)
        next_token = rules.dump_page_token(snapshot.id, keys[-1]) if more else None
        return json_answer(wire.dump_page([(k, snapshot.items[k]) for k in keys], next_token))

    async def _put(self, call: ApiCall, arn: str, key: str) -> ASGIApp:
        value = wire.parse_put_key(await _body(call))
        return await self._write(call, arn, rules.StoreUpdate(puts=((key, value),)))

    async def _delete(self, call: ApiCall, arn: str, key: str) -> ASGIApp:
        if not self._stores.rules.missing_key_delete_succeeds:
            snapshot = self._stores.snapshot(arn)
            rules.require_match(snapshot.version, call.headers.get("if-match"))
            if key not in snapshot.items:
                raise rules.not_found("Key was not found in the Key-Value-Store")
        return await self._write(call, arn, rules.StoreUpdate(deletes=(key,)))

    async def _update(self, call: ApiCall, arn: str, key: str) -> ASGIApp:
        return await self._write(call, arn, wire.parse_update_keys(await _body(call)))

    async def _write(self, call: ApiCall, arn: str, update: rules.StoreUpdate) -> ASGIApp:
        snapshot, etag = await self._stores.update(
            arn, puts=update.puts, deletes=update.deletes, if_match=call.headers.get("if-match")
        )
        return _counts(snapshot, etag)


_Operation = Callable[[ApiCall, str, str], Awaitable[ASGIApp]]


def _counts(snapshot: StoreSnapshot, etag: str) -> ASGIApp:
    return json_answer(wire.dump_counts(snapshot), headers={"ETag": etag})


async def _body(call: ApiCall) -> bytes:
    return await call.body(
        quotas.STORE_UPDATE_MAX_BYTES,
        lambda: rules.over_quota("Maximum payload of a single API request"),
    )
