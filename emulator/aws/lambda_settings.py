"""What can be set on a Lambda function beside its code: concurrency, events' ends, aliases.

All of it is kept in the function's own record: `Concurrency`, `EventInvoke` by qualifier, `Aliases`
by name. API reference of Lambda (PutFunctionConcurrency, PutFunctionEventInvokeConfig,
CreateAlias), read 2026-11-21.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from emulator import quotas
from emulator.aws.cloudfront.control_plane import Operation, Shape
from emulator.errors import ApiError
from emulator.project.declarations import EventInvokeConfig
from emulator.values.account import Record

LATEST: Final = "$LATEST"
_ALIAS: Final = re.compile(r"(?![0-9]+$)[a-zA-Z0-9-_]{1,128}")


class Functions(Protocol):
    """The functions whose settings these are."""

    def find(self, given: Shape) -> Record:
        """The function that an input names, wherever it was made."""
        ...

    async def change(
        self, given: Shape, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> Record:
        """Change a function that was made through the API."""
        ...

    def arn(self, given: Shape, qualifier: str) -> str:
        """The ARN of the function that an input names."""
        ...

    def has_version(self, given: Shape, version: str) -> bool:
        """Whether the function has this version."""
        ...


class LambdaSettings:
    """Some of Lambda's operations.

    Args:
        functions: The functions.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self.operations: Mapping[str, Operation] = {
            "PutFunctionConcurrency": self._put_concurrency,
            "GetFunctionConcurrency": self._get_concurrency,
            "DeleteFunctionConcurrency": self._delete_concurrency,
            "PutFunctionEventInvokeConfig": self._put_event_invoke,
            "UpdateFunctionEventInvokeConfig": self._update_event_invoke,
            "GetFunctionEventInvokeConfig": self._get_event_invoke,
            "DeleteFunctionEventInvokeConfig": self._delete_event_invoke,
            "ListFunctionEventInvokeConfigs": self._list_event_invoke,
            "CreateAlias": self._create_alias,
            "UpdateAlias": self._update_alias,
            "GetAlias": self._get_alias,
            "DeleteAlias": self._delete_alias,
            "ListAliases": self._list_aliases,
        }

    # --- concurrency ----------------------------------------------------------------------------

    async def _put_concurrency(self, given: Shape) -> dict[str, Any]:
        reserved = given["ReservedConcurrentExecutions"]
        most = quotas.LAMBDA_CONCURRENCY_PER_REGION - quotas.LAMBDA_UNRESERVED_MIN
        if not 0 <= reserved <= most:
            raise _invalid(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                "UnreservedConcurrentExecution below its minimum value of "
                f"[{quotas.LAMBDA_UNRESERVED_MIN}]."
            )
        await self._functions.change(given, lambda _: {"Concurrency": reserved})
        return {"ReservedConcurrentExecutions": reserved}

    async def _get_concurrency(self, given: Shape) -> dict[str, Any]:
        reserved = self._functions.find(given).document.get("Concurrency")
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    async def _delete_concurrency(self, given: Shape) -> dict[str, Any]:
        await self._functions.change(given, lambda _: {"Concurrency": None})
        return {}

    # --- asynchronous events --------------------------------------------------------------------

    async def _put_event_invoke(self, given: Shape) -> dict[str, Any]:
        return await self._keep_event_invoke(given, {})

    async def _update_event_invoke(self, given: Shape) -> dict[str, Any]:
        return await self._keep_event_invoke(given, self._kept_event_invoke(given))

    async def _keep_event_invoke(self, given: Shape, before: Shape) -> dict[str, Any]:
        named = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
        kept = {**before, **{name: given[name] for name in named if name in given}}
        if not 0 <= kept.get("MaximumRetryAttempts", 0) <= quotas.LAMBDA_EVENT_RETRIES_MAX:
            raise _invalid("MaximumRetryAttempts must be 0 to 2.")
        if not 60 <= kept.get("MaximumEventAgeInSeconds", 60) <= quotas.LAMBDA_EVENT_AGE_MAX_S:
            raise _invalid("MaximumEventAgeInSeconds must be 60 to 21600.")
        qualifier = given.get("Qualifier") or LATEST

        def change(document: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"EventInvoke": {**(document.get("EventInvoke") or {}), qualifier: kept}}

        await self._functions.change(given, change)
        return self._event_invoke_shape(given, qualifier, kept)

    def _kept_event_invoke(self, given: Shape) -> Shape:
        kept: Mapping[str, Shape] = self._functions.find(given).document.get("EventInvoke") or {}
        found = kept.get(given.get("Qualifier") or LATEST)
        if found is None:
            arn = self._functions.arn(given, given.get("Qualifier") or LATEST)
            raise _not_found(f"The function {arn} doesn't have an EventInvokeConfig")
        return found

    async def _get_event_invoke(self, given: Shape) -> dict[str, Any]:
        qualifier = given.get("Qualifier") or LATEST
        return self._event_invoke_shape(given, qualifier, self._kept_event_invoke(given))

    async def _delete_event_invoke(self, given: Shape) -> dict[str, Any]:
        self._kept_event_invoke(given)
        qualifier = given.get("Qualifier") or LATEST

        def change(document: Mapping[str, Any]) -> Mapping[str, Any]:
            kept = {key: one for key, one in document["EventInvoke"].items() if key != qualifier}
            return {"EventInvoke": kept}

        await self._functions.change(given, change)
        return {}

    async def _list_event_invoke(self, given: Shape) -> dict[str, Any]:
        kept: Mapping[str, Shape] = self._functions.find(given).document.get("EventInvoke") or {}
        return {
            "FunctionEventInvokeConfigs": [
                self._event_invoke_shape(given, qualifier, one) for qualifier, one in kept.items()
            ]
        }

    def _event_invoke_shape(self, given: Shape, qualifier: str, kept: Shape) -> dict[str, Any]:
        record = self._functions.find(given)
        return {
            "LastModified": record.modified_ms,
            "FunctionArn": self._functions.arn(given, qualifier),
            **kept,
        }

    # --- aliases --------------------------------------------------------------------------------

    async def _create_alias(self, given: Shape) -> dict[str, Any]:
        if not _ALIAS.fullmatch(given["Name"]):
            raise _invalid(f"{given['Name'][:80]!r} cannot be an alias.")
        if given["Name"] in self._aliases(given):
            raise ApiError(
                409,
                "ResourceConflictException",
                f"Alias already exists: {self._functions.arn(given, given['Name'])}",
            )
        return await self._keep_alias(given, {"Description": ""})

    async def _update_alias(self, given: Shape) -> dict[str, Any]:
        return await self._keep_alias(given, self._alias(given))

    async def _keep_alias(self, given: Shape, before: Shape) -> dict[str, Any]:
        named = ("FunctionVersion", "Description")
        kept = {**before, **{name: given[name] for name in named if name in given}}
        if (given.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
            raise _invalid("Weighted aliases are not emulated by localpop.")
        version = kept["FunctionVersion"]
        if version != LATEST and not self._functions.has_version(given, version):
            raise _not_found(f"Function not found: {self._functions.arn(given, version)}")

        def change(document: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"Aliases": {**(document.get("Aliases") or {}), given["Name"]: kept}}

        await self._functions.change(given, change)
        return self._alias_shape(given, given["Name"], kept)

    async def _get_alias(self, given: Shape) -> dict[str, Any]:
        return self._alias_shape(given, given["Name"], self._alias(given))

    async def _delete_alias(self, given: Shape) -> dict[str, Any]:
        def change(document: Mapping[str, Any]) -> Mapping[str, Any]:
            kept = document.get("Aliases") or {}
            return {"Aliases": {key: one for key, one in kept.items() if key != given["Name"]}}

        await self._functions.change(given, change)
        return {}

    async def _list_aliases(self, given: Shape) -> dict[str, Any]:
        found = [
            self._alias_shape(given, name, kept) for name, kept in self._aliases(given).items()
        ]
        return {"Aliases": found}

    def _aliases(self, given: Shape) -> Mapping[str, Shape]:
        return self._functions.find(given).document.get("Aliases") or {}

    def _alias(self, given: Shape) -> Shape:
        found = self._aliases(given).get(given["Name"])
        if found is None:
            arn = self._functions.arn(given, given["Name"])
            raise _not_found(f"Cannot find alias arn: {arn}")
        return found

    def _alias_shape(self, given: Shape, name: str, kept: Shape) -> dict[str, Any]:
        revision = self._functions.find(given).document["RevisionId"]
        arn = self._functions.arn(given, name)
        return {"AliasArn": arn, "Name": name, "RevisionId": revision, **kept}


def event_invoke_config(kept: Shape | None) -> EventInvokeConfig:
    """What a function's record says about its asynchronous events."""
    kept = kept or {}
    told = kept.get("DestinationConfig") or {}
    return EventInvokeConfig(
        kept.get("MaximumRetryAttempts", quotas.LAMBDA_EVENT_RETRIES_MAX),
        kept.get("MaximumEventAgeInSeconds", quotas.LAMBDA_EVENT_AGE_MAX_S),
        (told.get("OnSuccess") or {}).get("Destination") or "",
        (told.get("OnFailure") or {}).get("Destination") or "",
    )


def _invalid(message: str) -> ApiError:
    return ApiError(400, "InvalidParameterValueException", message)


def _not_found(message: str) -> ApiError:
    return ApiError(404, "ResourceNotFoundException", message)
