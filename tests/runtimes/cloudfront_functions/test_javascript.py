"""The language as functions find it: what is there, what is not, and how it behaves."""

from __future__ import annotations

import pytest

from emulator.runtimes.cloudfront_functions.checker import RUNTIME_1
from tests.runtimes.cloudfront_functions.events import Evaluate

pytestmark = pytest.mark.anyio

ABSENT = (
    "Map Set WeakMap WeakSet Proxy Reflect BigInt Intl URL URLSearchParams structuredClone fetch"
    " process setTimeout setImmediate clearTimeout queueMicrotask performance WeakRef Iterator"
    " SharedArrayBuffer Atomics escape unescape FinalizationRegistry"
)
NEW_IN_2 = "atob btoa TextEncoder TextDecoder Buffer DataView AggregateError"


@pytest.mark.conformance("CFF-41")
async def test_absent_globals(evaluate: Evaluate) -> None:
    """Names of later JavaScript, of browsers and of Node.js are not defined."""
    kinds = ",".join(f"typeof {name}" for name in ABSENT.split())

    assert set(await evaluate(f"return [{kinds}]")) == {"undefined"}
    assert await evaluate("return new Map()") == 'ReferenceError: "Map" is not defined'
    assert await evaluate("return new URL('/')") == 'ReferenceError: "URL" is not defined'


@pytest.mark.conformance("CFF-42")
@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("[].flat()", "flat"),
        ("[].at(0)", "at"),
        ("[].findLast(x => x)", "findLast"),
        ("Object.fromEntries([])", "fromEntries"),
        ("Object.hasOwn({}, 'a')", "hasOwn"),
        ("''.matchAll(/a/g)", "matchAll"),
        ("''.localeCompare('')", "localeCompare"),
        ("''.normalize()", "normalize"),
        ("String.raw({raw: []})", "raw"),
        ("Promise.withResolvers()", "withResolvers"),
    ],
)
async def test_absent_methods(evaluate: Evaluate, call: str, name: str) -> None:
    """Methods that the real engine lacks fail with its words."""
    wanted = f'TypeError: (intermediate value)["{name}"] is not a function'

    assert await evaluate(f"return {call}") == wanted


@pytest.mark.conformance("CFF-43")
async def test_what_came_with_runtime_2(evaluate: Evaluate) -> None:
    """Runtime 2.0 has what AWS lists as new, and runtime 1.0 has not."""
    kinds = ",".join(f"typeof {name}" for name in NEW_IN_2.split())
    members = "typeof ''.replaceAll, typeof Promise.all, typeof Promise.any"

    assert set(await evaluate(f"return [{kinds},{members}]")) == {"function"}
    first = await evaluate(f"return [{kinds},{members}]", runtime=RUNTIME_1)
    assert set(first) == {"undefined"}


@pytest.mark.conformance("CFF-44")
async def test_byte_strings(evaluate: Evaluate) -> None:
    """The byte string methods are in runtime 1.0 only."""
    body = "return [typeof String.bytesFrom, typeof ''.toUTF8, typeof ''.fromBytes]"
    use = "return String.bytesFrom([0xe2, 0x82, 0xac]).fromUTF8() + 'é'.toUTF8().length"

    assert set(await evaluate(body)) == {"undefined"}
    assert set(await evaluate(body, runtime=RUNTIME_1)) == {"function"}
    assert await evaluate(use, runtime=RUNTIME_1) == "€2"


@pytest.mark.conformance("CFF-45", "CFF-46")
async def test_crypto(evaluate: Evaluate) -> None:
    """md5, sha1 and sha256, in hex, base64 and base64url; a Buffer without encoding."""
    head = "const crypto = require('crypto');"
    body = """
        const make = name => crypto.createHash(name).update('abc');
        const raw = make('md5').digest();
        return [make('sha1').digest('hex'), make('sha256').digest('base64'),
            crypto.createHmac('sha256', 'key').update('a').update('bc').digest('base64url'),
            Buffer.isBuffer(raw), raw.toString('hex'),
            crypto.createHash('md5').update(Buffer.from([0, 1, 255])).digest('hex'),
            crypto.createHash('md5').update('a\\0b').digest('hex'),
            crypto.createHmac('sha1', new Uint8Array([0])).update('00ff', 'hex').digest('hex')];
    """

    assert await evaluate(body, head=head) == [
        "a9993e364706816aba3e25717850c26c9cd0d89d",
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        "nBluMtwBdfhvSxy4konWYZ3mvuaZ5MN45oMJ7Zehpqs",
        True,
        "900150983cd24fb0d6963f7d28e17f72",
        "ffbb8cd5a232b7d906904533e9609f48",
        "70350f6027bce3713f6b76473084309b",
        "965e5a7731373fecd4300c2254be7392528a315c",
    ]


@pytest.mark.conformance("CFF-45")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("createHash('sha512')", 'TypeError: not supported algorithm: "sha512"'),
        ("createHash(1)", "TypeError: algorithm must be a string"),
        ("createHmac('sha1')", "TypeError: key is not a string or Buffer-like object"),
        (
            "createHash('md5').update(1)",
            "TypeError: data is not a string or Buffer-like object",
        ),
        ("createHash('md5').digest('x')", 'TypeError: Unknown digest encoding: "x"'),
    ],
)
async def test_crypto_refuses(evaluate: Evaluate, call: str, message: str) -> None:
    """Wrong arguments fail with njs's words."""
    assert await evaluate(f"require('crypto').{call}") == message


async def test_digest_once(evaluate: Evaluate) -> None:
    """A digest is made once."""
    body = "const h = require('crypto').createHash('md5'); h.digest(); h.update('a')"

    assert await evaluate(body) == "Error: Digest already called"


async def test_runtime_1_digest_is_a_byte_string(evaluate: Evaluate) -> None:
    """Without Buffer, a digest is a string of bytes."""
    body = "return require('crypto').createHash('md5').update('abc').digest().length"

    assert await evaluate(body, runtime=RUNTIME_1) == 16


@pytest.mark.conformance("CFF-47")
@pytest.mark.parametrize(
    "statement",
    [
        "eval('1')",
        "new Function('return 1')",
        "Function('return 1')()",
        "(function () {}).constructor('return 1')()",
        "(async function () {}).constructor('return 1')()",
        "Object.getPrototypeOf(function () {}).constructor('return 1')",
    ],
)
async def test_code_from_text(evaluate: Evaluate, statement: str) -> None:
    """No way leads from text to code."""
    assert await evaluate(statement) == "InternalError: Not implemented"


@pytest.mark.conformance("CFF-48")
async def test_time_stands_still(evaluate: Evaluate) -> None:
    """Every question for the time gets the start of the invocation."""
    body = """
        const first = Date.now();
        for (let i = 0; i < 20000; i++) {}
        await Promise.resolve();
        return [Date.now() - first, new Date().getTime() - first, new Date() instanceof Date,
            first % 1, Date.length, typeof Date()];
    """

    assert await evaluate(body) == [0, 0, True, 0, 7, "string"]


@pytest.mark.conformance("CFF-49")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-02-15 09:00:00", None),
        ("2024-02-15 09:00:00+09:00", None),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000Z"),
        ("2024-01-01T09:30:00.5+09:00", "2024-01-01T00:30:00.500Z"),
        ("2024-01-01", "2024-01-01T00:00:00.000Z"),
        ("2024", "2024-01-01T00:00:00.000Z"),
        ("Sat, 21 Nov 2026 11:00:00 GMT", "2026-11-21T11:00:00.000Z"),
        ("Sat, 21 Nov 2026 11:00:00 +0900", "2026-11-21T02:00:00.000Z"),
        ("Sat Nov 21 2026 11:00:00 GMT+0000 (UTC)", "2026-11-21T11:00:00.000Z"),
        ("11/21/2026", None),
        ("November 21, 2026", None),
        ("", None),
    ],
)
async def test_dates(evaluate: Evaluate, text: str, value: str | None) -> None:
    """Only ISO 8601, RFC 2822 and its own toString() are dates to njs."""
    body = f"const d = new Date('{text}'); return isNaN(d) ? null : d.toISOString()"

    assert await evaluate(body) == value
    assert await evaluate(f"return isNaN(Date.parse('{text}'))") == (value is None)


@pytest.mark.conformance("CFF-50")
async def test_strict(evaluate: Evaluate) -> None:
    """Code is strict without saying so."""
    assert await evaluate("undeclared = 1") == 'ReferenceError: "undeclared" is not defined'
    assert await evaluate("return (function () { return this === undefined })()") is True
    assert await evaluate("return typeof q; if (1) { function q() {} }") == "undefined"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("var u; u.value", 'TypeError: cannot get property "value" of undefined'),
        ("null.x", 'TypeError: cannot get property "x" of null'),
        ("var o = {}; o.a.b = 1", "TypeError: property set on primitive undefined type"),
        ("nope()", 'ReferenceError: "nope" is not defined'),
        ("const c = 1; c = 2", "TypeError: assignment to constant variable"),
        ("a; let a = 1", "ReferenceError: cannot access variable before initialization"),
        ("JSON.parse('{')", "SyntaxError: Unexpected end of input at position 1"),
        ("JSON.parse('not json')", "SyntaxError: Unexpected token at position 0"),
        ("JSON.parse('[1,]')", "SyntaxError: Trailing comma at position 2"),
        ("decodeURIComponent('%')", "URIError: malformed URI"),
        ("throw new Error('boom')", "Error: boom"),
        ("throw new TypeError('x is not defined')", "TypeError: x is not defined"),
        ("throw 'text'", "text"),
        ("throw {a: 1}", "[object Object]"),
        ("function f() { return f() + 1 } f()", "RangeError: Maximum call stack size exceeded"),
        ("require('fs')", 'Error: Cannot find module "fs"'),
        ("new RegExp('a', 's')", 'SyntaxError: Invalid RegExp flags "s"'),
        ("[1].map(5)", "TypeError: callback argument is not callable"),
        ("Promise.reject(new Error('boom'))", "Error: unhandled promise rejection: Error: boom"),
        (
            "async function f() { throw new Error('late') } f()",
            "Error: unhandled promise rejection: Error: late",
        ),
    ],
)
async def test_errors_in_the_words_of_njs(evaluate: Evaluate, statement: str, message: str) -> None:
    """Run-time errors read as they do on CloudFront."""
    assert await evaluate(statement) == message


async def test_errors_that_code_catches(evaluate: Evaluate) -> None:
    """The words are there inside the function as well, with njs's kind of stack."""
    body = """
        try { event.missing.value } catch (e) {
            return [e.name, e.message, e instanceof TypeError, e instanceof Error, String(e),
                e.stack.indexOf('handler') > 0];
        }
    """

    assert await evaluate(body) == [
        "TypeError",
        'cannot get property "value" of undefined',
        True,
        True,
        'TypeError: cannot get property "value" of undefined',
        True,
    ]


async def test_text_and_bytes(evaluate: Evaluate) -> None:
    """Buffer, TextEncoder, TextDecoder, atob and btoa read and write the same bytes."""
    body = r"""
        const b = Buffer.from('h\u00e9\u20ac\ud83d\ude00');
        return [b.length, b.toString(), b.toString('hex'), b.toString('base64'),
            Buffer.from('aGk', 'base64url').toString(), Buffer.from('616263', 'hex').toString(),
            new TextDecoder().decode(new TextEncoder().encode('\u20ac')),
            new TextDecoder().decode(new Uint8Array([0xff, 0x61])),
            atob('aGk='), btoa('hi'),
            Buffer.concat([Buffer.from('a'), Buffer.from('b')]).toString(),
            Buffer.from([1, 2, 3]).readUInt16BE(1), JSON.stringify(Buffer.from('a')),
            Buffer.alloc(3, 'ab').toString(), Buffer.from('abcabc').indexOf('ca'),
            Buffer.from('\ud800').toString('hex'), Buffer.byteLength('\u20ac')];
    """

    assert await evaluate(body) == [
        10,
        "hé€😀",
        "68c3a9e282acf09f9880",
        "aMOp4oKs8J+YgA==",
        "hi",
        "abc",
        "€",
        "\ufffda",
        "hi",
        "aGk=",
        "ab",
        515,
        '{"type":"Buffer","data":[97]}',
        "aba",
        2,
        "efbfbd",
        3,
    ]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("Buffer.from(5)", "first argument number is not a string or Buffer-like object"),
        ("Buffer.from('a', 'utf16')", '"utf16" encoding is not supported'),
        ("new Buffer(5)", "Buffer is not a constructor"),
        ("atob('*')", "the string to be decoded is not correctly encoded"),
        ("btoa('\\u1234')", "invalid character (>= U+00FF)"),
        ("new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array([255]))",
         "The encoded data was not valid"),
    ],
)  # fmt: skip
async def test_text_and_bytes_refuse(evaluate: Evaluate, expression: str, message: str) -> None:
    """Wrong arguments fail with njs's words."""
    assert await evaluate(expression) == f"TypeError: {message}"


async def test_querystring(evaluate: Evaluate) -> None:
    """It parses and writes as in njs: repeated keys make an array, broken escapes stay."""
    head = "import qs from 'querystring';"
    body = """
        return [qs.parse('a=1&b=%20x+y&a=2&c&=d&%zz=%C3%A9'),
            qs.stringify({a: [1, 'x y'], b: true, c: {}}),
            qs.parse('a:1;b:2', ';', ':'), qs.stringify({a: 1, b: 2}, ';', ':'),
            qs.parse('a=1&b=2', null, null, {maxKeys: 1}), qs.escape("a b'&"), qs.unescape('%41+')];
    """

    assert await evaluate(body, head=head) == [
        {"a": ["1", "2"], "b": " x y", "c": "", "": "d", "%zz": "é"},
        "a=1&a=x%20y&b=true&c=",
        {"a": "1", "b": "2"},
        "a:1;b:2",
        {"a": "1"},
        "a%20b'%26",
        "A ",
    ]


async def test_each_invocation_has_its_own_scope(evaluate: Evaluate) -> None:
    """Nothing that one invocation leaves is there for the next, not even in shared objects."""
    head = "let count = 0; const kept = [];"
    body = """
        count += 1;
        kept.push(count);
        const before = [].extra;
        Array.prototype.extra = 'left behind';
        return [count, kept.length, typeof before];
    """
    for _ in range(3):
        assert await evaluate(body, head=head) == [1, 1, "undefined"]


async def test_random_numbers(evaluate: Evaluate) -> None:
    """Each invocation draws other numbers, all in [0, 1)."""
    body = "const l = []; for (let i = 0; i < 50; i++) l.push(Math.random()); return l"
    first, second = await evaluate(body), await evaluate(body)

    assert first != second
    assert all(0 <= number < 1 for number in first + second)
    assert len(set(first)) == 50


async def test_regular_expressions(evaluate: Evaluate) -> None:
    """String methods still work with patterns after the pruning."""
    body = """
        return ['a-b-c'.split(/-/), 'abc'.replace(/b/, 'x'), 'a1b2'.match(/\\d/g),
            'abc'.search(/c/), /(?<n>b)/.exec('abc').groups.n, 'aXbX'.replaceAll('X', ''),
            new RegExp('B', 'i').test('abc')];
    """.replace("\\\\", "\\")

    assert await evaluate(body) == [
        ["a", "b", "c"],
        "axc",
        ["1", "2"],
        2,
        "b",
        "ab",
        True,
    ]
