"""State machines of a template: `AWS::StepFunctions::StateMachine`, SAM's expanded to it.

AWS: "AWS::StepFunctions::StateMachine", CloudFormation template reference, read 2026-11-21. The
definition is in the template (DefinitionString, Definition), or on disk by `aws:asset:path`;
`${name}` in it stands for what DefinitionSubstitutions says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from emulator.errors import ConfigError
from emulator.project.declarations import StateMachineDeclaration
from emulator.project.intrinsics import Unresolved
from emulator.project.reading import Section
from emulator.project.resources import ASSET_PATH, Resources
from emulator.rules.asl_definition import check_definition
from emulator.values.state_machines import MachineType

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


def read_state_machine(resources: Resources, logical_id: str) -> StateMachineDeclaration:
    """A state machine; what Step Functions would refuse in its definition is noted.

    Raises:
        ConfigError: Its definition is not where the template says, or is nowhere.
    """
    properties = resources.properties(logical_id)
    name = resources.name(logical_id, "StateMachineName")
    file = resources.asset(logical_id)
    text = _substituted(_text(properties, file), properties.section("DefinitionSubstitutions"))
    where = file.name if file else properties.place("DefinitionString")
    _, diagnostics = check_definition(text)
    for one in diagnostics:
        properties.notes.error(str(one), where, "Mend the state machine's definition.")
    if diagnostics:
        # Nothing of it could be run; a definition that could stands in.
        text = '{"StartAt": "Broken", "States": {"Broken": {"Type": "Fail"}}}'
    return StateMachineDeclaration(
        logical_id,
        name,
        resources.state_machine_arn(logical_id),
        text,
        properties.one_of(
            "StateMachineType", MachineType, MachineType.STANDARD, "type of state machine"
        ),
        properties.text("RoleArn"),
        file,
    )


def has_definition(resources: Resources, logical_id: str) -> bool:
    """Whether anything says what a state machine does, on this machine."""
    named = {"DefinitionString", "Definition"} & set(resources.unresolved(logical_id))
    return bool(named or resources.metadata(logical_id).get(ASSET_PATH))


def _text(properties: Section, file: Path | None) -> str:
    if file is not None:
        return _read(file)
    if properties.has("DefinitionString"):
        return properties.text("DefinitionString")
    if properties.has("Definition"):
        definition = properties.section("Definition").raw
        _require_resolved(definition)
        return json.dumps(definition)
    raise ConfigError(
        "Where this state machine's definition is on disk is not said.",
        where=properties.place("DefinitionString"),
        mend="Add to its Metadata: aws:asset:path: <file>.asl.json, and aws:asset:property: "
        "DefinitionString.",
    )


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix in (".yaml", ".yml"):
            return json.dumps(yaml.safe_load(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"The definition cannot be read: {error}.", where=file.name, mend="Save it as UTF-8."
        ) from None
    return text


def _require_resolved(value: Any) -> None:
    if isinstance(value, Unresolved):
        raise value.error
    for one in value.values() if isinstance(value, Mapping) else ():
        _require_resolved(one)
    for one in value if isinstance(value, list) else ():
        _require_resolved(one)


def _substituted(text: str, substitutions: Section) -> str:
    """The text with `${name}` filled in; inside of JSON texts, so that a value is escaped."""
    if not substitutions.raw:
        return text

    def replace(match: re.Match[str]) -> str:
        if match[1] not in substitutions.raw:
            return match[0]
        return json.dumps(substitutions.text(match[1]), ensure_ascii=False)[1:-1]

    return _VARIABLE.sub(replace, text)
