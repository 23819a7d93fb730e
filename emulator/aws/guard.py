"""Who may speak to the endpoint: programs on this machine, and no web site.

The endpoint listens on loopback, but every page in the user's browser can reach loopback too. Two
headers that a page cannot forge tell it apart: Origin (and Sec-Fetch-Site) betray a foreign
site's script, and Host betrays a foreign name that was pointed at 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from emulator.errors import ApiError

_PORT = re.compile(r":\d{1,5}$")
_ACCOUNT = re.compile(r"(\d{12})\.")
_LOOPBACK = re.compile(r"(?:.+\.)?localhost|127\.0\.0\.1|\[::1\]")
# The KeyValueStore rule set puts an account id before any host, and StartSyncExecution `sync-`.
_HOSTS: Final = re.compile(
    r"(?:\d{12}\.|sync-)?(?:127\.0\.0\.1|\[::1\])"
    r"|(?:sync-|.+\.)?localhost"
    # Names that exist nowhere: HTTP_PROXY with an endpoint under emulator.invalid (KVS-2, KVS-3).
    r"|(?:.+\.)?emulator\.invalid"
    # AWS's own names, for clients that are led here by a proxy or a hosts file.
    r"|(?:.+\.)?(?:amazonaws\.com|api\.aws)"
)


def require_local(headers: Mapping[str, str]) -> None:
    """Refuse a web site's request.

    Args:
        headers: Names in lower case.

    Raises:
        ApiError: 403 AccessDeniedException that says which header gave it away.
    """
    host = headers.get("host", "")
    if host and not _HOSTS.fullmatch(_without_port(host)):
        raise _denied(
            f"The host {host!r} is not one of localpop's. Use localhost, 127.0.0.1, [::1] or a "
            "name under localhost, emulator.invalid, amazonaws.com or api.aws"
        )
    origin = headers.get("origin")
    if origin is not None and not _is_loopback_origin(origin):
        raise _denied(f"Web pages of {origin!r} may not call localpop, only pages on localhost")
    if headers.get("sec-fetch-site") == "cross-site":
        raise _denied("Web pages of other sites may not call localpop")


def host_account(host: str) -> str | None:
    """The account id before the host's name, as the KeyValueStore rule set puts it there."""
    # A look at one character spares nearly every request the regular expression.
    if not host[:1].isdigit():
        return None
    match = _ACCOUNT.match(host)
    return match[1] if match else None


def _is_loopback_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(
        _LOOPBACK.fullmatch(_without_port(parts.netloc))
    )


def _without_port(host: str) -> str:
    return _PORT.sub("", host).lower().rstrip(".")


def _denied(message: str) -> ApiError:
    return ApiError(403, "AccessDeniedException", message)
