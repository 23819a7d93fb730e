"""Amazon States Language's JSONPath: paths, payload templates, and where a result is put.

A definite path (names and indices only) gives the value, any other (wildcards, slices, filters,
`..`) a list of values, as the Jayway library does that Step Functions uses. Source: "Specifying
state output using paths" and "Managing state input and output" (Step Functions guide), and
states-language.net, read 2026-11-21. Values are never changed in place: histories keep them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from emulator.rules.asl_errors import RESULT_PATH, RUNTIME, StateFailure

_STEP: Final = re.compile(
    r"""\.([^.\[\]$@*\s()'"?,:]+)|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\[(-?\d+)\]"""
)
_ROOT: Final = re.compile(r"\$\$|\$(?:[A-Za-z_][A-Za-z0-9_]*)?")
_MISSING: Final = object()


@dataclass(slots=True)
class Scope:
    """What a path can see.

    Args:
        value: The state's input at this point; `$`.
        context: The context object; `$$`.
        variables: What Assign has set; `$name`.
        chance: For intrinsic functions that draw.
    """

    value: Any
    context: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    chance: random.Random = field(default_factory=random.Random)

    def with_value(self, value: Any) -> Scope:
        """The same with another input."""
        return Scope(value, self.context, self.variables, self.chance)


class PathError(ValueError):
    """A path that is none, or that finds nothing.

    Args:
        path: The path.
        source: What it was looked for in.
    """

    def __init__(self, path: str, source: Any = None) -> None:
        self.path, self.source = path, source
        super().__init__(path)


@dataclass(frozen=True, slots=True)
class Path:
    """A path, read.

    Args:
        text: As it is written.
        root: `$`, `$$`, or a variable's `$name`.
        steps: Names and indices; None when the path is not definite.
    """

    text: str
    root: str
    steps: tuple[str | int, ...] | None

    @property
    def is_reference(self) -> bool:
        """Whether it names exactly one place of the input."""
        return self.root == "$" and self.steps is not None

    def find(self, scope: Scope) -> Any:
        """What the path means.

        Raises:
            PathError: Nothing is there.
        """
        if self.root == "$":
            source = scope.value
        elif self.root == "$$":
            source = scope.context
        else:
            source = scope.variables.get(self.root[1:], _MISSING)
            if source is _MISSING:
                raise PathError(self.text, dict(scope.variables))
        if self.steps is None:
            return [match.value for match in _general("$" + self.text[len(self.root) :], source)]
        found = source
        for step in self.steps:
            found = _step(found, step)
            if found is _MISSING:
                raise PathError(self.text, source)
        return found


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """Read a path.

    Raises:
        PathError: It is none.
    """
    root = _ROOT.match(text)
    if root is None:
        raise PathError(text)
    steps: list[str | int] = []
    position = root.end()
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            _parse_general("$" + text[root.end() :], text)
            return Path(text, root[0], None)
        plain, single, double, index = step.groups()
        quoted = single if single is not None else double
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(plain if plain is not None else re.sub(r"\\(.)", r"\1", quoted))
        position = step.end()
    return Path(text, root[0], tuple(steps))


def _step(found: Any, step: str | int) -> Any:
    if isinstance(step, str):
        return found.get(step, _MISSING) if isinstance(found, dict) else _MISSING
    if isinstance(found, list) and -len(found) <= step < len(found):
        return found[step]
    return _MISSING


@lru_cache(maxsize=1024)
def _parse_general(path: str, shown: str) -> Any:
    from jsonpath_ng.ext.parser import parse

    try:
        return parse(path)
    except Exception:
        # The library raises whatever its lexer and parser raise.
        raise PathError(shown) from None


def _general(path: str, source: Any) -> Any:
    return _parse_general(path, path).find(source)


def is_variable(text: str) -> bool:
    """Whether a text refers to a variable, `$name…`."""
    return len(text) > 1 and text[0] == "$" and (text[1].isalpha() or text[1] == "_")


def selected(path: str | None, scope: Scope) -> Any:
    """What InputPath or OutputPath selects; None selects an empty object.

    Raises:
        StateFailure: States.Runtime, in AWS's words.
    """
    if path is None:
        return {}
    if path == "$":
        return scope.value
    try:
        return parse_path(path).find(scope)
    except PathError as error:
        raise StateFailure(
            RUNTIME, f"Invalid path '{path}' : No results for path: $['{error.path[2:]}']"
        ) from None


def placed(result_path: str | None, value: Any, result: Any) -> Any:
    """The input with a result put where ResultPath says; None discards the result.

    Raises:
        StateFailure: States.ResultPathMatchFailure: what is there cannot hold it.
    """
    if result_path is None:
        return value
    if result_path == "$":
        return result
    steps = parse_path(result_path).steps
    assert steps is not None
    return _put(value, steps, result, result_path)


def _put(value: Any, steps: tuple[str | int, ...], result: Any, path: str) -> Any:
    if not steps:
        return result
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        if value is None or not isinstance(value, (dict, list)):
            value = {}
        if isinstance(value, list):
            raise _no_match(path, value)
        return {**value, step: _put(value.get(step), rest, result, path)}
    if not isinstance(value, list) or not -len(value) <= step < len(value):
        raise _no_match(path, value)
    copied = list(value)
    copied[step] = _put(copied[step], rest, result, path)
    return copied


def _no_match(path: str, value: Any) -> StateFailure:
    return StateFailure(
        RESULT_PATH,
        f"Unable to apply ReferencePath {path} to input {json.dumps(value, ensure_ascii=False)}",
    )


def filled(template: Any, scope: Scope) -> Any:
    """A payload template (Parameters, ResultSelector, …) with its `.$` members filled in.

    Raises:
        StateFailure: States.Runtime for a path that finds nothing, States.IntrinsicFailure.
    """
    if isinstance(template, dict):
        made = {}
        for key, value in template.items():
            if key.endswith(".$") and isinstance(value, str):
                made[key[:-2]] = evaluated(value, scope, key)
            else:
                made[key] = filled(value, scope)
        return made
    if isinstance(template, list):
        return [filled(item, scope) for item in template]
    return template


def evaluated(text: str, scope: Scope, shown: str) -> Any:
    """A path's or an intrinsic function's value.

    Args:
        text: `$.…`, `$$.…`, `$name…` or `States.…(…)`.
        scope: What it sees.
        shown: The field that holds it, for messages.

    Raises:
        StateFailure: As for `filled`.
    """
    from emulator.rules.asl_intrinsics import call_intrinsic

    try:
        if text.startswith("States."):
            return call_intrinsic(text, scope)
        return parse_path(text).find(scope)
    except PathError as error:
        source = json.dumps(error.source, ensure_ascii=False, default=str)
        raise StateFailure(
            RUNTIME,
            f"The JSONPath '{error.path}' specified for the field '{shown}' could not be found in "
            f"the input '{source}'",
        ) from None
