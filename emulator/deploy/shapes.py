"""Configurations in the API's form: made from CloudFormation's, compared, laid over what is there.

CloudFormation and CloudFront's API say the same in two spellings (facts/cloudfront.md 20.2): plain
lists against `{Quantity, Items}`, and a few names. Which member is what, botocore's model knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from emulator.deploy.plan import Change
from emulator.errors import ConfigError
from emulator.project.api_shapes import API_NAMES

_LISTED: Final = frozenset({"Quantity", "Items"})
# What tells one entry of a list from the others; the first that an entry has.
_KEYS: Final = ("PathPattern", "Id", "OriginId", "EventType", "HeaderName", "Header", "ErrorCode")
_ORDERED: Final = frozenset({"PathPattern", "OriginId"})
# Required by the API, and with a default in CloudFormation ("AWS::CloudFront::Distribution
# CustomOriginConfig", "… CustomErrorResponse", read 2026-11-21).
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "CustomOriginConfig": {"HTTPPort": 80, "HTTPSPort": 443},
    "S3OriginConfig": {"OriginAccessIdentity": ""},
    "CustomErrorResponse": {"ErrorCachingMinTTL": 300},
    "LoggingConfig": {"Enabled": True, "IncludeCookies": False, "Prefix": ""},
    "FunctionConfig": {"Comment": ""},
    "DistributionConfig": {"Comment": ""},
}


# --- CloudFormation's form to the API's ----------------------------------------------------------


def to_api(value: Any, shape: Any, where: str) -> Any:
    """A configuration in the API's form.

    Args:
        value: In CloudFormation's form, resolved.
        shape: What botocore's model says it is.
        where: The place, for errors.

    Raises:
        ConfigError: The API has no such member, or another type there.
    """
    match shape.type_name:
        case "structure":
            if set(shape.members) >= _LISTED:
                return _listed(value, shape, where)
            return _structure(value, shape, where)
        case "list":
            if not isinstance(value, list):
                raise _wrong(value, "a list", where)
            return [
                to_api(item, shape.member, f"{where}[{number}]")
                for number, item in enumerate(value)
            ]
        case "map":
            return dict(value)
        case kind:
            return _scalar(value, kind, where)


def _structure(value: Any, shape: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(value, "a mapping", where)
    members = {name.lower(): name for name in shape.members}
    given = dict(value)
    made: dict[str, Any] = {}
    if "AllowedMethods" in shape.members and (
        "CachedMethods" in given or "AllowedMethods" in given
    ):
        # The API keeps the cached methods inside of the allowed ones.
        given["AllowedMethods"] = _methods(given)
        given.pop("CachedMethods", None)
    for name, item in given.items():
        known = members.get(API_NAMES.get(name, name).lower())
        if known is None:
            raise ConfigError(
                f"CloudFront's API has no member {name} there.",
                where=where,
                mend="Mend the name; what only CloudFormation knows is deployed by CloudFormation.",
            )
        made[known] = to_api(item, shape.members[known], f"{where}.{name}")
    usual = _DEFAULTS.get(shape.name, {})
    # Another service may have a shape of the same name.
    return {**({} if not usual.keys() <= shape.members.keys() else usual), **made}


def _methods(given: Mapping[str, Any]) -> dict[str, Any]:
    methods: dict[str, Any] = {"Items": given.get("AllowedMethods") or ["HEAD", "GET"]}
    if given.get("CachedMethods"):
        methods["CachedMethods"] = {"Items": given["CachedMethods"]}
    return methods


def _listed(value: Any, shape: Any, where: str) -> dict[str, Any]:
    """`{Quantity, Items}` from a list, or from a mapping that has them in part."""
    rest: dict[str, Any] = {}
    if isinstance(value, Mapping):
        rest = {name: item for name, item in value.items() if name not in _LISTED}
        # A geo restriction's items are called Locations by CloudFormation.
        value = value.get("Items", rest.pop("Locations", None)) or []
    items = to_api(value, shape.members["Items"], where)
    made: dict[str, Any] = {"Quantity": len(items)}
    if items:
        made["Items"] = items
    if "Enabled" in shape.members:
        made["Enabled"] = bool(items)
    for name, item in rest.items():
        if name not in shape.members:
            raise ConfigError(f"CloudFront's API has no member {name} there.", where=where)
        made[name] = to_api(item, shape.members[name], f"{where}.{name}")
    return made


def _scalar(value: Any, kind: str, where: str) -> Any:
    # CloudFormation takes "60" for 60 and "true" for true.
    match kind:
        case "integer" | "long":
            try:
                return int(value)
            except (TypeError, ValueError):
                raise _wrong(value, "a whole number", where) from None
        case "float" | "double":
            return float(value)
        case "boolean":
            if str(value).lower() not in ("true", "false"):
                raise _wrong(value, "true or false", where)
            return str(value).lower() == "true"
        case _:
            if isinstance(value, (Mapping, list)):
                raise _wrong(value, "a text", where)
            return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(value: Any, what: str, where: str) -> ConfigError:
    return ConfigError(f"{value!r} is not {what}.", where=where, mend="Mend the template.")


# --- comparing -----------------------------------------------------------------------------------


def differences(
    wanted: Any, actual: Any, path: str = "", *, exact: bool = False
) -> Iterator[Change]:
    """What would have to change.

    Args:
        wanted: In the API's form.
        actual: What is there, in the API's form.
        path: Where both are.
        exact: Whether members that `wanted` does not name would go; else they are left alone.
    """
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        if "Quantity" in wanted:
            yield from _list_differences(wanted, actual, path, exact=exact)
            wanted = {name: item for name, item in wanted.items() if name not in _LISTED}
        gone = [name for name in actual if name not in wanted and name not in _LISTED]
        for name in [*wanted, *(gone if exact else ())]:
            inside = f"{path}.{name}" if path else name
            yield from differences(wanted.get(name), actual.get(name), inside, exact=exact)
    elif not _same(wanted, actual):
        yield Change(path, actual, wanted)


def _list_differences(
    wanted: Mapping[str, Any], actual: Mapping[str, Any], path: str, *, exact: bool
) -> Iterator[Change]:
    new, old = list(wanted.get("Items") or []), list(actual.get("Items") or [])
    key = _key_of(new or old)
    if key is None:
        if sorted(map(str, new)) != sorted(map(str, old)):
            yield Change(path, sorted(map(str, old)), sorted(map(str, new)))
        return
    before, after = ({str(one.get(key)): one for one in listed} for listed in (old, new))
    for name in [*after, *(name for name in before if name not in after)]:
        inside = f"{path}[{name}]"
        if name not in before:
            yield Change(inside, None, after[name])
        elif name not in after:
            yield Change(inside, before[name], None)
        else:
            yield from differences(after[name], before[name], inside, exact=exact)
    kept = [name for name in before if name in after]
    if key in _ORDERED and kept != [name for name in after if name in before]:
        yield Change(f"{path} (order)", list(before), list(after))


def _same(wanted: Any, actual: Any) -> bool:
    if isinstance(wanted, list) and isinstance(actual, list):
        return sorted(map(str, wanted)) == sorted(map(str, actual))
    for one, other in ((wanted, actual), (actual, wanted)):
        if isinstance(one, Mapping) and other is None:
            return one.get("Quantity") == 0
    # AWS leaves out what is empty.
    return bool(wanted == actual) or (wanted in ("", None) and actual in ("", None))


def _key_of(items: Sequence[Any]) -> str | None:
    if not items or not isinstance(items[0], Mapping):
        return None
    return next((key for key in _KEYS if key in items[0]), _first_member(items[0]))


def _first_member(item: Mapping[str, Any]) -> str | None:
    return next(iter(item), None)


# --- laying one over the other -------------------------------------------------------------------


def overlay(actual: Any, wanted: Any, before: Any = None, *, keeps_others: bool = False) -> Any:
    """What is there, with what is wanted on top.

    Args:
        actual: What is there, in the API's form.
        wanted: What it shall say; members that it does not name stay.
        before: What was wanted the last time: entries of lists that are in it and no longer
            wanted go.
        keeps_others: Whether entries of lists that never were ours stay.
    """
    if not isinstance(wanted, Mapping) or not isinstance(actual, Mapping):
        return wanted
    made = dict(actual)
    last = before if isinstance(before, Mapping) else {}
    if "Quantity" in wanted:
        items = _overlaid_items(actual, wanted, last, keeps_others=keeps_others)
        made["Quantity"] = len(items)
        made["Items"] = items
        if not items:
            del made["Items"]
        wanted = {name: item for name, item in wanted.items() if name not in _LISTED}
        if "Enabled" in wanted:
            wanted["Enabled"] = bool(items)
    for name in last.keys() - wanted.keys() - _LISTED:
        made.pop(name, None)
    for name, item in wanted.items():
        made[name] = overlay(actual.get(name), item, last.get(name), keeps_others=keeps_others)
    return made


def with_defaults_of(wanted: Any, before: Any, defaults: Any) -> Any:
    """What is wanted; what was wanted before and is not any more says its default again.

    Args:
        wanted: In the API's form.
        before: What was wanted the last time.
        defaults: The same as `wanted`, with AWS's defaults for what it does not say.
    """
    if not all(isinstance(one, Mapping) for one in (wanted, before, defaults)):
        return wanted
    made = {name: defaults[name] for name in before if name in defaults and name not in _LISTED}
    for name, item in wanted.items():
        made[name] = with_defaults_of(item, before.get(name), defaults.get(name))
    if "Quantity" in wanted:
        made |= {name: wanted[name] for name in _LISTED if name in wanted}
        items = list(wanted.get("Items") or [])
        key = _key_of(items)
        if key is not None:
            was, usual = (
                {str(one.get(key)): one for one in whole.get("Items") or []}
                for whole in (before, defaults)
            )
            made["Items"] = [
                with_defaults_of(one, was.get(str(one[key])), usual.get(str(one[key])))
                for one in items
            ]
    return made


def _overlaid_items(
    actual: Mapping[str, Any],
    wanted: Mapping[str, Any],
    last: Mapping[str, Any],
    *,
    keeps_others: bool,
) -> list[Any]:
    new, old = list(wanted.get("Items") or []), list(actual.get("Items") or [])
    ours_before = list(last.get("Items") or [])
    key = _key_of(new or old)
    if key is None:
        others = [one for one in old if one not in new and one not in ours_before]
        return [*new, *others] if keeps_others else new
    there, was = ({str(one.get(key)): one for one in listed} for listed in (old, ours_before))
    named = {str(one.get(key)) for one in new}
    laid = [
        overlay(
            there.get(str(one.get(key))),
            one,
            was.get(str(one.get(key))),
            keeps_others=keeps_others,
        )
        for one in new
    ]
    if keeps_others:
        # Ours come first: of cache behaviors the first that matches serves.
        laid += [one for name, one in there.items() if name not in named and name not in was]
    return laid


def without(actual: Any, ours: Any, original: Any) -> Any:
    """What is there, with ours taken back to what stood there before us.

    Args:
        actual: What is there now.
        ours: What we wanted it to say.
        original: What it said before; None where there was nothing.
    """
    if not isinstance(ours, Mapping) or not isinstance(actual, Mapping):
        return original
    first = original if isinstance(original, Mapping) else {}
    made = dict(actual)
    if "Quantity" in ours:
        items = _items_without(actual, ours, first)
        made["Quantity"] = len(items)
        made["Items"] = items
        if not items:
            del made["Items"]
        ours = {name: item for name, item in ours.items() if name not in _LISTED}
    for name, item in ours.items():
        if name not in first and name not in ("Quantity", "Items"):
            made.pop(name, None)
        else:
            made[name] = without(actual.get(name), item, first[name])
    return made


def _items_without(
    actual: Mapping[str, Any], ours: Mapping[str, Any], first: Mapping[str, Any]
) -> list[Any]:
    now, mine, before = (list(one.get("Items") or []) for one in (actual, ours, first))
    key = _key_of(mine or now)
    if key is None:
        return [one for one in now if one in before or one not in mine]
    was, meant = ({str(one.get(key)): one for one in listed} for listed in (before, mine))
    kept = []
    for one in now:
        name = str(one.get(key))
        if name not in meant:
            kept.append(one)
        elif name in was:
            kept.append(without(one, meant[name], was[name]))
    return kept
