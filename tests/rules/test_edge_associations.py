"""Which edge functions a distribution may have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from emulator.errors import ApiError
from emulator.rules.edge_associations import (
    LambdaConfiguration,
    lambda_problems,
    require_associations,
)
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES
from emulator.values.distribution import CacheBehavior, Distribution, FunctionAssociation, Origin
from emulator.values.functions import EventType, FunctionKind

CFF, LAE = FunctionKind.CLOUDFRONT_FUNCTION, FunctionKind.LAMBDA_AT_EDGE
ARNS = {
    CFF: "arn:aws:cloudfront::123456789012:function/f",
    LAE: "arn:aws:lambda:us-east-1:123456789012:function:f:1",
}
SOUND = LambdaConfiguration(ARNS[LAE], "python3.13", 30, 128, 1_000)


def check(*functions: tuple[FunctionKind, EventType]) -> None:
    """Check one behavior with these functions."""
    associations = tuple(FunctionAssociation(event, kind, ARNS[kind]) for kind, event in functions)
    policy = next(iter(MANAGED_CACHE_POLICIES.values()))
    behavior = CacheBehavior("*", "o", policy, functions=associations)
    distribution = Distribution("E", "d", (behavior,), {"o": Origin("o", "a.example")})
    require_associations(distribution, lambda arn: True, lambda arn: SOUND)


@pytest.mark.conformance("LAE-14", "LAE-15", "CFF-73")
@pytest.mark.parametrize("of_lambda", list(EventType))
@pytest.mark.parametrize("of_function", [EventType.VIEWER_REQUEST, EventType.VIEWER_RESPONSE])
def test_the_two_kinds_meet_only_across_the_cache(
    of_lambda: EventType, of_function: EventType
) -> None:
    """The table of facts/lambda-at-edge.md 1.3."""
    pair = ((LAE, of_lambda), (CFF, of_function))
    if of_lambda.is_viewer:
        with pytest.raises(ApiError) as refused:
            check(*pair)
        assert refused.value.code == "InvalidLambdaFunctionAssociation"
    else:
        check(*pair)


@pytest.mark.conformance("LAE-13")
@pytest.mark.parametrize("kind", [CFF, LAE])
def test_an_event_has_one_function(kind: FunctionKind) -> None:
    """A second one of the same kind is refused with its kind's code."""
    with pytest.raises(ApiError) as refused:
        check((kind, EventType.VIEWER_REQUEST), (kind, EventType.VIEWER_REQUEST))

    expected = "InvalidFunctionAssociation" if kind is CFF else "InvalidLambdaFunctionAssociation"
    assert refused.value.code == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"has_environment": True}, "cannot have environment variables"),
        ({"timeout_s": 31}, "31 Max allowed: 30"),
        ({"code_bytes": 52_428_801}, "52428801 Max allowed: 52428800"),
        ({"code_bytes": 52_428_800}, None),
        ({"runtime": "java21"}, "'java21' is not supported"),
        ({"unsupported": ("layers",)}, "cannot have layers"),
        ({"wrong_role": "arn:role"}, "edgelambda.amazonaws.com"),
        ({"memory_mb": 10_240}, None),
    ],
)
def test_what_keeps_a_lambda_from_the_edge(change: dict[str, object], said: str | None) -> None:
    """Each in CloudFront's words with today's numbers."""
    problems = lambda_problems(replace(SOUND, **change))  # type: ignore[arg-type]

    assert [bool(said and said in one) for one in problems] == ([True] if said else [])
