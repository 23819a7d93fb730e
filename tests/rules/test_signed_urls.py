"""Signed URLs and cookies, made by botocore's own signer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from emulator.rules.cache_key import cache_key
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES
from emulator.rules.signed_urls import (
    ACCESS_DENIED,
    MALFORMED_POLICY,
    MALFORMED_SIGNATURE,
    MISSING_KEY,
    UNKNOWN_KEY,
    Refusal,
    canned_policy,
    decode_base64,
    matches_resource,
    refusal,
    refusal_page,
    resource_urls,
    without_signing_parameters,
)
from emulator.values.distribution import (
    CacheBehavior,
    CachePolicy,
    Distribution,
    Names,
    Selection,
    TrustedKey,
)
from emulator.values.headers import Headers
from emulator.values.messages import Request

CACHE = {policy.name: policy for policy in MANAGED_CACHE_POLICIES.values()}
NOW_S = 1_795_258_800
LATER_S = NOW_S + 60
KEY_ID = "K2JCJMDEHXQW5F"
URL = "https://d1.cloudfront.net/images/a.jpg"
PRIVATE = rsa.generate_private_key(65537, 2048)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    """The public half, as a key group holds it."""
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


SITE = Distribution("E1", "d1.cloudfront.net", (), {}, aliases=("www.example.com",))
BEHAVIOR = CacheBehavior(
    "*",
    "O",
    CACHE["CachingOptimized"],
    trusted_keys=(TrustedKey("KEC", pem(ELLIPTIC)), TrustedKey(KEY_ID, pem(PRIVATE))),
)


def sign(statement: bytes) -> bytes:
    """RSA-SHA1, as every SDK signs."""
    return PRIVATE.sign(statement, padding.PKCS1v15(), hashes.SHA1())


def sign_256(statement: bytes) -> bytes:
    """RSA-SHA256, by Hash-Algorithm."""
    return PRIVATE.sign(statement, padding.PKCS1v15(), hashes.SHA256())


def sign_elliptic(statement: bytes) -> bytes:
    """ECDSA-SHA1."""
    return ELLIPTIC.sign(statement, ec.ECDSA(hashes.SHA1()))


def encoded(raw: bytes) -> str:
    """CloudFront's base64."""
    return base64.b64encode(raw).decode().translate(str.maketrans("+=/", "-_~"))


def canned(url: str = URL, ends_s: int = LATER_S, key_id: str = KEY_ID) -> str:
    """A signed URL with a canned policy."""
    signed = CloudFrontSigner(key_id, sign).generate_presigned_url(
        url, date_less_than=datetime.fromtimestamp(ends_s, UTC)
    )
    assert isinstance(signed, str)
    return signed


def custom(url: str, policy: object, signer: Callable[[bytes], bytes] = sign) -> str:
    """A signed URL with a custom policy."""
    text = json.dumps(policy, separators=(",", ":"))
    signed = CloudFrontSigner(KEY_ID, signer).generate_presigned_url(url, policy=text)
    assert isinstance(signed, str)
    return signed


def statement(resource: str | None = URL, **conditions: dict[str, object]) -> dict[str, object]:
    """A policy with these conditions beside its end."""
    one: dict[str, object] = {
        "Condition": {"DateLessThan": {"AWS:EpochTime": LATER_S}} | conditions
    }
    if resource is not None:
        one["Resource"] = resource
    return {"Statement": [one]}


def visit(url: str, *lines: tuple[str, str], ip: str = "198.51.100.7") -> Request:
    """A viewer's request for a URL."""
    scheme, _, rest = url.partition("://")
    host, slash, target = rest.partition("/")
    uri, mark, query = (slash + target).partition("?")
    return Request(
        "GET",
        uri,
        query,
        Headers([("Host", host), *lines]),
        client_ip=ip,
        has_query=bool(mark),
        secure=scheme == "https",
    )


def refused(request: Request, now_s: float = NOW_S) -> Refusal | None:
    """Why the behavior refuses it."""
    return refusal(SITE, BEHAVIOR, request, now_s)


# --- Canned policies ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        URL,
        URL + "?size=large&license=yes",
        "http://d1.cloudfront.net/a",
        "https://www.example.com/%20b?x=%2F",
    ],
)
def test_a_canned_policy_opens_its_url_until_its_end(url: str) -> None:
    """Scheme, host, path and query as they were signed."""
    request = visit(canned(url))

    assert refused(request) is None
    assert refused(request, LATER_S - 1) is None
    assert refused(request, LATER_S) is ACCESS_DENIED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a.jpg", "b.jpg"),
        ("https://", "http://"),
        ("d1.cloudfront.net", "www.example.com"),
        ("?Expires", "?x=1&Expires"),
        (f"Expires={LATER_S}", f"Expires={LATER_S + 1}"),
    ],
)
def test_a_canned_policy_opens_nothing_else(before: str, after: str) -> None:
    """Not with a query string added after signing: AWS names that case."""
    assert refused(visit(canned().replace(before, after))) is ACCESS_DENIED


@pytest.mark.parametrize(
    ("url", "why"),
    [
        pytest.param(URL, MISSING_KEY, id="unsigned"),
        pytest.param(URL + f"?Expires={LATER_S}&Signature=x", MISSING_KEY, id="no key"),
        pytest.param(canned(key_id="K1"), UNKNOWN_KEY, id="a key of no trusted group"),
        pytest.param(canned(key_id="KEC"), ACCESS_DENIED, id="another trusted key"),
        pytest.param(
            URL + f"?Expires={LATER_S}&Signature=a*b&Key-Pair-Id={KEY_ID}",
            MALFORMED_SIGNATURE,
            id="no base64",
        ),
        pytest.param(
            URL + f"?Expires={LATER_S}&Signature=abcd&Key-Pair-Id={KEY_ID}",
            ACCESS_DENIED,
            id="no signature of ours",
        ),
        pytest.param(
            URL + f"?Signature=abcd&Key-Pair-Id={KEY_ID}", MALFORMED_POLICY, id="no Expires"
        ),
        pytest.param(
            URL + f"?Expires={LATER_S}000&Signature=abcd&Key-Pair-Id={KEY_ID}",
            MALFORMED_POLICY,
            id="milliseconds",
        ),
    ],
)
def test_refusals(url: str, why: Refusal) -> None:
    """CloudFront's own codes."""
    assert refused(visit(url)) is why


def test_a_behavior_without_trusted_keys_is_open() -> None:
    """No signature is asked for."""
    open_ = CacheBehavior("*", "O", CACHE["CachingOptimized"])

    assert refusal(SITE, open_, visit(URL), NOW_S) is None


# --- Custom policies ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "opens"),
    [
        (URL, True),
        ("https://d1.cloudfront.net/images/*", True),
        ("http*://d1.cloudfront.net/images/?.jpg", True),
        ("*", True),
        (None, True),
        ("https://d1.cloudfront.net/images/??.jpg", False),
        ("https://d1.cloudfront.net/Images/*", False),
        ("https://d1.cloudfront.net/images/a.jpg?x=1", False),
    ],
)
def test_the_resource_of_a_custom_policy(resource: str | None, opens: bool) -> None:
    """Wildcards anywhere; left out, it opens everything."""
    why = refused(visit(custom(URL, statement(resource))))

    assert why is (None if opens else ACCESS_DENIED)


@pytest.mark.parametrize(
    ("conditions", "ip", "opens"),
    [
        ({"DateGreaterThan": {"AWS:EpochTime": NOW_S}}, "198.51.100.7", True),
        ({"DateGreaterThan": {"AWS:EpochTime": NOW_S + 1}}, "198.51.100.7", False),
        ({"IpAddress": {"AWS:SourceIp": "198.51.100.0/24"}}, "198.51.100.7", True),
        ({"IpAddress": {"AWS:SourceIp": "198.51.100.7"}}, "198.51.100.7", True),
        ({"IpAddress": {"AWS:SourceIp": "198.51.100.8/32"}}, "198.51.100.7", False),
        ({"IpAddress": {"AWS:SourceIp": "0.0.0.0/0"}}, "2001:db8::1", False),
    ],
)
def test_the_conditions_of_a_custom_policy(
    conditions: dict[str, dict[str, object]], ip: str, opens: bool
) -> None:
    """A beginning, and an IPv4 range."""
    why = refused(visit(custom(URL, statement(URL, **conditions)), ip=ip))

    assert why is (None if opens else ACCESS_DENIED)


@pytest.mark.parametrize(
    "policy",
    [
        [],
        {},
        {"Statement": []},
        {"Statement": [statement()["Statement"], {}]},
        {"Statement": [{"Resource": URL}]},
        {"Statement": [{"Resource": URL, "Condition": {}}]},
        statement(DateLessThan={"AWS:EpochTime": str(LATER_S)}),
        statement(DateLessThan={"AWS:EpochTime": LATER_S * 1000}),
        statement(DateLessThan={"AWS:EpochTime": True}),
        statement(IpAddress={"AWS:SourceIp": "2001:db8::/32"}),
        statement(IpAddress={"AWS:SourceIp": ["198.51.100.0/24"]}),
        statement(Colour={"x": 1}),
    ],
)
def test_malformed_policies(policy: object) -> None:
    """One statement, DateLessThan, bare numbers, IPv4; names exactly as specified."""
    assert refused(visit(custom(URL, policy))) is MALFORMED_POLICY


def test_a_policy_that_is_no_json_is_malformed() -> None:
    """And so is one that is no base64."""
    made = f"{URL}?Signature=abcd&Key-Pair-Id={KEY_ID}&Policy="

    assert refused(visit(made + encoded(b"{"))) is MALFORMED_POLICY
    assert refused(visit(made + "***")) is MALFORMED_POLICY


def test_sha_256_and_elliptic_curves() -> None:
    """Hash-Algorithm=SHA256; an ECDSA key in the group."""
    hashed = custom(URL, statement(), sign_256)
    elliptic = custom(URL, statement(), sign_elliptic).replace(KEY_ID, "KEC")

    assert refused(visit(hashed)) is ACCESS_DENIED
    assert refused(visit(hashed + "&Hash-Algorithm=SHA256")) is None
    assert refused(visit(hashed + "&Hash-Algorithm=MD5")) is ACCESS_DENIED
    assert refused(visit(elliptic)) is None


# --- Cookies ------------------------------------------------------------------------------------


def cookies(**crumbs: str) -> tuple[str, str]:
    """A Cookie header of CloudFront-… cookies."""
    text = "; ".join(f"CloudFront-{name.replace('_', '-')}={crumbs[name]}" for name in crumbs)
    return ("Cookie", f"session=x; {text}")


def test_signed_cookies_open_what_their_policy_covers() -> None:
    """Custom policy for many files, canned policy for one."""
    text = json.dumps(statement("https://d1.cloudfront.net/images/*")).encode()
    signed = cookies(Policy=encoded(text), Signature=encoded(sign(text)), Key_Pair_Id=KEY_ID)
    one = sign(canned_policy(URL, LATER_S).encode())
    canned_ = cookies(Expires=str(LATER_S), Signature=encoded(one), Key_Pair_Id=KEY_ID)

    assert refused(visit(URL, signed)) is None
    assert refused(visit(URL.replace("a.jpg", "b.jpg?x=1"), signed)) is None
    assert refused(visit(URL.replace("images", "films"), signed)) is ACCESS_DENIED
    assert refused(visit(URL, canned_)) is None
    assert refused(visit(URL.replace("a.jpg", "b.jpg"), canned_)) is ACCESS_DENIED


def test_a_signed_url_takes_precedence_over_signed_cookies() -> None:
    """Judged "based only on the signed URL"."""
    one = sign(canned_policy(URL, LATER_S).encode())
    good = cookies(Expires=str(LATER_S), Signature=encoded(one), Key_Pair_Id=KEY_ID)

    assert refused(visit(canned(ends_s=NOW_S - 1), good)) is ACCESS_DENIED


# --- What goes on -------------------------------------------------------------------------------


def test_signing_parameters_are_neither_in_the_key_nor_sent() -> None:
    """The viewer's own parameters stay, in their order."""
    everything = CachePolicy("c", 0, 60, 3600, query_strings=Names(Selection.ALL))
    behavior = CacheBehavior("*", "O", everything)
    plain, signed = visit(URL + "?b=2&a=1"), visit(canned(URL + "?b=2&a=1"))
    stripped = without_signing_parameters(signed)

    assert stripped.target == "/images/a.jpg?b=2&a=1"
    assert cache_key(SITE, behavior, stripped) == cache_key(SITE, behavior, plain)
    assert without_signing_parameters(visit(canned())).target == "/images/a.jpg"
    assert without_signing_parameters(plain) is plain


def test_on_this_machine_the_distributions_own_names_count_too() -> None:
    """A URL signed for the real name opens the same path on localhost."""
    local = visit(canned().replace("https://d1.cloudfront.net", "http://localhost:8080"))
    at_aws = visit(canned(), ("X", "1"))

    assert refused(local) is None
    assert resource_urls(SITE, at_aws) == (URL,)
    assert "https://www.example.com/images/a.jpg" in resource_urls(SITE, local)


def test_the_refusal_is_xml() -> None:
    """As public transcripts show it."""
    page = refusal_page(MISSING_KEY)

    assert page.status == 403
    assert page.headers.get("content-type") == "text/xml"
    assert page.body == (
        b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>MissingKey</Code>'
        b"<Message>Missing Key-Pair-Id query parameter or cookie value</Message></Error>"
    )


@given(st.binary())
def test_cloudfronts_base64(raw: bytes) -> None:
    """Its alphabet, with padding or without."""
    assert decode_base64(encoded(raw)) == raw
    assert decode_base64(encoded(raw).rstrip("_")) == raw


@given(st.text("*?a", max_size=12), st.text("a", max_size=12))
def test_a_star_more_covers_no_less(resource: str, url: str) -> None:
    """Wildcards only widen."""
    if matches_resource(resource, url):
        assert matches_resource(resource + "*", url)
        assert matches_resource(resource.replace("?", "*"), url)


@given(st.text(), st.text(), st.text())
def test_any_credentials_are_refused_or_let_in(policy: str, signature: str, expires: str) -> None:
    """Whatever a viewer writes, nothing breaks and nothing opens."""
    query = f"Policy={policy}&Signature={signature}&Expires={expires}&Key-Pair-Id={KEY_ID}"

    assert refused(Request("GET", "/", query, Headers({"Host": "localhost"}))) is not None
