"""The arguments of the helpers that choose an origin."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import EdgeFunctionError
from emulator.values.headers import Headers
from emulator.values.origin_changes import CreatedOriginGroup, OriginProperties, SelectedOrigin
from emulator.wire.cloudfront_function_origin import parse_origin_change

HEADERS = Headers([("Host", "www.example.com"), ("X-Taken", "1")])
UPDATE = "updateRequestOrigin"
SELECT = "selectRequestOriginById"
GROUP = "createRequestOriginGroup"


def parse(kind: str, *args: Any) -> object:
    """Parse a helper's arguments."""
    return parse_origin_change(kind, list(args), HEADERS)


@pytest.mark.conformance("CFF-56")
def test_what_is_not_given_is_inherited() -> None:
    """Only the given properties change; empty custom headers clear them."""
    assert parse(UPDATE, {"domainName": "a.example.com"}) == OriginProperties(
        domain_name="a.example.com"
    )
    assert parse(UPDATE, {"customHeaders": {}}) == OriginProperties(custom_headers=())


def test_every_property() -> None:
    """All that AWS lists is understood."""
    given = {
        "domainName": "bucket.s3.us-east-1.amazonaws.com",
        "originPath": "/a/b%20c",
        "customHeaders": {"x-own": "1"},
        "connectionAttempts": 2,
        "originShield": {"enabled": True, "region": "us-east-1"},
        "originAccessControlConfig": {
            "enabled": True,
            "signingBehavior": "always",
            "signingProtocol": "sigv4",
            "originType": "s3",
            "region": "us-east-1",
        },
        "timeouts": {
            "readTimeout": 60,
            "responseCompletionTimeout": 120,
            "keepAliveTimeout": 5,
            "connectionTimeout": 3,
        },
        "customOriginConfig": {
            "port": 8443,
            "protocol": "https",
            "sslProtocols": ["TLSv1.2"],
            "ipAddressType": "dualstack",
        },
        "sni": "a.example.com",
        "allowedCertificateNames": ["*.example.com"],
        "mTLSConfig": "off",
    }

    assert parse(UPDATE, given) == OriginProperties(
        domain_name="bucket.s3.us-east-1.amazonaws.com",
        path="/a/b%20c",
        custom_headers=(("x-own", "1"),),
        connection_attempts=2,
        shield_region="us-east-1",
        access_control=(
            ("enabled", "true"),
            ("signingBehavior", "always"),
            ("signingProtocol", "sigv4"),
            ("originType", "s3"),
        ),
        read_timeout_s=60,
        response_completion_timeout_s=120,
        keepalive_timeout_s=5,
        connection_timeout_s=3,
        port=8443,
        https=True,
        ssl_protocols=("TLSv1.2",),
        ip_address_type="dualstack",
        sni="a.example.com",
        allowed_certificate_names=("*.example.com",),
        mutual_tls_off=True,
    )


REFUSED: list[dict[str, Any]] = [
    {"domainName": "a.example.com:443"},
    {"domainName": "192.0.2.1"},
    {"domainName": "::1"},
    {"domainName": "A.example.com"},
    {"domainName": "https://a.example.com"},
    {"domainName": "a" * 254},
    {"domainName": ""},
    {"domainName": 5},
    {"hostHeader": "a:80"},
    {
        "hostHeader": "a.example.com",
        "originAccessControlConfig": {
            "enabled": True,
            "signingBehavior": "always",
            "signingProtocol": "sigv4",
            "originType": "s3",
        },
    },
    {"originPath": "a"},
    {"originPath": "/a/"},
    {"originPath": "/a b"},
    {"originPath": "/" + "a" * 255},
    {"customHeaders": {"X-Up": "1"}},
    {"customHeaders": {"x-cache": "1"}},
    {"customHeaders": {"x-taken": "1"}},
    {"customHeaders": {"x-own": 1}},
    {"customHeaders": []},
    {"connectionAttempts": 0},
    {"connectionAttempts": 4},
    {"connectionAttempts": True},
    {"originShield": {"enabled": True}},
    {"originShield": {"enabled": "yes"}},
    {"originAccessControlConfig": {"enabled": True}},
    {"originAccessControlConfig": {"enabled": False, "originType": "ftp"}},
    {"timeouts": {"readTimeout": 121}},
    {"timeouts": {"readTimeout": "60"}},
    {"timeouts": {"readTimeout": 60, "responseCompletionTimeout": 59}},
    {"timeouts": {"connectionTimeout": 11}},
    {"customOriginConfig": {"protocol": "ftp"}},
    {"customOriginConfig": {"port": 0}},
    {"customOriginConfig": {"sslProtocols": ["TLSv9"]}},
    {"customOriginConfig": {"ipAddressType": "ipv6"}},
    {"allowedCertificateNames": ["a"] * 21},
    {"allowedCertificateNames": ["a" * 65]},
    {"mTLSConfig": "on"},
    {"unknown": 1},
]


@pytest.mark.conformance("CFF-57")
@pytest.mark.parametrize("given", REFUSED, ids=str)
def test_refused(given: dict[str, Any]) -> None:
    """A wrong property is a validation error with CloudFront's sentence."""
    with pytest.raises(EdgeFunctionError) as caught:
        parse(UPDATE, given)

    assert caught.value.kind.status == 502
    assert caught.value.sentence == (
        "The CloudFront function returned an invalid value for origin rewrite."
    )


def test_a_host_header_with_access_control_off() -> None:
    """Seen on CloudFront: accepted once origin access control is turned off."""
    given = {"hostHeader": "a.example.com", "originAccessControlConfig": {"enabled": False}}

    assert parse(UPDATE, given) == OriginProperties(
        host_header="a.example.com", access_control=(("enabled", "false"),)
    )


def test_select() -> None:
    """An origin by its id, with three overrides."""
    assert parse(SELECT, "api") == SelectedOrigin("api")
    assert parse(SELECT, "api", {"hostHeader": "h.example.com"}) == SelectedOrigin(
        "api", OriginProperties(host_header="h.example.com")
    )
    for args in ((), (5,), ("",), ("api", {"domainName": "a.example.com"})):
        with pytest.raises(EdgeFunctionError):
            parse(SELECT, *args)


@pytest.mark.conformance("CFF-59")
def test_group() -> None:
    """A group has exactly two origins and the statuses that count as failures."""
    given = {
        "originIds": ["one", {"originId": "two", "originOverrides": {"sni": "s.example.com"}}],
        "failoverCriteria": {"statusCodes": [500, 503]},
        "selectionCriteria": "media-quality-score",
    }

    assert parse(GROUP, given) == CreatedOriginGroup(
        SelectedOrigin("one"),
        SelectedOrigin("two", OriginProperties(sni="s.example.com")),
        (500, 503),
        "media-quality-score",
    )
    changes: list[dict[str, Any]] = [
        {"originIds": ["one"]},
        {"originIds": ["one", "two", "three"]},
        {"failoverCriteria": {}},
        {"failoverCriteria": {"statusCodes": []}},
        {"selectionCriteria": "best"},
    ]
    for change in changes:
        with pytest.raises(EdgeFunctionError):
            parse(GROUP, {**given, **change})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(st.sampled_from([UPDATE, SELECT, GROUP]), JSON, JSON)
def test_any_argument_is_a_change_or_an_error(kind: str, first: Any, second: Any) -> None:
    """Whatever a function hands over, nothing else happens."""
    names = ["domainName", "timeouts", "customOriginConfig", "originIds", "failoverCriteria"]
    for args in ([first, second], [dict.fromkeys(names, second)]):
        try:
            parse_origin_change(kind, args, HEADERS)
        except EdgeFunctionError:
            continue
