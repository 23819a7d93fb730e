"""CloudFormation's intrinsic functions, resolved without a stack.

AWS: "Intrinsic function reference",
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html,
read 2026-11-20.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from emulator.errors import ConfigError, NotEmulated

ACCOUNT_ID: Final = "123456789012"
REGION: Final = "us-east-1"

PSEUDO_PARAMETERS: Final = {
    "AWS::AccountId": ACCOUNT_ID,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "localpop",
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/localpop/local",
    "AWS::NotificationARNs": [],
}

NO_VALUE: Final = object()
"""`AWS::NoValue`: the property is as if it were not there."""

_VARIABLE: Final = re.compile(r"\$\{([^!][^}]*)\}")

Attributes = Callable[[str, str], Any]
"""A resource's attribute: (logical id, attribute name, or "" for Ref) to its value."""


@dataclass(slots=True)
class Resolver:
    """Resolves what a template says.

    Args:
        document: The template.
        overrides: Parameter values from localpop.toml.
        attributes: What resources answer to Ref and GetAtt.
        where: The template's name, for errors.
    """

    document: Mapping[str, Any]
    overrides: Mapping[str, str]
    attributes: Attributes
    where: str
    _conditions: dict[str, bool] = field(default_factory=dict)

    def resolve(self, value: Any, place: str) -> Any:
        """The value with every intrinsic function replaced by what it gives.

        Raises:
            ConfigError: Something it names is not there; says where and how to mend it.
        """
        if isinstance(value, list):
            items = [self.resolve(item, f"{place}[{i}]") for i, item in enumerate(value)]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self._call(name, argument, place)
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
            "Condition": lambda condition, _: self.condition(condition),
        }
        handler = handlers.get(name)
        if handler is None:
            raise NotEmulated(f"The intrinsic function {name}", where=f"{self.where}: {place}")
        return handler(argument, place)

    def _ref(self, name: Any, place: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
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
        allowed = declaration.get("AllowedValues")
        if allowed and value not in allowed:
            raise ConfigError(
                f"The parameter {name} is {value!r}, which is not allowed "
                f"(allowed: {', '.join(map(str, allowed))}).",
                where="localpop.toml: parameters",
                mend="Use an allowed value.",
            )
        if "List" in str(declaration.get("Type", "")) and isinstance(value, str):
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
        condition, then, otherwise = argument
        return self.resolve(then if self.condition(condition) else otherwise, place)

    def _find_in_map(self, argument: Any, place: str) -> Any:
        name, first, second = (self.resolve(part, place) for part in argument[:3])
        try:
            return self.document["Mappings"][name][first][second]
        except KeyError:
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

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds.

        Raises:
            ConfigError: The template has no such condition.
        """
        conditions = self.document.get("Conditions") or {}
        if name not in conditions:
            raise self._unknown(f"There is no condition {name!r}.", "Conditions")
        if name not in self._conditions:
            self._conditions[name] = bool(self.resolve(conditions[name], f"Conditions.{name}"))
        return self._conditions[name]

    def _unknown(self, what: str, place: str) -> ConfigError:
        return ConfigError(what, where=f"{self.where}: {place}", mend="Mend the name.")
