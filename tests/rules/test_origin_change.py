"""Which origin is asked after a function decided about it: what is taken over, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.errors import EdgeFunctionError
from emulator.rules.origin_change import changed_origin, route
from emulator.values.distribution import (
    Distribution,
    Origin,
    OriginAccessControl,
    OriginGroup,
    OriginKind,
)
from emulator.values.origin_changes import (
    CreatedOriginGroup,
    OriginProperties,
    SelectedOrigin,
)
from tests.edge.world import behavior

CONTROL = OriginAccessControl("E1", "mine")
FIRST = Origin(
    "First",
    "first.example.com",
    path="/v1",
    custom_headers=(("x-key", "1"),),
    connection_attempts=2,
    connection_timeout_s=4,
    read_timeout_s=20,
    keepalive_timeout_s=7,
    kind=OriginKind.S3,
    access_control=CONTROL,
    response_completion_timeout_s=50,
    shield_region="eu-west-1",
)
SECOND = Origin("Second", "second.example.com")
GROUP = OriginGroup("Group", "First", "Second", frozenset({500}))
SITE = Distribution(
    "E1",
    "d1.cloudfront.net",
    (behavior(target_origin_id="First"),),
    {"First": FIRST, "Second": SECOND},
    origin_groups={"Group": GROUP},
)


@pytest.mark.conformance("CFF-56")
def test_a_new_domain_takes_over_everything_else() -> None:
    """Custom headers, access control and every time-out."""
    changed = changed_origin(FIRST, OriginProperties(domain_name="other.example.com"))

    assert changed == replace(FIRST, domain_name="other.example.com")
    assert changed.access_control is CONTROL


@pytest.mark.conformance("CFF-56")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (OriginProperties(custom_headers=()), {"custom_headers": ()}),
        (OriginProperties(access_control=(("enabled", "false"),)), {"access_control": None}),
        (OriginProperties(path=""), {"path": ""}),
        (OriginProperties(shield_region=""), {"shield_region": ""}),
        (
            OriginProperties(read_timeout_s=1, connection_timeout_s=2, connection_attempts=1),
            {"read_timeout_s": 1, "connection_timeout_s": 2, "connection_attempts": 1},
        ),
    ],
    ids=["headers", "access control", "path", "shield", "time-outs"],
)
def test_what_is_set_replaces_the_origins_own(
    change: OriginProperties, expected: dict[str, object]
) -> None:
    """Empty is set as well."""
    assert changed_origin(FIRST, change) == replace(FIRST, **expected)  # type: ignore[arg-type]


@pytest.mark.conformance("CFF-60")
def test_only_a_groups_primary_is_changed() -> None:
    """The secondary and the group stay."""
    found = route(SITE, behavior(target_origin_id="Group"), OriginProperties(path="/v2"))

    assert found.primary == replace(FIRST, path="/v2")
    assert (found.secondary, found.group) == (SECOND, GROUP)


@pytest.mark.conformance("CFF-58", "CFF-59")
def test_ids_are_those_of_the_distribution() -> None:
    """A selected origin brings its own settings; so do both of a created group."""
    chosen = behavior(target_origin_id="First")
    created = CreatedOriginGroup(
        SelectedOrigin("Second", OriginProperties(host_header="h.example.com")),
        SelectedOrigin("First"),
        (500, 503),
    )
    selected = route(SITE, chosen, SelectedOrigin("Second"))
    grouped = route(SITE, chosen, created)

    assert (selected.primary, selected.secondary) == (SECOND, None)
    assert grouped.primary == replace(SECOND, host_header="h.example.com")
    assert grouped.secondary == FIRST
    assert grouped.group is not None
    assert grouped.group.status_codes == {500, 503}
    with pytest.raises(EdgeFunctionError, match="no origin 'Elsewhere'"):
        route(SITE, chosen, SelectedOrigin("Elsewhere"))
