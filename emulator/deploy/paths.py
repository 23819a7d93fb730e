"""Which cached objects a changed configuration makes stale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from emulator.deploy.shapes import differences

# CachingDisabled (facts/cloudfront.md 4.4): nothing of it is in any cache.
_CACHING_DISABLED: Final = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
_EVERYTHING: Final = "*"


def changed_paths(
    before: Mapping[str, Any], after: Mapping[str, Any], changed: Iterable[str] = ()
) -> tuple[str, ...]:
    """Invalidation paths for what viewers would get otherwise.

    Args:
        before: The DistributionConfig that viewers got.
        after: The one that they get.
        changed: ARNs and ids of functions and policies that say something else now.
    """
    old, new = _behaviors(before), _behaviors(after)
    others = set(changed) | set(_changed_origins(before, after))
    paths = []
    for pattern in [*new, *(one for one in old if one not in new)]:
        was, is_now = old.get(pattern), new.get(pattern)
        cached = any(one and one.get("CachePolicyId") != _CACHING_DISABLED for one in (was, is_now))
        # A behavior that comes or goes: another one's objects were, or are, there.
        if (
            was is None
            or is_now is None
            or (cached and (_differ(was, is_now) or _names(is_now, others)))
        ):
            paths.append(_path(pattern))
    return _fewest(paths)


def _behaviors(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    listed = (config.get("CacheBehaviors") or {}).get("Items") or []
    found = {str(one["PathPattern"]): one for one in listed}
    default = config.get("DefaultCacheBehavior")
    return {**found, _EVERYTHING: default} if default else found


def _changed_origins(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = (
        {one["Id"]: one for one in (config.get("Origins") or {}).get("Items") or []}
        for config in (before, after)
    )
    for identity in old.keys() | new.keys():
        if _differ(old.get(identity), new.get(identity)):
            yield str(identity)


def _differ(before: Any, after: Any) -> bool:
    return any(differences(after, before, exact=True))


def _names(value: Any, wanted: set[str]) -> bool:
    """Whether one of them is named, anywhere in it."""
    if isinstance(value, Mapping):
        return any(_names(one, wanted) for one in value.values())
    if isinstance(value, list):
        return any(_names(one, wanted) for one in value)
    return value in wanted


def _path(pattern: str) -> str:
    """An invalidation path knows `*` at its end only."""
    cut = min((pattern.find(one) for one in "*?" if one in pattern), default=-1)
    path = pattern if cut < 0 else pattern[:cut] + "*"
    return path if path.startswith("/") else f"/{path}"


def _fewest(paths: Iterable[str]) -> tuple[str, ...]:
    """Without those that another one covers."""
    found = list(dict.fromkeys(paths))
    prefixes = [one[:-1] for one in found if one.endswith("*")]
    return tuple(
        one
        for one in found
        if not any(one.startswith(prefix) and one != f"{prefix}*" for prefix in prefixes)
    )
