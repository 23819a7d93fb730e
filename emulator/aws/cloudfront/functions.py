"""CloudFront Functions, as the control API sees them (facts/cloudfront-functions.md section 8).

Each has two stages: DEVELOPMENT, which is changed and tested, and LIVE, which viewers get.
Publishing copies the one to the other. Broken code publishes as well: it fails when it runs.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from emulator import quotas
from emulator.aws.cloudfront.control_plane import (
    ControlPlane,
    Operation,
    Shape,
    etag,
    invalid,
    list_shape,
    page,
    require_match,
    require_quantities,
)
from emulator.aws.cloudfront.tags import tags_of
from emulator.errors import ApiError, EdgeFunctionError
from emulator.project.declarations import FunctionDeclaration
from emulator.project.identifiers import function_arn
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.stores.key_value_stores import KeyValueStores
from emulator.values.account import Kind, Record
from emulator.values.key_values import KeyValueStore, StoreSnapshot, StoreStatus

DEVELOPMENT: Final = "DEVELOPMENT"
LIVE: Final = "LIVE"
_KINDS: Final = {DEVELOPMENT: Kind.FUNCTION, LIVE: Kind.LIVE_FUNCTION}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EVENT_TYPES: Final = ("viewer-request", "viewer-response")


class Functions:
    """The operations on CloudFront Functions.

    Args:
        plane: What they work on.
        stores: The account's key value stores.
        engine: Runs TestFunction.
    """

    def __init__(
        self, plane: ControlPlane, stores: KeyValueStores, engine: CloudFrontFunctions
    ) -> None:
        self._plane, self._account = plane, plane.account
        self._stores, self._engine = stores, engine
        self.operations: Mapping[str, Operation] = {
            "CreateFunction": self._create,
            "DescribeFunction": self._describe,
            "GetFunction": self._get,
            "UpdateFunction": self._update,
            "PublishFunction": self._publish,
            "TestFunction": self._test,
            "ListFunctions": self._list,
            "DeleteFunction": self._delete,
        }

    # --- for others -------------------------------------------------------------------------

    def is_live(self, arn: str) -> bool:
        """Whether a function with this ARN has a LIVE stage, so that it can be associated."""
        name = arn.rpartition(":function/")[2]
        if function_arn(name) != arn:
            return False
        return self._find(name, LIVE) is not None

    def store_in_use(self, arn: str) -> bool:
        """Whether any stage of a function is associated with the store of an ARN."""
        return any(arn in store_arns(record) for record in self._everything())

    # --- operations -------------------------------------------------------------------------

    async def _create(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            name = given["Name"]
            if not _NAME.fullmatch(name):
                raise invalid(f"The function name {name[:80]!r} is not [a-zA-Z0-9-_]{{1,64}}")
            if self._find(name, DEVELOPMENT) is not None:
                raise ApiError(
                    409,
                    "FunctionAlreadyExists",
                    "A function with the same name already exists in this account.",
                )
            if len(self._account.all(Kind.FUNCTION)) >= quotas.FUNCTIONS_PER_ACCOUNT:
                raise ApiError(
                    400,
                    "TooManyFunctions",
                    f"An account may have {quotas.FUNCTIONS_PER_ACCOUNT} functions.",
                )
            record = self._account.new(Kind.FUNCTION, name, self._document(given, name))
            kept = [record]
            if given.get("Tags"):
                tags = tags_of(given["Tags"])
                kept.append(self._account.new(Kind.TAGS, function_arn(name), tags))
            await self._account.save(*kept)
        location = f"https://cloudfront.amazonaws.com/2020-05-31/function/{function_arn(name)}"
        return {
            "FunctionSummary": self._summary(record),
            "Location": location,
            "ETag": etag(record),
        }

    async def _describe(self, given: Shape) -> dict[str, Any]:
        record = self._found(given["Name"], given.get("Stage"))
        return {"FunctionSummary": self._summary(record), "ETag": etag(record)}

    async def _get(self, given: Shape) -> dict[str, Any]:
        record = self._found(given["Name"], given.get("Stage"))
        return {
            "FunctionCode": code_of(record).encode(),
            "ETag": etag(record),
            "ContentType": "application/octet-stream",
        }

    async def _update(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given["Name"])
            require_match(record, given.get("IfMatch"))
            record = self._account.changed(record, self._document(given, record.id))
            await self._account.save(record)
        return {"FunctionSummary": self._summary(record), "ETag": etag(record)}

    async def _publish(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given["Name"])
            require_match(record, given.get("IfMatch"))
            before = self._account.find(Kind.LIVE_FUNCTION, record.id)
            now_ms = self._plane.clock.epoch_ms()
            live = replace(
                record,
                kind=Kind.LIVE_FUNCTION,
                created_ms=before.created_ms if before else now_ms,
                modified_ms=now_ms,
            )
            await self._account.save(live)
        await self._plane.deploy_changed()
        return {"FunctionSummary": self._summary(live)}

    async def _test(self, given: Shape) -> dict[str, Any]:
        record = self._found(given["Name"], given.get("Stage"))
        require_match(record, given.get("IfMatch"))
        event = _event(given["EventObject"])
        runtime = record.document["FunctionConfig"]["Runtime"]
        loaded = self._engine.load(record.id, code_of(record), runtime)
        try:
            tested = await loaded.test(event, self._snapshot(record))
        except EdgeFunctionError as error:
            raise invalid(f"The event object is not valid: {error.detail}") from None
        return {
            "TestResult": {
                "FunctionSummary": self._summary(record),
                "ComputeUtilization": str(tested.outcome.compute_utilization),
                "FunctionExecutionLogs": list(tested.outcome.logs),
                "FunctionErrorMessage": tested.error_message,
                "FunctionOutput": tested.output,
            }
        }

    async def _list(self, given: Shape) -> dict[str, Any]:
        stage = given.get("Stage")
        records = [one for one in self._everything() if stage is None or _stage(one) == stage]
        found, max_items, next_marker = page(records, given, _list_key)
        items = [self._summary(record) for record in found]
        return {"FunctionList": list_shape(items, max_items, next_marker)}

    async def _delete(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given["Name"])
            require_match(record, given.get("IfMatch"))
            if self._is_associated(record.id):
                raise ApiError(
                    409,
                    "FunctionInUse",
                    "Cannot delete function, it is in use by 1 or more distributions.",
                )
            await self._account.save(
                deletes=[
                    (Kind.FUNCTION, record.id),
                    (Kind.LIVE_FUNCTION, record.id),
                    (Kind.TAGS, function_arn(record.id)),
                ]
            )
        await self._plane.deploy_changed()
        return {}

    # --- what may be ------------------------------------------------------------------------

    def _document(self, given: Shape, name: str) -> dict[str, Any]:
        code: bytes = given["FunctionCode"]
        if len(code) > quotas.FUNCTION_CODE_MAX_BYTES:
            raise ApiError(
                413,
                "FunctionSizeLimitExceeded",
                f"The function is too large: {len(code)} bytes, and "
                f"{quotas.FUNCTION_CODE_MAX_BYTES} are allowed.",
            )
        try:
            code.decode()
        except UnicodeDecodeError:
            raise invalid("The function code must be UTF-8.") from None
        if not code:
            raise invalid("The function code must not be empty.")
        self._require_store(given["FunctionConfig"], name)
        return {
            "FunctionConfig": given["FunctionConfig"],
            "FunctionCode": base64.b64encode(code).decode(),
        }

    def _require_store(self, config: Shape, name: str) -> None:
        require_quantities(config, "FunctionConfig")
        items = (config.get("KeyValueStoreAssociations") or {}).get("Items") or []
        if len(items) > quotas.FUNCTION_STORES_MAX:
            raise invalid(
                f"A function can be associated with {quotas.FUNCTION_STORES_MAX} key value store."
            )
        for item in items:
            arn = item["KeyValueStoreARN"]
            if config["Runtime"] != "cloudfront-js-2.0":
                raise invalid("Only runtime cloudfront-js-2.0 can have a key value store.")
            store = self._store(arn)
            if store is None:
                raise ApiError(404, "EntityNotFound", f"The key value store {arn} does not exist.")
            if self._stores.status(store) is not StoreStatus.READY:
                raise invalid(
                    f"The KeyValueStoreAssociationArn {arn} cannot be associated before the "
                    "resource is provisioned."
                )
            names = {one.id for one in self._everything() if arn in store_arns(one)} | {name}
            if len(names) > quotas.FUNCTIONS_PER_STORE:
                raise invalid(f"A key value store can have {quotas.FUNCTIONS_PER_STORE} functions.")

    # --- reading ----------------------------------------------------------------------------

    def _store(self, arn: str) -> KeyValueStore | None:
        return next((store for store in self._stores.list_stores() if store.arn == arn), None)

    def _snapshot(self, record: Record) -> StoreSnapshot | None:
        """What TestFunction reads: the newest version, not any edge location's."""
        arns = store_arns(record)
        return self._stores.snapshot(arns[0]) if arns else None

    def _everything(self) -> Iterator[Record]:
        """Both stages of every function, declared ones first, by name."""
        for declared in self._plane.declared().functions:
            yield _declared(declared, DEVELOPMENT)
            yield _declared(declared, LIVE)
        for record in self._account.all(Kind.FUNCTION):
            yield record
            live = self._account.find(Kind.LIVE_FUNCTION, record.id)
            if live is not None:
                yield live

    def _find(self, name: str, stage: str) -> Record | None:
        for declared in self._plane.declared().functions:
            if declared.name == name:
                return _declared(declared, stage)
        return self._account.find(_KINDS[stage], name)

    def _found(self, name: str, stage: str | None) -> Record:
        record = self._find(name, stage or DEVELOPMENT)
        if record is None:
            raise ApiError(404, "NoSuchFunctionExists", "The specified function does not exist.")
        return record

    def _own(self, name: str) -> Record:
        record = self._account.find(Kind.FUNCTION, name)
        if record is not None:
            return record
        self._found(name, DEVELOPMENT)
        raise ApiError(  # ours
            400,
            "UnsupportedOperation",
            f"The function {name} is declared in the project's template. Change it there; localpop"
            " deploys the template when it is saved.",
        )

    def _is_associated(self, name: str) -> bool:
        arn = function_arn(name)
        distributions = [
            *self._plane.reader.distributions(),
            *self._plane.declared().distributions,
        ]
        return any(
            association.arn == arn
            for distribution in distributions
            for behavior in distribution.behaviors
            for association in behavior.functions
        )

    def _summary(self, record: Record) -> dict[str, Any]:
        return {
            "Name": record.id,
            "Status": self._status(record),
            "FunctionConfig": record.document["FunctionConfig"],
            "FunctionMetadata": {
                "FunctionARN": function_arn(record.id),
                "Stage": _stage(record),
                "CreatedTime": record.created_ms,
                "LastModifiedTime": record.modified_ms,
            },
        }

    def _status(self, record: Record) -> str:
        """UNPUBLISHED, UNASSOCIATED or DEPLOYED (facts 8.4)."""
        live = self._find(record.id, LIVE)
        if live is None or live.version != record.version:
            return "UNPUBLISHED"
        return "DEPLOYED" if self._is_associated(record.id) else "UNASSOCIATED"


def code_of(record: Record) -> str:
    """A function's JavaScript."""
    return base64.b64decode(record.document["FunctionCode"]).decode()


def store_arns(record: Record) -> list[str]:
    """The ARNs of a function's key value stores."""
    config = record.document["FunctionConfig"]
    items = (config.get("KeyValueStoreAssociations") or {}).get("Items") or []
    return [item["KeyValueStoreARN"] for item in items]


def _declared(declared: FunctionDeclaration, stage: str) -> Record:
    code = declared.path.read_text(encoding="utf-8") if declared.path else declared.code
    items = [{"KeyValueStoreARN": declared.store_arn}] if declared.store_arn else []
    config = {
        "Comment": "Declared in the project's template",
        "Runtime": declared.runtime,
        "KeyValueStoreAssociations": {"Quantity": len(items), "Items": items},
    }
    document = {
        "FunctionConfig": config,
        "FunctionCode": base64.b64encode(code.encode()).decode(),
    }
    return Record(_KINDS[stage], declared.name, document, 1, 0.0, 0.0)


def _stage(record: Record) -> str:
    return LIVE if record.kind is Kind.LIVE_FUNCTION else DEVELOPMENT


def _list_key(record: Record) -> str:
    return f"{record.id}:{_stage(record)}"


def _event(raw: bytes) -> dict[str, Any]:
    """The event to test with; it may leave out ids and host names (facts 8.11)."""
    if len(raw) > quotas.FUNCTION_TEST_EVENT_MAX_BYTES:
        raise invalid(
            f"The event object is larger than {quotas.FUNCTION_TEST_EVENT_MAX_BYTES} bytes."
        )
    try:
        event = json.loads(raw)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise invalid(f"The event object is not JSON: {error}") from None
    context = event.get("context") if isinstance(event, dict) else None
    named = context.get("eventType") if isinstance(context, dict) else None
    if named not in _EVENT_TYPES:
        raise invalid(
            f"The event object's context.eventType must be one of {', '.join(_EVENT_TYPES)}."
        )
    assert isinstance(event, dict)
    return event
