"""What CloudFront checks before anything else happens to a viewer's request.

AWS: "Request and response behavior for custom origins",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html,
and "Cache behavior settings", both read 2026-11-20.
"""

from __future__ import annotations

from emulator.quotas import REQUEST_HEADERS_MAX_BYTES, URL_MAX_BYTES
from emulator.rules.error_pages import BAD_REQUEST, METHOD_NOT_ALLOWED, error_page, https_redirect
from emulator.rules.websocket import wants_websocket
from emulator.values.distribution import (
    READ_METHODS,
    CacheBehavior,
    Distribution,
    ViewerProtocolPolicy,
)
from emulator.values.messages import Request, Response


def size_refusal(request: Request, header_bytes: int) -> int:
    """414 for a URL over 8,192 bytes, 494 for headers over 32,768 bytes, else 0.

    Args:
        request: The viewer's request.
        header_bytes: Bytes of request line and headers.
    """
    if len(request.target) > URL_MAX_BYTES:
        return 414
    return 494 if header_bytes > REQUEST_HEADERS_MAX_BYTES else 0


def serves_host(distribution: Distribution, host: str) -> bool:
    """Whether a Host header names this distribution: its domain name or an alias.

    Names are compared without case, port and trailing dot. An alias may begin with `*.`.
    """
    name = host_name(host)
    if name == distribution.domain_name:
        return True
    return any(
        name == alias or (alias.startswith("*.") and name.partition(".")[2] == alias[2:])
        for alias in distribution.aliases
    )


def host_name(host: str) -> str:
    """A Host header's name alone: lower case, without port and trailing dot."""
    name = host.lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].removesuffix(".")


def behavior_refusal(
    behavior: CacheBehavior, request: Request, request_id: str, https_port: int = 443
) -> Response | None:
    """The answer that a behavior gives without running anything, or None to go on.

    In order: the viewer protocol policy, the allowed methods, and no body on GET.

    Args:
        behavior: The behavior.
        request: The viewer's request.
        request_id: For the page.
        https_port: Where redirects to HTTPS lead; always 443 at AWS.
    """
    if not request.secure:
        policy = behavior.viewer_protocol_policy
        refused = _protocol_refusal(policy, request, request_id, https_port)
        if refused is not None:
            return refused
    if request.method not in behavior.allowed_methods:
        return error_page(403, METHOD_NOT_ALLOWED, request_id)
    if request.method == "GET" and request.body != b"" and not wants_websocket(request):
        return error_page(403, BAD_REQUEST, request_id)
    return None


def _protocol_refusal(
    policy: ViewerProtocolPolicy, request: Request, request_id: str, https_port: int
) -> Response | None:
    """AWS: "Require HTTPS for communication between viewers and CloudFront", read 2026-11-20."""
    match policy:
        case ViewerProtocolPolicy.ALLOW_ALL:
            return None
        case ViewerProtocolPolicy.HTTPS_ONLY:
            return error_page(403, BAD_REQUEST, request_id)
        case ViewerProtocolPolicy.REDIRECT_TO_HTTPS:
            port = "" if https_port == 443 else f":{https_port}"
            location = f"https://{host_name(request.headers.get('host'))}{port}{request.target}"
            if request.method in READ_METHODS:
                return https_redirect(301, location)
            if request.http_version == "1.0":
                return error_page(403, BAD_REQUEST, request_id)
            return https_redirect(307, location)
