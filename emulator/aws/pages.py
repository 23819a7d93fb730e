"""One page of a list, and the token that asks for the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_PAGE_DEFAULT: Final = 100


def page(
    member: str, found: Sequence[Any], given: Mapping[str, Any], *, size: str
) -> dict[str, Any]:
    """A page as EventBridge and EventBridge Scheduler answer it.

    Args:
        member: The answer's member that holds the list.
        found: The whole list.
        given: The request; a `NextToken` that is none of ours begins anew.
        size: The request's member that says how long a page may be.
    """
    token = str(given.get("NextToken") or "0")
    start = int(token) if token.isdecimal() else 0
    end = start + (given.get(size) or _PAGE_DEFAULT)
    output: dict[str, Any] = {member: list(found[start:end])}
    if end < len(found):
        output["NextToken"] = str(end)
    return output
