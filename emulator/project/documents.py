"""CloudFormation documents: YAML with short forms, or JSON."""

from __future__ import annotations

import json
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


def read_document(path: Path) -> dict[str, Any]:
    """Read a template from disk.

    Raises:
        ConfigError: No such file, not YAML or JSON, or not a mapping; with line and column.
    """
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
        # _Loader is a SafeLoader. YAML could read JSON too, but JSON's own errors are clearer.
        document = json.loads(text) if path.suffix == ".json" else yaml.load(text, _Loader)
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
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise ConfigError(
            "The template has no Resources.",
            where=path.name,
            mend="A CloudFormation template has a mapping called Resources at its top.",
        )
    return document
