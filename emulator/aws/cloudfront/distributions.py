"""Distributions, as CloudFront's control API sees them.

AWS: API reference of Amazon CloudFront (botocore model 2020-05-31); facts/cloudfront.md section 20
and facts/lambda-at-edge.md section 6. Codes and statuses are the model's; sentences marked "ours"
are not known from real AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.aws.cloudfront.control_plane import (
    ACCOUNT_ID,
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
from emulator.errors import ApiError, ConfigError
from emulator.rules.edge_associations import FunctionLookup, LambdaLookup, require_associations
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.rules.response_headers_policy import MANAGED_RESPONSE_HEADERS_POLICIES
from emulator.values.account import Kind, Record
from emulator.values.distribution import Distribution
from emulator.wire.distribution_config import dump_distribution, with_defaults

_MANAGED: Final[dict[object, str]] = {
    policy: policy_id
    for table in (
        MANAGED_CACHE_POLICIES,
        MANAGED_ORIGIN_REQUEST_POLICIES,
        MANAGED_RESPONSE_HEADERS_POLICIES,
    )
    for policy_id, policy in table.items()
}


def distribution_arn(identity: str) -> str:
    """A distribution's ARN."""
    return f"arn:aws:cloudfront::{ACCOUNT_ID}:distribution/{identity}"


class Distributions:
    """The operations on distributions.

    Args:
        plane: What they work on.
        is_live: Whether a CloudFront Function can be associated.
        lambda_version: The Lambda version of an ARN.
    """

    def __init__(
        self, plane: ControlPlane, is_live: FunctionLookup, lambda_version: LambdaLookup
    ) -> None:
        self._plane, self._account = plane, plane.account
        self._is_live, self._lambda_version = is_live, lambda_version
        self.operations: Mapping[str, Operation] = {
            "CreateDistribution": self._create,
            "CreateDistributionWithTags": self._create_with_tags,
            "GetDistribution": self._get,
            "GetDistributionConfig": self._get_config,
            "UpdateDistribution": self._update,
            "DeleteDistribution": self._delete,
            "ListDistributions": self._list,
            "ListDistributionsByCachePolicyId": self._list_by("CachePolicyId"),
            "ListDistributionsByOriginRequestPolicyId": self._list_by("OriginRequestPolicyId"),
            "ListDistributionsByResponseHeadersPolicyId": self._list_by("ResponseHeadersPolicyId"),
        }

    # --- operations -------------------------------------------------------------------------

    async def _create(self, given: Shape) -> dict[str, Any]:
        return await self._made(given["DistributionConfig"], None)

    async def _create_with_tags(self, given: Shape) -> dict[str, Any]:
        wanted = given["DistributionConfigWithTags"]
        return await self._made(wanted["DistributionConfig"], wanted["Tags"])

    async def _made(self, config: Shape, tags: Shape | None) -> dict[str, Any]:
        async with self._account.exclusive():
            config = with_defaults(config)
            for other in self._account.all(Kind.DISTRIBUTION):
                reference = other.document["DistributionConfig"]["CallerReference"]
                if reference == config["CallerReference"]:
                    raise ApiError(
                        409,
                        "DistributionAlreadyExists",
                        "The caller reference that you are using to create a distribution is "
                        "associated with another distribution. Already exists: " + other.id,
                    )
            identity = self._plane.new_id("E")
            domain_name = f"d{self._plane.new_id('', 13).lower()}.cloudfront.net"
            self._require_valid(config, identity, domain_name)
            record = self._account.new(
                Kind.DISTRIBUTION,
                identity,
                {"DomainName": domain_name, "DistributionConfig": config},
            )
            kept = [record]
            if tags is not None:
                arn = distribution_arn(identity)
                kept.append(self._account.new(Kind.TAGS, arn, tags_of(tags)))
            await self._account.save(*kept)
        await self._plane.deploy_changed()
        location = f"https://cloudfront.amazonaws.com/2020-05-31/distribution/{identity}"
        return {"Distribution": self._shape(record), "Location": location, "ETag": etag(record)}

    async def _get(self, given: Shape) -> dict[str, Any]:
        record = self._found(given["Id"])
        return {"Distribution": self._shape(record), "ETag": etag(record)}

    async def _get_config(self, given: Shape) -> dict[str, Any]:
        record = self._found(given["Id"])
        return {"DistributionConfig": record.document["DistributionConfig"], "ETag": etag(record)}

    async def _update(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given["Id"])
            require_match(record, given.get("IfMatch"))
            config = with_defaults(given["DistributionConfig"])
            if config["CallerReference"] != self._config(record)["CallerReference"]:
                raise ApiError(
                    400, "IllegalUpdate", "The caller reference of a distribution cannot change."
                )
            self._require_valid(config, record.id, record.document["DomainName"])
            record = self._account.changed(
                record, {**record.document, "DistributionConfig": config}
            )
            await self._account.save(record)
        await self._plane.deploy_changed()
        return {"Distribution": self._shape(record), "ETag": etag(record)}

    async def _delete(self, given: Shape) -> dict[str, Any]:
        async with self._account.exclusive():
            record = self._own(given["Id"])
            require_match(record, given.get("IfMatch"))
            if self._config(record)["Enabled"] or not self._is_deployed(record):
                # AWS: DeleteDistribution, "you must first disable the distribution".
                raise ApiError(
                    409,
                    "DistributionNotDisabled",
                    "The distribution you are trying to delete has not been disabled.",
                )
            gone = [(Kind.DISTRIBUTION, record.id), (Kind.TAGS, distribution_arn(record.id))]
            gone += [
                (Kind.INVALIDATION, one.id)
                for one in self._account.all(Kind.INVALIDATION)
                if one.document["DistributionId"] == record.id
            ]
            await self._account.save(deletes=gone)
        await self._plane.deploy_changed()
        return {}

    async def _list(self, given: Shape) -> dict[str, Any]:
        found, max_items, next_marker = page(self._all(), given, lambda record: record.id)
        items = [self._summary(record) for record in found]
        marker = given.get("Marker") or ""
        return {"DistributionList": list_shape(items, max_items, next_marker, marker=marker)}

    def _list_by(self, name: str) -> Operation:
        async def listed(given: Shape) -> dict[str, Any]:
            using = [record for record in self._all() if given[name] in _policies(record, name)]
            found, max_items, next_marker = page(using, given, lambda record: record.id)
            marker = given.get("Marker") or ""
            ids = [record.id for record in found]
            shape = list_shape(ids, max_items, next_marker, marker=marker)
            return {"DistributionIdList": shape}

        return listed

    # --- what may be ------------------------------------------------------------------------

    def _require_valid(self, config: Shape, identity: str, domain_name: str) -> None:
        """Refuse what CloudFront would, and say aloud what localpop cannot serve.

        Raises:
            ApiError: With the code of the first thing that is wrong.
            NotEmulated: It asks for what localpop lacks.
        """
        require_quantities(config, "DistributionConfig")
        self._require_references(config)
        reader = self._plane.reader
        try:
            distribution = reader.distribution(identity, domain_name, config)
            require_associations(distribution, self._is_live, self._lambda_version)
            reader.require_sound(distribution)
        except ConfigError as error:
            raise invalid(str(error)) from error
        self._require_own_names(distribution)

    def _require_references(self, config: Shape) -> None:
        origins = {origin["Id"] for origin in config["Origins"]["Items"]}
        groups = {group["Id"] for group in (config["OriginGroups"].get("Items") or [])}
        reader = self._plane.reader
        for behavior in _behaviors(config):
            if behavior["TargetOriginId"] not in origins | groups:
                raise ApiError(
                    404,
                    "NoSuchOrigin",
                    "One or more of your origins or origin groups do not exist. "
                    f"TargetOriginId: {behavior['TargetOriginId']}",
                )
            for name, known, code, what in (
                ("CachePolicyId", reader.cache_policy, "NoSuchCachePolicy", "cache policy"),
                (
                    "OriginRequestPolicyId",
                    reader.origin_request_policy,
                    "NoSuchOriginRequestPolicy",
                    "origin request policy",
                ),
                (
                    "ResponseHeadersPolicyId",
                    reader.response_headers_policy,
                    "NoSuchResponseHeadersPolicy",
                    "response headers policy",
                ),
            ):
                if behavior.get(name) and known(behavior[name]) is None:
                    raise ApiError(
                        404, code, f"The specified {what} does not exist. Id: {behavior[name]}"
                    )
        for origin in config["Origins"]["Items"]:
            control = origin.get("OriginAccessControlId")
            if control and reader.access_control(control) is None:
                raise ApiError(
                    404,
                    "NoSuchOriginAccessControl",
                    f"The origin access control does not exist. Id: {control}",
                )

    def _require_own_names(self, distribution: Distribution) -> None:
        taken = {
            alias
            for other in [
                *self._plane.reader.distributions(),
                *self._plane.declared().distributions,
            ]
            if other.id != distribution.id
            for alias in other.aliases
        }
        for alias in distribution.aliases:
            if alias in taken:
                raise ApiError(
                    409,
                    "CNAMEAlreadyExists",
                    "One or more of the CNAMEs you provided are already associated with a "
                    f"different resource. ({alias})",
                )

    # --- reading ----------------------------------------------------------------------------

    def _all(self) -> list[Record]:
        declared = [self._declared(one) for one in self._plane.declared().distributions]
        return [*declared, *self._account.all(Kind.DISTRIBUTION)]

    def _found(self, identity: str) -> Record:
        record = self._account.find(Kind.DISTRIBUTION, identity)
        if record is not None:
            return record
        for distribution in self._plane.declared().distributions:
            if distribution.id == identity:
                return self._declared(distribution)
        raise no_such_distribution()

    def _own(self, identity: str) -> Record:
        record = self._account.find(Kind.DISTRIBUTION, identity)
        if record is not None:
            return record
        self._found(identity)
        raise ApiError(  # ours
            400,
            "IllegalUpdate",
            f"The distribution {identity} is declared in the project's template. Change it there;"
            " localpop deploys the template when it is saved.",
        )

    def _declared(self, distribution: Distribution) -> Record:
        config = with_defaults(dump_distribution(distribution, _policy_id))
        document = {"DomainName": distribution.domain_name, "DistributionConfig": config}
        return Record(Kind.DISTRIBUTION, distribution.id, document, 1, 0.0, 0.0)

    def _config(self, record: Record) -> Mapping[str, Any]:
        config: Mapping[str, Any] = record.document["DistributionConfig"]
        return config

    def _is_deployed(self, record: Record) -> bool:
        return self._plane.passed(record, self._plane.deployment_ms)

    def _shape(self, record: Record) -> dict[str, Any]:
        return {
            "Id": record.id,
            "ARN": distribution_arn(record.id),
            "Status": "Deployed" if self._is_deployed(record) else "InProgress",
            "LastModifiedTime": record.modified_ms,
            "InProgressInvalidationBatches": 0,
            "DomainName": record.document["DomainName"],
            "ActiveTrustedSigners": {"Enabled": False, "Quantity": 0},
            "ActiveTrustedKeyGroups": {"Enabled": False, "Quantity": 0},
            "DistributionConfig": self._config(record),
            "AliasICPRecordals": [],
        }

    def _summary(self, record: Record) -> dict[str, Any]:
        return {**self._config(record), **self._shape(record), "ETag": etag(record)}


def no_such_distribution() -> ApiError:
    """404, in AWS's words."""
    return ApiError(404, "NoSuchDistribution", "The specified distribution does not exist.")


def _behaviors(config: Shape) -> list[Mapping[str, Any]]:
    return [config["DefaultCacheBehavior"], *(config["CacheBehaviors"].get("Items") or [])]


def _policies(record: Record, name: str) -> set[str]:
    return {str(one.get(name)) for one in _behaviors(record.document["DistributionConfig"])}


def _policy_id(policy: object) -> str:
    """A managed policy's id; a template's own policies keep theirs to the template."""
    return _MANAGED.get(policy, "")
