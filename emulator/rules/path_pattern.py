"""Which cache behavior serves a path.

AWS: "Cache behavior settings", path pattern,
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html,
read 2026-11-20.
"""

from __future__ import annotations

import re
from functools import lru_cache

from emulator.values.distribution import CacheBehavior, Distribution


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    body = pattern.removeprefix("/")
    wild = "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in body)
    # A leading slash is optional in a pattern, never in a path.
    return re.compile(f"/{wild}" if not body.startswith("*") else f"/?{wild}", re.DOTALL)


def matches(pattern: str, path: str) -> bool:
    """Whether a path pattern covers a normalised path.

    `*` stands for any characters, `/` included; `?` for exactly one. Case matters.
    """
    return _compiled(pattern).fullmatch(path) is not None


def normalise_path(path: str) -> str:
    """The path as behaviors are matched: RFC 3986 dot segments and doubled slashes removed.

    Only the match uses it; the origin gets the raw path.
    """
    if "/." not in path and "//" not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in (".", ""):
            kept.append(segment)
    closing = "/" if segments[-1] in ("", ".", "..") and kept else ""
    return "/" + "/".join(kept) + closing


def select_behavior(distribution: Distribution, path: str) -> CacheBehavior:
    """The first behavior whose pattern matches, in the listed order; the default one is last."""
    normalised = normalise_path(path)
    for behavior in distribution.behaviors[:-1]:
        if matches(behavior.path_pattern, normalised):
            return behavior
    return distribution.behaviors[-1]
