"""Which servers a load test may be aimed at without being asked twice."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from loadtests.errors import BadInputError

# CloudFront Developer Guide, "Load testing CloudFront",
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/load-testing.html
# (crawl of 2026-04-13).
LOAD_TEST_RULE = (
    "AWS does not allow load tests on cache behaviors with Lambda@Edge viewer triggers, or on "
    'origins with Origin Shield (CloudFront Developer Guide, "Load testing CloudFront")'
)
_CONNECT_MOST_S = 5.0


def check_host(host: str | None, allow_remote: bool) -> str:
    """Return the host to aim at, without a slash at its end.

    Raises:
        BadInputError: There is none, it is no URL, or it is another machine not allowed for.
    """
    if not host:
        raise BadInputError(
            "--host: missing. Name the server to test, such as http://127.0.0.1:8080."
        )
    parts = _split(host)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInputError(f"--host: {host!r} is not a URL such as http://127.0.0.1:8080.")
    if parts.path.strip("/") or parts.query:
        raise BadInputError(f"--host: {host!r} has a path; name the server alone.")
    if not allow_remote and not is_local(parts.hostname):
        raise BadInputError(
            f"--host: {parts.hostname} is not this machine. {LOAD_TEST_RULE}. If it is yours to "
            "load and that rule is kept (--lambda-share 0), add --allow-remote."
        )
    return host.rstrip("/")


def require_listener(host: str) -> None:
    """Look whether somebody listens there, before half a minute of requests says nobody does.

    Raises:
        BadInputError: Nobody does.
    """
    parts = _split(host)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), _CONNECT_MOST_S).close()
    except OSError as error:
        raise BadInputError(
            f"--host: nobody answers at {host} ({error.strerror or error}). Start it (localpop "
            "up), or name another with --host."
        ) from error


def is_local(hostname: str) -> bool:
    """Whether a host name can only mean this machine; names are never looked up."""
    name = hostname.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _split(host: str) -> SplitResult:
    try:
        parts = urlsplit(host)
        parts.port  # noqa: B018  (reading it is what checks it)
    except ValueError as error:
        raise BadInputError(f"--host: {host!r} is not a URL ({error}).") from error
    return parts
