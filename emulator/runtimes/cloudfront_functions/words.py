"""quickjs-ng's error messages in njs's words, as far as both speak of the same thing.

Measured with njs 0.8.2 (facts/cloudfront-functions.md 5.4 has those that were seen on CloudFront).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_TABLE: Final = (
    (r"cannot read property '(?P<a>.*)' of (?P<b>undefined|null)",
     'cannot get property "{a}" of {b}'),
    (r"cannot set property '.*' of (?P<b>undefined|null)",
     "property set on primitive {b} type"),
    (r"(?P<a>\S+) is not defined", '"{a}" is not defined'),
    (r"(?P<a>\S+) is not initialized", "cannot access variable before initialization"),
    (r"invalid 'instanceof' right operand", "right argument is not callable"),
    (r"invalid 'in' operand", 'property "in" on primitive type'),
    (r"not a constructor", "object is not a function"),
    (r"could not delete property", "Cannot delete property of object"),
    (r"empty array", "Reduce of empty object with no initial value"),
    (r"invalid repeat count", ""),
    (r"cannot convert symbol to (?P<a>string|number)", "Cannot convert a Symbol value to a {a}"),
    (r"circular reference", "Nested too deep or a cyclic structure"),
    (r"invalid array length", "Invalid array length"),
    (r"expecting surrogate pair|malformed UTF-8|expecting hex digit|expecting %", "malformed URI"),
    (r"toString\(\) radix argument must be between 2 and 36",
     "Number.prototype.toString() radix argument must be between 2 and 36"),
)  # fmt: skip
_COMPILED: Final = tuple((re.compile(pattern), words) for pattern, words in _TABLE)

_READ_ONLY: Final = re.compile(r"'(?P<a>.*)' is read-only")


@dataclass(frozen=True, slots=True)
class MemberCall:
    """One call in the code, such as `a.b(c)` or `new a.b(c)`.

    Args:
        start: (line, column), both from 1, columns in bytes.
        end: Where it is over.
        member: The method's name; None for a call of something else.
    """

    start: tuple[int, int]
    end: tuple[int, int]
    member: str | None


class Words:
    """The translator for one function's code.

    Args:
        code: The function's source.
        calls: Where it calls something.
    """

    def __init__(self, code: str, calls: Sequence[MemberCall]) -> None:
        self._calls = calls
        self._constants = frozenset(re.findall(r"\bconst\s+([\w$]+)", code))

    def translate(self, message: str, line: int, column: int, *, native: bool) -> str:
        """One message.

        Args:
            message: The engine's own.
            line: Where in the function's code, from 1; 0 when it is not there.
            column: From 1, where the engine points to.
            native: Whether a built-in function complains of its argument.
        """
        if message == "not a function":
            return self._not_a_function(line, column, native=native)
        read_only = _READ_ONLY.fullmatch(message)
        if read_only is not None:
            if read_only["a"] in self._constants:
                return "assignment to constant variable"
            return f'Cannot assign to read-only property "{read_only["a"]}" of object'
        for pattern, words in _COMPILED:
            match = pattern.fullmatch(message)
            if match is not None:
                return words.format(**match.groupdict())
        return message

    def _not_a_function(self, line: int, column: int, *, native: bool) -> str:
        if native:
            return "callback argument is not callable"
        # quickjs-ng points to what it looked at last: the innermost call around that is meant.
        around = [call for call in self._calls if call.start <= (line, column) < call.end]
        call = max(around, key=lambda each: each.start, default=None)
        if call is not None and call.member is not None:
            return f'(intermediate value)["{call.member}"] is not a function'
        # njs names the type of the value; quickjs-ng does not tell it. It is undefined most often.
        return "undefined is not a function"
