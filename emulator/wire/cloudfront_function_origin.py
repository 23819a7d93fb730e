"""The arguments of `cf.updateRequestOrigin` and its siblings, spelled as AWS spells them.

AWS: "Helper methods for origin modification",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/helper-functions-origin-modification.html,
read 2026-11-20 (facts/cloudfront-functions.md 6.2-6.4). A wrong argument is a validation error
(502), with one sentence for all of them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

from emulator.errors import EdgeFunctionError
from emulator.rules.cloudfront_function_result import invalid_origin
from emulator.rules.header_permissions import is_disallowed
from emulator.values.headers import Headers
from emulator.values.origin_changes import (
    CreatedOriginGroup,
    OriginChange,
    OriginProperties,
    SelectedOrigin,
)

_DOMAIN_MAX_CHARS: Final = 253
_S3_DOMAIN_MAX_CHARS: Final = 128
_PATH_MAX_CHARS: Final = 255
_NAMES_MAX: Final = 20
_NAME_MAX_CHARS: Final = 64
_DOMAIN: Final = re.compile(
    r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*"
)
_S3_DOMAIN: Final = re.compile(r"\.s3[.-][a-z0-9.-]*amazonaws\.com$")
_PATH: Final = re.compile(r"(/[A-Za-z0-9\-._~!$&'()*+,;=:@%]+)*")

_UPDATE_KEYS: Final = frozenset(
    {
        "domainName",
        "hostHeader",
        "originPath",
        "customHeaders",
        "connectionAttempts",
        "originShield",
        "originAccessControlConfig",
        "timeouts",
        "customOriginConfig",
        "sni",
        "allowedCertificateNames",
        "mTLSConfig",
    }
)
_OVERRIDE_KEYS: Final = frozenset({"hostHeader", "sni", "allowedCertificateNames"})
_ACCESS_CONTROL: Final[Mapping[str, tuple[str, ...]]] = {
    "signingBehavior": ("always", "never", "no-override"),
    "signingProtocol": ("sigv4",),
    "originType": ("s3", "mediapackagev2", "mediastore", "lambda"),
}
_SSL_PROTOCOLS: Final = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2")


def parse_origin_change(kind: str, args: list[Any], request_headers: Headers) -> OriginChange:
    """Turn a helper's arguments into the change that they ask for.

    Args:
        kind: The helper: `updateRequestOrigin`, `selectRequestOriginById` or
            `createRequestOriginGroup`.
        args: Its arguments, as JSON has them.
        request_headers: The request's headers; no custom header may be among them.

    Raises:
        EdgeFunctionError: An argument is not what AWS's page allows.
    """
    place = f"cf.{kind}"
    first = args[0] if args else None
    if kind == "updateRequestOrigin":
        return _properties(place, first, _UPDATE_KEYS, request_headers)
    if kind == "selectRequestOriginById":
        overrides = args[1] if len(args) > 1 else None
        return _selected(place, first, overrides)
    return _group(place, _object(place, first))


def _properties(
    place: str, raw: object, allowed: frozenset[str], request_headers: Headers
) -> OriginProperties:
    given = _object(place, raw)
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise _wrong(place, unknown[0], given[unknown[0]], f"one of {', '.join(sorted(allowed))}")
    timeouts = _object(f"{place}.timeouts", given.get("timeouts"))
    custom = _object(f"{place}.customOriginConfig", given.get("customOriginConfig"))
    read_s = _number(place, timeouts, "readTimeout", 1, 120)
    completion_s = _number(place, timeouts, "responseCompletionTimeout", read_s or 1, 3600)
    if "ipAddressType" in custom and "domainName" not in given:
        raise _wrong(place, "ipAddressType", custom["ipAddressType"], "given with a domainName")
    protocol = _choice(place, custom, "protocol", ("http", "https"))
    attempts = _number(place, given, "connectionAttempts", 1, 3)
    port = _number(place, custom, "port", 1, 65_535)
    access_control = _access_control(place, given.get("originAccessControlConfig"))
    host_header = _domain(place, given, "hostHeader")
    if host_header is not None and ("enabled", "true") in (access_control or ()):
        # Seen on CloudFront: refused beside an enabled origin access control.
        raise _wrong(place, "hostHeader", host_header, "left out where origin access control is on")
    mutual_tls = given.get("mTLSConfig")
    if mutual_tls not in (None, "off"):
        raise _wrong(place, "mTLSConfig", mutual_tls, "'off'")
    return OriginProperties(
        domain_name=_domain(place, given, "domainName"),
        host_header=host_header,
        path=_path(place, given.get("originPath")),
        custom_headers=_custom_headers(place, given.get("customHeaders"), request_headers),
        connection_attempts=None if attempts is None else int(attempts),
        shield_region=_shield(place, given.get("originShield")),
        access_control=access_control,
        read_timeout_s=read_s,
        response_completion_timeout_s=completion_s,
        keepalive_timeout_s=_number(place, timeouts, "keepAliveTimeout", 1, 120),
        connection_timeout_s=_number(place, timeouts, "connectionTimeout", 1, 10),
        port=None if port is None else int(port),
        https=None if protocol is None else protocol == "https",
        ssl_protocols=_choices(place, custom, "sslProtocols", _SSL_PROTOCOLS),
        ip_address_type=_choice(place, custom, "ipAddressType", ("ipv4", "ipv6", "dualstack")),
        sni=_text(place, given, "sni", _DOMAIN_MAX_CHARS),
        allowed_certificate_names=_certificate_names(place, given),
        mutual_tls_off=mutual_tls == "off",
    )


def _selected(place: str, origin_id: object, overrides: object) -> SelectedOrigin:
    if not isinstance(origin_id, str) or not origin_id:
        raise _wrong(place, "originId", origin_id, "the id of an origin of the distribution")
    properties = _properties(place, overrides, _OVERRIDE_KEYS, Headers())
    return SelectedOrigin(origin_id, properties)


def _group(place: str, given: Mapping[str, Any]) -> CreatedOriginGroup:
    ids = given.get("originIds")
    if not isinstance(ids, list) or len(ids) != 2:
        raise _wrong(place, "originIds", ids, "exactly two origins")
    members = []
    for one in ids:
        entry = one if isinstance(one, dict) else {"originId": one}
        members.append(_selected(place, entry.get("originId"), entry.get("originOverrides")))
    criteria = _object(f"{place}.failoverCriteria", given.get("failoverCriteria"))
    codes = criteria.get("statusCodes")
    if not isinstance(codes, list) or not codes or not all(type(code) is int for code in codes):
        raise _wrong(place, "failoverCriteria.statusCodes", codes, "a list of statuses")
    selection = _choice(place, given, "selectionCriteria", ("default", "media-quality-score"))
    return CreatedOriginGroup(members[0], members[1], tuple(codes), selection or "default")


# --- One property each ---------------------------------------------------------------------------


def _domain(place: str, given: Mapping[str, Any], name: str) -> str | None:
    text = _text(place, given, name, _DOMAIN_MAX_CHARS)
    if text is None:
        return None
    if not _DOMAIN.fullmatch(text) or _is_address(text):
        raise _wrong(place, name, text, "a domain name in lower case, not an address, without port")
    if _S3_DOMAIN.search(text) and len(text) > _S3_DOMAIN_MAX_CHARS:
        raise _wrong(place, name, text, f"at most {_S3_DOMAIN_MAX_CHARS} characters for S3")
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _path(place: str, raw: object) -> str | None:
    if raw is None:
        return None
    if not isinstance(raw, str) or len(raw) > _PATH_MAX_CHARS or not _PATH.fullmatch(raw):
        raise _wrong(place, "originPath", raw, "URL-encoded, from '/' on, without a closing '/'")
    return raw


def _custom_headers(
    place: str, raw: object, request_headers: Headers
) -> tuple[tuple[str, str], ...] | None:
    if raw is None:
        return None
    headers = _object(f"{place}.customHeaders", raw)
    for name, value in headers.items():
        fits = name == name.lower() and not is_disallowed(name) and isinstance(value, str)
        if not fits or name in request_headers:
            wanted = "lower-case, allowed, text, and not among the request's headers"
            raise _wrong(place, f"customHeaders[{name!r}]", value, wanted)
    return tuple(headers.items())


def _shield(place: str, raw: object) -> str | None:
    if raw is None:
        return None
    shield = _object(f"{place}.originShield", raw)
    if not isinstance(shield.get("enabled"), bool):
        raise _wrong(place, "originShield.enabled", shield.get("enabled"), "true or false")
    region = shield.get("region")
    if not shield["enabled"]:
        return ""
    if not isinstance(region, str) or not region:
        raise _wrong(place, "originShield.region", region, "a Region")
    return region


def _access_control(place: str, raw: object) -> tuple[tuple[str, str], ...] | None:
    if raw is None:
        return None
    given = _object(f"{place}.originAccessControlConfig", raw)
    if not isinstance(given.get("enabled"), bool):
        raise _wrong(place, "originAccessControlConfig.enabled", given.get("enabled"), "a boolean")
    pairs = [("enabled", str(given["enabled"]).lower())]
    for name, choices in _ACCESS_CONTROL.items():
        value = _choice(f"{place}.originAccessControlConfig", given, name, choices)
        if value is None and given["enabled"]:
            raise _wrong(place, name, value, " or ".join(choices))
        if value is not None:
            pairs.append((name, value))
    return tuple(pairs)


def _certificate_names(place: str, given: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = given.get("allowedCertificateNames")
    if names is None:
        return None
    fits = isinstance(names, list) and len(names) <= _NAMES_MAX
    if not fits or not all(isinstance(one, str) and len(one) <= _NAME_MAX_CHARS for one in names):
        wanted = f"at most {_NAMES_MAX} names of at most {_NAME_MAX_CHARS} characters"
        raise _wrong(place, "allowedCertificateNames", names, wanted)
    return tuple(names)


def _text(place: str, given: Mapping[str, Any], name: str, max_chars: int) -> str | None:
    text = given.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or not 0 < len(text) <= max_chars:
        raise _wrong(place, name, text, f"text of at most {max_chars} characters")
    return text


def _number(
    place: str, given: Mapping[str, Any], name: str, least: float, most: float
) -> float | None:
    number = given.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise _wrong(place, name, number, "a number")
    if not least <= number <= most:
        raise _wrong(place, name, number, f"{least:g} to {most:g}")
    return number


def _choice(
    place: str, given: Mapping[str, Any], name: str, choices: tuple[str, ...]
) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if value not in choices:
        raise _wrong(place, name, value, " or ".join(choices))
    return str(value)


def _choices(
    place: str, given: Mapping[str, Any], name: str, choices: tuple[str, ...]
) -> tuple[str, ...] | None:
    values = given.get(name)
    if values is None:
        return None
    if not isinstance(values, list) or not values or not all(one in choices for one in values):
        raise _wrong(place, name, values, f"some of {', '.join(choices)}")
    return tuple(values)


def _object(place: str, raw: object) -> dict[str, Any]:
    if raw is None:
        return {}
    if isinstance(raw, dict):
        return raw
    raise invalid_origin(f"{place} takes an object, not {raw!r}")


def _wrong(place: str, name: str, value: object, wanted: str) -> EdgeFunctionError:
    return invalid_origin(f"{place}: {name} is {value!r}, but must be {wanted}")
