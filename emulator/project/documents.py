"""CloudFormation documents: YAML with short forms, or JSON."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import yaml

from emulator.errors import ConfigError

_PLAIN: Final = {"Ref", "Condition"}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also knows `!Ref` and `!GetAtt`."""


def _short_form(loader: yaml.Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    """`!Name value` means `{"Fn::Name": value}`; `!GetAtt A.B` splits at its first dot."""
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in _PLAIN else f"Fn::{tag}": value}


def _text(loader: yaml.Loader, node: yaml.ScalarNode) -> str:
    """CloudFormation reads dates such as 2012-10-17 as text."""
    return str(loader.construct_scalar(node))


_Loader.add_multi_constructor("!", _short_form)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)


def read_document(path: Path, *, needs_resources: bool = True) -> dict[str, Any]:
    """Read a template from disk, or what `aws cloudfront get-distribution-config` printed.

    Args:
        path: The file.
        needs_resources: False for a CDK stack, which may be empty.

    Raises:
        ConfigError: No such file, not YAML or JSON, or not a mapping; with line and column.
    """
    document = _parse(path)
    if isinstance(document, dict) and not needs_resources:
        document.setdefault("Resources", {})
    _require_mappings(document, path)
    if not isinstance(document, dict) or not (
        isinstance(document.get("Resources"), dict) or _is_distribution(document)
    ):
        raise ConfigError(
            "The template has no Resources.",
            where=path.name,
            mend="A CloudFormation template has a mapping called Resources at its top.",
        )
    return document


def _require_mappings(document: object, path: Path) -> None:
    """The sections that are mappings, of mappings where that matters."""
    if not isinstance(document, dict):
        return
    for name in ("Parameters", "Mappings", "Conditions", "Outputs", "Resources"):
        section = document.get(name)
        if section is not None and not isinstance(section, dict):
            raise ConfigError(f"{name} must be a mapping.", where=path.name, mend="Mend it.")
    for name, declaration in (document.get("Parameters") or {}).items():
        if not isinstance(declaration, dict):
            raise ConfigError(
                f"The parameter {name} must be a mapping.",
                where=f"{path.name}: Parameters.{name}",
                mend="Give it a Type.",
            )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that a tool wrote.

    Raises:
        ConfigError: No such file, not JSON, or not a mapping.
    """
    document = _parse(path)
    if not isinstance(document, dict):
        raise ConfigError("It holds no mapping.", where=path.name, mend="Write the file again.")
    return document


def _is_distribution(document: dict[str, Any]) -> bool:
    """Whether it is the answer of `get-distribution-config` or `get-distribution`."""
    inner = document.get("Distribution")
    holder = inner if isinstance(inner, dict) else document
    return isinstance(holder.get("DistributionConfig"), dict)


@lru_cache(maxsize=8)
def _parsed_yaml(text: str) -> Any:
    """A YAML text, parsed once: a start reads its template several times, 0.2 s each.

    (PyYAML's C parser is faster, and crashes the process on a text that is nested too deeply.)
    """
    # _Loader is a SafeLoader.
    return yaml.load(text, _Loader)


def _parse(path: Path) -> Any:
    """A file's text as YAML, or as JSON when its name says so."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"There is no template {path.name}.",
            where=path.name,
            mend="Name it in localpop.toml (template = …) or start localpop in its folder.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The template cannot be read: {error}.", where=path.name, mend="Save it as UTF-8 text."
        ) from None
    try:
        # YAML could read JSON too, but JSON's own errors are clearer.
        return json.loads(text) if path.suffix == ".json" else deepcopy(_parsed_yaml(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path.name}:{mark.line + 1}:{mark.column + 1}" if mark else path.name
        raise ConfigError(
            f"The template is not valid YAML: {error.problem}.",
            where=place,
            mend="Mend the line; the last good template stays in use.",
        ) from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"The template is not valid JSON: {error.msg}.",
            where=f"{path.name}:{error.lineno}:{error.colno}",
            mend="Mend the line; the last good template stays in use.",
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"The template is not valid YAML: {error}.", where=path.name) from None
    except RecursionError:
        raise ConfigError("The template is nested too deeply.", where=path.name) from None
