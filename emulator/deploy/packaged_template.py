"""The project's template as CloudFormation can take it: code in S3, or inlined.

What changes, and nothing else:

- a Lambda function's Code names the zip, whose key is its content's hash;
- a CloudFront Function's FunctionCode is its source;
- a state machine's DefinitionString is its file;
- a published version's logical id ends in a hash of code and configuration, because CloudFormation
  publishes another version only for another resource ("AWS::Lambda::Version", CloudFormation
  template reference, read 2026-11-21; SAM's AutoPublishAlias does the same). Old versions are
  retained: replicas of Lambda@Edge cannot be deleted at once (facts/lambda-at-edge.md 6);
- metadata that only names local files, and parameters that nothing refers to any more, are gone.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from emulator.deploy.artifacts import Artifact
from emulator.errors import ConfigError
from emulator.values.functions import FunctionKind

BUCKET_PARAMETER: Final = "ArtifactBucket"
_VERSION_DIGITS: Final = 10
_LOCAL_METADATA: Final = ("aws:asset:", "localpop:")
# What a local CodeUri is while SAM's translator looks at it (`project/sam.py`).
_SAM_STAND_IN: Final = {"S3Bucket": "localpop", "S3Key": "code"}
_IN_SUB: Final = re.compile(r"\$\{([^!.}][^.}]*)((?:\.[^}]*)?)\}")

Document = dict[str, Any]


def packaged_template(
    document: Mapping[str, Any],
    artifacts: Sequence[Artifact],
    definitions: Mapping[str, str] | None = None,
) -> Document:
    """A template with packaged code.

    Args:
        document: The template; short forms written out, macros run.
        artifacts: What became of its functions.
        definitions: The text of each state machine that is in a file, by logical id.
    """
    packaged: Document = copy.deepcopy(dict(document))
    before = set(references(packaged))
    resources = packaged["Resources"]
    for artifact in artifacts:
        if artifact.logical_id in resources:
            _fill(packaged, resources[artifact.logical_id], artifact)
    for logical_id, text in (definitions or {}).items():
        properties = resources[logical_id].setdefault("Properties", {})
        # What SAM's translator was shown in place of the file.
        properties.pop("DefinitionS3Location", None)
        properties["DefinitionString"] = text
    packaged = _with_fresh_versions(packaged, artifacts)
    for resource in packaged["Resources"].values():
        _drop_local_metadata(resource)
    parameters = packaged.get("Parameters") or {}
    after = set(references(packaged))
    for name in [name for name in parameters if name in before and name not in after]:
        del parameters[name]
    return packaged


def dump_template(document: Mapping[str, Any]) -> str:
    """The template's text, in YAML; source code as it is written."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


class _Dumper(yaml.SafeDumper):
    """Text of several lines as a block, and nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:
        """Write everything out: CloudFormation knows no anchors."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


# --- functions -----------------------------------------------------------------------------------
def _fill(document: Document, resource: Document, artifact: Artifact) -> None:
    properties = resource.setdefault("Properties", {})
    if artifact.kind is FunctionKind.CLOUDFRONT_FUNCTION:
        properties["FunctionCode"] = artifact.code
        return
    code = properties.get("Code") or {}
    bucket = None if code == _SAM_STAND_IN else code.get("S3Bucket")
    if bucket is None:
        bucket = {"Ref": BUCKET_PARAMETER}
        document.setdefault("Parameters", {}).setdefault(
            BUCKET_PARAMETER,
            {"Type": "String", "Description": "The S3 bucket that holds the packaged functions."},
        )
    properties["Code"] = {"S3Bucket": bucket, "S3Key": artifact.file}


def _drop_local_metadata(resource: Document) -> None:
    metadata = resource.get("Metadata")
    if not isinstance(metadata, dict):
        return
    kept = {name: value for name, value in metadata.items() if not name.startswith(_LOCAL_METADATA)}
    if kept:
        resource["Metadata"] = kept
    else:
        del resource["Metadata"]


# --- versions ------------------------------------------------------------------------------------
def _with_fresh_versions(document: Document, artifacts: Iterable[Artifact]) -> Document:
    """Versions of packaged functions under names that change with what they publish."""
    renamed: dict[str, str] = {}
    resources: Document = {}
    of_function = {one.logical_id: one for one in artifacts if one.code_sha256}
    for logical_id, resource in document["Resources"].items():
        function = _versioned_function(resource)
        artifact = of_function.get(function or "")
        if artifact is None or function is None:
            resources[logical_id] = resource
            continue
        configured = json.dumps(document["Resources"][function]["Properties"], sort_keys=True)
        digest = hashlib.sha256(f"{artifact.sha256}{configured}".encode()).hexdigest()
        renamed[logical_id] = f"{logical_id}{digest[:_VERSION_DIGITS]}"
        if renamed[logical_id] in document["Resources"]:
            raise ConfigError(f"The template already has a resource {renamed[logical_id]}.")
        resource.setdefault("DeletionPolicy", "Retain")
        resource.setdefault("UpdateReplacePolicy", "Retain")
        resource["Properties"]["CodeSha256"] = artifact.code_sha256
        resources[renamed[logical_id]] = resource
    followed: Document = _renamed({**document, "Resources": resources}, renamed)
    return followed


def _versioned_function(resource: Mapping[str, Any]) -> str | None:
    """The logical id of the function that a version publishes."""
    if resource.get("Type") != "AWS::Lambda::Version":
        return None
    named = (resource.get("Properties") or {}).get("FunctionName")
    if isinstance(named, dict) and "Ref" in named:
        return str(named["Ref"])
    if isinstance(named, dict) and "Fn::GetAtt" in named:
        target = named["Fn::GetAtt"]
        return str(target[0] if isinstance(target, list) else target).partition(".")[0]
    return None


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The same with every reference to a renamed resource following it."""
    if isinstance(value, list):
        return [_renamed(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    made = {key: _renamed(one, names) for key, one in value.items()}
    if set(made) == {"Ref"}:
        made["Ref"] = names.get(str(made["Ref"]), made["Ref"])
    elif set(made) == {"Fn::GetAtt"}:
        target = made["Fn::GetAtt"]
        parts = target if isinstance(target, list) else str(target).split(".", 1)
        made["Fn::GetAtt"] = [names.get(str(parts[0]), parts[0]), *parts[1:]]
    elif set(made) == {"Fn::Sub"}:
        made["Fn::Sub"] = _renamed_sub(made["Fn::Sub"], names)
    elif "DependsOn" in made and "Type" in made:
        named = made["DependsOn"]
        several = named if isinstance(named, list) else [named]
        followed = [names.get(str(one), one) for one in several]
        made["DependsOn"] = followed if isinstance(named, list) else followed[0]
    return made


def _renamed_sub(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed_sub(value[0], names), *value[1:]]
    return _IN_SUB.sub(lambda found: f"${{{names.get(found[1], found[1])}{found[2]}}}", str(value))


# --- references ----------------------------------------------------------------------------------
def references(value: Any) -> Iterator[str]:
    """Every name that something refers to: by Ref, and in Sub without an attribute or with one."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key == "Ref":
                yield str(one)
            elif key == "Fn::Sub":
                text = one[0] if isinstance(one, list) else one
                yield from (found[0] for found in _IN_SUB.findall(str(text)))
            yield from references(one)
