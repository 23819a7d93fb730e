"""SAM templates, expanded by AWS's own translator (aws-sam-translator).

At AWS the macro runs on the packaged template, whose code is in S3. Here the code is still on disk:
a local path becomes a stand-in before the translator sees it, and `aws:asset:path` afterwards.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from boto3.session import Session
from samtranslator.metrics.metrics import (  # type: ignore[import-untyped]
    DummyMetricsPublisher,
    Metrics,
)
from samtranslator.model.exceptions import (  # type: ignore[import-untyped]
    InvalidDocumentException,
)
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]

from emulator.errors import ConfigError
from emulator.project.intrinsics import REGION

_ASSET_PATH: Final = "aws:asset:path"
_STAND_IN: Final = "s3://localpop/code"
# Every property of SAM that may name a file on disk.
_LOCAL: Final = ("CodeUri", "ContentUri", "DefinitionUri", "Location")


def expand(
    document: Mapping[str, Any], file: Path, parameters: Mapping[str, str]
) -> dict[str, Any]:
    """The CloudFormation template that a SAM template stands for.

    Args:
        document: The SAM template.
        file: Its file, for messages.
        parameters: Values of its parameters.

    Raises:
        ConfigError: SAM refuses it; its own words.
    """
    template = copy.deepcopy(dict(document))
    paths = _take_paths(template)
    declared = template.get("Parameters") or {}
    values = {
        name: declaration["Default"]
        for name, declaration in declared.items()
        if isinstance(declaration, dict) and "Default" in declaration
    }
    metrics = Metrics("localpop", DummyMetricsPublisher())
    try:
        # Managed policies' names only matter to roles, which nothing here reads.
        translator = Translator(
            {}, Parser(), boto_session=Session(region_name=REGION), metrics=metrics
        )
        expanded = translator.translate(template, {**values, **parameters})
    except InvalidDocumentException as error:
        causes = [str(cause.message) for cause in error.causes] or [str(error)]
        raise ConfigError(
            f"SAM refuses the template: {' '.join(causes)}", where=file.name, mend="Mend it there."
        ) from None
    except Exception as error:
        # The translator meets an odd shape with whatever its code happens to raise.
        raise ConfigError(
            f"SAM cannot read the template: {type(error).__name__}: {error}.", where=file.name
        ) from None
    finally:
        # Nobody gets them; the translator complains aloud when they are left lying.
        metrics.publish()
    resources = expanded["Resources"]
    for logical_id, path in paths.items():
        if logical_id in resources:
            metadata = resources[logical_id].setdefault("Metadata", {})
            metadata.setdefault(_ASSET_PATH, path)
    assert isinstance(expanded, dict)
    return expanded


def _take_paths(template: dict[str, Any]) -> dict[str, str]:
    """Local paths by logical id, each replaced by a stand-in in S3."""
    shared = ((template.get("Globals") or {}).get("Function") or {}).get("CodeUri")
    if _is_local(shared):
        template["Globals"]["Function"]["CodeUri"] = _STAND_IN
    paths: dict[str, str] = {}
    for logical_id, resource in (template.get("Resources") or {}).items():
        if not isinstance(resource, dict):
            continue
        properties = resource.get("Properties")
        properties = properties if isinstance(properties, dict) else {}
        function = resource.get("Type") == "AWS::Serverless::Function"
        if function and _is_local(shared) and not {"CodeUri", "InlineCode"} & set(properties):
            paths[logical_id] = str(shared)
        for name in _LOCAL:
            if _is_local(properties.get(name)):
                if name in ("CodeUri", "DefinitionUri"):
                    paths[logical_id] = properties[name]
                properties[name] = _STAND_IN
    return paths


def _is_local(value: object) -> bool:
    return isinstance(value, str) and not value.startswith(("s3://", "https://"))
