"""Templates on disk for the tests of this room."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"

Write = Callable[..., Path]
Wrap = Callable[..., dict[str, Any]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a template (text, or a mapping as JSON) and returns its path."""

    def make(content: str | dict[str, Any], name: str = "template.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return make


@pytest.fixture
def distribution_of() -> Wrap:
    """A template of one distribution: a minimal DistributionConfig with changes on top."""

    def make(
        config: dict[str, Any] | None = None,
        behavior: dict[str, Any] | None = None,
        origin: dict[str, Any] | None = None,
        resources: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        minimal = {
            "Enabled": True,
            "Origins": [
                {
                    "Id": "Api",
                    "DomainName": "api.example.com",
                    "CustomOriginConfig": {"OriginProtocolPolicy": "https-only"},
                    **(origin or {}),
                }
            ],
            "DefaultCacheBehavior": {
                "TargetOriginId": "Api",
                "ViewerProtocolPolicy": "allow-all",
                "CachePolicyId": DISABLED,
                **(behavior or {}),
            },
            **(config or {}),
        }
        site = {
            "Type": "AWS::CloudFront::Distribution",
            "Properties": {"DistributionConfig": minimal},
        }
        return {"Resources": {"Site": site, **(resources or {})}}

    return make
