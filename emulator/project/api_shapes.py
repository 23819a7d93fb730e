"""The CloudFront API's shapes turned into CloudFormation's, so that both are read by one reader.

The differences are those of facts/cloudfront.md 20.2: `{Quantity, Items}` against plain lists, and
a few names. Origin groups keep `Quantity` and `Items` in CloudFormation too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_RENAMED: Final = {
    "CustomHeaders": "OriginCustomHeaders",
    "OriginSslProtocols": "OriginSSLProtocols",
    "IsIPV6Enabled": "IPV6Enabled",
    "ACMCertificateArn": "AcmCertificateArn",
    "IAMCertificateId": "IamCertificateId",
    "SSLSupportMethod": "SslSupportMethod",
}
API_NAMES: Final = {written: name for name, written in _RENAMED.items()}
"""The API's names by CloudFormation's, where they differ."""
_KEPT: Final = frozenset(
    {"OriginGroups", "Members", "StatusCodes", "CustomHeadersConfig", "RemoveHeadersConfig"}
)
_LIST: Final = frozenset({"Quantity", "Items", "Enabled"})


def config_from_api(config: Mapping[str, Any]) -> dict[str, Any]:
    """CloudFormation's form of a configuration in the API's form.

    Args:
        config: A `DistributionConfig`, `CachePolicyConfig`, `OriginRequestPolicyConfig`,
            `ResponseHeadersPolicyConfig`, `KeyGroupConfig` or `PublicKeyConfig`.
    """
    converted = _mapping(config)
    logging = converted.get("Logging")
    if isinstance(logging, dict):
        # Always there in the API, switched off by Enabled or by an empty bucket.
        if not logging.get("Enabled", bool(logging.get("Bucket"))):
            converted.pop("Logging")
        else:
            logging.pop("Enabled", None)
    converted.pop("CallerReference", None)
    return converted


def _mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for name, item in value.items():
        match name:
            case "AllowedMethods" if isinstance(item, dict):
                converted["AllowedMethods"] = _items(item)
                if isinstance(item.get("CachedMethods"), dict):
                    converted["CachedMethods"] = _items(item["CachedMethods"])
            case "GeoRestriction" if isinstance(item, dict):
                converted[name] = {
                    "RestrictionType": item.get("RestrictionType", "none"),
                    "Locations": _items(item),
                }
            case _:
                converted[_RENAMED.get(name, name)] = _value(name, item)
    return converted


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_value("", item) for item in value]
    if not isinstance(value, dict):
        return value
    if "Quantity" in value and set(value) <= _LIST:
        items = _items(value)
        return {"Quantity": len(items), "Items": items} if name in _KEPT else items
    return _mapping(value)


def _items(value: Mapping[str, Any]) -> list[Any]:
    items = value.get("Items") or []
    return [_value("", item) for item in (items if isinstance(items, list) else [items])]
