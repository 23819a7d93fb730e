"""What CloudFront's engine refuses to compile, in njs's words, and what it takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator import quotas
from emulator.runtimes.cloudfront_functions.checker import (
    RUNTIME_1,
    RUNTIME_2,
    check,
    inspect_code,
)

UNSUPPORTED = 'SyntaxError: Token "{}" not supported in this version'
UNEXPECTED = 'SyntaxError: Unexpected token "{}"'

# Each message is what njs 0.8.2 prints for the same line (facts/cloudfront-functions.md 5.4).
REFUSED_BY_2 = [
    ("class A {}", UNSUPPORTED.format("class")),
    ("var A = class {}", UNSUPPORTED.format("class")),
    ("var [a] = [1]", UNSUPPORTED.format("a")),
    ("const {a, b} = {a: 1}", UNSUPPORTED.format("a")),
    ("function f({a}) {}", UNSUPPORTED.format("{")),
    ("function f([a]) {}", UNSUPPORTED.format("[")),
    ("var f = ({a}) => 1", UNEXPECTED.format("=>")),
    ("[a] = [1]", "ReferenceError: Invalid left-hand side in assignment"),
    ("({a} = {a: 1})", "ReferenceError: Invalid left-hand side in assignment"),
    ("function f(a = 1) {}", UNEXPECTED.format("=")),
    ("var f = (a = 1) => a", UNEXPECTED.format("=>")),
    ("[...[1]]", UNEXPECTED.format("...")),
    ("Math.max(...[1])", UNEXPECTED.format("...")),
    ("var o = {a: 1, ...{}}", UNSUPPORTED.format("...")),
    ("function* g() {}", UNEXPECTED.format("*")),
    ("var g = function*() {}", UNSUPPORTED.format("*")),
    ("for (const x of []) {}", UNSUPPORTED.format("of")),
    ("async function f() { for await (var x of []) {} }", UNSUPPORTED.format("await")),
    ("if (a?.b) {}", UNEXPECTED.format(")")),
    ("var a; a?.[0]", UNEXPECTED.format("[")),
    ("var a; a?.()", UNEXPECTED.format("(")),
    ("var a; a ??= 1", UNEXPECTED.format("=")),
    ("var a; a ||= 1", UNEXPECTED.format("=")),
    ("var a; a &&= 1", UNEXPECTED.format("=")),
    ("var n = 1n", UNEXPECTED.format("n")),
    ("try { } catch { }", UNSUPPORTED.format("{")),
    ("function f() { return new.target }", UNEXPECTED.format(".")),
    ("with ({}) {}", UNSUPPORTED.format("(")),
    ("import('x')", UNEXPECTED.format("(")),
    ("import x from 'nope'", 'SyntaxError: Cannot find module "nope"'),
    ("import {kvs} from 'cloudfront'", "SyntaxError: Non-default import is not supported"),
    ("export default 1", "SyntaxError: Illegal export statement"),
    ("export function handler() {}", "SyntaxError: Illegal export statement"),
    ("await 1", "SyntaxError: await is only valid in async functions"),
    ("function f() { await 1 }", "SyntaxError: await is only valid in async functions"),
    ("return 1", "SyntaxError: Illegal return statement"),
    ("var a = 010", UNEXPECTED.format("01")),
    ("var a = /a/s", 'SyntaxError: Invalid RegExp flags "s"'),
    ("super.x", UNSUPPORTED.format("super")),
    ("a.#b", UNEXPECTED.format("#")),
    (
        "-1 ** 2",
        "SyntaxError: Either left-hand side or entire exponentiation must be parenthesized",
    ),
    ("delete x", "SyntaxError: Delete of an unqualified identifier"),
    ("var eval = 1", 'SyntaxError: Identifier "eval" is forbidden in var declaration'),
    ("function f(a, a) {}", "SyntaxError: Duplicate parameter names"),
    ("let a = 1; let a = 2", 'SyntaxError: "a" has already been declared'),
    ("const a", "SyntaxError: missing initializer in const declaration"),
    ("break", "SyntaxError: Illegal break statement"),
    ("var public = 1", UNEXPECTED.format("public")),
    ("var = 1", UNEXPECTED.format("=")),
    ("1 +", "SyntaxError: Unexpected end of input"),
    ("function f() {", "SyntaxError: Unexpected end of input"),
    ("}", UNEXPECTED.format("}")),
    ("var a = 'abc", 'SyntaxError: Unterminated string "\'abc"'),
    ("a ?? b || c", UNEXPECTED.format("||")),
    ("<!-- html", UNEXPECTED.format("<")),
]

AWAIT_IN_ARGUMENTS = "SyntaxError: await in arguments not supported"

ACCEPTED_BY_2 = [
    "let a = 1; const b = 2",
    "var f = (a, b) => a + b",
    "var f = a => ({})",
    "var t = `a${1}b`",
    "function f(a, ...rest) {}",
    "var n = 2 ** 3; n **= 2",
    "var n = 1_000, o = 0o10, b = 0b11",
    "var a, b = {a, m() {}, ['k' + 1]: 2, get g() { return 1 }, set g(v) {}}",
    "async function f() { await 1 }",
    "label: for (;;) { break label }",
    "for (var k in {}) { continue }",
    "switch (1) { case 1: let a = 1; break; default: }",
    "try { throw 1 } catch (e) { } finally { }",
    r"var r = /(?<n>a)(?=b)/gimy",
    "function f(a,) {}; var o = {a: 1,}; var l = [1,,2]",
    "do { } while (0)",
    "import cf from 'cloudfront'",
    "import crypto from 'crypto'; import qs from 'querystring'",
]


def _error(code: str, runtime: str = RUNTIME_2) -> str:
    error = inspect_code(code, runtime).error
    return "" if error is None else error.message


@pytest.mark.conformance("CFF-37")
@pytest.mark.parametrize(("code", "message"), REFUSED_BY_2, ids=[row[0] for row in REFUSED_BY_2])
def test_runtime_2_refuses(code: str, message: str) -> None:
    """What njs 0.8 does not compile is refused with njs's message."""
    assert _error(code) == message


@pytest.mark.conformance("CFF-38")
@pytest.mark.parametrize("code", ACCEPTED_BY_2)
def test_runtime_2_accepts(code: str) -> None:
    """What AWS lists for runtime 2.0 compiles."""
    assert _error(code) == ""


@pytest.mark.conformance("CFF-36")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("let a = 1", UNSUPPORTED.format("let")),
        ("const a = 1", UNSUPPORTED.format("const")),
        ("async function f() {}", UNSUPPORTED.format("async")),
        ("import cf from 'cloudfront'", 'SyntaxError: Cannot find module "cloudfront"'),
        ("var n = 1_000", UNEXPECTED.format("_000")),
        ("var r = /a/y", 'SyntaxError: Invalid RegExp flags "y"'),
    ],
)
def test_runtime_1_refuses(code: str, message: str) -> None:
    """Runtime 1.0 has none of what came with 2.0."""
    assert _error(code, RUNTIME_1) == message


@pytest.mark.conformance("CFF-38")
@pytest.mark.parametrize(
    "code", ["var f = a => a", "var t = `a`", "function f(...r) {}", "var n = 2 ** 3"]
)
def test_runtime_1_accepts(code: str) -> None:
    """Arrow functions, templates, rest parameters and `**` were in runtime 1.0 already."""
    assert _error(code, RUNTIME_1) == ""


@pytest.mark.conformance("CFF-39")
@pytest.mark.parametrize(
    "expression",
    [
        "g(await h())",
        "new G(await h())",
        "g(1, [await h()])",
        "g({a: await h()})",
        "await g(await h())",
    ],
)
def test_await_in_arguments(expression: str) -> None:
    """`await` within arguments is refused, with the line."""
    problem = inspect_code(f"async function handler() {{\n  {expression};\n}}", RUNTIME_2).error

    assert problem is not None
    assert problem.engine_message == f"{AWAIT_IN_ARGUMENTS} in 2"


@pytest.mark.conformance("CFF-40")
@pytest.mark.parametrize(
    "statement",
    [
        "const x = await g();",
        "if (await g()) {}",
        "return (await g()).y;",
        "(await g())(1);",
        "g(async function () { await 1 });",
        "return [await g(), {a: await g()}, await g() + 1];",
    ],
)
def test_await_elsewhere(statement: str) -> None:
    """`await` anywhere else in an async function compiles."""
    assert _error(f"async function handler() {{ {statement} }}") == ""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("var f = async () => 1", "async arrow function"),
        ("var o = {async m() {}}", "async method"),
        ("var f = async function () {}", "async function expression"),
        ("var a = null ?? 1", "??"),
        ("async function f() { return `${await g()}` }", "template literal"),
    ],
)
def test_warnings(code: str, words: str) -> None:
    """What runs in the engine but is not on AWS's list gets a warning, not an error."""
    (problem,) = check(code, RUNTIME_2)

    assert problem.is_warning
    assert words in problem.message


def test_position() -> None:
    """A problem names line and column as an editor counts them, and the first error comes first."""
    problems = check("var é = 'é'; class A {}\nfor (var x of []) {}\n", RUNTIME_2)

    assert [(each.line, each.column) for each in problems] == [(1, 14), (2, 12)]


def test_code_over_quota_is_told() -> None:
    """Code that CloudFront would not take is named before it is deployed."""
    (problem,) = check("//" + "x" * quotas.FUNCTION_CODE_MAX_BYTES, RUNTIME_2)

    assert "10242 bytes" in problem.message


def test_imports_keep_their_lines() -> None:
    """The import statement is blanked out, so no line of the code moves."""
    code = "import cf from\n 'cloudfront';\nvar a = 1;"
    inspection = inspect_code(code, RUNTIME_2)

    assert [(each.name, each.module) for each in inspection.imports] == [("cf", "cloudfront")]
    assert inspection.body.split("\n")[2] == "var a = 1;"
    assert "import" not in inspection.body


@pytest.mark.parametrize(
    ("code", "keeps"),
    [
        ("Array.prototype.extra = 1", True),
        ("globalThis.count = 1", True),
        ("Math.extra = 1", True),
        ("var m = Math; m.extra = 1", True),
        ("[]['constructor'].extra = 1", True),
        ("Object.prototype.hasOwnProperty.call({}, 'a')", False),
        ("var o = {}; o.count = Math.max(1, 2); new Date(); JSON.parse('1')", False),
        ("['1'].map(Number)", False),
    ],
)
def test_code_that_may_leave_something_behind(code: str, keeps: bool) -> None:
    """Only code that can reach what invocations share costs a realm per invocation."""
    assert inspect_code(code, RUNTIME_2).keeps_globals is keeps


@given(st.text(max_size=200))
def test_any_text_is_checked(text: str) -> None:
    """Whatever is in the file, the check ends and names places within it."""
    for problem in check(text, RUNTIME_2):
        assert 1 <= problem.line <= text.count("\n") + 1
        assert problem.column >= 1


@pytest.mark.parametrize(
    "code",
    ["})(); (function(){ return 1;", "}); while (true) {} ({", "})(); for (;;) {} (function(){"],
)
def test_code_cannot_leave_its_factory(code: str) -> None:
    """Checking never runs the code, even if it is written to break out of its wrapping."""
    assert _error(code) != ""
