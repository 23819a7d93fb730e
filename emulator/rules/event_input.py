"""What a rule's target gets instead of the whole event.

AWS: "Amazon EventBridge input transformation",
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html,
read 2026-11-21. Where the page is silent (UNVERIFIED): a path that finds nothing gives `null`, or
nothing at all inside of quotes; an object or array inside of quotes is written there as escaped
JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]'"\s]+)|\[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<index>\d+|\*))\]"""
)
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")
_RESERVED: Final = frozenset(
    {
        "aws.events.rule-arn",
        "aws.events.rule-name",
        "aws.events.event.ingestion-time",
        "aws.events.event",
        "aws.events.event.json",
    }
)
_MAX_VARIABLES: Final = 100
"""Model: InputPathsMap has at most 100 entries."""


class InvalidInput(ValueError):  # noqa: N818 - the word of the API
    """A target's Input, InputPath or InputTransformer that cannot be."""


@dataclass(frozen=True, slots=True)
class Matched:
    """An event that a rule has matched.

    Args:
        event: Its JSON envelope.
        text: The same as text.
        rule_arn: The rule.
        rule_name: Its name.
        ingestion_time: When EventBridge got it, ISO 8601.
    """

    event: Mapping[str, Any]
    text: str
    rule_arn: str = ""
    rule_name: str = ""
    ingestion_time: str = ""


def shape_input(target: Mapping[str, Any], matched: Matched) -> str:
    """The text that a target gets.

    Args:
        target: As PutTargets has it; its `Input`, `InputPath` or `InputTransformer` count.
        matched: The event.
    """
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputTransformer"):
        return _transform(target["InputTransformer"], matched)
    path = target.get("InputPath")
    if not path or path == "$":
        return matched.text
    return _json(find(path, matched.event))


def check_input(target: Mapping[str, Any]) -> None:
    """Refuse what EventBridge refuses in PutTargets.

    Raises:
        InvalidInput: Says which part, and why.
    """
    name = target.get("Id", "")
    given = [one for one in ("Input", "InputPath", "InputTransformer") if target.get(one)]
    if len(given) > 1:
        raise InvalidInput(
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {name}."
        )
    if target.get("Input"):
        try:
            orjson.loads(target["Input"])
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"JSON syntax error in input for target {name}: {error}") from None
    if target.get("InputPath"):
        _require_path(target["InputPath"], name)
    transformer = target.get("InputTransformer")
    if transformer:
        _check_transformer(transformer, name)


def find(path: str, event: Any) -> Any:
    """What a JSON path finds; None when it finds nothing.

    Names with a dot or in brackets, indices and `[*]` are there, as EventBridge documents them.
    """
    found = [event]
    many = False
    for step in _steps(path):
        if step == "*":
            many = True
            found = [item for one in found if isinstance(one, list) for item in one]
        elif isinstance(step, int):
            found = [one[step] for one in found if isinstance(one, list) and step < len(one)]
        else:
            found = [one[step] for one in found if isinstance(one, dict) and step in one]
    if many:
        return found
    return found[0] if found else None


def _steps(path: str) -> Iterator[str | int]:
    for match in _STEP.finditer(path):
        index = match["index"]
        if index is not None:
            yield index if index == "*" else int(index)
            continue
        named = [match[group] for group in ("name", "single", "double") if match[group] is not None]
        yield named[0]


def _require_path(path: str, target: str) -> None:
    rest = path.removeprefix("$")
    if not path.startswith("$") or _STEP.sub("", rest):
        raise InvalidInput(f"Invalid JsonPath {path!r} for target {target}.")


def _check_transformer(transformer: Mapping[str, Any], target: str) -> None:
    paths: Mapping[str, str] = transformer.get("InputPathsMap") or {}
    template: str = transformer.get("InputTemplate") or ""
    if not template:
        raise InvalidInput(f"InputTemplate for target {target} must not be empty.")
    if len(paths) > _MAX_VARIABLES:
        raise InvalidInput(f"InputPathsMap for target {target} has more than 100 entries.")
    for name, path in paths.items():
        if name.lower().startswith("aws"):
            raise InvalidInput(f"InputPathsMap for target {target}: {name} is reserved.")
        _require_path(path, target)
    for name in _PLACEHOLDER.findall(template):
        if name not in paths and name not in _RESERVED:
            raise InvalidInput(
                f"InputTemplate for target {target} contains placeholder {name} that is not in "
                "InputPathsMap."
            )


def _transform(transformer: Mapping[str, Any], matched: Matched) -> str:
    paths: Mapping[str, str] = transformer.get("InputPathsMap") or {}
    values = {name: find(path, matched.event) for name, path in paths.items()}
    template: str = transformer["InputTemplate"]
    return _replaced(template, values, matched)


def _replaced(template: str, values: Mapping[str, Any], matched: Matched) -> str:
    parts: list[str] = []
    end, quoted = 0, False
    for placeholder in _PLACEHOLDER.finditer(template):
        before = template[end : placeholder.start()]
        quoted ^= _quotes(before) % 2 == 1
        parts.append(before)
        name = placeholder[1]
        if name in values:
            parts.append(_inside(values[name]) if quoted else _json(values[name]))
        elif name in _RESERVED:
            parts.append(_reserved(name, matched, quoted))
        else:
            parts.append(placeholder[0])
        end = placeholder.end()
    return "".join([*parts, template[end:]])


def _quotes(text: str) -> int:
    r"""How many quotes open or close a JSON string; `\"` is a character of one."""
    return len(re.sub(r"\\.", "", text, flags=re.DOTALL).split('"')) - 1


def _reserved(name: str, matched: Matched, quoted: bool) -> str:
    match name:
        case "aws.events.event.json":
            value: Any = dict(matched.event)
        case "aws.events.event":
            value = {key: one for key, one in matched.event.items() if key != "detail"}
        case "aws.events.rule-arn":
            value = matched.rule_arn
        case "aws.events.rule-name":
            value = matched.rule_name
        case _:
            value = matched.ingestion_time
    return _inside(value) if quoted else _json(value)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _inside(value: Any) -> str:
    """A value within the quotes of a JSON string."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else _json(value)
    return _json(text)[1:-1]
