"""The one table of what the edge cannot do."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.errors import NotEmulated
from emulator.project import not_emulated
from emulator.project.local import Answers
from emulator.project.template import inspect_templates, read_template
from tests.project.conftest import Wrap, Write


def test_reading_is_complete_and_refusing_separate(write: Write, distribution_of: Wrap) -> None:
    """Whatever the table refuses, it was read; and what it refuses, read_template refuses."""
    config = {
        "TenantConfig": {"ParameterDefinitions": [{"Name": "x"}]},
        "WebACLId": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/a/b",
    }
    path = write(distribution_of(config), "template.json")
    inspection = inspect_templates(path, Answers())
    (distribution,) = inspection.declared.distributions

    assert not inspection.errors
    assert distribution.beyond == ("WebACLId", "TenantConfig")
    with pytest.raises(NotEmulated, match=r"multi-tenant.*docs/fidelity\.md"):
        not_emulated.refuse_not_emulated(distribution)
    with pytest.raises(NotEmulated, match=r"template\.json: Resources\.Site"):
        read_template(path, {})


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"WebACLId": "arn:aws:wafv2:x"}, "AWS WAF"),
        ({"ContinuousDeploymentPolicyId": "p"}, "Continuous deployment"),
        ({"Staging": "true"}, "Continuous deployment"),
    ],
)
def test_some_things_are_said_aloud_and_not_refused(
    write: Write, distribution_of: Wrap, config: dict[str, Any], word: str
) -> None:
    """A team's template runs; what is missing is told."""
    declared = read_template(write(distribution_of(config), "template.json"), {})

    (warning,) = declared.warnings
    assert word in warning.what


def test_what_is_switched_off_is_not_asked_for(write: Write, distribution_of: Wrap) -> None:
    """`Staging: false` and an empty WebACLId ask for nothing."""
    config = {"Staging": False, "WebACLId": "", "ContinuousDeploymentPolicyId": None}
    declared = read_template(write(distribution_of(config), "template.json"), {})

    assert not declared.warnings
