"""Invalidations: which paths are valid, and which cached objects they remove.

AWS: "Invalidate files", what you need to know,
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html
and "Quotas", both read 2026-11-20 (facts/cloudfront.md section 17).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emulator.errors import ApiError
from emulator.quotas import (
    INVALIDATION_PATH_MAX_CHARS,
    INVALIDATION_PATHS_IN_PROGRESS_MAX,
    INVALIDATION_WILDCARDS_IN_PROGRESS_MAX,
)
from emulator.rules.cache_key import CacheKey


@dataclass(frozen=True, slots=True)
class InvalidationPaths:
    """The paths of one invalidation, ready for comparing.

    Args:
        exact: Targets (path and query) that are removed.
        prefixes: Beginnings of targets that are removed.
    """

    exact: frozenset[str]
    prefixes: tuple[str, ...]

    def cover(self, key: CacheKey) -> bool:
        """Whether an object is removed, in every variant by header, cookie and encoding.

        What counts is the path as the cache sees it and the query string as far as it is in the
        key. An object whose path a viewer-request function rewrote is stored under the rewritten
        one; AWS advises to name both.
        """
        target = f"{key.path}?{key.query}" if key.query else key.path
        return target in self.exact or (bool(self.prefixes) and target.startswith(self.prefixes))


def invalidation_paths(paths: Iterable[str]) -> InvalidationPaths:
    """Sort paths into exact ones and those that end with the wildcard.

    `*` is a wildcard as the last character only, and literal elsewhere. Case matters. A path with
    `~` removes nothing: "CloudFront doesn't support this character for invalidation purposes".
    """
    exact, prefixes = [], []
    for path in paths:
        if _has_tilde(path):
            continue
        if path.endswith("*"):
            prefixes.append(path[:-1])
        else:
            exact.append(path)
    return InvalidationPaths(frozenset(exact), tuple(prefixes))


def _has_tilde(path: str) -> bool:
    return "~" in path or "%7e" in path.lower()


def path_problem(path: str) -> str:
    """Why the API refuses a path; empty when it does not."""
    if not path.startswith("/"):
        return "it must begin with /"
    if len(path) > INVALIDATION_PATH_MAX_CHARS:
        return f"it is longer than {INVALIDATION_PATH_MAX_CHARS} characters"
    if not (path.isascii() and path.isprintable()) or " " in path:
        return "characters that are unsafe or not ASCII must be percent-encoded"
    return ""


def check_paths(paths: tuple[str, ...], *, in_progress: int = 0, wildcards: int = 0) -> None:
    """Refuse an invalidation as the API does.

    Args:
        paths: What it names.
        in_progress: Paths of the distribution's invalidations that are still under way.
        wildcards: How many of those end with `*`.

    Raises:
        ApiError: InvalidArgument, or TooManyInvalidationsInProgress.
    """
    for path in paths:
        if path_problem(path):
            raise ApiError(
                400,
                "InvalidArgument",
                "Your request contains one or more invalid invalidation paths.",
            )
    wild = sum(path.endswith("*") for path in paths)
    if (
        in_progress + len(paths) > INVALIDATION_PATHS_IN_PROGRESS_MAX
        or wildcards + wild > INVALIDATION_WILDCARDS_IN_PROGRESS_MAX
    ):
        raise ApiError(
            400,
            "TooManyInvalidationsInProgress",
            "Processing your request will cause you to exceed the maximum number of in-progress"
            " wildcard invalidations."
            if wildcards + wild > INVALIDATION_WILDCARDS_IN_PROGRESS_MAX
            else "You have exceeded the maximum number of allowable InProgress invalidation batch"
            " requests, or invalidation objects.",
        )
