"""Signed URLs and signed cookies: who may have private content.

AWS: "Use signed URLs",
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-signed-urls.html,
"Create a signed URL using a canned policy", "… using a custom policy", "Use signed cookies", and
"Code examples for creating a signature for a signed URL" (SHA-256 by Hash-Algorithm), read
2026-11-21. Codes and messages are those of real refusals (public transcripts; "How do I
troubleshoot issues related to a signed URL or signed cookies in CloudFront?", AWS re:Post).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from emulator.rules.cache_key import chosen_cookies
from emulator.rules.viewer_request import host_name
from emulator.values.distribution import (
    CacheBehavior,
    Distribution,
    Names,
    Selection,
    TrustedKey,
)
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response

SIGNING_PARAMETERS: Final = frozenset(
    {"Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"}
)
"""Reserved names: a viewer's own parameter cannot be called so. Case matters."""

_COOKIE_PREFIX: Final = "CloudFront-"
_EPOCH_MAX: Final = 2_147_483_647
"""AWS: "a 32-bit integer for a date that's no later than 2147483647". A time in milliseconds is
beyond it, and CloudFront calls such a policy malformed (aws/aws-sdk-js issue 2236)."""

_FROM_CLOUDFRONT_BASE64: Final = str.maketrans("-_~", "+=/")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why private content is refused, as CloudFront tells the viewer.

    Args:
        code: The XML's Code.
        message: The XML's Message.
    """

    code: str
    message: str


MISSING_KEY: Final = Refusal("MissingKey", "Missing Key-Pair-Id query parameter or cookie value")
UNKNOWN_KEY: Final = Refusal("InvalidKey", "Unknown Key")
MALFORMED_POLICY: Final = Refusal("MalformedPolicy", "Malformed Policy")
MALFORMED_SIGNATURE: Final = Refusal("MalformedSignature", "Could not unencode Signature")
ACCESS_DENIED: Final = Refusal("AccessDenied", "Access denied")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request was signed with; empty where a part is missing.

    Args:
        key_pair_id: Names the public key.
        signature: In CloudFront's base64.
        policy: A custom policy in CloudFront's base64; empty for a canned one.
        expires: A canned policy's end, as written.
        hash_algorithm: `SHA256`; SHA-1 when empty.
    """

    key_pair_id: str
    signature: str
    policy: str
    expires: str
    hash_algorithm: str


@dataclass(frozen=True, slots=True)
class SignedPolicy:
    """A policy statement.

    Args:
        resource: URL with wildcards; None grants everything that the key can sign for.
        ends_s: DateLessThan, epoch seconds.
        begins_s: DateGreaterThan; None for no beginning.
        addresses: IpAddress; None for every address.
    """

    resource: str | None
    ends_s: int
    begins_s: int | None = None
    addresses: ipaddress.IPv4Network | None = None


class _MalformedPolicyError(Exception):
    """The policy is none."""


def refusal(
    distribution: Distribution, behavior: CacheBehavior, request: Request, now_s: float
) -> Refusal | None:
    """Why a behavior with trusted keys refuses a request; None when it may pass.

    The time is checked once, when the request comes: a download that has begun goes on.

    Args:
        distribution: Its names are what signed URLs begin with.
        behavior: Without trusted keys everybody may pass.
        request: The viewer's request with its signing parameters.
        now_s: Epoch seconds.
    """
    if not behavior.trusted_keys:
        return None
    credentials = read_credentials(request)
    if not credentials.key_pair_id:
        return MISSING_KEY
    key = _trusted_key(behavior.trusted_keys, credentials.key_pair_id)
    if key is None:
        return UNKNOWN_KEY
    urls = resource_urls(distribution, request)
    try:
        statements = _statements(credentials, urls)
        policies = [parse_policy(text) for text in statements]
    except _MalformedPolicyError:
        return MALFORMED_POLICY
    signature = decode_base64(credentials.signature)
    if not signature:
        return MALFORMED_SIGNATURE
    for text, policy in zip(statements, policies, strict=True):
        if is_signed_by(key, text, signature, credentials.hash_algorithm):
            return None if allows(policy, urls, request.client_ip, now_s) else ACCESS_DENIED
    return ACCESS_DENIED


def read_credentials(request: Request) -> Credentials:
    """What the request was signed with: in its URL, else in its cookies.

    Signed URLs take precedence: a URL with a Key-Pair-Id or a Signature is judged by itself.
    """
    told: dict[str, str] = {}
    for part in request.querystring.split("&"):
        name, _, value = part.partition("=")
        if name in SIGNING_PARAMETERS:
            told.setdefault(name, unquote(value))
    if "Key-Pair-Id" not in told and "Signature" not in told:
        told = _signing_cookies(request.headers)
    return Credentials(
        told.get("Key-Pair-Id", ""),
        told.get("Signature", ""),
        told.get("Policy", ""),
        told.get("Expires", ""),
        told.get("Hash-Algorithm", ""),
    )


def _signing_cookies(headers: Headers) -> dict[str, str]:
    names = frozenset(_COOKIE_PREFIX + name for name in SIGNING_PARAMETERS)
    lines = list(headers.get_all("cookie"))
    told: dict[str, str] = {}
    for name, value in chosen_cookies(lines, Names(Selection.WHITELIST, names)):
        told.setdefault(name.removeprefix(_COOKIE_PREFIX), value)
    return told


def without_signing_parameters(request: Request) -> Request:
    """The request as cache and origin see it.

    The signing parameters are no part of the cache key ("invalidate a file by including only the
    portion of the URL before the question mark", AWS: "Invalidate files", signed URLs) and do not
    reach the origin.
    """
    if not request.querystring:
        return request
    kept = _own_query(request.querystring)
    if kept == request.querystring:
        return request
    return replace(request, querystring=kept, has_query=bool(kept))


def _own_query(querystring: str) -> str:
    return "&".join(
        part for part in querystring.split("&") if part.partition("=")[0] not in SIGNING_PARAMETERS
    )


def resource_urls(distribution: Distribution, request: Request) -> tuple[str, ...]:
    """The URLs that a signature may have been made for: AWS's one, then what stands for it here.

    At AWS it is the URL as the viewer wrote it, without the signing parameters. On this machine a
    distribution is reached as `localhost:8080`, so there its own names count too, with either
    scheme.
    """
    query = _own_query(request.querystring)
    target = f"{request.uri}?{query}" if query else request.uri
    host = request.headers.get("host")
    scheme = "https" if request.secure else "http"
    urls = [f"{scheme}://{host}{target}"]
    name = host_name(host)
    if name in ("localhost", "127.0.0.1", "[::1]") or name.endswith(".localhost"):
        names = (name, distribution.domain_name, *distribution.aliases)
        urls += [f"{each}://{name}{target}" for name in names for each in ("https", "http")]
    return tuple(dict.fromkeys(urls))


def canned_policy(url: str, expires_s: int) -> str:
    """The policy statement of a canned policy, byte for byte as it is signed."""
    quoted = json.dumps(url, ensure_ascii=False)
    return (
        f'{{"Statement":[{{"Resource":{quoted},'
        f'"Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires_s}}}}}}}]}}'
    )


def _statements(credentials: Credentials, urls: tuple[str, ...]) -> list[str]:
    """The policy statements that the signature may be of; one, but for local names."""
    if credentials.policy:
        decoded = decode_base64(credentials.policy)
        if decoded is None:
            raise _MalformedPolicyError
        return [decoded.decode("latin-1")]
    expires = credentials.expires
    if not (expires.isascii() and expires.isdigit()) or int(expires[:11]) > _EPOCH_MAX:
        raise _MalformedPolicyError
    return [canned_policy(url, int(expires)) for url in urls]


def decode_base64(text: str) -> bytes | None:
    """CloudFront's base64, where `-`, `_` and `~` stand for `+`, `=` and `/`; None for what is not.

    AWS: "Create a signed URL using a custom policy": the characters that are invalid in a URL.
    """
    if not text.isascii():
        return None
    plain = text.translate(_FROM_CLOUDFRONT_BASE64)
    try:
        # Signers that drop the padding are common, and AWS's own example has none.
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


# --- The policy ---------------------------------------------------------------------------------


def parse_policy(text: str) -> SignedPolicy:
    """Read a policy statement.

    "You can include only one statement"; names exactly as specified; dates are bare numbers; an
    address is IPv4, one address or one CIDR range.
    """
    try:
        told = json.loads(text.encode("latin-1").decode("utf-8"))
    except (ValueError, RecursionError):
        raise _MalformedPolicyError from None
    statement = _only(told)
    condition = statement.get("Condition")
    if not isinstance(condition, dict):
        raise _MalformedPolicyError
    resource = statement.get("Resource")
    if resource is not None and not isinstance(resource, str):
        raise _MalformedPolicyError
    ends_s = _condition(condition, "DateLessThan", "AWS:EpochTime")
    begins_s = _condition(condition, "DateGreaterThan", "AWS:EpochTime")
    if not _is_epoch(ends_s) or not (begins_s is None or _is_epoch(begins_s)):
        raise _MalformedPolicyError
    if not condition.keys() <= {"DateLessThan", "DateGreaterThan", "IpAddress"}:
        raise _MalformedPolicyError
    return SignedPolicy(resource, ends_s, begins_s, _addresses(condition))


def _only(told: Any) -> dict[str, Any]:
    statements = told.get("Statement") if isinstance(told, dict) else None
    if not isinstance(statements, list) or len(statements) != 1:
        raise _MalformedPolicyError
    if not isinstance(statements[0], dict):
        raise _MalformedPolicyError
    return statements[0]


def _condition(condition: dict[str, Any], name: str, key: str) -> Any:
    if name not in condition:
        return None
    inner = condition[name]
    if not isinstance(inner, dict) or set(inner) != {key}:
        raise _MalformedPolicyError
    return inner[key]


def _is_epoch(value: object) -> bool:
    return type(value) is int and 0 <= value <= _EPOCH_MAX


def _addresses(condition: dict[str, Any]) -> ipaddress.IPv4Network | None:
    address = _condition(condition, "IpAddress", "AWS:SourceIp")
    if address is None:
        return None
    try:
        return ipaddress.IPv4Network(str(address), strict=False)
    except ValueError:
        raise _MalformedPolicyError from None


def allows(policy: SignedPolicy, urls: tuple[str, ...], client_ip: str, now_s: float) -> bool:
    """Whether a policy covers one of the URLs, for this viewer, now."""
    if now_s >= policy.ends_s or (policy.begins_s is not None and now_s < policy.begins_s):
        return False
    if policy.addresses is not None and not _is_within(client_ip, policy.addresses):
        return False
    if policy.resource is None:
        return True
    return any(matches_resource(policy.resource, url) for url in urls)


def _is_within(client_ip: str, addresses: ipaddress.IPv4Network) -> bool:
    """IPv6 addresses are in no policy's range."""
    try:
        return ipaddress.ip_address(client_ip) in addresses
    except ValueError:
        return False


def matches_resource(resource: str, url: str) -> bool:
    """Whether a policy's Resource covers a URL: `*` any characters, `?` exactly one."""
    return _resource_pattern(resource).fullmatch(url) is not None


@lru_cache(maxsize=256)
def _resource_pattern(resource: str) -> re.Pattern[str]:
    # Neighbouring stars say nothing more than one, and would only slow the match down.
    wild = re.sub(r"\*+", "*", resource)
    return re.compile(
        "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in wild), re.DOTALL
    )


# --- The signature ------------------------------------------------------------------------------


def _trusted_key(keys: tuple[TrustedKey, ...], key_id: str) -> TrustedKey | None:
    return next((key for key in keys if key.id == key_id), None)


def is_signed_by(key: TrustedKey, text: str, signature: bytes, hash_algorithm: str = "") -> bool:
    """Whether a signature over the statement was made with the key's private half.

    RSA (PKCS #1 v1.5) or ECDSA; SHA-1 unless Hash-Algorithm says SHA256. A key that cannot be
    read signs nothing.
    """
    digest = _digest(hash_algorithm)
    public = _public_key(key.pem)
    if digest is None or public is None:
        return False
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, text.encode("latin-1"), padding.PKCS1v15(), digest)
        else:
            public.verify(signature, text.encode("latin-1"), ec.ECDSA(digest))
    except (InvalidSignature, UnsupportedAlgorithm, UnicodeEncodeError):
        return False
    return True


def _digest(hash_algorithm: str) -> hashes.HashAlgorithm | None:
    match hash_algorithm:
        case "" | "SHA1":
            # CloudFront's choice, not ours: it is what every SDK's signer makes.
            return hashes.SHA1()
        case "SHA256":
            return hashes.SHA256()
        case _:
            return None


@lru_cache(maxsize=256)
def _public_key(pem: str) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey | None:
    try:
        public = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return public if isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else None


def refusal_page(refused: Refusal) -> Response:
    """The 403 that viewers get: XML, unlike CloudFront's other error pages."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Error><Code>{refused.code}</Code><Message>{refused.message}</Message></Error>"
    )
    return Response(403, headers=Headers([("Content-Type", "text/xml")]), body=body.encode())
