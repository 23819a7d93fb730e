"""Where templates come from: a file, several files, or a CDK app's cdk.out folder.

A stack is one template with the folder that its paths are relative to. What `aws cloudfront
get-distribution-config` prints becomes a stack of one distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from emulator.errors import ConfigError, NotEmulated
from emulator.project.api_shapes import config_from_api
from emulator.project.documents import read_document, read_json
from emulator.project.intrinsics import REGION, STACK_NAME

MANIFEST: Final = "manifest.json"
_SAM: Final = "AWS::Serverless-2016-10-31"


@dataclass(frozen=True, slots=True)
class Stack:
    """One template.

    Args:
        name: AWS::StackName.
        file: The template's file; paths in it are relative to its folder.
        document: The template.
        region: AWS::Region.
        assets: Where an S3 object of the template is on disk, by object key.
        identities: Distribution id and domain name, by logical id, where AWS has given them.
        shown: The file's name in messages.
    """

    name: str
    file: Path
    document: Mapping[str, Any]
    region: str = REGION
    assets: Mapping[str, Path] = field(default_factory=dict)
    identities: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    shown: str = ""

    def seed(self, logical_id: str) -> str:
        """What made-up ids are made from: the logical id; with the stack's name if it has one."""
        return logical_id if self.name == STACK_NAME else f"{self.name}/{logical_id}"

    @property
    def label(self) -> str:
        """The template in messages."""
        return self.shown or self.file.name


@dataclass(frozen=True, slots=True)
class Stacks:
    """Every stack of a project.

    Args:
        stacks: In the order of their files.
        files: What was read; worth watching.
    """

    stacks: tuple[Stack, ...]
    files: tuple[Path, ...]


def read_stacks(templates: Sequence[Path], parameters: Mapping[str, str]) -> Stacks:
    """Read every template of a project.

    Args:
        templates: Files, or cdk.out folders.
        parameters: Values from localpop.toml; SAM's macro wants them.

    Raises:
        ConfigError: A file is missing or is no template.
        NotEmulated: It names a macro that only runs at AWS.
    """
    stacks: list[Stack] = []
    files: list[Path] = []
    for number, path in enumerate(templates):
        folder = path.parent if path.name == MANIFEST else path
        if folder.is_dir():
            more, read = _read_cdk(folder, parameters)
            stacks += more
            files += read
            continue
        name = STACK_NAME if number == 0 else path.name.partition(".")[0]
        stacks.append(_read_file(path, name, parameters))
        files.append(path)
    return Stacks(tuple(stacks), tuple(files))


def _read_file(path: Path, name: str, parameters: Mapping[str, str]) -> Stack:
    document = read_document(path)
    if "Resources" not in document:
        return _from_api(path, name, document)
    return _expanded(Stack(name, path, document), parameters)


def _from_api(path: Path, name: str, document: Mapping[str, Any]) -> Stack:
    """What `get-distribution-config` or `get-distribution` printed."""
    distribution = document.get("Distribution") or {}
    config = distribution.get("DistributionConfig") or document.get("DistributionConfig") or {}
    logical_id = str(distribution.get("Id") or "Distribution")
    resource = {
        "Type": "AWS::CloudFront::Distribution",
        "Properties": {"DistributionConfig": config_from_api(config)},
    }
    identities = {}
    if "Id" in distribution and "DomainName" in distribution:
        identities[logical_id] = (str(distribution["Id"]), str(distribution["DomainName"]))
    return Stack(name, path, {"Resources": {logical_id: resource}}, identities=identities)


def _expanded(stack: Stack, parameters: Mapping[str, str]) -> Stack:
    """The stack after its macros have run."""
    named = stack.document.get("Transform") or []
    macros = [named] if isinstance(named, str) else list(named)
    for macro in macros:
        if not isinstance(macro, str) or not macro.startswith("AWS::") or macro == "AWS::Include":
            shown = macro.get("Name") if isinstance(macro, dict) else macro
            raise NotEmulated(f"The macro {shown}", where=f"{stack.label}: Transform")
    if _SAM not in macros:
        return stack
    # AWS's own translator takes half a second to import: only who has a SAM template pays.
    from emulator.project.sam import expand

    document = expand(stack.document, stack.file, parameters)
    return Stack(stack.name, stack.file, document, stack.region, stack.assets)


# --- CDK ----------------------------------------------------------------------------------------


def _read_cdk(folder: Path, parameters: Mapping[str, str]) -> tuple[list[Stack], list[Path]]:
    """The stacks of a cloud assembly, nested assemblies (stages) included.

    Schema: manifest.json of aws-cdk-lib's cloud-assembly-schema: artifacts of the types
    aws:cloudformation:stack, cdk:asset-manifest and cdk:cloud-assembly.
    """
    manifest_file = folder / MANIFEST
    if not manifest_file.exists():
        raise ConfigError(
            f"The folder {folder.name} has no {MANIFEST}.",
            where=folder.name,
            mend="Name the folder that `cdk synth` writes, such as cdk.out, or a template file.",
        )
    artifacts = read_json(manifest_file).get("artifacts") or {}
    files = [manifest_file]
    assets: dict[str, Path] = {}
    for artifact in artifacts.values():
        if artifact.get("type") == "cdk:asset-manifest":
            file = folder / artifact["properties"]["file"]
            assets |= _asset_paths(file)
            files.append(file)
    stacks: list[Stack] = []
    for name, artifact in artifacts.items():
        properties = artifact.get("properties") or {}
        match artifact.get("type"):
            case "aws:cloudformation:stack":
                file = folder / properties["templateFile"]
                files.append(file)
                stack = Stack(
                    str(properties.get("stackName") or artifact.get("stackName") or name),
                    file,
                    read_document(file, needs_resources=False),
                    _region(artifact.get("environment", "")),
                    assets,
                    shown=f"{folder.name}/{file.name}",
                )
                stacks.append(_expanded(stack, parameters))
            case "cdk:cloud-assembly":
                more, read = _read_cdk(folder / properties["directoryName"], parameters)
                stacks += more
                files += read
    return stacks, files


def _region(environment: str) -> str:
    """`aws://123456789012/eu-west-1`; an app without a Region says unknown-region."""
    region = environment.rpartition("/")[2]
    return REGION if region in ("", "unknown-region") else region


def _asset_paths(file: Path) -> dict[str, Path]:
    """File assets by the object key that templates name; the bucket says nothing more."""
    paths: dict[str, Path] = {}
    for asset in (read_json(file).get("files") or {}).values():
        source = asset.get("source") or {}
        if "path" not in source:
            # Made by a command while deploying.
            continue
        path = Path(source["path"])
        for destination in (asset.get("destinations") or {}).values():
            paths[str(destination.get("objectKey"))] = (file.parent / path).resolve()
    return paths
