"""What the template wants at AWS: which of its resources are ours, and what they shall say.

`localpop deploy` makes the edge: CloudFront's resources, the Lambda functions with a version at the
edge, their versions and roles. The rest is CloudFormation's.

Names and ids come from AWS as deployment goes on. Before that, `⟨AnswerStore.Arn⟩` stands for
what is not known yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from emulator.deploy.plan import Left
from emulator.errors import ConfigError, LocalpopError
from emulator.project.declarations import (
    FunctionDeclaration,
    LambdaFunctionDeclaration,
    TemplateDeclarations,
)
from emulator.project.identifiers import letters
from emulator.project.intrinsics import STACK_NAME, Resolver, Unresolved
from emulator.project.stacks import Stack

ROLE: Final = "AWS::IAM::Role"
ROLE_POLICY: Final = "AWS::IAM::Policy"
LAMBDA: Final = "AWS::Lambda::Function"
VERSION: Final = "AWS::Lambda::Version"
STORE: Final = "AWS::CloudFront::KeyValueStore"
FUNCTION: Final = "AWS::CloudFront::Function"
DISTRIBUTION: Final = "AWS::CloudFront::Distribution"
CONFIGURATIONS: Final = tuple(
    f"AWS::CloudFront::{noun}"
    for noun in (
        "PublicKey",
        "KeyGroup",
        "CachePolicy",
        "OriginRequestPolicy",
        "ResponseHeadersPolicy",
        "OriginAccessControl",
    )
)
ORDER: Final = (STORE, ROLE, LAMBDA, VERSION, FUNCTION, *CONFIGURATIONS, DISTRIBUTION)
"""Each type after those that it can refer to (facts/local-aws.md section 6)."""

_BAKED_FILES: Final = "localpop:baked-files"
_PARAMETER: Final = "AWS::SSM::Parameter"
_EDGE_FUNCTION_READER: Final = "Custom::CrossRegionStringParameterReader"
_EXPORT_READER: Final = "Custom::CrossRegionExportReader"
_EXPORT_WRITER: Final = "Custom::CrossRegionExportWriter"
_UNKNOWN: Final = re.compile("⟨[^⟩]+⟩")
# CloudFormation's own limit for what it makes up for roles and functions.
_NAME_MAX_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class Declared:
    """A resource of the template that is ours.

    Args:
        key: Its logical id; of several templates, with the stack's name before it.
        type: Its type.
        logical_id: Its logical id.
        stack: The number of its stack.
    """

    key: str
    type: str
    logical_id: str
    stack: int = 0


@dataclass(slots=True)
class Template:
    """A project's templates, resolved with what is known at AWS.

    Args:
        stacks: The templates.
        declared: What localpop reads in them: where code is, what stores import.
        name: The deployment's name, which is AWS::StackName.
        account: The account.
        parameters: Values of parameters.
        values: What only AWS knows, by `Resource.Attribute`, export or `ssm:/name`.
    """

    stacks: Sequence[Stack]
    declared: TemplateDeclarations
    name: str
    account: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    ours: tuple[Declared, ...] = field(init=False)
    left: tuple[Left, ...] = field(init=False)
    folded: frozenset[str] = field(init=False)
    _known: dict[str, Mapping[str, str]] = field(init=False, default_factory=dict)
    _resolvers: list[Resolver] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        for number, stack in enumerate(self.stacks):
            named = self.name if stack.name == STACK_NAME else stack.name
            self._resolvers.append(
                Resolver(
                    stack.document,
                    self.parameters,
                    _Attributes(self, number),
                    stack.label,
                    _Elsewhere(self),
                    named,
                    stack.region,
                    self.account,
                )
            )
        found = [one for number in range(len(self.stacks)) for one in self._ours_of(number)]
        self.ours = tuple(sorted(found, key=lambda one: ORDER.index(one.type)))
        folded = {self.key(number, name) for number, name in self._role_policies()}
        mine = {one.key for one in found} | folded
        self.folded = frozenset(folded)
        self.left = tuple(
            Left(self.key(number, logical_id), str(resource["Type"]))
            for number in range(len(self.stacks))
            for logical_id, resource in self._resources(number)
            if self.key(number, logical_id) not in mine
        )

    # --- what there is ----------------------------------------------------------------------

    def key(self, stack: int, logical_id: str) -> str:
        """How a resource is called among all of the project's."""
        several = len(self.stacks) > 1
        return f"{self.stacks[stack].name}/{logical_id}" if several else logical_id

    def of(self, kind: str) -> list[Declared]:
        """Ours of one type."""
        return [one for one in self.ours if one.type == kind]

    def _resources(self, number: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
        resolver = self._resolvers[number]
        for logical_id, resource in self.stacks[number].document["Resources"].items():
            condition = resource.get("Condition")
            if condition is None or resolver.condition(condition):
                yield logical_id, resource

    def _ours_of(self, number: int) -> Iterator[Declared]:
        at_the_edge = {one.logical_id for one in self.declared.lambdas if one.versions}
        resources = dict(self._resources(number))
        functions = {
            name
            for name, one in resources.items()
            if one.get("Type") == LAMBDA and name in at_the_edge
        }
        roles = {_target(_properties(resources[name]).get("Role")) for name in functions}
        for logical_id, resource in resources.items():
            kind = str(resource.get("Type"))
            match kind:
                case "AWS::Lambda::Function":
                    mine = logical_id in functions
                case "AWS::Lambda::Version":
                    mine = _target(_properties(resource).get("FunctionName")) in functions
                case "AWS::IAM::Role":
                    mine = logical_id in roles
                case _:
                    mine = kind in ORDER
            if mine:
                yield Declared(self.key(number, logical_id), kind, logical_id, number)

    def _role_policies(self) -> Iterator[tuple[int, str]]:
        """AWS::IAM::Policy resources of roles of ours: they become part of the role."""
        for role in self.of(ROLE):
            for logical_id, resource in self._resources(role.stack):
                named = _properties(resource).get("Roles") or []
                if resource.get("Type") == ROLE_POLICY and role.logical_id in map(_target, named):
                    yield role.stack, logical_id

    # --- what they shall say ----------------------------------------------------------------

    def properties(self, one: Declared) -> dict[str, Any]:
        """A resource's properties, resolved.

        Raises:
            ConfigError: They name what nobody knows.
        """
        return self._resolved(one.stack, one.logical_id)

    def require_values(self) -> None:
        """Ask for everything that only AWS knows at once, before anything is made.

        Raises:
            ConfigError: What is missing, and how to say it.
        """
        missing: dict[str, ConfigError] = {}
        for one in self.ours:
            resource = self.stacks[one.stack].document["Resources"][one.logical_id]
            baked = (resource.get("Metadata") or {}).get(_BAKED_FILES) or {}
            said = [_without_code(_properties(resource)), baked]
            resolved = self._resolvers[one.stack].resolve_parts(said, self.place(one))
            for error in _unresolved(resolved):
                if isinstance(error, ConfigError):
                    missing.setdefault(error.mend or error.what, error)
                else:
                    raise error
        if missing:
            whats = dict.fromkeys(error.what for error in missing.values())
            where = next(iter(missing.values())).where
            raise ConfigError(" ".join(whats), where=where, mend=" ".join(missing))

    def _resolved(self, stack: int, logical_id: str) -> dict[str, Any]:
        raw = _properties(self.stacks[stack].document["Resources"][logical_id])
        place = f"Resources.{logical_id}.Properties"
        wanted = _without_code(raw)
        resolved: dict[str, Any] = self._resolvers[stack].resolve(wanted, place)
        return resolved

    def place(self, one: Declared) -> str:
        """Where a resource stands, for errors."""
        return f"{self.stacks[one.stack].label}: Resources.{one.logical_id}.Properties"

    def resource_name(self, one: Declared, member: str) -> str:
        """A resource's own name; else made of the deployment's, as CloudFormation does."""
        raw = _properties(self.stacks[one.stack].document["Resources"][one.logical_id])
        if member in raw:
            resolved = self._resolvers[one.stack].resolve(raw[member], self.place(one))
            return str(resolved)
        stack = self._resolvers[one.stack].stack_name
        made_up = f"{stack}-{one.logical_id}"
        if len(made_up) <= _NAME_MAX_CHARS:
            return made_up
        # As CloudFormation does: cut to fit, then letters to stay unique.
        return f"{stack[:24]}-{one.logical_id[:24]}-{letters(f'name:{made_up}', 12)}"

    def role_policies(self, role: Declared) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Inline policies that other resources put into a role: name and document."""
        for stack, logical_id in self._role_policies():
            properties = self._resolved(stack, logical_id)
            raw = _properties(self.stacks[stack].document["Resources"][logical_id])
            if stack == role.stack and role.logical_id in map(_target, raw.get("Roles") or []):
                yield str(properties["PolicyName"]), properties["PolicyDocument"]

    def lambda_function(self, one: Declared) -> LambdaFunctionDeclaration:
        """A Lambda function with its code, and its baked files as they are at AWS."""
        found = next(item for item in self.declared.lambdas if item.logical_id == one.logical_id)
        resource = self.stacks[one.stack].document["Resources"][one.logical_id]
        baked = (resource.get("Metadata") or {}).get(_BAKED_FILES) or {}
        place = f"Resources.{one.logical_id}.Metadata.{_BAKED_FILES}"
        resolved = self._resolvers[one.stack].resolve(baked, place)
        return replace(found, name=self.resource_name(one, "FunctionName"), baked=resolved)

    def function(self, one: Declared) -> FunctionDeclaration:
        """A CloudFront Function with its code.

        Raises:
            ConfigError: Its code could not be read; localpop validate says why.
        """
        for item in self.declared.functions:
            if item.logical_id == one.logical_id:
                return replace(item, name=self.resource_name(one, "Name"))
        raise ConfigError(
            "The function's code cannot be read.",
            where=self.place(one),
            mend="localpop validate says why.",
        )

    def entries(self, one: Declared) -> Mapping[str, str] | None:
        """What a store imports from a file on this machine; None when there is none."""
        for store in self.declared.stores:
            if store.logical_id == one.logical_id:
                return store.entries
        return None

    def versioned(self, one: Declared) -> Declared:
        """The function that a version publishes."""
        raw = _properties(self.stacks[one.stack].document["Resources"][one.logical_id])
        key = self.key(one.stack, _target(raw.get("FunctionName")))
        return next(item for item in self.of(LAMBDA) if item.key == key)

    # --- what is known ----------------------------------------------------------------------

    def know(self, key: str, attributes: Mapping[str, str]) -> None:
        """From now on a resource answers to Ref ("") and GetAtt with what AWS gave it."""
        self._known[key] = attributes

    def attribute(self, stack: int, logical_id: str, attribute: str) -> Any:
        """What a resource answers.

        Raises:
            ConfigError: It is CloudFormation's, and its value was not given.
        """
        said = f"{logical_id}.{attribute}" if attribute else logical_id
        if said in self.values:
            return self.values[said]
        key = self.key(stack, logical_id)
        if key in self._known:
            known = self._known[key]
            if attribute in known:
                return known[attribute]
        elif any(one.key == key for one in self.ours):
            return f"⟨{said}⟩"
        found = self._by_name(stack, logical_id, attribute)
        if found is None:
            found = self._read_by_cdk(stack, logical_id, attribute)
        if found is None:
            kind = str((self.stacks[stack].document["Resources"].get(logical_id) or {}).get("Type"))
            bucket = kind == "AWS::S3::Bucket"
            raise ConfigError(
                f"{kind} {logical_id} is CloudFormation's to make, so only AWS knows {said}.",
                where=self.stacks[stack].label,
                mend=f"Say it: --value {logical_id if bucket else said}="
                + ("<the bucket's name>." if bucket else "…."),
            )
        return found

    def _by_name(self, stack: int, logical_id: str, attribute: str) -> str | None:
        """A bucket that the template names answers by its name alone."""
        resource = self.stacks[stack].document["Resources"].get(logical_id) or {}
        named = self.values.get(logical_id, _properties(resource).get("BucketName"))
        if resource.get("Type") != "AWS::S3::Bucket" or named is None:
            return None
        name = self._resolvers[stack].resolve(named, f"Resources.{logical_id}")
        region = self._resolvers[stack].region
        return {
            "": name,
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
        }.get(attribute)

    def _read_by_cdk(self, stack: int, logical_id: str, attribute: str) -> Any:
        """What CDK's custom resources read from another Region's parameter store."""
        resource = self.stacks[stack].document["Resources"].get(logical_id) or {}
        if resource.get("Type") == _EDGE_FUNCTION_READER and attribute == "FunctionArn":
            named = _properties(resource).get("ParameterName")
            attribute = str(self._resolvers[stack].resolve(named, f"Resources.{logical_id}"))
        elif resource.get("Type") != _EXPORT_READER:
            return None
        return self.stored(attribute)

    def stored(self, name: str) -> Any:
        """What a template puts into the parameter store under a name; None when none does."""
        for number, resolver in enumerate(self._resolvers):
            for logical_id, resource in self._resources(number):
                said, place = _properties(resource), f"Resources.{logical_id}"
                if resource.get("Type") == _EXPORT_WRITER:
                    exports = (said.get("WriterProps") or {}).get("exports") or {}
                    if name in exports:
                        return resolver.resolve(exports[name], place)
                elif (
                    resource.get("Type") == _PARAMETER
                    and resolver.resolve_parts(said.get("Name"), place) == name
                ):
                    return resolver.resolve(said.get("Value"), place)
        return None

    def exported(self, name: str, place: str) -> Any:
        """What one of the stacks exports, or what was said."""
        if name in self.values:
            return self.values[name]
        for resolver in self._resolvers:
            for output in (resolver.document.get("Outputs") or {}).values():
                export = output.get("Export") if isinstance(output, dict) else None
                if export and resolver.resolve(export.get("Name"), "Outputs") == name:
                    return resolver.resolve(output.get("Value"), "Outputs")
        raise _asked(f"No template here exports {name!r}.", name, place)

    def outputs(self) -> Iterator[tuple[str, str]]:
        """The template's outputs, as far as they are known."""
        for resolver in self._resolvers:
            for name, output in (resolver.document.get("Outputs") or {}).items():
                try:
                    value = resolver.resolve(output.get("Value"), f"Outputs.{name}")
                except ConfigError:
                    continue
                if not is_unknown(value):
                    yield name, str(value)


class _Attributes:
    """`Attributes` to one stack's resolver."""

    def __init__(self, template: Template, stack: int) -> None:
        self._template, self._stack = template, stack

    def __call__(self, logical_id: str, attribute: str) -> Any:
        return self._template.attribute(self._stack, logical_id, attribute)


class _Elsewhere:
    """`Elsewhere` to the resolvers."""

    def __init__(self, template: Template) -> None:
        self._template = template

    def exported(self, name: str, place: str) -> Any:
        """What a stack exports."""
        return self._template.exported(name, place)

    def stored(self, reference: str, place: str) -> str:
        """What a dynamic reference stands for."""
        service, _, name = reference.partition(":")
        if reference not in self._template.values and service == "ssm":
            found = self._template.stored(name.partition(":")[0])
            if found is not None:
                return str(found)
        return self.answered(reference, f"Only AWS knows {reference!r}.", place)

    def answered(self, key: str, what: str, place: str) -> str:
        """What was said."""
        if key in self._template.values:
            return self._template.values[key]
        raise _asked(what, key, place)


def _asked(what: str, key: str, place: str) -> ConfigError:
    return ConfigError(what, where=place, mend=f"Say it: --value {key}=…")


def is_unknown(value: Any) -> bool:
    """Whether something in it is only known once it is made."""
    return bool(unknown(value))


def unknown(value: Any) -> frozenset[str]:
    """What is only known once it is made, such as `AnswerStore.Arn`."""
    if isinstance(value, Mapping):
        return unknown(list(value.values()))
    if isinstance(value, (list, tuple)):
        return frozenset().union(*map(unknown, value))
    if not isinstance(value, str):
        return frozenset()
    return frozenset(found[1:-1] for found in _UNKNOWN.findall(value))


def stand_ins(value: Any) -> Any:
    """The same with something of an ARN's length for what is not known: sizes can be checked."""
    if isinstance(value, Mapping):
        return {name: stand_ins(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [stand_ins(one) for one in value]
    return _UNKNOWN.sub("x" * 88, value) if isinstance(value, str) else value


def _properties(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = resource.get("Properties")
    return properties if isinstance(properties, Mapping) else {}


def _without_code(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A function's code in the template is a stand-in for what is packaged."""
    return {name: one for name, one in properties.items() if name not in ("Code", "FunctionCode")}


def _unresolved(value: Any) -> Iterator[LocalpopError]:
    """Every reason why a part could not be resolved."""
    if isinstance(value, Unresolved):
        yield value.error
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _unresolved(one)
    elif isinstance(value, list):
        for one in value:
            yield from _unresolved(one)


def _target(value: Any) -> str:
    """The logical id that a Ref or GetAtt names; empty when it is neither."""
    if not isinstance(value, Mapping):
        return ""
    if "Ref" in value:
        return str(value["Ref"])
    named = value.get("Fn::GetAtt")
    return str(named[0] if isinstance(named, list) and named else named or "").partition(".")[0]


Packager = Callable[[LambdaFunctionDeclaration], "Code"]
"""Makes a function's zip."""


@dataclass(frozen=True, slots=True)
class Code:
    """A packaged Lambda function.

    Args:
        file: The zip.
        code_sha256: Its hash as Lambda writes it.
        size_bytes: Its size.
        warnings: What is worth knowing.
    """

    file: Path
    code_sha256: str
    size_bytes: int
    warnings: tuple[str, ...] = ()
