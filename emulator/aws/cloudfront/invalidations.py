"""Invalidations (facts/cloudfront.md section 17)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emulator.aws.cloudfront.control_plane import (
    ControlPlane,
    Operation,
    Shape,
    invalid,
    list_shape,
    page,
    require_quantities,
)
from emulator.aws.cloudfront.distributions import no_such_distribution
from emulator.errors import ApiError
from emulator.rules.invalidation import check_paths
from emulator.values.account import Kind, Record


class Invalidations:
    """The operations on invalidations.

    Args:
        plane: What they work on.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane, self._account = plane, plane.account
        self.operations: Mapping[str, Operation] = {
            "CreateInvalidation": self._create,
            "GetInvalidation": self._get,
            "ListInvalidations": self._list,
        }

    async def _create(self, given: Shape) -> dict[str, Any]:
        distribution, batch = given["DistributionId"], given["InvalidationBatch"]
        self._require_distribution(distribution)
        require_quantities(batch, "InvalidationBatch")
        paths = batch["Paths"].get("Items") or []
        if not paths:
            raise invalid("Your request must have at least one invalidation path.")
        async with self._account.exclusive():
            record = self._repeated(distribution, batch)
            if record is None:
                self._require_room(distribution, paths)
                identity = self._plane.new_id("I")
                document = {"DistributionId": distribution, "InvalidationBatch": batch}
                record = self._account.new(Kind.INVALIDATION, identity, document)
                await self._account.save(record)
                self._plane.on_invalidation(distribution, tuple(paths))
        location = (
            f"https://cloudfront.amazonaws.com/2020-05-31/distribution/{distribution}"
            f"/invalidation/{record.id}"
        )
        return {"Invalidation": self._shape(record), "Location": location}

    async def _get(self, given: Shape) -> dict[str, Any]:
        self._require_distribution(given["DistributionId"])
        record = self._account.find(Kind.INVALIDATION, given["Id"])
        if record is None or record.document["DistributionId"] != given["DistributionId"]:
            raise ApiError(404, "NoSuchInvalidation", "The specified invalidation does not exist.")
        return {"Invalidation": self._shape(record)}

    async def _list(self, given: Shape) -> dict[str, Any]:
        self._require_distribution(given["DistributionId"])
        newest_first = [
            record
            for record in reversed(self._account.all(Kind.INVALIDATION))
            if record.document["DistributionId"] == given["DistributionId"]
        ]
        found, max_items, next_marker = page(newest_first, given, lambda record: record.id)
        items = [
            {"Id": one.id, "CreateTime": one.created_ms, "Status": self._status(one)}
            for one in found
        ]
        marker = given.get("Marker") or ""
        return {"InvalidationList": list_shape(items, max_items, next_marker, marker=marker)}

    def _repeated(self, distribution: str, batch: Shape) -> Record | None:
        """The invalidation of the same caller reference, which is not made twice."""
        for record in self._account.all(Kind.INVALIDATION):
            other = record.document["InvalidationBatch"]
            if (
                record.document["DistributionId"] == distribution
                and other["CallerReference"] == batch["CallerReference"]
            ):
                if other == batch:
                    return record
                raise invalid(
                    "The caller reference was used for an invalidation of other paths already."
                )
        return None

    def _require_room(self, distribution: str, paths: Sequence[str]) -> None:
        under_way = [
            path
            for record in self._account.all(Kind.INVALIDATION)
            if record.document["DistributionId"] == distribution
            and self._status(record) == "InProgress"
            for path in record.document["InvalidationBatch"]["Paths"].get("Items") or []
        ]
        wildcards = sum(path.endswith("*") for path in under_way)
        check_paths(tuple(paths), in_progress=len(under_way), wildcards=wildcards)

    def _require_distribution(self, identity: str) -> None:
        declared = self._plane.declared().distributions
        if self._account.find(Kind.DISTRIBUTION, identity) is None and all(
            one.id != identity for one in declared
        ):
            raise no_such_distribution()

    def _status(self, record: Record) -> str:
        done = self._plane.passed(record, self._plane.invalidation_ms)
        return "Completed" if done else "InProgress"

    def _shape(self, record: Record) -> dict[str, Any]:
        return {
            "Id": record.id,
            "Status": self._status(record),
            "CreateTime": record.created_ms,
            "InvalidationBatch": record.document["InvalidationBatch"],
        }
