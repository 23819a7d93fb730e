"""Policies, origin access controls, public keys and key groups: configurations with an id.

They all have the same seven operations under different names, so each kind is a row of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from emulator.aws.cloudfront.control_plane import (
    ControlPlane,
    Operation,
    Shape,
    etag,
    list_shape,
    page,
    require_match,
    require_quantities,
)
from emulator.errors import ApiError
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.rules.response_headers_policy import MANAGED_RESPONSE_HEADERS_POLICIES
from emulator.values.account import Kind, Record
from emulator.wire.policy_config import (
    dump_cache_policy,
    dump_origin_request_policy,
    dump_response_headers_policy,
)


@dataclass(frozen=True, slots=True)
class Sort:
    """One kind of configuration, and how the API calls it.

    Args:
        kind: Where it is kept.
        noun: What its operations are called after, such as `CachePolicy`.
        plural: The noun of its list, such as `CachePolicies`.
        config: The name of its configuration's member.
        names: Configurations of one kind must differ in this member.
        missing: The code for one that is not there.
        exists: The code for a name that is taken.
        in_use: The code for one that cannot be deleted.
        new_id: Makes an id.
        users: Names of the members by which distributions refer to it.
        managed: AWS's own ones, by id.
        policy: Whether its list wraps each one as managed or custom.
    """

    kind: Kind
    noun: str
    plural: str
    config: str
    names: str
    missing: str
    exists: str
    in_use: str
    new_id: Callable[[ControlPlane], str]
    users: tuple[str, ...]
    managed: Mapping[str, Shape]
    policy: bool = False


def _policy(kind: Kind, noun: str, plural: str, managed: Mapping[str, Shape]) -> Sort:
    return Sort(
        kind,
        noun,
        plural,
        f"{noun}Config",
        "Name",
        f"NoSuch{noun}",
        f"{noun}AlreadyExists",
        f"{noun}InUse",
        ControlPlane.new_uuid,
        (f"{noun}Id",),
        managed,
        policy=True,
    )


SORTS: Final = (
    _policy(
        Kind.CACHE_POLICY,
        "CachePolicy",
        "CachePolicies",
        {key: dump_cache_policy(one) for key, one in MANAGED_CACHE_POLICIES.items()},
    ),
    _policy(
        Kind.ORIGIN_REQUEST_POLICY,
        "OriginRequestPolicy",
        "OriginRequestPolicies",
        {
            key: dump_origin_request_policy(one)
            for key, one in MANAGED_ORIGIN_REQUEST_POLICIES.items()
        },
    ),
    _policy(
        Kind.RESPONSE_HEADERS_POLICY,
        "ResponseHeadersPolicy",
        "ResponseHeadersPolicies",
        {
            key: dump_response_headers_policy(one)
            for key, one in MANAGED_RESPONSE_HEADERS_POLICIES.items()
        },
    ),
    Sort(
        Kind.ORIGIN_ACCESS_CONTROL,
        "OriginAccessControl",
        "OriginAccessControls",
        "OriginAccessControlConfig",
        "Name",
        "NoSuchOriginAccessControl",
        "OriginAccessControlAlreadyExists",
        "OriginAccessControlInUse",
        lambda plane: plane.new_id("E"),
        ("OriginAccessControlId",),
        {},
    ),
    Sort(
        Kind.PUBLIC_KEY,
        "PublicKey",
        "PublicKeys",
        "PublicKeyConfig",
        "Name",
        "NoSuchPublicKey",
        "PublicKeyAlreadyExists",
        "PublicKeyInUse",
        lambda plane: plane.new_id("K"),
        (),
        {},
    ),
    Sort(
        Kind.KEY_GROUP,
        "KeyGroup",
        "KeyGroups",
        "KeyGroupConfig",
        "Name",
        "NoSuchResource",
        "KeyGroupAlreadyExists",
        "ResourceInUse",
        ControlPlane.new_uuid,
        ("TrustedKeyGroups",),
        {},
    ),
)


class Configurations:
    """The operations on one kind of configuration.

    Args:
        plane: What they work on.
        sort: The kind.
    """

    def __init__(self, plane: ControlPlane, sort: Sort) -> None:
        self._plane, self._account, self._sort = plane, plane.account, sort
        noun = sort.noun
        self.operations: Mapping[str, Operation] = {
            f"Create{noun}": self._create,
            f"Get{noun}": self._get,
            f"Get{noun}Config": self._get_config,
            f"Update{noun}": self._update,
            f"Delete{noun}": self._delete,
            f"List{sort.plural}": self._list,
        }

    async def _create(self, given: Shape) -> dict[str, Any]:
        config = given[self._sort.config]
        async with self._account.exclusive():
            self._require_valid(config, "")
            record = self._account.new(self._sort.kind, self._sort.new_id(self._plane), config)
            await self._account.save(record)
        return {
            self._sort.noun: self._shape(record),
            "ETag": etag(record),
            "Location": f"https://cloudfront.amazonaws.com/2020-05-31/{record.kind}/{record.id}",
        }

    async def _get(self, given: Shape) -> dict[str, Any]:
        record = self._found(given["Id"])
        return {self._sort.noun: self._shape(record), "ETag": etag(record)}

    async def _get_config(self, given: Shape) -> dict[str, Any]:
        record = self._found(given["Id"])
        return {self._sort.config: record.document, "ETag": etag(record)}

    async def _update(self, given: Shape) -> dict[str, Any]:
        config = given[self._sort.config]
        async with self._account.exclusive():
            record = self._own(given["Id"], "IllegalUpdate")
            require_match(record, given.get("IfMatch"))
            self._require_valid(config, record.id)
            record = self._account.changed(record, config)
            await self._account.save(record)
        await self._plane.deploy_changed()
        return {self._sort.noun: self._shape(record), "ETag": etag(record)}

    async def _delete(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given["Id"], "IllegalDelete")
            require_match(record, given.get("IfMatch"))
            if self._is_used(record.id):
                raise ApiError(
                    409,
                    self._sort.in_use,
                    f"Cannot delete the {self._sort.noun} because it is attached to 1 or more "
                    "resources.",
                )
            await self._account.save(deletes=[(record.kind, record.id)])
        return {}

    async def _list(self, given: Shape) -> dict[str, Any]:
        managed = [self._managed(key) for key in self._sort.managed]
        wanted = given.get("Type")
        records = [] if wanted == "custom" else managed
        if wanted != "managed":
            records = [*records, *self._account.all(self._sort.kind)]
        found, max_items, next_marker = page(records, given, lambda record: record.id)
        shape = list_shape([self._item(record) for record in found], max_items, next_marker)
        if self._sort.kind is Kind.ORIGIN_ACCESS_CONTROL:
            marker = given.get("Marker") or ""
            shape |= {"Marker": marker, "IsTruncated": next_marker is not None}
        # `CachePolicyList`, but `OriginAccessControlList` and `KeyGroupList` alike.
        return {f"{self._sort.noun}List": shape}

    # --- what may be ------------------------------------------------------------------------

    def _require_valid(self, config: Shape, own_id: str) -> None:
        require_quantities(config, self._sort.config)
        name = config[self._sort.names]
        others: Sequence[Record] = [
            *self._account.all(self._sort.kind),
            *(self._managed(key) for key in self._sort.managed),
        ]
        if any(one.document[self._sort.names] == name for one in others if one.id != own_id):
            raise ApiError(
                409,
                self._sort.exists,
                f"A {self._sort.noun} with the name {name!r} already exists.",
            )
        for key in config.get("Items") or [] if self._sort.kind is Kind.KEY_GROUP else []:
            if self._account.find(Kind.PUBLIC_KEY, key) is None:
                raise ApiError(
                    400, "InvalidArgument", f"The public key {key!r} of a key group is not there."
                )

    def _is_used(self, identity: str) -> bool:
        if self._sort.kind is Kind.PUBLIC_KEY:
            groups = self._account.all(Kind.KEY_GROUP)
            return any(identity in group.document["Items"] for group in groups)
        return any(
            _mentions(record.document["DistributionConfig"], self._sort.users, identity)
            for record in self._account.all(Kind.DISTRIBUTION)
        )

    # --- reading ----------------------------------------------------------------------------

    def _found(self, identity: str) -> Record:
        record = self._account.find(self._sort.kind, identity)
        if record is not None:
            return record
        if identity in self._sort.managed:
            return self._managed(identity)
        raise ApiError(404, self._sort.missing, f"The specified {self._sort.noun} does not exist.")

    def _own(self, identity: str, code: str) -> Record:
        record = self._found(identity)
        if identity in self._sort.managed:
            raise ApiError(400, code, f"{record.document['Name']} is managed by AWS.")
        return record

    def _managed(self, identity: str) -> Record:
        return Record(self._sort.kind, identity, self._sort.managed[identity], 1, 0.0, 0.0)

    def _shape(self, record: Record) -> dict[str, Any]:
        return {
            "Id": record.id,
            "LastModifiedTime": record.modified_ms,
            "CreatedTime": record.created_ms,
            self._sort.config: record.document,
        }

    def _item(self, record: Record) -> dict[str, Any]:
        if self._sort.policy:
            kind = "managed" if record.id in self._sort.managed else "custom"
            return {"Type": kind, self._sort.noun: self._shape(record)}
        if self._sort.kind is Kind.KEY_GROUP:
            return {self._sort.noun: self._shape(record)}
        return {**record.document, **self._shape(record)}


def _mentions(shape: Any, names: Sequence[str], identity: str) -> bool:
    """Whether a member of one of these names says the id, anywhere in a configuration."""
    if isinstance(shape, Mapping):
        return any(
            (name in names and (value == identity or identity in _items(value)))
            or _mentions(value, names, identity)
            for name, value in shape.items()
        )
    return isinstance(shape, list) and any(_mentions(one, names, identity) for one in shape)


def _items(value: Any) -> Sequence[Any]:
    return (value.get("Items") or []) if isinstance(value, Mapping) else []
