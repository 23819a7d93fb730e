"""The intrinsic functions of Amazon States Language, `States.Format('…', $.x)` and 17 more.

AWS: "Intrinsic functions for JSONPath states" (intrinsic-functions, Step Functions guide), read
2026-11-21; each limit stands there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from emulator.rules.asl_errors import INTRINSIC_FAILURE, StateFailure
from emulator.rules.asl_paths import PathError, Scope, parse_path

_NAME: Final = re.compile(r"States\.([A-Za-z0-9]+)\(")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_WORDS: Final[Mapping[str, Any]] = {"null": None, "true": True, "false": False}
_RANGE_MAX: Final = 1_000
_TEXT_MAX_CHARS: Final = 10_000
_NESTING_MAX: Final = 10
_HASHES: Final = {
    "MD5": "md5",
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
}


class IntrinsicError(ValueError):
    """What is written is no call of an intrinsic function."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call, read.

    Args:
        name: Without `States.`.
        arguments: Calls, paths (as `_PathArgument`) and plain values.
    """

    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _PathArgument:
    path: str


@lru_cache(maxsize=2048)
def parse_intrinsic(text: str) -> Call:
    """Read a call.

    Raises:
        IntrinsicError: It is none; says what is wrong.
    """
    call, position = _parse_call(text, 0, 1)
    if text[position:].strip():
        raise IntrinsicError(f"Unexpected text behind the call: {text[position:]!r}")
    return call


def _parse_call(text: str, position: int, depth: int) -> tuple[Call, int]:
    match = _NAME.match(text, position)
    if match is None or match[1] not in _FUNCTIONS:
        raise IntrinsicError(f"{text[position : position + 40]!r} is no intrinsic function")
    if depth > _NESTING_MAX:
        raise IntrinsicError(f"More than {_NESTING_MAX} intrinsic functions inside one another")
    position = _skip(text, match.end())
    arguments: list[Any] = []
    while position < len(text) and text[position] != ")":
        argument, position = _parse_argument(text, position, depth)
        arguments.append(argument)
        position = _skip(text, position)
        if position < len(text) and text[position] == ",":
            position = _skip(text, position + 1)
        elif position < len(text) and text[position] != ")":
            raise IntrinsicError(f"A comma or ) is missing at {text[position:][:20]!r}")
    if position >= len(text):
        raise IntrinsicError("The closing ) is missing")
    return Call(match[1], tuple(arguments)), position + 1


def _parse_argument(text: str, position: int, depth: int) -> tuple[Any, int]:
    if text.startswith("States.", position):
        return _parse_call(text, position, depth + 1)
    if text[position] == "'":
        return _parse_text(text, position + 1)
    if text[position] == "$":
        end = _end_of_path(text, position)
        path = text[position:end].strip()
        parse_path(path)
        return _PathArgument(path), end
    for word, value in _WORDS.items():
        if text.startswith(word, position):
            return value, position + len(word)
    number = _NUMBER.match(text, position)
    if number is None:
        raise IntrinsicError(f"{text[position:][:20]!r} is no argument")
    return json.loads(number[0]), number.end()


def _parse_text(text: str, position: int) -> tuple[str, int]:
    """A text in single quotes; a backslash keeps `'`, `{`, `}` and itself."""
    made: list[str] = []
    while position < len(text):
        letter = text[position]
        if letter == "'":
            return "".join(made), position + 1
        if letter == "\\" and position + 1 < len(text):
            following = text[position + 1]
            # States.Format must still see which braces were escaped.
            made.append(f"\\{following}" if following in "{}\\" else following)
            position += 2
            continue
        made.append(letter)
        position += 1
    raise IntrinsicError("A closing ' is missing")


def _end_of_path(text: str, position: int) -> int:
    depth, quote = 0, ""
    while position < len(text):
        letter = text[position]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[(":
            depth += 1
        elif letter == "]" or (letter == ")" and depth):
            depth -= 1
        elif letter in ",)" and depth == 0:
            break
        position += 1
    return position


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


# --- running -------------------------------------------------------------------------------------


def call_intrinsic(text: str, scope: Scope) -> Any:
    """A call's value.

    Raises:
        StateFailure: States.IntrinsicFailure.
        PathError: A path among the arguments finds nothing.
    """
    try:
        return _run(parse_intrinsic(text), scope)
    except PathError:
        raise
    except (IntrinsicError, ValueError, TypeError, KeyError, IndexError) as error:
        raise StateFailure(
            INTRINSIC_FAILURE, f"The function '{text}' had the following error: {error}"
        ) from None


def _run(call: Call, scope: Scope) -> Any:
    given = []
    for argument in call.arguments:
        if isinstance(argument, Call):
            given.append(_run(argument, scope))
        elif isinstance(argument, _PathArgument):
            given.append(parse_path(argument.path).find(scope))
        elif isinstance(argument, str) and call.name != "Format":
            given.append(re.sub(r"\\([{}\\])", r"\1", argument))
        else:
            given.append(argument)
    return _FUNCTIONS[call.name](given, scope)


def _format(given: list[Any], scope: Scope) -> str:
    template, values = given[0], iter(given[1:])
    _require(isinstance(template, str), "the first argument must be a text")
    made: list[str] = []
    position = 0
    while position < len(template):
        if template[position] == "\\" and template[position + 1 : position + 2] in ("{", "}", "\\"):
            made.append(template[position + 1])
            position += 2
        elif template.startswith("{}", position):
            try:
                made.append(_shown(next(values)))
            except StopIteration:
                raise IntrinsicError("there are fewer arguments than {}") from None
            position += 2
        else:
            made.append(template[position])
            position += 1
    _require(next(values, _format) is _format, "there are more arguments than {}")
    return "".join(made)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else _dump(value)


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _partition(given: list[Any], scope: Scope) -> list[Any]:
    items, size = _list(given[0]), _whole(given[1])
    _require(size > 0, "the chunk size must be positive")
    return [items[start : start + size] for start in range(0, len(items), size)]


def _range(given: list[Any], scope: Scope) -> list[int]:
    first, last, step = (_whole(one) for one in given)
    _require(step != 0, "the step must not be 0")
    made = list(range(first, last + (1 if step > 0 else -1), step))
    _require(len(made) <= _RANGE_MAX, f"an array has at most {_RANGE_MAX} elements")
    return made


def _item(given: list[Any], scope: Scope) -> Any:
    items, index = _list(given[0]), _whole(given[1])
    _require(0 <= index < len(items), f"there is no item {index}")
    return items[index]


def _unique(given: list[Any], scope: Scope) -> list[Any]:
    seen: dict[str, Any] = {}
    for item in _list(given[0]):
        seen.setdefault(json.dumps(item, sort_keys=True), item)
    return list(seen.values())


def _decode(given: list[Any], scope: Scope) -> str:
    try:
        return base64.b64decode(_text(given[0]), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise IntrinsicError(str(error)) from None


def _hash(given: list[Any], scope: Scope) -> str:
    algorithm = _HASHES.get(given[1])
    if algorithm is None:
        raise IntrinsicError(f"the algorithm must be one of {', '.join(_HASHES)}")
    data = given[0] if isinstance(given[0], str) else _dump(given[0])
    return hashlib.new(algorithm, _text(data).encode(), usedforsecurity=False).hexdigest()


def _merge(given: list[Any], scope: Scope) -> dict[str, Any]:
    first, second, deep = given
    _require(deep is False, "deep merging is not there at AWS either; give false")
    _require(isinstance(first, dict) and isinstance(second, dict), "two objects are wanted")
    return {**first, **second}


def _random(given: list[Any], scope: Scope) -> int:
    first, last = _whole(given[0]), _whole(given[1])
    if len(given) > 2:
        import random

        return random.Random(_whole(given[2])).randrange(first, last)
    return scope.chance.randrange(first, last)


def _split(given: list[Any], scope: Scope) -> list[str]:
    text, letters = _text(given[0]), _text(given[1])
    pattern = "[" + re.escape(letters) + "]"
    return [part for part in re.split(pattern, text) if part] if letters else [text]


def _uuid(given: list[Any], scope: Scope) -> str:
    return str(uuid.UUID(int=scope.chance.getrandbits(128), version=4))


def _text(value: Any) -> str:
    _require(isinstance(value, str), f"{_dump(value)[:80]} is no text")
    _require(len(value) <= _TEXT_MAX_CHARS, f"a text has at most {_TEXT_MAX_CHARS} characters")
    return str(value)


def _list(value: Any) -> list[Any]:
    _require(isinstance(value, list), f"{_dump(value)[:80]} is no array")
    return list(value)


def _whole(value: Any) -> int:
    _require(
        isinstance(value, (int, float)) and not isinstance(value, bool), f"{value!r} is no number"
    )
    rounded: int = round(value)
    return rounded


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise IntrinsicError(otherwise)


_FUNCTIONS: Final[Mapping[str, Callable[[list[Any], Scope], Any]]] = {
    "Format": _format,
    "StringToJson": lambda given, _: json.loads(given[0]) if given[0] else None,
    "JsonToString": lambda given, _: _dump(given[0]),
    "Array": lambda given, _: given,
    "ArrayPartition": _partition,
    "ArrayContains": lambda given, _: given[1] in _list(given[0]),
    "ArrayRange": _range,
    "ArrayGetItem": _item,
    "ArrayLength": lambda given, _: len(_list(given[0])),
    "ArrayUnique": _unique,
    "Base64Encode": lambda given, _: base64.b64encode(_text(given[0]).encode()).decode(),
    "Base64Decode": _decode,
    "Hash": _hash,
    "JsonMerge": _merge,
    "MathRandom": _random,
    "MathAdd": lambda given, _: _whole(given[0]) + _whole(given[1]),
    "StringSplit": _split,
    "UUID": _uuid,
}
