"""Tags of anything with an ARN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.aws.cloudfront.control_plane import ControlPlane, Operation, Shape
from emulator.errors import ApiError
from emulator.values.account import Kind, Record


class Tags:
    """The operations on tags.

    Args:
        plane: What they work on.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._account = plane.account
        self.operations: Mapping[str, Operation] = {
            "ListTagsForResource": self._list,
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }

    async def _list(self, given: Shape) -> dict[str, Any]:
        record = self._find(given["Resource"])
        found = record.document if record else {}
        return {"Tags": {"Items": [_tag(key, value) for key, value in found.items()]}}

    async def _tag(self, given: Shape) -> dict[str, Any]:
        await self._change(given["Resource"], tags_of(given["Tags"]), frozenset())
        return {}

    async def _untag(self, given: Shape) -> dict[str, Any]:
        keys = frozenset(given["TagKeys"].get("Items") or [])
        await self._change(given["Resource"], {}, keys)
        return {}

    async def _change(self, arn: str, more: Mapping[str, str], fewer: frozenset[str]) -> None:
        async with self._account.exclusive():
            record = self._find(arn) or self._account.new(Kind.TAGS, arn, {})
            kept = {key: value for key, value in record.document.items() if key not in fewer}
            await self._account.save(self._account.changed(record, {**kept, **more}))

    async def replace(self, arn: str, tags: Mapping[str, str]) -> None:
        """Keep these tags and no others; none when what they belong to is gone."""
        async with self._account.exclusive():
            if not tags:
                await self._account.save(deletes=[(Kind.TAGS, arn)])
                return
            record = self._find(arn) or self._account.new(Kind.TAGS, arn, {})
            await self._account.save(self._account.changed(record, dict(tags)))

    def _find(self, arn: str) -> Record | None:
        if not arn.startswith("arn:aws:cloudfront::"):
            raise ApiError(404, "NoSuchResource", f"The resource {arn!r} does not exist.")
        return self._account.find(Kind.TAGS, arn)


def tags_of(shape: Shape) -> dict[str, str]:
    """A `Tags` structure as a mapping."""
    return {tag["Key"]: tag.get("Value") or "" for tag in shape.get("Items") or []}


def _tag(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}
