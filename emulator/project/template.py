"""A CloudFormation template, read as CloudFront reads it once it is deployed.

Shapes: `AWS::CloudFront::*` and `AWS::Lambda::*` of the CloudFormation template reference; the
differences from the API are listed in facts/cloudfront.md 20.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from emulator import quotas
from emulator.errors import ConfigError, NotEmulated
from emulator.project import identifiers
from emulator.project.declarations import (
    FunctionDeclaration,
    LambdaFunctionDeclaration,
    StoreDeclaration,
    TemplateDeclarations,
)
from emulator.project.documents import read_document
from emulator.project.intrinsics import Resolver
from emulator.rules.key_value_store import store_arn
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.values.distribution import (
    ALL_METHODS,
    READ_METHODS,
    CacheBehavior,
    CachePolicy,
    Distribution,
    FunctionAssociation,
    Names,
    Origin,
    OriginRequestPolicy,
    Selection,
    ViewerProtocolPolicy,
)
from emulator.values.functions import EventType, FunctionKind

_ASSET_PATH: Final = "aws:asset:path"
_BAKED_FILES: Final = "localpop:baked-files"

_NOT_EMULATED_IN_BEHAVIOR: Final = {
    "ForwardedValues": "Legacy ForwardedValues",
    "ResponseHeadersPolicyId": "A response headers policy",
    "TrustedKeyGroups": "Signed URLs and cookies (TrustedKeyGroups)",
    "TrustedSigners": "Signed URLs and cookies (TrustedSigners)",
    "FieldLevelEncryptionId": "Field-level encryption",
    "SmoothStreaming": "Smooth Streaming",
}
_NOT_EMULATED_IN_CONFIG: Final = {
    "OriginGroups": "Origin groups",
    "CustomErrorResponses": "Custom error responses",
    "ContinuousDeploymentPolicyId": "Continuous deployment",
    "WebACLId": "AWS WAF",
    "Restrictions": "Geo restriction",
    "TenantConfig": "Multi-tenant distributions",
}
_METHOD_SETS: Final = (READ_METHODS, READ_METHODS | {"OPTIONS"}, ALL_METHODS)


def template_attribute(path: Path, overrides: Mapping[str, str], name: str) -> str:
    """What `${Resource.Attribute}` or `${Parameter}` stands for in a template.

    Raises:
        ConfigError: The template has no such thing.
    """
    reader = _Reader(path, read_document(path), overrides)
    return str(reader.resolver.resolve({"Fn::Sub": f"${{{name}}}"}, name))


def read_template(path: Path, overrides: Mapping[str, str]) -> TemplateDeclarations:
    """Everything that a template declares for the edge.

    Args:
        path: The template; paths inside it are relative to its folder.
        overrides: Parameter values from localpop.toml.

    Raises:
        ConfigError: Something in it is wrong; says where and how to mend it.
        NotEmulated: It asks for something that localpop lacks.
    """
    return _Reader(path, read_document(path), overrides).read()


@dataclass(slots=True)
class _Reader:
    path: Path
    document: dict[str, Any]
    overrides: Mapping[str, str]
    resolver: Resolver = field(init=False)

    def __post_init__(self) -> None:
        self.resolver = Resolver(self.document, self.overrides, self.attribute, self.path.name)

    # --- resources --------------------------------------------------------------------------

    def read(self) -> TemplateDeclarations:
        return TemplateDeclarations(
            stores=tuple(self._store(name) for name in self._of("CloudFront::KeyValueStore")),
            functions=tuple(self._function(name) for name in self._of("CloudFront::Function")),
            lambdas=self._lambdas(),
            distributions=tuple(
                self._distribution(name) for name in self._of("CloudFront::Distribution")
            ),
        )

    def _of(self, kind: str) -> list[str]:
        """Logical ids of the resources of one kind whose condition holds."""
        return [
            logical_id
            for logical_id, resource in self.document["Resources"].items()
            if isinstance(resource, dict)
            and resource.get("Type") == f"AWS::{kind}"
            and ("Condition" not in resource or self.resolver.condition(resource["Condition"]))
        ]

    def _properties(self, logical_id: str) -> dict[str, Any]:
        resource = self.document["Resources"][logical_id]
        resolved = self.resolver.resolve(
            resource.get("Properties") or {}, f"Resources.{logical_id}.Properties"
        )
        assert isinstance(resolved, dict)
        return resolved

    def _metadata(self, logical_id: str) -> dict[str, Any]:
        return self.document["Resources"][logical_id].get("Metadata") or {}

    def attribute(self, logical_id: str, attribute: str) -> Any:
        """What a resource answers to Ref (an empty attribute) and GetAtt."""
        resource = self.document["Resources"][logical_id]
        kind = str(resource.get("Type", "")).removeprefix("AWS::")
        match kind, attribute:
            case "CloudFront::KeyValueStore", "Arn":
                return store_arn(self._name(logical_id, "Name"))
            case "CloudFront::KeyValueStore", "Id":
                return store_arn(self._name(logical_id, "Name")).rpartition("/")[2]
            case "CloudFront::KeyValueStore", "":
                return self._name(logical_id, "Name")
            case "CloudFront::Function", "" | "FunctionARN" | "FunctionMetadata.FunctionARN":
                return identifiers.function_arn(self._name(logical_id, "Name"))
            case "Lambda::Function", "":
                return self._name(logical_id, "FunctionName")
            case "Lambda::Function", "Arn":
                return identifiers.lambda_arn(self._name(logical_id, "FunctionName"))
            case "Lambda::Version", "" | "FunctionArn":
                return self._version_arn(logical_id)
            case "Lambda::Version", "Version":
                return self._version_arn(logical_id).rpartition(":")[2]
            case "CloudFront::Distribution", "" | "Id":
                return identifiers.distribution_id(logical_id)
            case "CloudFront::Distribution", "DomainName":
                return identifiers.distribution_domain_name(logical_id)
            case "CloudFront::CachePolicy" | "CloudFront::OriginRequestPolicy", "" | "Id":
                return identifiers.policy_id(logical_id)
            case _:
                # The edge needs no other attribute's true value; it only has to be one text.
                return f"{logical_id}.{attribute}" if attribute else logical_id

    def _name(self, logical_id: str, name_property: str) -> str:
        """A resource's own name; CloudFormation makes one from the stack's when it has none."""
        properties = self.document["Resources"][logical_id].get("Properties") or {}
        place = f"Resources.{logical_id}.Properties.{name_property}"
        if name_property in properties:
            return str(self.resolver.resolve(properties[name_property], place))
        return f"localpop-{logical_id}"

    def _version_arn(self, logical_id: str) -> str:
        """`<function arn>:<n>`; versions are numbered in the order the template lists them."""
        properties = self.document["Resources"][logical_id].get("Properties") or {}
        place = f"Resources.{logical_id}.Properties.FunctionName"
        named = str(self.resolver.resolve(properties.get("FunctionName", ""), place))
        name = named.rpartition(":")[2]
        number = 0
        for other in self._of("Lambda::Version"):
            others = self.document["Resources"][other].get("Properties") or {}
            if self.resolver.resolve(others.get("FunctionName", ""), place) == named:
                number += 1
            if other == logical_id:
                break
        return f"{identifiers.lambda_arn(name)}:{number}"

    def _store(self, logical_id: str) -> StoreDeclaration:
        properties = self._properties(logical_id)
        name = self._name(logical_id, "Name")
        if "ImportSource" in properties:
            raise NotEmulated(
                "Importing a key value store from S3",
                where=self._at(logical_id, "ImportSource"),
            )
        return StoreDeclaration(logical_id, name, store_arn(name), properties.get("Comment", ""))

    def _function(self, logical_id: str) -> FunctionDeclaration:
        properties = self._properties(logical_id)
        config = properties.get("FunctionConfig", {})
        runtime = config.get("Runtime", "")
        if runtime not in ("cloudfront-js-1.0", "cloudfront-js-2.0"):
            raise self._wrong(
                f"The runtime {runtime!r} is none of CloudFront Functions'.",
                self._at(logical_id, "FunctionConfig.Runtime"),
                "Use cloudfront-js-2.0 (or cloudfront-js-1.0).",
            )
        stores = [
            entry["KeyValueStoreARN"] for entry in config.get("KeyValueStoreAssociations", [])
        ]
        where = self._at(logical_id, "FunctionConfig.KeyValueStoreAssociations")
        if len(stores) > quotas.FUNCTION_STORES_MAX:
            raise self._wrong("A function can have one key value store.", where, "Keep one.")
        if stores and runtime != "cloudfront-js-2.0":
            raise self._wrong(
                "Only cloudfront-js-2.0 reads a key value store.", where, "Change the runtime."
            )
        path = self._asset(logical_id)
        return FunctionDeclaration(
            logical_id,
            self._name(logical_id, "Name"),
            identifiers.function_arn(self._name(logical_id, "Name")),
            runtime,
            path,
            "" if path else str(properties.get("FunctionCode", "")),
            stores[0] if stores else "",
        )

    def _lambdas(self) -> tuple[LambdaFunctionDeclaration, ...]:
        """Lambda functions that have a version; only those can be associated."""
        versions: dict[str, list[str]] = {}
        for logical_id in self._of("Lambda::Version"):
            arn = self._version_arn(logical_id)
            versions.setdefault(arn.rpartition(":")[0], []).append(arn)
        declared = []
        for logical_id in self._of("Lambda::Function"):
            arn = identifiers.lambda_arn(self._name(logical_id, "FunctionName"))
            if arn in versions:
                declared.append(self._lambda(logical_id, arn, tuple(versions[arn])))
        return tuple(declared)

    def _lambda(
        self, logical_id: str, arn: str, versions: tuple[str, ...]
    ) -> LambdaFunctionDeclaration:
        properties = self._properties(logical_id)
        path = self._asset(logical_id)
        if path is None:
            raise self._wrong(
                "Where this function's code is on disk is not said.",
                self._at(logical_id, "Code"),
                f"Add under its Metadata: {_ASSET_PATH}: <folder>, and aws:asset:property: Code.",
            )
        baked = self.resolver.resolve(
            self._metadata(logical_id).get(_BAKED_FILES) or {},
            f"Resources.{logical_id}.Metadata.{_BAKED_FILES}",
        )
        return LambdaFunctionDeclaration(
            logical_id,
            self._name(logical_id, "FunctionName"),
            arn,
            str(properties.get("Handler", "")),
            str(properties.get("Runtime", "")),
            path,
            self._whole(properties.get("Timeout", 3), self._at(logical_id, "Timeout")),
            self._whole(properties.get("MemorySize", 128), self._at(logical_id, "MemorySize")),
            baked,
            versions,
        )

    def _asset(self, logical_id: str) -> Path | None:
        named = self._metadata(logical_id).get(_ASSET_PATH)
        if named is None:
            return None
        path = (self.path.parent / str(named)).resolve()
        if not path.exists():
            raise ConfigError(
                f"There is no {named}.",
                where=f"{self.path.name}: Resources.{logical_id}.Metadata.{_ASSET_PATH}",
                mend="Create it, or mend the path (relative to the template).",
            )
        return path

    # --- the distribution -------------------------------------------------------------------

    def _distribution(self, logical_id: str) -> Distribution:
        config = self._properties(logical_id).get("DistributionConfig", {})
        where = self._at(logical_id, "DistributionConfig")
        self._refuse_unknown(config, _NOT_EMULATED_IN_CONFIG, where)
        origins = {
            str(origin.get("Id")): self._origin(origin, f"{where}.Origins[{number}]")
            for number, origin in enumerate(config.get("Origins", []))
        }
        if not origins:
            raise self._wrong("The distribution has no origins.", where, "Add one under Origins.")
        if config.get("DefaultRootObject"):
            raise NotEmulated("A default root object", where=f"{where}.DefaultRootObject")
        listed = [
            self._behavior(behavior, origins, f"{where}.CacheBehaviors[{number}]")
            for number, behavior in enumerate(config.get("CacheBehaviors", []))
        ]
        default = {**config.get("DefaultCacheBehavior", {}), "PathPattern": "*"}
        listed.append(self._behavior(default, origins, f"{where}.DefaultCacheBehavior"))
        return Distribution(
            identifiers.distribution_id(logical_id),
            identifiers.distribution_domain_name(logical_id),
            tuple(listed),
            origins,
            aliases=tuple(str(alias).lower() for alias in config.get("Aliases", [])),
            enabled=_truth(config.get("Enabled", True)),
        )

    def _origin(self, origin: Mapping[str, Any], where: str) -> Origin:
        if "S3OriginConfig" in origin:
            raise NotEmulated("An S3 origin", where=f"{where}.S3OriginConfig")
        if "VpcOriginConfig" in origin:
            raise NotEmulated("A VPC origin", where=f"{where}.VpcOriginConfig")
        custom = origin.get("CustomOriginConfig", {})
        https = custom.get("OriginProtocolPolicy", "https-only") != "http-only"
        port = custom.get("HTTPSPort", 443) if https else custom.get("HTTPPort", 80)
        headers = [
            (str(header["HeaderName"]), str(header["HeaderValue"]))
            for header in origin.get("OriginCustomHeaders", [])
        ]
        return Origin(
            str(origin.get("Id", "")),
            str(origin.get("DomainName", "")),
            str(origin.get("OriginPath", "")),
            tuple(headers),
            https,
            self._whole(port, f"{where}.CustomOriginConfig"),
            self._whole(origin.get("ConnectionAttempts", quotas.ORIGIN_CONNECTION_ATTEMPTS), where),
            self._whole(origin.get("ConnectionTimeout", quotas.ORIGIN_CONNECTION_TIMEOUT_S), where),
            self._whole(custom.get("OriginReadTimeout", quotas.ORIGIN_READ_TIMEOUT_S), where),
            self._whole(
                custom.get("OriginKeepaliveTimeout", quotas.ORIGIN_KEEPALIVE_TIMEOUT_S), where
            ),
        )

    def _behavior(
        self, behavior: Mapping[str, Any], origins: Mapping[str, Origin], where: str
    ) -> CacheBehavior:
        self._refuse_unknown(behavior, _NOT_EMULATED_IN_BEHAVIOR, where)
        target = str(behavior.get("TargetOriginId", ""))
        if target not in origins:
            raise self._wrong(
                f"No origin has the id {target!r} (known: {', '.join(origins)}).",
                f"{where}.TargetOriginId",
                "Mend the id, or add the origin.",
            )
        return CacheBehavior(
            str(behavior.get("PathPattern", "*")),
            target,
            self._cache_policy(behavior, where),
            self._origin_request_policy(behavior, where),
            self._viewer_protocol_policy(behavior, where),
            self._methods(behavior.get("AllowedMethods", ["GET", "HEAD"]), where),
            frozenset(behavior.get("CachedMethods", ["GET", "HEAD"])),
            self._associations(behavior, where),
            _truth(behavior.get("Compress", False)),
        )

    def _cache_policy(self, behavior: Mapping[str, Any], where: str) -> CachePolicy:
        place = f"{where}.CachePolicyId"
        policy_id = str(behavior.get("CachePolicyId", ""))
        policy = MANAGED_CACHE_POLICIES.get(policy_id) or self._own_cache_policy(policy_id)
        if policy is None:
            known = [entry.name for entry in MANAGED_CACHE_POLICIES.values()]
            raise self._wrong(
                f"No cache policy has the id {policy_id!r} (managed ones: {', '.join(known)}).",
                place,
                "Use a managed policy's id, or !Ref an AWS::CloudFront::CachePolicy.",
            )
        if not policy.caching_disabled:
            raise NotEmulated(f"Caching (cache policy {policy.name})", where=place)
        return policy

    def _own_cache_policy(self, policy_id: str) -> CachePolicy | None:
        for logical_id in self._of("CloudFront::CachePolicy"):
            if identifiers.policy_id(logical_id) == policy_id:
                where = self._at(logical_id, "CachePolicyConfig")
                return self._read_cache_policy(
                    self._properties(logical_id).get("CachePolicyConfig", {}), where
                )
        return None

    def _read_cache_policy(self, config: Mapping[str, Any], where: str) -> CachePolicy:
        keyed = config.get("ParametersInCacheKeyAndForwardedToOrigin", {})
        return CachePolicy(
            str(config.get("Name", "")),
            self._whole(config.get("MinTTL", 0), f"{where}.MinTTL"),
            self._whole(config.get("DefaultTTL", 86_400), f"{where}.DefaultTTL"),
            self._whole(config.get("MaxTTL", 31_536_000), f"{where}.MaxTTL"),
            _names(keyed.get("HeadersConfig", {}), "Header"),
            _names(keyed.get("CookiesConfig", {}), "Cookie"),
            _names(keyed.get("QueryStringsConfig", {}), "QueryString"),
            _truth(keyed.get("EnableAcceptEncodingGzip", False)),
            _truth(keyed.get("EnableAcceptEncodingBrotli", False)),
        )

    def _origin_request_policy(
        self, behavior: Mapping[str, Any], where: str
    ) -> OriginRequestPolicy | None:
        policy_id = behavior.get("OriginRequestPolicyId")
        if policy_id is None:
            return None
        managed = MANAGED_ORIGIN_REQUEST_POLICIES.get(str(policy_id))
        if managed is not None:
            if managed.headers.selection is Selection.ALL_VIEWER_AND_WHITELIST_CLOUDFRONT:
                raise NotEmulated(
                    "CloudFront's own request headers (CloudFront-Viewer-…)",
                    where=f"{where}.OriginRequestPolicyId",
                )
            return managed
        for logical_id in self._of("CloudFront::OriginRequestPolicy"):
            if identifiers.policy_id(logical_id) == policy_id:
                config = self._properties(logical_id).get("OriginRequestPolicyConfig", {})
                return OriginRequestPolicy(
                    str(config.get("Name", "")),
                    _names(config.get("HeadersConfig", {}), "Header"),
                    _names(config.get("CookiesConfig", {}), "Cookie"),
                    _names(config.get("QueryStringsConfig", {}), "QueryString"),
                )
        known = [entry.name for entry in MANAGED_ORIGIN_REQUEST_POLICIES.values()]
        raise self._wrong(
            f"No origin request policy has the id {policy_id!r} "
            f"(managed ones: {', '.join(known)}).",
            f"{where}.OriginRequestPolicyId",
            "Use a managed policy's id, or !Ref an AWS::CloudFront::OriginRequestPolicy.",
        )

    def _viewer_protocol_policy(
        self, behavior: Mapping[str, Any], where: str
    ) -> ViewerProtocolPolicy:
        named = str(behavior.get("ViewerProtocolPolicy", ""))
        try:
            return ViewerProtocolPolicy(named)
        except ValueError:
            raise self._wrong(
                f"{named!r} is no viewer protocol policy "
                f"(known: {', '.join(ViewerProtocolPolicy)}).",
                f"{where}.ViewerProtocolPolicy",
                "Use one of them.",
            ) from None

    def _methods(self, named: list[str], where: str) -> frozenset[str]:
        methods = frozenset(str(method).upper() for method in named)
        if methods not in _METHOD_SETS:
            raise self._wrong(
                f"CloudFront allows no such set of methods: {', '.join(sorted(methods))}.",
                f"{where}.AllowedMethods",
                "Use GET, HEAD; or GET, HEAD, OPTIONS; or all seven.",
            )
        return methods

    def _associations(
        self, behavior: Mapping[str, Any], where: str
    ) -> tuple[FunctionAssociation, ...]:
        found = [
            self._association(entry, FunctionKind.CLOUDFRONT_FUNCTION, "FunctionARN", where)
            for entry in behavior.get("FunctionAssociations", [])
        ] + [
            self._association(entry, FunctionKind.LAMBDA_AT_EDGE, "LambdaFunctionARN", where)
            for entry in behavior.get("LambdaFunctionAssociations", [])
        ]
        events = [association.event_type for association in found]
        for event in events:
            if events.count(event) > 1:
                raise self._wrong(
                    f"{event} has more than one edge function.", where, "Keep one for each event."
                )
        kinds = {one.kind for one in found if one.event_type.is_viewer}
        if len(kinds) > 1:
            raise self._wrong(
                "CloudFront Functions and Lambda@Edge cannot both serve viewer events of one"
                " behavior.",
                where,
                "Use one kind for viewer-request and viewer-response.",
            )
        return tuple(found)

    def _association(
        self, entry: Mapping[str, Any], kind: FunctionKind, arn_property: str, where: str
    ) -> FunctionAssociation:
        named = str(entry.get("EventType", ""))
        allowed = [
            event for event in EventType if kind is FunctionKind.LAMBDA_AT_EDGE or event.is_viewer
        ]
        if named not in allowed:
            raise self._wrong(
                f"{named!r} is no event of a {kind} (known: {', '.join(allowed)}).",
                f"{where}.EventType",
                "Mend the event type.",
            )
        event = EventType(named)
        if event is not EventType.VIEWER_REQUEST:
            raise NotEmulated(f"A {kind} at {event}", where=where)
        arn = str(entry.get(arn_property, ""))
        if kind is FunctionKind.LAMBDA_AT_EDGE and not arn.rpartition(":")[2].isdecimal():
            raise self._wrong(
                "The function ARN must reference a specific function version. (The ARN must end"
                f" with the version number.) ARN: {arn}",
                where,
                "!Ref an AWS::Lambda::Version.",
            )
        return FunctionAssociation(event, kind, arn, _truth(entry.get("IncludeBody", False)))

    # --- small things -----------------------------------------------------------------------

    def _refuse_unknown(
        self, section: Mapping[str, Any], table: Mapping[str, str], where: str
    ) -> None:
        for name, feature in table.items():
            if section.get(name):
                raise NotEmulated(feature, where=f"{where}.{name}")

    def _at(self, logical_id: str, place: str) -> str:
        return f"{self.path.name}: Resources.{logical_id}.Properties.{place}"

    def _whole(self, value: Any, where: str) -> int:
        try:
            return int(value)
        except (TypeError, ValueError):
            raise self._wrong(f"{value!r} is not a whole number.", where, "Write digits.") from None

    def _wrong(self, what: str, where: str, mend: str) -> ConfigError:
        return ConfigError(what, where=where, mend=mend)


def _truth(value: Any) -> bool:
    """CloudFormation takes `true` and `"true"` alike."""
    return value if isinstance(value, bool) else str(value).lower() == "true"


def _names(config: Mapping[str, Any], kind: str) -> Names:
    """A policy's `…Behavior` and its list of names."""
    selection = Selection(config.get(f"{kind}Behavior", "none"))
    plural = {"Header": "Headers", "Cookie": "Cookies", "QueryString": "QueryStrings"}[kind]
    listed = [str(name) for name in config.get(plural, [])]
    return Names(
        selection, frozenset(name.lower() if kind == "Header" else name for name in listed)
    )
