"""The same snippets through our engine and through Debian's njs, the kind of engine CloudFront has.

Each snippet is the body of a handler; what it logs, and the error it ends with, must be the same.
Debian has njs 0.7.9, CloudFront's runtime 2.0 behaves like 0.8: snippets whose outcome changed
between the two are not here. Differences that we know of stand in `KNOWN`, and must still be there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import orjson
import pytest

from emulator.errors import EdgeFunctionError
from emulator.runtimes.cloudfront_functions.checker import RUNTIME_2
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions

NJS = shutil.which("njs")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(NJS is None, reason="njs is not on PATH (Debian: apt install njs)"),
]

SNIPPETS = r"""
var a={};a.b.c
var a={};a.b.c=1
var a={};a.b()
var a={b:{}};a.b.c()
var a=[];a.flat()
[].flat()
foo()
var o={f:{}}; o["f"]()
var x={};new x()
var x={};new x.y()
null.x
const q=1;q=2
zzz=1
let a=b; let b=1
JSON.parse("{")
JSON.parse("")
JSON.parse("[1,]")
JSON.parse('{"a" 1}')
JSON.parse('"\\x"')
JSON.parse('{"a":1} x')
throw "str"
throw {a:1}
throw new Error("boom")
Promise.reject(new Error("boom"))
async function f(){throw new Error("boom")}; f()
decodeURIComponent("%")
new Array(-1)
(void 0).foo()
"abc".foo()
eval("1")
var x=1; x instanceof 5
[1].map(5)
x.y
require("crypto").createHash("sha512")
require("crypto").createHash()
require("crypto").createHash("md5").digest("foo")
var h=require("crypto").createHash("md5");h.digest();h.digest()
console.log(require("crypto").createHash("md5").update("616263","hex").digest("base64url"))
console.log(require("crypto").createHmac("sha256","k").update("a").update("é").digest("hex"))
console.log(atob("YWJj")); console.log(btoa("é"))
console.log(Buffer.from("héllo").toString("base64")); console.log(Buffer.from("aGk=", "base64"))
console.log(Buffer.from("616263zz", "hex").length); console.log(Buffer.from("YW Jj","base64").length)
console.log(Buffer.from(5))
console.log(Buffer.from("a","foo"))
console.log(Buffer.alloc(5,"ab")); console.log(Buffer.concat([Buffer.from("a"),Buffer.from("b")],3).length)
var b=Buffer.from("abcdefgh"); console.log(b.readUIntBE(0,6)); console.log(b.readIntLE(0,3))
var b=Buffer.from("abcdefgh"); console.log(b.readInt16BE(1)); console.log(b.readUInt32LE(2))
var b=Buffer.from("abcdefgh"); console.log(b.readUIntBE(0,7))
var b=Buffer.from("abc"); console.log(b.readUInt8(5))
var b=Buffer.alloc(4); console.log(b.write("xyz",1)); console.log(b.write("abcdef")); console.log(b)
var b=Buffer.from("abcabc"); console.log(b.indexOf("c")); console.log(b.lastIndexOf("c")); console.log(b.includes("bc"))
var b=Buffer.from("abc"); console.log(b.equals(5))
var b=Buffer.from("abcd"); console.log(b.swap16()); console.log(JSON.stringify(b))
console.log(Buffer.isEncoding("utf-8")); console.log(Buffer.isEncoding("latin1"))
new TextDecoder("latin1")
new TextDecoder("utf-8",{fatal:true}).decode(new Uint8Array([255]))
console.log(new TextDecoder().decode(new Uint8Array([0xe2,0x82,0xac,0xff])))
console.log(new TextEncoder().encode("é€").length)
var q=require("querystring"); console.log(JSON.stringify(q.parse("a=1&b=%20x+y&a=2&c&=d&%zz=%C3%A9")))
var q=require("querystring"); console.log(q.stringify({a:[1,"x y"],b:true,c:{},d:null})); console.log(q.escape("a b'&é"))
var q=require("querystring"); console.log(JSON.stringify(q.parse("a:1;b:2",";",":"))); console.log(q.unescape("%41+%zz"))
var q=require("querystring"); console.log(JSON.stringify(q.parse("a=1&b=2&c=3",null,null,{maxKeys:2})))
console.log(new Date("2024-02-15 09:00:00")); console.log(new Date("2024-02-15T09:00:00Z").toISOString())
console.log(Date.parse("Sat, 21 Nov 2026 11:00:00 GMT")); console.log(Date.parse("Sat Nov 21 2026 11:00:00 GMT+0900"))
console.log(Date.parse("2024-13-01")); console.log(Date.parse("2024-1-1")); console.log(Date.parse("2024-01"))
console.log(Date.parse("21 Nov 2026")); console.log(Date.parse("Nov 21 2026")); console.log(Date.parse("Nov 1 2026"))
console.log(Date.parse("2024-01-01T10:00")); console.log(Date.parse("2024-01-01T10")); console.log(Date.parse("2024-01-01T10:00:00"))
console.log(new Date(0).toString()); console.log(new Date(0).toUTCString()); console.log(new Date(NaN).getTime())
console.log(new Date(2024, 0, 31, 1, 2, 3, 4).toISOString()); console.log(Date.UTC(2024, 1)); console.log(typeof Date())
console.log(JSON.stringify({a:undefined,b:function(){},c:NaN,d:new Date(0),e:[undefined]}))
console.log(JSON.stringify([1.0, 1e21, -0, 0.1])); console.log(String([1,[2,3]])); console.log(String({}))
console.log((25).toString(36)); console.log((0.000001234).toString()); console.log((1234.5678).toFixed(2))
console.log("abc".replace(/(b)/, "[$1]")); console.log("a-b-c".split("-", 2)); console.log("aXbX".replace(/x/gi, ""))
console.log("a1b22".match(/\d+/g)); console.log("2024-05".match(/(?<y>\d+)-(?<m>\d+)/).groups.y)
console.log(/^(?:a|b)+$/.test("abba")); console.log("héllo".toUpperCase()); console.log("ß".length)
console.log("abc".substr(-2)); console.log("abc".padStart(5, "*")); console.log("  a ".trim() + "|")
console.log([3,1,2].sort().join()); console.log([1,2,3].includes(2)); console.log([10,9,1].sort().join())
console.log(Object.keys({b:1,a:2}).join()); console.log(Object.entries({a:1}).join()); console.log(Object.assign({}, {a:1}).a)
console.log(typeof Map); console.log(typeof Symbol); console.log(typeof setInterval); console.log(typeof BigInt)
console.log([1,2,3].map(x => x * 2).filter(x => x > 2).reduce((a, b) => a + b, 0)); console.log(2 ** 10)
console.log(`a${1 + 1}b`); console.log(null ?? "d"); console.log(1_000); console.log(0b11 + 0o17)
function f(a, ...r) { return r.length } console.log(f(1, 2, 3)); console.log((() => typeof this)())
var o = {get a() { return 1 }, ["b" + 1]: 2, c() { return 3 }}; console.log(o.a + o.b1 + o.c())
try { null.x } catch (e) { console.log(e.name + "|" + e.message) } finally { console.log("finally") }
label: for (var i = 0; i < 3; i++) { for (;;) { if (i == 1) break label; continue label } } console.log(i)
switch (3) { case 1: console.log("1"); default: console.log("d"); case 2: console.log("2") }
console.log(parseInt("08")); console.log(parseFloat("1.5e3x")); console.log(Number("0x1f")); console.log(Number(""))
console.log(encodeURIComponent("a b&é/")); console.log(encodeURI("a b&é/")); console.log(decodeURIComponent("%C3%A9"))
console.log(isNaN("x")); console.log(isFinite("1")); console.log(typeof globalThis); console.log(typeof require)
console.log([..."abc"].join())
for (var x of [1]) {}
class A {}
var {a} = {a:1}
var a; a?.b;
try { } catch { }
function f(a = 1) {}
async function f() { g(await h()) }
var n = 1n
var a = 010
with ({}) {}
return new.target
for (var i of [1,2]) console.log(i)
console.log(Object.fromEntries([]))
console.log("a".matchAll(/a/g))
console.log("a".localeCompare("b"))
console.log([1,2,3].at(-1))
console.log(String(function f(){})); console.log(Object.prototype.toString.call([])); console.log(Object.prototype.toString.call(null))
var f = function() { return this === undefined }; console.log(f()); console.log((function() { return arguments.length })(1, 2))
console.log(typeof new Uint8Array(2)); console.log(new Uint8Array([1,2,300])); console.log(new Uint16Array([1,2]).byteLength)
var p = new Promise(function(r) { r(5) }); p.then(function(v) { console.log(v) }); console.log("first")
Promise.all([1, Promise.resolve(2)]).then(function(v) { console.log(v) }); Promise.race([1]).then(function(v) { console.log(v) })
async function f() { return 5 } f().then(function(v) { console.log(v) })
async function f() { try { await Promise.reject(new Error("x")) } catch (e) { console.log(e) } } f()
"""  # noqa: E501

# Snippet: why we differ.
KNOWN = {
    "JSON.parse('01')": "njs takes a leading zero",
    "console.log(Object.keys({b: 1, 2: 1}).join())": "njs 0.7 keeps integer keys where they came",
    "console.log(0.1 + 0.2)": "njs prints the last digit otherwise",
    "var foo=5;foo()": "njs names the type of what was called: number",
    '"a" in "b"': "njs names the type of what was searched",
    "new Promise(5)": "another message",
    "var o=Object.freeze({a:1}); o.b=2": "njs names the property",
    "var o={get a(){return 1}}; o.a=2": "njs names the property",
    'Object.defineProperty(1,"a",{})': "njs names the method",
    'new Function("return 1")': "CloudFront documents a throw, plain njs compiles",
}

# Shows what console.log would show on CloudFront: text.
_NJS_HEAD = "function $log(x) { console.log(String(x)) }\nfunction handler(event) {\n"


def _by_njs(snippet: str, folder: Path) -> list[str]:
    assert NJS is not None
    file = folder / "snippet.js"
    file.write_text(_NJS_HEAD + snippet.replace("console.log(", "$log(") + "\n}\nhandler({})")
    done = subprocess.run(
        [NJS, str(file)], capture_output=True, text=True, timeout=20, env={"TZ": "UTC"}, check=False
    )
    lines = (done.stdout + done.stderr).splitlines()
    shown = [line for line in lines if line and line != "Thrown:"]
    shown = [line for line in shown if not re.match(r"\s+(at |repeats )", line)]
    return [re.sub(r" in \S*snippet\.js:\d+$", "", line) for line in shown]


async def _by_us(engine: CloudFrontFunctions, snippet: str) -> list[str]:
    code = f"function handler(event) {{\n{snippet}\n}}"
    loaded = engine.load("snippet", code, RUNTIME_2)
    broken = next((each for each in loaded.problems if not each.is_warning), None)
    if broken is not None:
        return [broken.message]
    try:
        outcome = await loaded.run_shown(orjson.dumps({}).decode())
    except EdgeFunctionError as error:
        return [line for line in (*error.logs, error.engine_message) if line]
    return [line for line in outcome.logs if line]


@pytest.mark.parametrize("snippet", [line for line in SNIPPETS.splitlines() if line])
async def test_same_as_njs(engine: CloudFrontFunctions, snippet: str, tmp_path: Path) -> None:
    """What njs prints, we print."""
    assert await _by_us(engine, snippet) == _by_njs(snippet, tmp_path)


@pytest.mark.parametrize("snippet", KNOWN)
async def test_known_differences(engine: CloudFrontFunctions, snippet: str, tmp_path: Path) -> None:
    """A difference that is gone leaves the list."""
    assert await _by_us(engine, snippet) != _by_njs(snippet, tmp_path)
