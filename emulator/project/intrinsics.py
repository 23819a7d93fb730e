"""CloudFormation's intrinsic functions, resolved without a stack.

AWS: "Intrinsic function reference",
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html,
read 2026-11-20.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from emulator.errors import ConfigError, LocalpopError, NotEmulated

ACCOUNT_ID: Final = "123456789012"
REGION: Final = "us-east-1"

STACK_NAME: Final = "localpop"


def pseudo_parameters(stack_name: str, region: str, account_id: str = ACCOUNT_ID) -> dict[str, Any]:
    """What AWS's pseudo parameters stand for in a stack."""
    return {
        "AWS::AccountId": account_id,
        "AWS::Region": region,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackName": stack_name,
        "AWS::StackId": (f"arn:aws:cloudformation:{region}:{account_id}:stack/{stack_name}/local"),
        "AWS::NotificationARNs": [],
    }


NO_VALUE: Final = object()
"""`AWS::NoValue`: the property is as if it were not there."""

_VARIABLE: Final = re.compile(r"\$\{([^!][^}]*)\}")
_DYNAMIC: Final = re.compile(r"\{\{resolve:([^}]+)\}\}")
_SSM_PARAMETER: Final = "AWS::SSM::Parameter::Value<"

Attributes = Callable[[str, str], Any]
"""A resource's attribute: (logical id, attribute name, or "" for Ref) to its value."""


class Elsewhere(Protocol):
    """What a template learns from outside of itself."""

    def exported(self, name: str, place: str) -> Any:
        """What another stack exports under a name."""
        ...

    def stored(self, reference: str, place: str) -> str:
        """What a dynamic reference such as `ssm:/net/domain` stands for."""
        ...

    def answered(self, key: str, what: str, place: str) -> str:
        """What localpop.toml says under [imports]; else an error that says `what` is missing."""
        ...


class Nowhere:
    """A template on its own."""

    def exported(self, name: str, place: str) -> Any:
        """There is no other stack."""
        raise asks_for_import(f"No stack here exports {name!r}.", name, place)

    def stored(self, reference: str, place: str) -> str:
        """There is no parameter store."""
        raise asks_for_import(f"Nothing here has {reference!r}.", reference, place)

    def answered(self, key: str, what: str, place: str) -> str:
        """There is no localpop.toml."""
        raise asks_for_import(what, key, place)


def asks_for_import(what: str, key: str, place: str) -> ConfigError:
    """The error for what only AWS knows; it asks for one line."""
    return ConfigError(
        what, where=place, mend=f'Add to localpop.toml, under [imports]: "{key}" = "…"'
    )


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Stands where a value could not be resolved; a mistake only for who reads it.

    Args:
        error: Why not.
    """

    error: LocalpopError


@dataclass(slots=True)
class Resolver:
    """Resolves what a template says.

    Args:
        document: The template.
        overrides: Parameter values from localpop.toml.
        attributes: What resources answer to Ref and GetAtt.
        where: The template's name, for errors.
        elsewhere: Other stacks' exports and the parameter store.
        stack_name: AWS::StackName.
        region: AWS::Region.
        account_id: AWS::AccountId.
    """

    document: Mapping[str, Any]
    overrides: Mapping[str, str]
    attributes: Attributes
    where: str
    elsewhere: Elsewhere = field(default_factory=Nowhere)
    stack_name: str = STACK_NAME
    region: str = REGION
    account_id: str = ACCOUNT_ID
    _conditions: dict[str, bool] = field(default_factory=dict)

    def resolve_parts(self, value: Any, place: str) -> Any:
        """As `resolve`, but what cannot be resolved stands there as `Unresolved`."""
        if isinstance(value, list):
            items = [self.resolve_parts(item, f"{place}[{i}]") for i, item in enumerate(value)]
            return [item for item in items if item is not NO_VALUE]
        try:
            call = _call_in(value)
            if call and call[0] == "Fn::If":
                condition, then, otherwise = self._three(call[1], place)
                return self.resolve_parts(then if self.condition(condition) else otherwise, place)
            if call or not isinstance(value, dict):
                return self.resolve(value, place)
        except (ConfigError, NotEmulated) as error:
            return Unresolved(error)
        parts = {key: self.resolve_parts(item, f"{place}.{key}") for key, item in value.items()}
        return {key: item for key, item in parts.items() if item is not NO_VALUE}

    def resolve(self, value: Any, place: str) -> Any:
        """The value with every intrinsic function replaced by what it gives.

        Raises:
            ConfigError: Something it names is not there; says where and how to mend it.
        """
        if isinstance(value, list):
            items = [self.resolve(item, f"{place}[{i}]") for i, item in enumerate(value)]
            return [item for item in items if item is not NO_VALUE]
        if isinstance(value, str):
            return self._dynamic(value, place)
        if not isinstance(value, dict):
            return value
        call = _call_in(value)
        if call:
            result = self._call(*call, place)
            return self._dynamic(result, place) if isinstance(result, str) else result
        resolved = {key: self.resolve(item, f"{place}.{key}") for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def _call(self, name: str, argument: Any, place: str) -> Any:
        handlers: dict[str, Callable[[Any, str], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Base64": self._base64,
            "Fn::Equals": self._equals,
            "Fn::And": self._and,
            "Fn::Or": self._or,
            "Fn::Not": self._not,
            "Fn::ImportValue": self._import_value,
            "Fn::Length": lambda items, at: len(self.resolve(items, at)),
            "Fn::ToJsonString": lambda item, at: json.dumps(self.resolve(item, at)),
            "Condition": lambda condition, _: self.condition(condition),
        }
        handler = handlers.get(name)
        if handler is None:
            raise NotEmulated(_refused(name, argument), where=self._at(place))
        try:
            return handler(argument, place)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            raise ConfigError(
                f"{name} cannot have the argument {argument!r}.",
                where=self._at(place),
                mend="Write it as CloudFormation documents it.",
            ) from None
        except RecursionError:
            raise ConfigError(
                f"{name} leads back to itself.", where=self._at(place), mend="Break the circle."
            ) from None

    def _dynamic(self, text: str, place: str) -> str:
        """Dynamic references, `{{resolve:ssm:…}}`, replaced."""
        if "{{resolve:" not in text:
            return text
        return _DYNAMIC.sub(lambda match: self.elsewhere.stored(match[1], self._at(place)), text)

    def _import_value(self, argument: Any, place: str) -> Any:
        return self.elsewhere.exported(str(self.resolve(argument, place)), self._at(place))

    def _three(self, argument: Any, place: str) -> list[Any]:
        if not isinstance(argument, list) or len(argument) != 3:
            raise self._unknown("Fn::If takes a condition and two values.", place)
        return argument

    def _at(self, place: str) -> str:
        return f"{self.where}: {place}"

    def _ref(self, name: Any, place: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        pseudo = pseudo_parameters(self.stack_name, self.region, self.account_id)
        if name in pseudo:
            return pseudo[name]
        parameters = self.document.get("Parameters") or {}
        if name in parameters:
            return self._parameter(name, parameters[name])
        if name in self.document["Resources"]:
            return self.attributes(name, "")
        raise self._unknown(f"Ref names {name!r}, which is no parameter and no resource.", place)

    def _parameter(self, name: str, declaration: Mapping[str, Any]) -> Any:
        value = self.overrides.get(name, declaration.get("Default", NO_VALUE))
        if value is NO_VALUE:
            raise ConfigError(
                f"The parameter {name} has no default and no value.",
                where=f"{self.where}: Parameters.{name}",
                mend=f'Add to localpop.toml, under [parameters]: {name} = "…"',
            )
        kind = str(declaration.get("Type", ""))
        if name not in self.overrides and kind.startswith(_SSM_PARAMETER):
            try:
                value = self.elsewhere.stored(f"ssm:{value}", f"Parameters.{name}")
            except ConfigError:
                raise ConfigError(
                    f"The value of the SSM parameter {value} is not known here.",
                    where=f"{self.where}: Parameters.{name}",
                    mend=f'Add to localpop.toml, under [parameters]: {name} = "…"',
                ) from None
        allowed = declaration.get("AllowedValues")
        if allowed and str(value) not in map(str, allowed):
            raise ConfigError(
                f"The parameter {name} is {value!r}, which is not allowed "
                f"(allowed: {', '.join(map(str, allowed))}).",
                where="localpop.toml: parameters",
                mend="Use an allowed value.",
            )
        if "List" in kind and isinstance(value, str):
            return [item.strip() for item in value.split(",")]
        return value

    def _get_att(self, argument: Any, place: str) -> Any:
        if isinstance(argument, str):
            argument = argument.split(".", 1)
        logical_id, attribute = argument[0], ".".join(map(str, argument[1:]))
        if logical_id not in self.document["Resources"]:
            raise self._unknown(f"GetAtt names {logical_id!r}, which is no resource.", place)
        return self.attributes(logical_id, attribute)

    def _sub(self, argument: Any, place: str) -> str:
        text, extra = argument if isinstance(argument, list) else (argument, {})
        values = self.resolve(extra, place)

        def replace(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name in values:
                return str(values[name])
            if "." in name:
                return str(self._get_att(name, place))
            return str(self._ref(name, place))

        return _VARIABLE.sub(replace, text).replace("${!", "${")

    def _join(self, argument: Any, place: str) -> str:
        separator, items = argument
        return str(separator).join(str(item) for item in self.resolve(items, place))

    def _select(self, argument: Any, place: str) -> Any:
        index, items = self.resolve(argument, place)
        try:
            return items[int(index)]
        except (IndexError, ValueError):
            raise self._unknown(f"Select asks for item {index} of {len(items)}.", place) from None

    def _split(self, argument: Any, place: str) -> list[str]:
        separator, text = self.resolve(argument, place)
        return str(text).split(separator)

    def _if(self, argument: Any, place: str) -> Any:
        condition, then, otherwise = self._three(argument, place)
        return self.resolve(then if self.condition(condition) else otherwise, place)

    def _find_in_map(self, argument: Any, place: str) -> Any:
        name, first, second = (self.resolve(part, place) for part in argument[:3])
        try:
            return self.document["Mappings"][name][first][second]
        except KeyError:
            if len(argument) > 3 and "DefaultValue" in argument[3]:
                return self.resolve(argument[3]["DefaultValue"], place)
            raise self._unknown(f"FindInMap finds no {name}.{first}.{second}.", place) from None

    def _base64(self, argument: Any, place: str) -> str:
        return base64.b64encode(str(self.resolve(argument, place)).encode()).decode()

    def _equals(self, argument: Any, place: str) -> bool:
        left, right = self.resolve(argument, place)
        return str(left) == str(right)

    def _and(self, argument: Any, place: str) -> bool:
        return all(self.resolve(argument, place))

    def _or(self, argument: Any, place: str) -> bool:
        return any(self.resolve(argument, place))

    def _not(self, argument: Any, place: str) -> bool:
        return not self.resolve(argument, place)[0]

    def condition(self, name: object) -> bool:
        """Whether a condition of the template holds.

        Raises:
            ConfigError: The template has no such condition.
        """
        conditions = self.document.get("Conditions") or {}
        if not isinstance(name, str) or name not in conditions:
            raise self._unknown(f"There is no condition {name!r}.", "Conditions")
        if name not in self._conditions:
            self._conditions[name] = bool(self.resolve(conditions[name], f"Conditions.{name}"))
        return self._conditions[name]

    def _unknown(self, what: str, place: str) -> ConfigError:
        return ConfigError(what, where=self._at(place), mend="Mend the name.")


def _call_in(value: Any) -> tuple[str, Any] | None:
    """The intrinsic function that a mapping stands for, if it does."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref" or str(name).startswith("Fn::"):
            return str(name), argument
        if name == "Condition" and isinstance(argument, str):
            return "Condition", argument
    return None


def _refused(name: str, argument: Any) -> str:
    """What is said of an intrinsic function that is not there."""
    if name == "Fn::Transform" and isinstance(argument, dict):
        return f"The macro {argument.get('Name')} (Fn::Transform runs at AWS)"
    return f"The intrinsic function {name}"
