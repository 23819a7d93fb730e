"""What people use CloudFront Functions for, after the examples of AWS's guide, in our own code.

AWS: "CloudFront Functions examples for …", https://docs.aws.amazon.com/AmazonCloudFront/latest/
DeveloperGuide/service_code_examples_cloudfront_functions_examples.html, read 2026-11-20.
"""

from __future__ import annotations

import base64
import hmac
import json
import time

import pytest

from emulator.clock.real import RealClock
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_1
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.values.headers import Headers
from emulator.values.messages import Request, Response
from emulator.values.origin_changes import OriginProperties
from tests.runtimes.cloudfront_functions.events import event_for, run, snapshot_of

pytestmark = pytest.mark.anyio


def request(uri: str = "/", querystring: str = "", **headers: str) -> Request:
    """A viewer's request with these headers."""
    lines = [("Host", "www.example.com")]
    lines += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request("GET", uri, querystring, Headers(lines))


BY_COUNTRY = """
function handler(event) {
    var headers = event.request.headers;
    var country = headers['cloudfront-viewer-country'];
    if (country && country.value === 'DE' && event.request.uri.indexOf('/de/') !== 0) {
        return {
            statusCode: 302,
            statusDescription: 'Found',
            headers: {
                location: { value: 'https://' + headers.host.value + '/de' + event.request.uri }
            }
        };
    }
    return event.request;
}
"""


async def test_redirect_by_country(engine: CloudFrontFunctions) -> None:
    """A viewer of one country is sent to its own pages; runtime 1.0 does it, too."""
    loaded = engine.load("by-country", BY_COUNTRY, RUNTIME_1)
    german = event_for(request("/a.html", cloudfront_viewer_country="DE"))
    other = event_for(request("/a.html", cloudfront_viewer_country="FR"))
    redirect = (await loaded.run(german, None)).result

    assert isinstance(redirect, Response)
    assert redirect.status == 302
    assert redirect.headers.get("location") == "https://www.example.com/de/a.html"
    assert (await loaded.run(other, None)).result is other.request


AB_BY_COOKIE = """
function handler(event) {
    const request = event.request;
    const given = request.cookies['x-group'];
    const group = given ? given.value : (Math.random() < 0.5 ? 'a' : 'b');
    request.uri = '/' + group + request.uri;
    request.headers['x-group'] = { value: group };
    return request;
}
"""


async def test_two_variants_by_cookie(engine: CloudFrontFunctions) -> None:
    """A viewer stays in its group; new ones are drawn into both."""
    kept = (await run(engine, AB_BY_COOKIE, event_for(request("/x", cookie="x-group=b")))).result
    drawn = [(await run(engine, AB_BY_COOKIE, event_for(request("/x")))).result for _ in range(40)]

    assert isinstance(kept, Request)
    assert (kept.uri, kept.headers.get("x-group")) == ("/b/x", "b")
    assert {each.uri for each in drawn if isinstance(each, Request)} == {"/a/x", "/b/x"}


JWT = """
const crypto = require('crypto');
const KEY = 'the key of this example';

function claims(token) {
    const parts = token.split('.');
    if (parts.length !== 3) throw new Error('Not enough or too many segments');
    const hmac = crypto.createHmac('sha256', KEY);
    const wanted = hmac.update(parts[0] + '.' + parts[1]).digest('base64url');
    if (wanted !== parts[2]) throw new Error('Signature verification failed');
    const body = JSON.parse(Buffer.from(parts[1], 'base64url').toString());
    if (body.exp && Date.now() > body.exp * 1000) throw new Error('Token expired');
    return body;
}

function handler(event) {
    const request = event.request;
    const token = request.querystring.jwt;
    if (!token) return { statusCode: 401, statusDescription: 'Unauthorized' };
    try {
        claims(token.value);
    } catch (error) {
        console.log(error);
        return { statusCode: 401, statusDescription: 'Unauthorized' };
    }
    delete request.querystring.jwt;
    return request;
}
"""


def _segment(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("key", "expires_in_s", "logs"),
    [
        ("the key of this example", 60, ()),
        ("another key", 60, ("Error: Signature verification failed",)),
        ("the key of this example", -60, ("Error: Token expired",)),
    ],
    ids=["valid", "forged", "expired"],
)
async def test_json_web_token(
    engine: CloudFrontFunctions, key: str, expires_in_s: int, logs: tuple[str, ...]
) -> None:
    """A signed token in the query lets the request through, without the token."""
    claims = json.dumps({"sub": "x", "exp": time.time() + expires_in_s})  # noqa: TID251
    signed = f"{_segment(b'{}')}.{_segment(claims.encode())}"
    token = f"{signed}.{_segment(hmac.digest(key.encode(), signed.encode(), 'sha256'))}"
    outcome = await run(engine, JWT, event_for(request("/a", f"b=1&jwt={token}&c")))

    assert outcome.logs == logs
    if logs:
        assert isinstance(outcome.result, Response)
        assert outcome.result.status == 401
    else:
        assert isinstance(outcome.result, Request)
        assert outcome.result.querystring == "b=1&c"


SECURITY_HEADERS = """
function handler(event) {
    const response = event.response;
    const headers = response.headers;
    headers['strict-transport-security'] = {
        value: 'max-age=63072000; includeSubdomains; preload'
    };
    headers['x-content-type-options'] = { value: 'nosniff' };
    delete headers['x-powered-by'];
    response.cookies.seen = { value: '1', attributes: 'Secure; HttpOnly' };
    return response;
}
"""


async def test_security_headers(engine: CloudFrontFunctions) -> None:
    """Headers and a cookie are added to the response of the cache or the origin."""
    origin = Response(200, "OK", Headers([("Content-Type", "text/html"), ("X-Powered-By", "x")]))
    result = (await run(engine, SECURITY_HEADERS, event_for(response=origin))).result

    assert isinstance(result, Response)
    assert result.headers.pairs == (
        ("Content-Type", "text/html"),
        ("Strict-Transport-Security", "max-age=63072000; includeSubdomains; preload"),
        ("X-Content-Type-Options", "nosniff"),
        ("Set-Cookie", "seen=1; Secure; HttpOnly"),
    )


REWRITE_BY_STORE = """
import cf from 'cloudfront';
const store = cf.kvs();

async function handler(event) {
    const request = event.request;
    const first = request.uri.split('/')[1];
    try {
        const target = await store.get(first);
        request.uri = request.uri.replace('/' + first, '/' + target);
    } catch (error) {
        console.log(`Kvs key lookup failed for ${first}: ${error}`);
    }
    return request;
}
"""


async def test_rewrite_by_key_value_store(engine: CloudFrontFunctions) -> None:
    """A path is looked up in the store; what is not there is logged and goes on."""
    snapshot = snapshot_of({"old": "new/place"})
    found = await run(engine, REWRITE_BY_STORE, event_for(request("/old/a.html")), snapshot)
    missed = await run(engine, REWRITE_BY_STORE, event_for(request("/x")), snapshot)

    assert isinstance(found.result, Request)
    assert found.result.uri == "/new/place/a.html"
    assert missed.logs == ("Kvs key lookup failed for x: Error: KeyNotFound",)


NORMAL_QUERY = """
function handler(event) {
    const query = event.request.querystring;
    const parts = [];
    Object.keys(query).sort().forEach(name => {
        const entry = query[name];
        if (entry.multiValue) {
            entry.multiValue.forEach(one => parts.push(name + '=' + one.value));
        } else {
            parts.push(name + '=' + entry.value);
        }
    });
    event.request.querystring = parts.join('&');
    return event.request;
}
"""


@pytest.mark.conformance("CFF-13")
async def test_normalised_query_string(engine: CloudFrontFunctions) -> None:
    """A query string is returned as plain text, in one order for all viewers."""
    result = (await run(engine, NORMAL_QUERY, event_for(request("/", "c=3&a=1&b=2&a=0")))).result

    assert isinstance(result, Request)
    assert result.querystring == "a=1&a=0&b=2&c=3"


INDEX_PAGES = """
function handler(event) {
    var request = event.request;
    if (request.uri.endsWith('/')) {
        request.uri += 'index.html';
    } else if (!request.uri.includes('.')) {
        request.uri += '/index.html';
    }
    return request;
}
"""


@pytest.mark.parametrize(
    ("uri", "page"),
    [("/", "/index.html"), ("/a", "/a/index.html"), ("/a/", "/a/index.html"), ("/a.js", "/a.js")],
)
async def test_index_pages(engine: CloudFrontFunctions, uri: str, page: str) -> None:
    """A folder's page is asked for by its file."""
    result = (await run(engine, INDEX_PAGES, event_for(request(uri)))).result

    assert isinstance(result, Request)
    assert result.uri == page


BY_LANGUAGE = """
import cf from 'cloudfront';

function handler(event) {
    const language = event.request.headers['accept-language'];
    if (language && language.value.startsWith('ja')) {
        cf.updateRequestOrigin({
            domainName: 'ja.example.com',
            customHeaders: { 'x-origin': 'ja' },
            timeouts: { readTimeout: 10, connectionTimeout: 2 }
        });
    }
    return event.request;
}
"""


async def test_origin_by_language() -> None:
    """Some viewers are served by another origin; what is not said is inherited."""
    engine = CloudFrontFunctions(RealClock(), changes_origins=True)
    changed = await run(engine, BY_LANGUAGE, event_for(request(accept_language="ja-JP,ja")))
    kept = await run(engine, BY_LANGUAGE, event_for(request(accept_language="en")))
    await engine.close()

    assert kept.origin_change is None
    assert changed.origin_change == OriginProperties(
        domain_name="ja.example.com",
        custom_headers=(("x-origin", "ja"),),
        read_timeout_s=10,
        connection_timeout_s=2,
    )
