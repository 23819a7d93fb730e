"""Choice rules of Amazon States Language with JSONPath.

AWS: "Choice workflow state" (state-choice, Step Functions guide), read 2026-11-21.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from emulator.rules.asl_errors import RUNTIME, StateFailure
from emulator.rules.asl_paths import PathError, Scope, parse_path

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "Equals": lambda left, right: bool(left == right),
    "LessThan": lambda left, right: bool(left < right),
    "GreaterThan": lambda left, right: bool(left > right),
    "LessThanEquals": lambda left, right: bool(left <= right),
    "GreaterThanEquals": lambda left, right: bool(left >= right),
}
_OPERATOR: Final = re.compile(
    r"(String|Numeric|Timestamp|Boolean)"
    r"(Equals|LessThanEquals|GreaterThanEquals|LessThan|GreaterThan|Matches)(Path)?"
)
_TESTS: Final = frozenset(
    {"IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp"}
)
_TIMESTAMP: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")


def holds(rule: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a Choice rule holds.

    Raises:
        StateFailure: States.Runtime: a path of it finds nothing.
    """
    if "And" in rule:
        return all(holds(one, scope) for one in rule["And"])
    if "Or" in rule:
        return any(holds(one, scope) for one in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], scope)
    operator = operator_of(rule)
    assert operator is not None
    if operator == "IsPresent":
        return _is_present(rule["Variable"], scope) is rule[operator]
    value = _value(rule["Variable"], scope)
    if operator in _TESTS:
        return _is(operator, value) is rule[operator]
    match = _OPERATOR.fullmatch(operator)
    assert match is not None
    wanted = _value(rule[operator], scope) if match[3] else rule[operator]
    return _compared(match[1], match[2], value, wanted)


def operator_of(rule: Mapping[str, Any]) -> str | None:
    """The comparison that a rule makes; None when it makes none that there is."""
    return next((key for key in rule if key in _TESTS or _is_operator(key)), None)


def _is_operator(key: str) -> bool:
    match = _OPERATOR.fullmatch(key)
    if match is None:
        return False
    if match[2] == "Matches":
        return match[1] == "String" and not match[3]
    return match[1] != "Boolean" or match[2] == "Equals"


def _compared(kind: str, comparison: str, value: Any, wanted: Any) -> bool:
    if kind == "Timestamp":
        left, right = parse_timestamp(value), parse_timestamp(wanted)
        if left is None or right is None:
            return False
        return _COMPARISONS[comparison](left, right)
    if not (_is(f"Is{kind}", value) and _is(f"Is{kind}", wanted)):
        return False
    if comparison == "Matches":
        return _pattern(wanted).fullmatch(value) is not None
    return _COMPARISONS[comparison](value, wanted)


def _is(test: str, value: Any) -> bool:
    match test:
        case "IsNull":
            return value is None
        case "IsString":
            return isinstance(value, str)
        case "IsNumeric":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "IsBoolean":
            return isinstance(value, bool)
        case _:
            return parse_timestamp(value) is not None


def parse_timestamp(value: Any) -> datetime | None:
    """A moment in the profile of RFC 3339 that the language takes: a capital T, a zone."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _is_present(path: str, scope: Scope) -> bool:
    try:
        parse_path(path).find(scope)
    except PathError:
        return False
    return True


def _value(path: str, scope: Scope) -> Any:
    try:
        return parse_path(path).find(scope)
    except PathError:
        raise StateFailure(
            RUNTIME,
            f"Invalid path '{path}': The choice state's condition path references an invalid "
            "value.",
        ) from None


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    r"""StringMatches: `*` stands for anything, `\*` for itself."""
    made, position = "", 0
    while position < len(text):
        if text[position] == "\\" and text[position + 1 : position + 2] in ("*", "\\"):
            made += re.escape(text[position + 1])
            position += 2
            continue
        made += ".*" if text[position] == "*" else re.escape(text[position])
        position += 1
    return re.compile(made, re.DOTALL)
