"""Which events a rule of Amazon EventBridge wants.

AWS: "Amazon EventBridge event patterns" and "Comparison operators for use in event patterns",
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html and
eb-create-pattern-operators.html, read 2026-11-21. The words of refusals are those of AWS's own
matcher (github.com/aws/event-ruler, JsonRuleCompiler).

A pattern is compiled once into functions. A field of the event that is an array offers each of its
elements; fields below an array of objects have to match within one element ("array consistency").
Numbers are compared by value, so 300 is 300.0 (the matcher's way; the user guide says they differ).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

_Leaf: TypeAlias = Callable[[Any], bool]
_Node: TypeAlias = Callable[[Mapping[str, Any]], bool]

MAX_CHARS: Final = 2_048
"""Quotas page: "Event pattern size", 2,048 characters (adjustable at AWS)."""
_MAX_DEPTH: Final = 100
_NUMBER_LIMIT: Final = 5e9
_OPERATORS: Final = frozenset(
    {
        "prefix",
        "suffix",
        "equals-ignore-case",
        "wildcard",
        "anything-but",
        "numeric",
        "exists",
        "cidr",
        "exactly",
    }
)
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}
_ABSENT: Final = object()


class InvalidPattern(ValueError):  # noqa: N818 - as AWS calls it
    """A pattern that EventBridge refuses; its text is AWS's message."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Event pattern is not valid. Reason: {reason}")


@dataclass(frozen=True, slots=True)
class EventPattern:
    """A compiled pattern.

    Args:
        matches: Whether an event, as its JSON envelope, is wanted.
    """

    matches: Callable[[Mapping[str, Any]], bool]


def compile_pattern(text: str) -> EventPattern:
    """Read and check a pattern.

    Args:
        text: The pattern as JSON.

    Raises:
        InvalidPattern: AWS would refuse it; says why.
    """
    try:
        pattern = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidPattern(f"{error}") from None
    if not isinstance(pattern, dict):
        raise InvalidPattern("Filter is not an object")
    return EventPattern(_object(pattern, 0))


# --- objects ------------------------------------------------------------------------------------


def _object(pattern: Mapping[str, Any], depth: int) -> _Node:
    if not pattern:
        raise InvalidPattern("Empty objects are not allowed")
    if depth > _MAX_DEPTH:
        raise InvalidPattern(f"Nested deeper than {_MAX_DEPTH} levels")
    parts: list[_Node] = []
    for name, value in pattern.items():
        if name == "$or" and _is_alternative(value):
            parts.append(_any_of([_object(one, depth + 1) for one in value]))
        elif isinstance(value, dict):
            parts.append(_below(name, _object(value, depth + 1)))
        elif isinstance(value, list):
            parts.append(_field(name, value))
        else:
            raise InvalidPattern(f'"{name}" must be an object or an array')
    if len(parts) == 1:
        return parts[0]
    return lambda event: all(part(event) for part in parts)


def _is_alternative(value: Any) -> bool:
    """`$or` is a field's name, not a relationship, when a list of values follows it."""
    if not isinstance(value, list):
        raise InvalidPattern("It must be an Array followed with $or.")
    objects = [one for one in value if isinstance(one, dict)]
    if any(_OPERATORS & one.keys() for one in objects) or not objects:
        return False
    if len(objects) < len(value):
        raise InvalidPattern("Only JSON object is allowed in array of $or relationship.")
    if len(value) < 2:
        raise InvalidPattern("There must have at least 2 Objects in $or relationship.")
    return True


def _any_of(nodes: Sequence[_Node]) -> _Node:
    return lambda event: any(node(event) for node in nodes)


def _below(name: str, inner: _Node) -> _Node:
    def matches(event: Mapping[str, Any]) -> bool:
        value = event.get(name)
        if isinstance(value, dict):
            return inner(value)
        # Nothing there: what asks for absent fields is content.
        return any(inner(one) for one in [*_objects(value)] or [{}])

    return matches


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects in an array, however deep its arrays nest."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


# --- fields -------------------------------------------------------------------------------------


def _field(name: str, wanted: Sequence[Any]) -> _Node:
    if not wanted:
        raise InvalidPattern("Empty arrays are not allowed")
    tests: list[_Leaf] = []
    may_be_absent = False
    for one in wanted:
        if isinstance(one, dict) and next(iter(one), None) == "exists":
            if _exists(one):
                tests.append(lambda value: True)
            may_be_absent = may_be_absent or not one["exists"]
        else:
            tests.append(_test(one))

    def matches(event: Mapping[str, Any]) -> bool:
        found = event.get(name, _ABSENT)
        if not isinstance(found, list | dict):
            if found is _ABSENT:
                return may_be_absent
            return any(test(found) for test in tests)
        values = list(_leaves(found))
        if not values:
            return may_be_absent
        return any(test(value) for test in tests for value in values)

    return matches


def _leaves(value: Any) -> Iterator[Any]:
    """The scalar values in an array; an object has fields of its own instead."""
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif not isinstance(value, dict):
        yield value


def _exists(expression: Mapping[str, Any]) -> bool:
    _only_one_key(expression)
    wanted = expression["exists"]
    if not isinstance(wanted, bool):
        raise InvalidPattern("exists match pattern must be either true or false.")
    return wanted


def _test(wanted: Any) -> _Leaf:
    if isinstance(wanted, dict):
        return _expression(wanted)
    if isinstance(wanted, list):
        raise InvalidPattern("Match value must be String, number, true, false, or null")
    return _equals(wanted)


def _equals(wanted: Any) -> _Leaf:
    if wanted is None or isinstance(wanted, bool):
        return lambda value: value is wanted
    if isinstance(wanted, int | float):
        return lambda value: _is_number(value) and value == wanted
    return lambda value: isinstance(value, str) and value == wanted


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- comparison operators -----------------------------------------------------------------------


def _expression(expression: Mapping[str, Any]) -> _Leaf:
    if not expression:
        raise InvalidPattern("Match expression name not found")
    name, argument = next(iter(expression.items()))
    if name not in _OPERATORS:
        raise InvalidPattern(f"Unrecognized match type {name}")
    _only_one_key(expression)
    match name:
        case "exactly":
            return _equals(_text(argument, "exact match pattern must be a string"))
        case "anything-but":
            return _anything_but(argument)
        case "numeric":
            return _numeric(argument)
        case "cidr":
            return _cidr(_text(argument, "prefix match pattern must be a string"))
        case "exists":
            raise InvalidPattern("exists match pattern must be either true or false.")
        case _:
            return _textual(name, argument)


def _only_one_key(expression: Mapping[str, Any]) -> None:
    if len(expression) > 1:
        raise InvalidPattern("Only one key allowed in match expression")


def _text(argument: Any, otherwise: str) -> str:
    if not isinstance(argument, str):
        raise InvalidPattern(otherwise)
    return argument


def _textual(name: str, argument: Any) -> _Leaf:
    """Operators that look at a text."""
    if name in ("prefix", "suffix") and isinstance(argument, dict):
        return _ignoring_case(name, argument)
    wanted = _text(argument, f"{name} match pattern must be a string")
    match name:
        case "prefix":
            return lambda value: isinstance(value, str) and value.startswith(wanted)
        case "suffix":
            return lambda value: isinstance(value, str) and value.endswith(wanted)
        case "equals-ignore-case":
            folded = wanted.casefold()
            return lambda value: isinstance(value, str) and value.casefold() == folded
        case _:
            pattern = _wildcard(wanted)
            return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _ignoring_case(name: str, argument: Mapping[str, Any]) -> _Leaf:
    _only_one_key(argument)
    if "equals-ignore-case" not in argument:
        raise InvalidPattern(f"Unsupported {name} pattern: {next(iter(argument), '')}")
    wanted = _text(
        argument["equals-ignore-case"], "equals-ignore-case match pattern must be a string"
    ).casefold()
    if name == "prefix":
        return lambda value: isinstance(value, str) and value.casefold().startswith(wanted)
    return lambda value: isinstance(value, str) and value.casefold().endswith(wanted)


def _wildcard(text: str) -> re.Pattern[str]:
    r"""`*` is any run of characters; `\*` and `\\` are themselves."""
    parts: list[str] = []
    position, after_star = 0, False
    while position < len(text):
        char = text[position]
        if char == "*":
            if after_star:
                raise InvalidPattern(f"Consecutive wildcard characters at pos {position}")
            parts.append(".*")
        elif char == "\\":
            position += 1
            if position == len(text) or text[position] not in "*\\":
                raise InvalidPattern(f"Invalid escape character at pos {position - 1}")
            parts.append(re.escape(text[position]))
        else:
            parts.append(re.escape(char))
        after_star = char == "*"
        position += 1
    return re.compile("".join(parts), re.DOTALL)


def _anything_but(argument: Any) -> _Leaf:
    if isinstance(argument, dict):
        return _anything_but_texts(argument)
    if isinstance(argument, bool) or not isinstance(argument, str | int | float | list):
        raise InvalidPattern(
            "Value of anything-but must be an array or single string/number value."
        )
    refused = argument if isinstance(argument, list) else [argument]
    if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in refused):
        raise InvalidPattern("Inside anything but list, start|null|boolean is not supported.")
    if len({isinstance(one, str) for one in refused}) != 1:
        raise InvalidPattern(
            "Inside anything but list, either all values are number or string, "
            "mixed type is not supported"
        )
    return _none_of([_equals(one) for one in refused])


def _anything_but_texts(argument: Mapping[str, Any]) -> _Leaf:
    """`{"anything-but": {"prefix": "a"}}` and its kin, with one text or a list of them."""
    name = next(iter(argument), None)
    if name is None:
        raise InvalidPattern("Anything-But expression name not found")
    if name not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
        raise InvalidPattern(f"Unsupported anything-but pattern: {name}")
    _only_one_key(argument)
    given = argument[name]
    refused = given if isinstance(given, list) else [given]
    if not refused:
        raise InvalidPattern("Empty arrays are not allowed")
    if name in ("prefix", "suffix"):
        for one in refused:
            if not isinstance(one, str | dict):
                raise InvalidPattern("prefix/suffix match pattern must be a string")
            if one == "":
                raise InvalidPattern("Null prefix/suffix not allowed")
    return _none_of([_textual(name, one) for one in refused])


def _none_of(tests: Sequence[_Leaf]) -> _Leaf:
    return lambda value: not any(test(value) for test in tests)


def _numeric(argument: Any) -> _Leaf:
    if not isinstance(argument, list):
        raise InvalidPattern("Value of numeric must be an array.")
    if not argument or not isinstance(argument[0], str):
        raise InvalidPattern("Invalid member in numeric match: operator expected")
    operators, bounds = argument[::2], argument[1::2]
    for operator in operators:
        if not isinstance(operator, str) or operator not in _COMPARISONS:
            raise InvalidPattern(f"Unrecognized numeric range operator: {operator}")
    if len(bounds) != len(operators):
        raise InvalidPattern("Value of equals must be numeric.")
    for bound in bounds:
        if not _is_number(bound):
            raise InvalidPattern(f"Value of {operators[0]} must be numeric.")
        if not -_NUMBER_LIMIT <= bound <= _NUMBER_LIMIT:
            raise InvalidPattern("Value must be between -5.0E9 and 5.0E9, inclusive")
    _require_range(operators, bounds)
    tests = [
        (_COMPARISONS[operator], bound) for operator, bound in zip(operators, bounds, strict=True)
    ]
    return lambda value: _is_number(value) and all(test(value, bound) for test, bound in tests)


def _require_range(operators: Sequence[str], bounds: Sequence[float]) -> None:
    """One comparison, or a lower bound followed by an upper one."""
    if len(operators) == 1:
        return
    if len(operators) > 2 or operators[0] not in (">", ">=") or operators[1] not in ("<", "<="):
        raise InvalidPattern("Too many elements in numeric expression")
    if bounds[0] >= bounds[1]:
        raise InvalidPattern("Bottom must be less than top")


def _cidr(text: str) -> _Leaf:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidPattern(f"Malformed CIDR, one '/' required: {text}") from None

    def matches(value: Any) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return matches
