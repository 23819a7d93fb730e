"""The template without what `localpop deploy` makes, for CloudFormation.

References to what is deployed already become parameters whose defaults are the real values; a
bucket whose name was said gets that name. Whatever nothing refers to any more is gone.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from emulator.deploy.packaged_template import Document, references

_IN_SUB: Final = re.compile(r"\$\{([^!.}][^.}]*)(?:\.([^}]*))?\}")

Known = Callable[[str, str], str]
"""What a deployed resource answers: (logical id, attribute, or "" for Ref) to its value."""


def rest_template(
    document: Mapping[str, Any], ours: Collection[str], known: Known, names: Mapping[str, str]
) -> Document:
    """What is left to CloudFormation.

    Args:
        document: The packaged template.
        ours: Logical ids of what is deployed already.
        known: What those answer to Ref and GetAtt.
        names: Names that buckets were said to have, by logical id.
    """
    rest: Document = copy.deepcopy(dict(document))
    rest["Resources"] = {name: one for name, one in rest["Resources"].items() if name not in ours}
    for name, bucket in names.items():
        resource = rest["Resources"].get(name) or {}
        if resource.get("Type") == "AWS::S3::Bucket":
            resource.setdefault("Properties", {}).setdefault("BucketName", bucket)
    before = set(references(dict(document)))
    given: dict[str, str] = {}

    def parameter(logical_id: str, attribute: str) -> str:
        name = re.sub(r"[^A-Za-z0-9]", "", f"{logical_id}{attribute}")
        # A resource's own name is free now: it is not in this template.
        given[name] = known(logical_id, attribute)
        return name

    for section in ("Resources", "Outputs"):
        if section in rest:
            rest[section] = _pointed(rest[section], frozenset(ours), parameter)
    declared = rest.setdefault("Parameters", {})
    for name, value in given.items():
        declared[name] = {"Type": "String", "Default": value, "Description": "Already deployed."}
    after = set(references(rest))
    for name in [name for name in declared if name in before and name not in after]:
        del declared[name]
    if not declared:
        del rest["Parameters"]
    return rest


def _pointed(value: Any, ours: frozenset[str], parameter: Callable[[str, str], str]) -> Any:
    """The same with parameters in place of what is deployed already."""
    if isinstance(value, list):
        return [_pointed(one, ours, parameter) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in ours:
        return {"Ref": parameter(str(value["Ref"]), "")}
    if set(value) == {"Fn::GetAtt"}:
        target = value["Fn::GetAtt"]
        parts = target if isinstance(target, list) else str(target).split(".", 1)
        if parts[0] in ours:
            return {"Ref": parameter(str(parts[0]), ".".join(map(str, parts[1:])))}
    if set(value) == {"Fn::Sub"}:
        return {"Fn::Sub": _pointed_sub(value["Fn::Sub"], ours, parameter)}
    made = {key: _pointed(one, ours, parameter) for key, one in value.items()}
    if "Type" in made and "DependsOn" in made:
        named = made["DependsOn"]
        kept = [one for one in (named if isinstance(named, list) else [named]) if one not in ours]
        made["DependsOn"] = kept
        if not kept:
            del made["DependsOn"]
    return made


def _pointed_sub(value: Any, ours: frozenset[str], parameter: Callable[[str, str], str]) -> Any:
    if isinstance(value, list):
        text, more = value
        return [_pointed_sub(text, ours, parameter), _pointed(more, ours, parameter)]

    def point(found: re.Match[str]) -> str:
        if found[1] not in ours:
            return found[0]
        return f"${{{parameter(found[1], found[2] or '')}}}"

    return _IN_SUB.sub(point, str(value))
