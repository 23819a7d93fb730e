"""What CloudFront's JavaScript engine would refuse to compile, in its words, before anything runs.

The real engine is a build of nginx's njs (facts/cloudfront-functions.md 5.1; runtime 2.0 behaves
like njs 0.8, runtime 1.0 like 0.4), whose grammar is far smaller than quickjs-ng's. So the code is
parsed by tree-sitter, and every node must be on the list of what njs knows; quickjs-ng then
compiles it, in strict mode, for the errors that any engine finds. Messages are njs 0.8.2's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

from emulator import quotas
from emulator.runtimes.cloudfront_functions.factory import (
    MODULES,
    CompileError,
    Import,
    compile_error,
)
from emulator.runtimes.cloudfront_functions.words import MemberCall

RUNTIME_1: Final = "cloudfront-js-1.0"
RUNTIME_2: Final = "cloudfront-js-2.0"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in a function's code that CloudFront refuses, or may treat differently.

    Args:
        line: From 1.
        column: From 1, in characters.
        message: The engine's error, such as `SyntaxError: Unexpected token "="`.
        is_warning: It runs here, but the real engine may refuse it (no error to the viewer).
    """

    line: int
    column: int
    message: str
    is_warning: bool = False

    @property
    def engine_message(self) -> str:
        """The error as the engine prints it, with the line: `… in 22`."""
        return f"{self.message} in {self.line}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one parse of a function's code tells.

    Args:
        problems: By position; the first error is what the engine would report.
        imports: The modules that the code binds.
        body: The code as it is compiled: its import statements blanked out, and calls whose result
            is thrown away watched for promises that fail. No line moves.
        keeps_globals: Whether the code may leave something behind in the shared global objects, so
            that each call needs a realm of its own.
        member_calls: Where methods are called, for the message when there is none.
    """

    problems: tuple[Problem, ...]
    imports: tuple[Import, ...]
    body: str
    keeps_globals: bool
    member_calls: tuple[MemberCall, ...]

    @property
    def error(self) -> Problem | None:
        """The problem that fails every invocation, if there is one."""
        return next((problem for problem in self.problems if not problem.is_warning), None)


def check(code: str, runtime: str) -> list[Problem]:
    """Find what CloudFront's engine would refuse, and what it may treat differently.

    Args:
        code: The function's source.
        runtime: `cloudfront-js-1.0` or `cloudfront-js-2.0`.
    """
    return list(inspect_code(code, runtime).problems)


def inspect_code(code: str, runtime: str) -> Inspection:
    """Parse the code once and tell everything that the engine needs to know of it."""
    source = code.encode("utf-8", "replace")
    root = Parser(_LANGUAGE).parse(source).root_node
    inspector = _Inspector(source, runtime)
    for node in _walk(root):
        inspector.visit(node)
    problems = inspector.problems
    body = inspector.body(watched=False)
    if "\0" in code:
        place = _place(code, code.index("\0"))
        problems.append(Problem(*place, 'SyntaxError: Unexpected token "\0"'))
    elif all(problem.is_warning for problem in problems):
        is_whole = not root.has_error
        error = compile_error(tuple(inspector.imports), body, is_whole=is_whole)
        if error is not None:
            problems.append(_compile_problem(error, body))
        elif not is_whole:
            inspector.unexpected(_first_error(root))
    size = len(source)
    if size > quotas.FUNCTION_CODE_MAX_BYTES:
        words = f"the code has {size} bytes; CloudFront refuses more than"
        problems.append(Problem(1, 1, f"{words} {quotas.FUNCTION_CODE_MAX_BYTES}", is_warning=True))
    problems.sort(key=lambda problem: (problem.is_warning, problem.line, problem.column))
    return Inspection(
        tuple(problems),
        tuple(inspector.imports),
        inspector.body(watched=True),
        inspector.keeps_globals,
        inspector.calls_in_body(),
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LANGUAGE: Final = Language(tree_sitter_javascript.language())


def _walk(root: Node) -> Iterator[Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


# --- What njs knows -------------------------------------------------------------------------------

_ALLOWED: Final = _names(
    """
    arguments array arrow_function assignment_expression augmented_assignment_expression
    await_expression binary_expression break_statement call_expression catch_clause comment
    computed_property_name continue_statement debugger_statement do_statement else_clause
    empty_statement escape_sequence expression_statement false finally_clause for_in_statement
    for_statement formal_parameters function_declaration function_expression identifier
    if_statement import_clause import_statement labeled_statement lexical_declaration
    member_expression method_definition new_expression null number object pair
    parenthesized_expression program property_identifier regex regex_flags regex_pattern
    rest_pattern return_statement sequence_expression shorthand_property_identifier
    statement_block statement_identifier string string_fragment subscript_expression switch_body
    switch_case switch_default switch_statement template_string template_substitution
    ternary_expression this throw_statement true try_statement unary_expression undefined
    update_expression variable_declaration variable_declarator while_statement
    """
)

_FUNCTIONS: Final = frozenset(
    {
        "function_declaration",
        "function_expression",
        "arrow_function",
        "method_definition",
        "generator_function",
        "generator_function_declaration",
    }
)

_NEW_IN_2: Final = re.compile(r"\d_\d")
_RESERVED: Final = _names("implements interface package private protected public")

# Names through which code can reach what all invocations share. Reading a method off a prototype
# (`Object.prototype.hasOwnProperty.call(…)`) is common and harmless, so it is told apart.
_SHARED_NAMES: Final = _names(
    "globalThis __proto__ constructor getPrototypeOf setPrototypeOf prototype"
)
_BUILT_INS: Final = _names(
    """
    Array ArrayBuffer Boolean Buffer DataView Date Error Function JSON Math Number Object Promise
    RangeError ReferenceError RegExp String Symbol SyntaxError TextDecoder TextEncoder TypeError
    console
    """
)


class _Inspector:
    """Visits each node once and notes what it finds."""

    def __init__(self, source: bytes, runtime: str) -> None:
        self._source = source
        self._runtime = runtime
        self.problems: list[Problem] = []
        self.imports: list[Import] = []
        self.keeps_globals = False
        self._calls: list[MemberCall] = []
        self._blanks: list[tuple[int, int]] = []
        self._watched: list[Node] = []

    def visit(self, node: Node) -> None:
        """Look at one node; its children come by themselves."""
        if node.is_error or node.is_missing:
            # quickjs-ng knows better where a sentence breaks.
            return
        if not node.is_named:
            return
        rule = _RULES.get(node.type)
        if rule is not None:
            rule(self, node)
        elif node.type not in _ALLOWED and node.type in _OTHER_NODES:
            self.refuse_token(node, self.first_token(node))

    def body(self, *, watched: bool) -> str:
        """The code with the imports blanked out, and its discarded calls watched; no line moves."""
        blank = bytearray(self._source)
        for start, end in self._blanks:
            for i in range(start, end):
                if blank[i] not in b"\r\n":
                    blank[i] = 0x20
        if watched:
            marks = [(node.start_byte, _WATCH) for node in self._watched]
            marks += [(node.end_byte, b")") for node in self._watched]
            for at, mark in sorted(marks, reverse=True):
                blank[at:at] = mark
        return blank.decode("utf-8")

    def calls_in_body(self) -> tuple[MemberCall, ...]:
        """Where the watched body calls something."""
        return tuple(
            MemberCall(self._moved(call.start), self._moved(call.end), call.member)
            for call in self._calls
        )

    def _moved(self, place: tuple[int, int]) -> tuple[int, int]:
        line, column = place
        before = [node for node in self._watched if node.start_point[0] == line - 1]
        count = sum(node.start_point[1] < column for node in before)
        return line, column + count * len(_WATCH)

    # -- Notes --

    def text(self, node: Node) -> str:
        """The node's source."""
        return self._source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def first_token(self, node: Node) -> str:
        """The source of the node's first token."""
        while node.child_count:
            node = node.children[0]
        return self.text(node)

    def note(self, node: Node, message: str, *, warning: bool = False) -> None:
        """Add a problem at this node."""
        row, byte_column = node.start_point
        line_start = node.start_byte - byte_column
        before = self._source[line_start : node.start_byte].decode("utf-8", "replace")
        self.problems.append(Problem(row + 1, len(before) + 1, message, warning))

    def refuse(self, node: Node, message: str) -> None:
        """Note a syntax error."""
        self.note(node, f"SyntaxError: {message}")

    def refuse_token(self, node: Node, token: str) -> None:
        """Note a construct that njs knows by its token and does not have."""
        self.refuse(node, f'Token "{token}" not supported in this version')

    def unexpected(self, node: Node, token: str | None = None) -> None:
        """Note a token that njs does not expect."""
        shown = self.first_token(node) if token is None else token
        self.refuse(node, f'Unexpected token "{shown}"' if shown else "Unexpected end of input")

    # -- Rules --

    def lexical(self, node: Node) -> None:
        """`let` and `const` came with runtime 2.0."""
        if self._runtime == RUNTIME_1:
            self.refuse_token(node, self.first_token(node))

    def function(self, node: Node) -> None:
        """`async` came with runtime 2.0, and AWS supports it for declared functions only."""
        is_async = any(child.type == "async" for child in node.children)
        star = next((child for child in node.children if child.type == "*"), None)
        if star is not None:
            self.unexpected(star, "*")
        if is_async and self._runtime == RUNTIME_1:
            self.refuse_token(node, "async")
        elif is_async and node.type != "function_declaration":
            # facts 5.4: the engine runs them; AWS's page says they "are not supported".
            kinds = {"arrow_function": "arrow function", "method_definition": "method"}
            kind = kinds.get(node.type, "function expression")
            self.note(node, f"AWS does not support an async {kind}", warning=True)
        parameters = node.child_by_field_name("parameters")
        if parameters is not None:
            self._parameters(node, parameters)

    def _parameters(self, node: Node, parameters: Node) -> None:
        for child in parameters.named_children:
            if child.type in ("object_pattern", "array_pattern", "assignment_pattern"):
                arrow = next((each for each in node.children if each.type == "=>"), None)
                if arrow is not None:
                    self.unexpected(arrow, "=>")
                elif child.type == "assignment_pattern":
                    self.unexpected(child.children[1], "=")
                else:
                    self.refuse_token(child, self.first_token(child))
                return

    def generator_expression(self, node: Node) -> None:
        """`function*` as an expression."""
        self.refuse_token(node, "*")

    def generator_declaration(self, node: Node) -> None:
        """`function*` as a declaration."""
        star = next(child for child in node.children if child.type == "*")
        self.unexpected(star, "*")

    def declarator(self, node: Node) -> None:
        """No destructuring in declarations: njs complains of the first name within."""
        name = node.child_by_field_name("name")
        if name is not None and name.type in ("object_pattern", "array_pattern"):
            inner = name.named_children[0] if name.named_children else name
            self.refuse_token(inner, self.first_token(inner))

    def assignment(self, node: Node) -> None:
        """No destructuring in assignments."""
        left = node.child_by_field_name("left")
        if left is not None and left.type in ("object_pattern", "array_pattern", "array", "object"):
            self.note(left, "ReferenceError: Invalid left-hand side in assignment")
        self._shared_assignment(left)

    def augmented(self, node: Node) -> None:
        """No `??=`, `||=`, `&&=`."""
        operator = node.child_by_field_name("operator")
        if operator is not None and self.text(operator) in ("??=", "||=", "&&="):
            self.unexpected(operator, "=")
        self._shared_assignment(node.child_by_field_name("left"))

    def _shared_assignment(self, left: Node | None) -> None:
        # `Math.x = 1` outlives the call.
        while left is not None and left.type in ("member_expression", "subscript_expression"):
            left = left.child_by_field_name("object")
            if left is not None and left.type == "identifier" and self.text(left) in _BUILT_INS:
                self.keeps_globals = True

    def spread(self, node: Node) -> None:
        """No spread: unknown in objects, unexpected elsewhere."""
        if node.parent is not None and node.parent.type == "object":
            self.refuse_token(node, "...")
        else:
            self.unexpected(node, "...")

    def for_in(self, node: Node) -> None:
        """`for … in` only, over one plain name."""
        for child in node.children:
            if child.type in ("of", "await"):
                self.refuse_token(child, child.type)
                return
        left = node.child_by_field_name("left")
        if left is not None and left.type in ("object_pattern", "array_pattern"):
            self.refuse_token(left, self.first_token(left))

    def catch(self, node: Node) -> None:
        """No catch clause without its name."""
        parameter = node.child_by_field_name("parameter")
        body = node.child_by_field_name("body")
        if parameter is None and body is not None:
            self.refuse_token(body, "{")
        elif parameter is not None and parameter.type != "identifier":
            self.refuse_token(parameter, self.first_token(parameter))

    def optional_chain(self, node: Node) -> None:
        """No `?.`: njs reads a conditional and misses its colon."""
        following = self.text(node.next_sibling)[:1] if node.next_sibling is not None else ""
        if following in ("[", "("):
            self.unexpected(node, following)
            return
        outer = node.parent
        while outer is not None and outer.parent is not None and _is_expression(outer.parent):
            outer = outer.parent
        after = outer.next_sibling if outer is not None else None
        token = self.first_token(after) if after is not None else ""
        self.unexpected(node, token)

    def number(self, node: Node) -> None:
        """No BigInt, no octal `010`; separators from runtime 2.0 on."""
        text = self.text(node)
        if text.endswith("n"):
            self.unexpected(node, "n")
        elif re.match(r"0\d", text):
            self.unexpected(node, text[:2])
        elif self._runtime == RUNTIME_1 and _NEW_IN_2.search(text):
            self.unexpected(node, text[text.index("_") :])

    def regex_flags(self, node: Node) -> None:
        """The flags g, i, m; `y` from runtime 2.0 on."""
        flags = self.text(node)
        known = "gim" if self._runtime == RUNTIME_1 else "gimy"
        if any(flag not in known for flag in flags):
            self.refuse(node, f'Invalid RegExp flags "{flags}"')

    def await_(self, node: Node) -> None:
        """`await` in async functions only, and not within arguments."""
        inner: Node = node
        outer = node.parent
        in_arguments = in_template = False
        while outer is not None and outer.type not in _FUNCTIONS:
            in_arguments = in_arguments or inner.type == "arguments"
            in_template = in_template or inner.type == "template_substitution"
            inner, outer = outer, outer.parent
        if outer is None or not any(child.type == "async" for child in outer.children):
            self.refuse(node, "await is only valid in async functions")
        elif in_arguments:
            self.refuse(node, "await in arguments not supported")
        elif in_template:
            self.note(
                node,
                "await inside a template literal is refused by some builds of the engine",
                warning=True,
            )

    def return_(self, node: Node) -> None:
        """No `return` outside a function."""
        outer = node.parent
        while outer is not None and outer.type not in _FUNCTIONS:
            outer = outer.parent
        if outer is None:
            self.refuse(node, "Illegal return statement")

    def meta(self, node: Node) -> None:
        """No `new.target`, no `import.meta`."""
        self.unexpected(node.children[1] if node.child_count > 1 else node, ".")

    def with_(self, node: Node) -> None:
        """No `with` in strict mode."""
        self.refuse_token(node, "(")

    def export(self, node: Node) -> None:
        """CloudFront needs a bare top-level `handler`."""
        self.refuse(node, "Illegal export statement")

    def import_(self, node: Node) -> None:
        """Default imports of `cloudfront` and the built-in modules."""
        source = node.child_by_field_name("source")
        clause = next((child for child in node.children if child.type == "import_clause"), None)
        name = clause.named_children[0] if clause is not None else None
        plain = name is not None and name.type == "identifier"
        if not plain or clause is None or len(clause.named_children) != 1:
            self.refuse(node, "Non-default import is not supported")
            return
        if source is None or name is None:
            return
        module = self.text(source)[1:-1]
        known = set(MODULES) if self._runtime == RUNTIME_2 else set()
        if module not in known:
            self.refuse(source, f'Cannot find module "{module}"')
            return
        self.imports.append(Import(self.text(name), module))
        self._blanks.append((node.start_byte, node.end_byte))

    def dynamic_import(self, node: Node) -> None:
        """No `import()`."""
        if node.parent is not None and node.parent.type == "call_expression":
            self.unexpected(node, "(")

    def class_(self, node: Node) -> None:
        """No classes."""
        self.refuse_token(node, "class")

    def super_(self, node: Node) -> None:
        """No `super`."""
        self.refuse_token(node, "super")

    def sign(self, node: Node) -> None:
        """No private names, decorators, HTML comments, `#!` lines: their first sign is refused."""
        self.unexpected(node, self.text(node)[:1])

    def call(self, node: Node) -> None:
        """Calls of methods; and tagged templates, which run but are not on AWS's list."""
        self._note_member_call(node, node.child_by_field_name("function"))
        arguments = node.child_by_field_name("arguments")
        if arguments is not None and arguments.type == "template_string":
            self.note(node, "AWS does not list tagged templates", warning=True)

    def new(self, node: Node) -> None:
        """`new a.b()` is a call of a method, too."""
        self._note_member_call(node, node.child_by_field_name("constructor"))

    def _note_member_call(self, node: Node, callee: Node | None) -> None:
        name: str | None = None
        if callee is not None and callee.type == "member_expression":
            member = callee.child_by_field_name("property")
            name = self.text(member) if member is not None else None
        elif callee is not None and callee.type == "subscript_expression":
            index = callee.child_by_field_name("index")
            if index is not None and index.type == "string":
                name = self.text(index)[1:-1]
        start, end = node.start_point, node.end_point
        self._calls.append(MemberCall((start[0] + 1, start[1] + 1), (end[0] + 1, end[1] + 1), name))

    def statement(self, node: Node) -> None:
        """A call whose result is thrown away: a promise that fails there fails the function."""
        expression = node.named_children[0] if node.named_children else None
        if expression is not None and expression.type == "call_expression":
            self._watched.append(expression)

    def binary(self, node: Node) -> None:
        """`??` runs, but AWS does not list it."""
        operator = node.child_by_field_name("operator")
        if operator is not None and self.text(operator) == "??":
            self.note(operator, "AWS does not list the operator ??", warning=True)

    def name(self, node: Node) -> None:
        """Reserved words; and names that reach what all invocations share."""
        text = self.text(node)
        if text in _RESERVED and node.type == "identifier":
            self.unexpected(node, text)
        if "\\" in text:
            self.unexpected(node, "\\")
        if text in _BUILT_INS and node.type == "identifier" and _is_handed_on(node):
            self.keeps_globals = True
        if text in _SHARED_NAMES and not (text == "prototype" and _is_method_read(self, node)):
            self.keeps_globals = True

    def string(self, node: Node) -> None:
        """A computed member such as `x['constructor']` reaches shared objects, too."""
        if self.text(node) in _SHARED_NAMES:
            self.keeps_globals = True


_WATCH: Final = b"$$watch("


def _is_method_read(inspector: _Inspector, node: Node) -> bool:
    # X.prototype.method.call|apply|bind(…)
    chain: list[Node] = []
    outer = node.parent
    while outer is not None and outer.type == "member_expression" and len(chain) < 3:
        chain.append(outer)
        outer = outer.parent
    if len(chain) != 3 or outer is None or outer.type != "call_expression":
        return False
    last = chain[2].child_by_field_name("property")
    return last is not None and inspector.text(last) in ("call", "apply", "bind")


def _is_handed_on(node: Node) -> bool:
    # `Math` anywhere but in `Math.x`, `Date()`, `new Date()`, `x instanceof Date` or `map(String)`:
    # it may be changed under another name.
    parent = node.parent
    if parent is None or parent.type in ("new_expression", "call_expression", "binary_expression"):
        return False
    return parent.type not in (
        "member_expression",
        "arguments",
        "import_clause",
        "unary_expression",
    )


def _is_expression(node: Node) -> bool:
    return node.type in (
        "member_expression",
        "subscript_expression",
        "call_expression",
        "binary_expression",
        "ternary_expression",
    )


_RULES: Final[dict[str, Callable[[_Inspector, Node], None]]] = {
    "lexical_declaration": _Inspector.lexical,
    "function_declaration": _Inspector.function,
    "function_expression": _Inspector.function,
    "arrow_function": _Inspector.function,
    "method_definition": _Inspector.function,
    "generator_function": _Inspector.generator_expression,
    "generator_function_declaration": _Inspector.generator_declaration,
    "variable_declarator": _Inspector.declarator,
    "assignment_expression": _Inspector.assignment,
    "augmented_assignment_expression": _Inspector.augmented,
    "spread_element": _Inspector.spread,
    "for_in_statement": _Inspector.for_in,
    "catch_clause": _Inspector.catch,
    "optional_chain": _Inspector.optional_chain,
    "number": _Inspector.number,
    "regex_flags": _Inspector.regex_flags,
    "await_expression": _Inspector.await_,
    "return_statement": _Inspector.return_,
    "meta_property": _Inspector.meta,
    "with_statement": _Inspector.with_,
    "export_statement": _Inspector.export,
    "import_statement": _Inspector.import_,
    "import": _Inspector.dynamic_import,
    "class": _Inspector.class_,
    "class_declaration": _Inspector.class_,
    "super": _Inspector.super_,
    "private_property_identifier": _Inspector.sign,
    "hash_bang_line": _Inspector.sign,
    "html_comment": _Inspector.sign,
    "decorator": _Inspector.sign,
    "expression_statement": _Inspector.statement,
    "call_expression": _Inspector.call,
    "new_expression": _Inspector.new,
    "binary_expression": _Inspector.binary,
    "identifier": _Inspector.name,
    "property_identifier": _Inspector.name,
    "string_fragment": _Inspector.string,
}

# Refused by their parent's rule, or parts of what is refused already.
_REPORTED_ELSEWHERE: Final = _names(
    """
    array_pattern object_pattern assignment_pattern object_assignment_pattern pair_pattern
    shorthand_property_identifier_pattern class_body class_heritage field_definition
    class_static_block export_clause export_specifier namespace_export named_imports
    import_specifier namespace_import import_attribute html_character_reference jsx_identifier
    jsx_text jsx_attribute jsx_expression jsx_namespace_name jsx_opening_element
    jsx_closing_element html_comment
    """
)


class _Others:
    """Every node type that neither a rule nor the list knows."""

    def __contains__(self, node_type: str) -> bool:
        return node_type not in _REPORTED_ELSEWHERE


_OTHER_NODES: Final = _Others()


# --- What any engine refuses ----------------------------------------------------------------------

# quickjs-ng's words, njs's words, and whether quickjs-ng looks at the token behind the culprit.
_COMPILE_WORDS: Final = (
    (r"assignment left-hand side", "ReferenceError: Invalid left-hand side in assignment", False),
    (r"missing initializer", "SyntaxError: missing initializer in const declaration", True),
    (r"redefinition of|redeclaration", 'SyntaxError: "{name}" has already been declared', True),
    (r"break must be inside", "SyntaxError: Illegal break statement", True),
    (r"continue must be inside", "SyntaxError: Illegal continue statement", True),
    (r"delete a direct reference", "SyntaxError: Delete of an unqualified identifier", True),
    (r"Duplicate parameter name", "SyntaxError: Duplicate parameter names", False),
    (
        r"unparenthesized unary expression",
        "SyntaxError: Either left-hand side or entire exponentiation must be parenthesized",
        False,
    ),
    (
        r"can't appear in single-statement context",
        "SyntaxError: Functions can only be declared at top level or inside a block",
        False,
    ),
    (
        r"invalid variable name in strict mode",
        'SyntaxError: Identifier "{name}" is forbidden in var declaration',
        True,
    ),
    (
        r"^expecting|^[Uu]nexpected|(variable|function|identifier).* (name )?expected",
        'SyntaxError: Unexpected token "{token}"',
        False,
    ),
)
_TOKEN: Final = re.compile(
    r"\s*(?P<token>[\w$]+|=>|\.\.\.|\?\?=?|\?\.|[|&]{2}=?|[=!]==?|\*\*=?|['\"][^'\"]*['\"]|\S)?"
)


def _first_error(root: Node) -> Node:
    return next(node for node in _walk(root) if node.is_error or node.is_missing)


def _compile_problem(error: CompileError, body: str) -> Problem:
    lines = body.split("\n")
    offset = sum(len(line) + 1 for line in lines[: error.line - 1]) + error.column - 1
    if error.line > len(lines) and body.count("}") > body.count("{"):
        # The factory was over before its own end: one brace too many.
        return Problem(*_place(body, body.rfind("}")), 'SyntaxError: Unexpected token "}"')
    for pattern, words, is_behind in _COMPILE_WORDS:
        if not re.search(pattern, error.message):
            continue
        if is_behind:
            offset = len(body[:offset].rstrip()) - 1
        name = re.search(r"[\w$]*$", body[: offset + 1])
        match = _TOKEN.match(body, min(offset, len(body)))
        token = match["token"] if match is not None else None
        if "{token}" in words and not token:
            words = "SyntaxError: Unexpected end of input"
        elif token is not None and token in "'\"":
            words, token = 'SyntaxError: Unterminated string "{token}"', lines[error.line - 1]
            token = token[error.column - 1 :]
        line, column = _place(body, offset)
        text = words.format(name=name.group() if name else "", token=token)
        return Problem(line, column, text)
    return Problem(*_place(body, offset), f"SyntaxError: {error.message}")


def _place(body: str, offset: int) -> tuple[int, int]:
    before = body[: max(0, min(offset, len(body.rstrip())))]
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
