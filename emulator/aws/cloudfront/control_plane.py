"""What the parts of CloudFront's control API share."""

from __future__ import annotations

import asyncio
import random
import string
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from emulator.clock import Clock
from emulator.errors import ApiError
from emulator.project.declarations import TemplateDeclarations
from emulator.project.made_by_api import AccountReader
from emulator.rules.key_value_store import control_etag
from emulator.rules.key_value_store_control import require_control_match
from emulator.stores.account import Account
from emulator.values.account import Record

Shape: TypeAlias = Mapping[str, Any]
"""An operation's input or output, spelled as AWS's model spells it."""
Operation: TypeAlias = Callable[[Shape], Awaitable[dict[str, Any]]]
_T = TypeVar("_T")

ACCOUNT_ID: Final = "123456789012"
_MAX_ITEMS_DEFAULT = 100
_LETTERS: Final = string.ascii_uppercase + string.digits


async def nothing_changed() -> None:
    """Nobody is told."""


def nothing_invalidated(distribution_id: str, paths: Sequence[str]) -> int:
    """There are no caches."""
    return 0


@dataclass(slots=True)
class ControlPlane:
    """The account, and whom to tell when it changes.

    Args:
        account: What was made through the endpoint.
        clock: For dates and states that pass.
        declared: What the project's template declares now; readable here, not changeable.
        deploy_changed: Awaited after anything changed that viewers are served by; the edge has it
            when this returns.
        on_invalidation: Told the distribution's id and the paths that caches must forget; says how
            many objects they were.
        deployment_ms: How long a distribution stays InProgress; minutes at AWS.
        invalidation_ms: How long an invalidation stays InProgress; seconds at AWS.
        chance: Where ids come from.
    """

    account: Account
    clock: Clock
    declared: Callable[[], TemplateDeclarations] = TemplateDeclarations
    deploy_changed: Callable[[], Awaitable[None]] = nothing_changed
    on_invalidation: Callable[[str, Sequence[str]], int] = nothing_invalidated
    deployment_ms: float = 0.0
    invalidation_ms: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    reader: AccountReader = field(init=False)
    """Reads the account's resources into values."""
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.reader = AccountReader(self.account)

    def background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something that no caller waits for."""
        task = asyncio.create_task(work)
        # The loop keeps only a weak reference.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def new_id(self, prefix: str, count: int = 13) -> str:
        """An id of AWS's form: a letter and 13 more, upper case and digits."""
        return prefix + "".join(self.chance.choices(_LETTERS, k=count))

    def new_uuid(self) -> str:
        """A UUID, as policies have it."""
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def passed(self, record: Record, after_ms: float) -> bool:
        """Whether so much time has gone by since a record changed."""
        return self.clock.epoch_ms() >= record.modified_ms + after_ms


def etag(record: Record) -> str:
    """A record's ETag, `E` and 13 characters."""
    return control_etag(record.version)


def require_match(record: Record, if_match: str | None) -> None:
    """Refuse a change whose If-Match is absent or stale.

    Raises:
        ApiError: 400 InvalidIfMatchVersion, 412 PreconditionFailed.
    """
    require_control_match(record.version, if_match)


def page(
    items: Sequence[_T], given: Shape, key: Callable[[_T], str]
) -> tuple[Sequence[_T], int, str | None]:
    """One page of a list, the page's size, and the marker of the next page if there is one.

    Args:
        items: Everything, in order.
        given: The input; its Marker and MaxItems count.
        key: What a marker says of an item; a page begins behind the marked one.

    Raises:
        ApiError: 400 InvalidArgument.
    """
    max_items = _max_items(given.get("MaxItems"))
    marker = given.get("Marker")
    start = 0
    if marker:
        keys = [key(item) for item in items]
        if marker not in keys:
            raise invalid("The marker is not one that an earlier page ended with.")
        start = keys.index(marker) + 1
    found = items[start : start + max_items]
    more = start + max_items < len(items)
    return found, max_items, key(found[-1]) if more else None


def list_shape(
    found: Sequence[Any], max_items: int, next_marker: str | None, *, marker: str | None = None
) -> dict[str, Any]:
    """What the lists of CloudFront's API have in common.

    Args:
        found: The page's items, as the API has them.
        max_items: The page's size.
        next_marker: The marker of the next page.
        marker: The given marker, for lists that repeat it; None for those that do not.
    """
    shape: dict[str, Any] = {"MaxItems": max_items, "Quantity": len(found), "Items": list(found)}
    if next_marker is not None:
        shape["NextMarker"] = next_marker
    if marker is not None:
        shape |= {"Marker": marker, "IsTruncated": next_marker is not None}
    return shape


def invalid(message: str) -> ApiError:
    """400 InvalidArgument."""
    return ApiError(400, "InvalidArgument", message)


def require_quantities(shape: Any, where: str) -> None:
    """Refuse a list whose Quantity is not the number of its Items.

    Raises:
        ApiError: 400 InconsistentQuantities, in AWS's words.
    """
    if isinstance(shape, Mapping):
        items = shape.get("Items") or []
        if isinstance(shape.get("Quantity"), int) and shape["Quantity"] != len(items):
            raise ApiError(
                400,
                "InconsistentQuantities",
                f"The value of Quantity and the size of Items don't match. [{where}]",
            )
        for name, value in shape.items():
            require_quantities(value, f"{where}.{name}")
    elif isinstance(shape, list):
        for number, value in enumerate(shape):
            require_quantities(value, f"{where}[{number}]")


def _max_items(given: Any) -> int:
    if given is None:
        return _MAX_ITEMS_DEFAULT
    if not str(given).isascii() or not str(given).isdecimal() or not 1 <= int(given) <= 10**9:
        raise invalid(f"MaxItems must be a whole number from 1 on, not {str(given)[:80]!r}")
    return int(given)
