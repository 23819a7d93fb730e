"""What Step Functions would refuse in a state machine's definition, and what it would take.

AWS: "State machine structure" and the pages of each state (Step Functions guide), the API reference
of ValidateStateMachineDefinition for the form of a diagnostic, and states-language.net, all read
2026-11-21. AWS's words for a diagnostic are not all known; where they are not, ours name the field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from emulator.rules import asl_jsonata
from emulator.rules.asl_choices import operator_of
from emulator.rules.asl_intrinsics import IntrinsicError, parse_intrinsic
from emulator.rules.asl_paths import PathError, is_variable, parse_path

DEFINITION_MAX_BYTES: Final = 1_048_576
"""CreateStateMachine: definition, 1 to 1,048,576 characters."""
STATE_NAME_MAX_CHARS: Final = 80
TYPES: Final = ("Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")
_ENDLESS: Final = frozenset({"Choice", "Succeed", "Fail"})
_ONLY_JSONPATH: Final = (
    "InputPath",
    "Parameters",
    "ResultSelector",
    "ResultPath",
    "OutputPath",
    "ItemsPath",
    "SecondsPath",
    "TimestampPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "ErrorPath",
    "CausePath",
    "MaxConcurrencyPath",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentagePath",
)
_ONLY_JSONATA: Final = ("Arguments", "Output", "Items", "Condition")
_PATHS: Final = (
    "InputPath",
    "OutputPath",
    "ItemsPath",
    "SecondsPath",
    "TimestampPath",
    "TimeoutSecondsPath",
    "HeartbeatSecondsPath",
    "MaxConcurrencyPath",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentagePath",
)
_TEMPLATES: Final = ("Parameters", "ResultSelector", "ItemSelector", "Assign")
_WAITS: Final = ("Seconds", "SecondsPath", "Timestamp", "TimestampPath")
_LAMBDA: Final = re.compile(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:.+")
_INTEGRATION: Final = re.compile(
    r"arn:aws[a-z-]*:states:[a-z0-9-]*:(?:\d{12})?:([a-zA-Z0-9-]+(?::[a-zA-Z0-9-]+)?):([a-zA-Z0-9]+)"
    r"(\.sync:2|\.sync|\.waitForTaskToken)?"
)
_OPTIMIZED: Final[Mapping[str, frozenset[str]]] = {
    "lambda": frozenset({"invoke"}),
    "sqs": frozenset({"sendMessage"}),
    "sns": frozenset({"publish"}),
    "events": frozenset({"putEvents"}),
    "dynamodb": frozenset({"getItem", "putItem", "deleteItem", "updateItem"}),
    "bedrock": frozenset({"invokeModel"}),
    "states": frozenset({"startExecution"}),
}
_TOKENS: Final = frozenset({"lambda", "sqs", "sns", "events", "states", "aws-sdk"})


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong.

    Args:
        code: AWS's word, such as `MISSING_TRANSITION_TARGET`.
        message: What is wrong.
        location: A JSON pointer into the definition.
    """

    code: str
    message: str
    location: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message} at {self.location}"


@dataclass(frozen=True, slots=True)
class Integration:
    """What a Task's Resource means.

    Args:
        service: `lambda`, `sqs`, …, or `aws-sdk:` and a service's name.
        action: Such as `sendMessage`.
        pattern: Empty, `.sync`, `.sync:2` or `.waitForTaskToken`.
        function_arn: The Lambda function that the Resource itself is; else empty.
    """

    service: str
    action: str
    pattern: str = ""
    function_arn: str = ""


def parse_resource(resource: str) -> Integration | None:
    """A Task's Resource; None when it is none that there is."""
    if _LAMBDA.fullmatch(resource):
        return Integration("lambda", "invoke", "", resource)
    match = _INTEGRATION.fullmatch(resource)
    if match is None:
        return None
    return Integration(match[1], match[2], match[3] or "")


def not_emulated(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What localpop's own runner cannot do: the place, and what it is."""
    for location, state in _all_states(definition, ""):
        kind = state.get("Type")
        if kind == "Task":
            resource = str(state.get("Resource", ""))
            problem = _resource_problem(resource)
            if problem:
                yield location, problem
        elif kind == "Map":
            processor = state.get("ItemProcessor") or state.get("Iterator") or {}
            mode = (processor.get("ProcessorConfig") or {}).get("Mode", "INLINE")
            if mode != "INLINE":
                yield location, "A Map state in distributed mode"
            for name in ("ItemReader", "ResultWriter", "ItemBatcher"):
                if name in state:
                    yield location, f"{name} of a Map state"
        if "Credentials" in state:
            yield location, "Credentials of a Task state"


def _resource_problem(resource: str) -> str:
    integration = parse_resource(resource)
    if integration is None:
        return f"The Task resource {resource}"
    known = integration.service.startswith("aws-sdk:") or (
        integration.action in _OPTIMIZED.get(integration.service, ())
    )
    service = integration.service.partition(":")[0]
    match integration.pattern:
        case ".waitForTaskToken":
            known = known and service in _TOKENS
        case ".sync" | ".sync:2":
            known = known and service == "states"
    return "" if known else f"The service integration {resource}"


# --- what is wrong -------------------------------------------------------------------------------


def check_definition(text: str) -> tuple[Mapping[str, Any], tuple[Diagnostic, ...]]:
    """A definition, and all that is wrong with it."""
    if len(text.encode()) > DEFINITION_MAX_BYTES:
        return {}, (Diagnostic("INVALID_JSON_DESCRIPTION", "The definition is too large", "/"),)
    try:
        return _checked(text)
    except RecursionError:
        problem = "The definition is nested too deeply"
        return {}, (Diagnostic("INVALID_JSON_DESCRIPTION", problem, "/"),)


def _checked(text: str) -> tuple[Mapping[str, Any], tuple[Diagnostic, ...]]:
    try:
        definition = json.loads(text)
    except ValueError as error:
        return {}, (Diagnostic("INVALID_JSON_DESCRIPTION", f"{error}", "/"),)
    if not isinstance(definition, dict):
        problem = "The definition must be an object"
        return {}, (Diagnostic("INVALID_JSON_DESCRIPTION", problem, "/"),)
    language = definition.get("QueryLanguage", "JSONPath")
    found = list(_check_machine(definition, "", str(language)))
    timeout = definition.get("TimeoutSeconds")
    if timeout is not None and not _is_whole(timeout, 1, 99_999_999):
        found.append(_schema("TimeoutSeconds must be a whole number from 1 on", "/TimeoutSeconds"))
    return definition, tuple(found)


def _check_machine(machine: Any, at: str, language: str) -> Iterator[Diagnostic]:
    """A machine, or what is inside a Parallel's branch or a Map's processor."""
    if not isinstance(machine, dict):
        yield _schema("An object with StartAt and States is expected", at or "/")
        return
    states, start = machine.get("States"), machine.get("StartAt")
    if language not in ("JSONPath", "JSONata"):
        yield _schema("QueryLanguage must be JSONPath or JSONata", f"{at}/QueryLanguage")
    if not isinstance(states, dict) or not states:
        yield _schema("These required fields are missing: [States]", at or "/")
        return
    if not isinstance(start, str):
        yield _schema("These required fields are missing: [StartAt]", at or "/")
    elif start not in states:
        yield Diagnostic(
            "MISSING_TRANSITION_TARGET", f"Missing 'StartAt' target: {start}", f"{at}/StartAt"
        )
    targets = {start} if isinstance(start, str) else set()
    for name, state in states.items():
        location = f"{at}/States/{name}"
        if len(name) > STATE_NAME_MAX_CHARS:
            yield _schema(f"A state's name has at most {STATE_NAME_MAX_CHARS} characters", location)
        if not isinstance(state, dict):
            yield _schema("A state must be an object", location)
            continue
        yield from _check_state(state, location, language)
        for field, target in _targets(state):
            targets.add(target)
            if target not in states:
                yield Diagnostic(
                    "MISSING_TRANSITION_TARGET",
                    f"Missing 'Next' target: {target}",
                    f"{location}/{field}",
                )
    for name in states:
        if name not in targets:
            yield Diagnostic(
                "MISSING_TRANSITION_TARGET",
                f'State "{name}" is not reachable.',
                f"{at}/States/{name}",
            )


def _check_state(state: Mapping[str, Any], at: str, language: str) -> Iterator[Diagnostic]:
    kind = state.get("Type")
    if kind not in TYPES:
        yield _schema(f"The value for the field 'Type' must be one of {list(TYPES)}", f"{at}/Type")
        return
    own = str(state.get("QueryLanguage", language))
    is_jsonata = own == "JSONata"
    if language == "JSONata" and not is_jsonata:
        yield _schema("A JSONata state machine has no JSONPath states", f"{at}/QueryLanguage")
    yield from _check_transition(kind, state, at)
    for name in _ONLY_JSONPATH if is_jsonata else _ONLY_JSONATA:
        if name in state and not (kind == "Choice" and name == "Condition"):
            language_name = "JSONata" if is_jsonata else "JSONPath"
            yield _schema(f"The field '{name}' is not supported in a {language_name} state", at)
    for name in ("Assign", "Parameters", "ResultSelector", "ItemSelector"):
        # JSONata may give a whole ItemSelector, but a variable always has a name.
        is_whole = name == "ItemSelector" and asl_jsonata.is_expression(state.get(name))
        if name in state and not isinstance(state[name], dict) and not is_whole:
            yield _schema(f"{name} must be an object", f"{at}/{name}")
    for name in ("ErrorPath", "CausePath"):
        if name in state:
            yield from _check_path(state[name], f"{at}/{name}")
    if is_jsonata:
        yield from _check_jsonata(state, at)
    else:
        yield from _check_jsonpath(state, at)
    checks = {
        "Task": _check_task,
        "Choice": _check_choice,
        "Wait": _check_wait,
        "Parallel": _check_parallel,
        "Map": _check_map,
    }
    if kind in checks:
        yield from checks[kind](state, at, own)
    yield from _check_handlers(kind, state, at)


def _check_transition(kind: str, state: Mapping[str, Any], at: str) -> Iterator[Diagnostic]:
    has_next, has_end = "Next" in state, "End" in state
    if kind in _ENDLESS:
        for name in ("Next", "End"):
            if name in state:
                yield _schema(f"The field '{name}' is not supported by this state", f"{at}/{name}")
    elif has_next and has_end:
        yield _schema("A state has either Next or End", at)
    elif not has_next and not has_end:
        yield _schema("These required fields are missing: [Next] or [End]", at)
    if has_end and state["End"] is not True:
        yield _schema("End must be true", f"{at}/End")


def _check_task(state: Mapping[str, Any], at: str, language: str) -> Iterator[Diagnostic]:
    resource = state.get("Resource")
    if not isinstance(resource, str) or not resource.startswith("arn:"):
        yield _schema("Value is not a valid resource ARN", f"{at}/Resource")
    for name in ("TimeoutSeconds", "HeartbeatSeconds"):
        value = state.get(name)
        is_right = _is_whole(value, 1, 99_999_999) or asl_jsonata.is_expression(value)
        if value is not None and not is_right:
            yield _schema(f"{name} must be a whole number from 1 on", f"{at}/{name}")


def _check_wait(state: Mapping[str, Any], at: str, language: str) -> Iterator[Diagnostic]:
    if sum(name in state for name in _WAITS) != 1:
        yield _schema(f"A Wait state must have exactly one of {list(_WAITS)}", at)
    seconds = state.get("Seconds", 0)
    if not _is_whole(seconds, 0, 99_999_999) and not asl_jsonata.is_expression(seconds):
        yield _schema("Seconds must be a whole number from 0 to 99999999", f"{at}/Seconds")


def _check_choice(state: Mapping[str, Any], at: str, language: str) -> Iterator[Diagnostic]:
    rules = state.get("Choices")
    if not isinstance(rules, list) or not rules:
        yield _schema("Choices must be a list that is not empty", f"{at}/Choices")
        return
    for number, rule in enumerate(rules):
        location = f"{at}/Choices[{number}]"
        if not isinstance(rule, dict) or not isinstance(rule.get("Next"), str):
            yield _schema("These required fields are missing: [Next]", location)
        elif language == "JSONata":
            if "Condition" not in rule:
                yield _schema("These required fields are missing: [Condition]", location)
        else:
            yield from _check_rule(rule, location)


def _check_rule(rule: Any, at: str) -> Iterator[Diagnostic]:
    if not isinstance(rule, dict):
        yield _schema("A choice rule must be an object", at)
        return
    for name in ("And", "Or"):
        if name in rule:
            if not isinstance(rule[name], list) or not rule[name]:
                yield _schema(f"{name} must be a list that is not empty", f"{at}/{name}")
                return
            for number, one in enumerate(rule[name]):
                yield from _check_rule(one, f"{at}/{name}[{number}]")
            return
    if "Not" in rule:
        yield from _check_rule(rule["Not"], f"{at}/Not")
        return
    if not isinstance(rule.get("Variable"), str):
        yield _schema("These required fields are missing: [Variable]", at)
        return
    yield from _check_path(rule["Variable"], f"{at}/Variable")
    operator = operator_of(rule)
    if operator is None:
        yield _schema("The rule has no comparison operator", at)
    elif operator.endswith("Path"):
        yield from _check_path(rule[operator], f"{at}/{operator}")


def _check_parallel(state: Mapping[str, Any], at: str, language: str) -> Iterator[Diagnostic]:
    branches = state.get("Branches")
    if not isinstance(branches, list) or not branches:
        yield _schema("Branches must be a list that is not empty", f"{at}/Branches")
        return
    for number, branch in enumerate(branches):
        yield from _check_machine(branch, f"{at}/Branches[{number}]", language)


def _check_map(state: Mapping[str, Any], at: str, language: str) -> Iterator[Diagnostic]:
    name = "Iterator" if "Iterator" in state else "ItemProcessor"
    if name not in state:
        yield _schema("These required fields are missing: [ItemProcessor]", at)
        return
    yield from _check_machine(state[name], f"{at}/{name}", language)
    concurrency = state.get("MaxConcurrency", 0)
    if not _is_whole(concurrency, 0, 2**31) and not asl_jsonata.is_expression(concurrency):
        yield _schema("MaxConcurrency must be a whole number from 0 on", f"{at}/MaxConcurrency")


def _check_handlers(kind: str, state: Mapping[str, Any], at: str) -> Iterator[Diagnostic]:
    for name in ("Retry", "Catch"):
        if name not in state:
            continue
        if kind not in ("Task", "Parallel", "Map"):
            yield _schema(f"The field '{name}' is not supported by this state", f"{at}/{name}")
            continue
        handlers = state[name]
        if not isinstance(handlers, list):
            yield _schema(f"{name} must be a list", f"{at}/{name}")
            continue
        for number, handler in enumerate(handlers):
            location = f"{at}/{name}[{number}]"
            yield from _check_handler(name, handler, location, number == len(handlers) - 1)


def _check_handler(name: str, handler: Any, at: str, is_last: bool) -> Iterator[Diagnostic]:
    errors = handler.get("ErrorEquals") if isinstance(handler, dict) else None
    if not isinstance(errors, list) or not errors or not all(isinstance(e, str) for e in errors):
        yield _schema("ErrorEquals must be a list of texts that is not empty", f"{at}/ErrorEquals")
        return
    if "States.ALL" in errors and (len(errors) > 1 or not is_last):
        message = f"States.ALL must stand alone, and in the last of {name}"
        yield _schema(message, f"{at}/ErrorEquals")
    if name == "Catch" and not isinstance(handler.get("Next"), str):
        yield _schema("These required fields are missing: [Next]", at)
    if name == "Retry":
        for field, least in (("MaxAttempts", 0), ("IntervalSeconds", 1), ("MaxDelaySeconds", 1)):
            if field in handler and not _is_whole(handler[field], least, 99_999_999):
                yield _schema(f"{field} must be a whole number from {least} on", f"{at}/{field}")
        rate = handler.get("BackoffRate", 1)
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or rate < 1:
            yield _schema("BackoffRate must be a number from 1 on", f"{at}/BackoffRate")


# --- query languages -----------------------------------------------------------------------------


def _check_jsonpath(state: Mapping[str, Any], at: str) -> Iterator[Diagnostic]:
    for name in _PATHS:
        if isinstance(state.get(name), str):
            yield from _check_path(state[name], f"{at}/{name}")
    result_path = state.get("ResultPath")
    if isinstance(result_path, str) and result_path != "$":
        yield from _check_reference(result_path, f"{at}/ResultPath")
    for name in _TEMPLATES:
        yield from _check_template(state.get(name), f"{at}/{name}")


def _check_template(template: Any, at: str) -> Iterator[Diagnostic]:
    if isinstance(template, list):
        for number, item in enumerate(template):
            yield from _check_template(item, f"{at}[{number}]")
    elif isinstance(template, dict):
        for key, value in template.items():
            if not key.endswith(".$"):
                yield from _check_template(value, f"{at}/{key}")
            elif not isinstance(value, str):
                yield _not_a_path(key, f"{at}/{key}")
            elif value.startswith("States."):
                try:
                    parse_intrinsic(value)
                except (IntrinsicError, PathError) as error:
                    yield _schema(f"{value!r} is no intrinsic function: {error}", f"{at}/{key}")
            else:
                yield from _check_path(value, f"{at}/{key}", key)


def _check_path(path: Any, at: str, field: str = "") -> Iterator[Diagnostic]:
    try:
        # An intrinsic function may stand in ErrorPath and CausePath.
        if isinstance(path, str) and path.startswith("States."):
            parse_intrinsic(path)
        else:
            parse_path(path)
    except (PathError, IntrinsicError, TypeError):
        yield _not_a_path(field, at)


def _not_a_path(field: str, at: str) -> Diagnostic:
    of = f" for the field '{field}'" if field else ""
    return _schema(f"The value{of} must be a valid JSONPath or a valid intrinsic function call", at)


def _check_reference(path: str, at: str) -> Iterator[Diagnostic]:
    try:
        is_reference = parse_path(path).is_reference
    except PathError:
        is_reference = False
    if not is_reference or is_variable(path):
        yield _schema(f"{path!r} is not a Reference Path", at)


def _check_jsonata(value: Any, at: str) -> Iterator[Diagnostic]:
    """Every expression of a state, but not those of states inside it."""
    if asl_jsonata.is_expression(value):
        try:
            problem = asl_jsonata.problem(value)
        except ImportError:
            return
        if problem:
            yield _schema(f"The JSONata expression is not valid: {problem}", at)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key not in ("Branches", "ItemProcessor", "Iterator"):
                yield from _check_jsonata(one, f"{at}/{key}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _check_jsonata(one, f"{at}[{number}]")


# --- helpers -------------------------------------------------------------------------------------


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, holder in (
        ("", [state]),
        ("Choices", state.get("Choices")),
        ("Catch", state.get("Catch")),
    ):
        for number, one in enumerate(holder if isinstance(holder, list) else ()):
            if isinstance(one, dict) and isinstance(one.get("Next"), str):
                yield (f"{field}[{number}]/Next" if field else "Next"), one["Next"]
    if isinstance(state.get("Default"), str):
        yield "Default", state["Default"]


def _all_states(machine: Mapping[str, Any], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in (machine.get("States") or {}).items():
        location = f"{at}/States/{name}"
        yield location, state
        inner: Sequence[tuple[str, Any]] = [
            (f"Branches[{number}]", branch)
            for number, branch in enumerate(state.get("Branches") or ())
        ]
        inner = [
            *inner,
            *((one, state[one]) for one in ("ItemProcessor", "Iterator") if one in state),
        ]
        for field, one in inner:
            yield from _all_states(one, f"{location}/{field}")


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _schema(message: str, at: str) -> Diagnostic:
    return Diagnostic("SCHEMA_VALIDATION_FAILED", message, at)
