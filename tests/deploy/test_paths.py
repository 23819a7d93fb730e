from __future__ import annotations

from typing import Any

import pytest

from emulator.deploy.paths import changed_paths

DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"


def config(default: dict[str, Any] | None = None, **patterns: dict[str, Any]) -> dict[str, Any]:
    """A DistributionConfig with these behaviors; `_` stands for `/` in their names."""
    return {
        "Origins": {"Quantity": 1, "Items": [{"Id": "api", "DomainName": "a"}]},
        "DefaultCacheBehavior": {"TargetOriginId": "api", **(default or {})},
        "CacheBehaviors": {
            "Quantity": len(patterns),
            "Items": [{"PathPattern": name, **one} for name, one in patterns.items()],
        },
    }


def moved(domain: str) -> dict[str, Any]:
    """The usual one with its origin elsewhere."""
    made = config(**{"/a/*": {"TargetOriginId": "other"}})
    made["Origins"]["Items"][0]["DomainName"] = domain
    return made


@pytest.mark.parametrize(
    ("before", "after", "changed", "paths"),
    [
        pytest.param(config(), config(), (), (), id="nothing changes"),
        pytest.param(config(), config({"Compress": True}), (), ("/*",), id="the default behavior"),
        pytest.param(
            config(**{"/a/*": {"x": 1}}), config(**{"/a/*": {"x": 2}}), (), ("/a/*",), id="one"
        ),
        pytest.param(config(), config(**{"/a/*": {}}), (), ("/a/*",), id="one comes"),
        pytest.param(config(**{"/a/*": {}}), config(), (), ("/a/*",), id="one goes"),
        pytest.param(
            config(**{"/a/*.png": {"x": 1}, "/b/?": {}}),
            config(**{"/a/*.png": {"x": 2}, "/b/?": {"y": 1}}),
            (),
            ("/a/*", "/b/*"),
            id="an invalidation knows a star at the end only",
        ),
        pytest.param(
            config(**{"*.jpg": {"x": 1}, "/a/*": {"x": 1}}),
            config(**{"*.jpg": {"x": 2}, "/a/*": {"x": 2}}),
            (),
            ("/*",),
            id="one path covers another",
        ),
        pytest.param(
            config(**{"/a/*": {"CachePolicyId": DISABLED, "x": 1}}),
            config(**{"/a/*": {"CachePolicyId": DISABLED, "x": 2}}),
            (),
            (),
            id="nothing of it is in a cache",
        ),
        pytest.param(
            config(**{"/a/*": {"f": {"Items": [{"FunctionARN": "arn"}]}}}),
            config(**{"/a/*": {"f": {"Items": [{"FunctionARN": "arn"}]}}}),
            ("arn",),
            ("/a/*",),
            id="a function of it says something else",
        ),
        pytest.param(moved("a"), moved("b"), (), ("/*",), id="behaviors of an origin that moves"),
        pytest.param(
            config({"m": {"Quantity": 2, "Items": ["GET", "HEAD"]}}),
            config({"m": {"Quantity": 2, "Items": ["HEAD", "GET"]}}),
            (),
            (),
            id="the order of methods says nothing",
        ),
    ],
)
def test_only_what_may_be_stale_is_invalidated(
    before: Any, after: Any, changed: tuple[str, ...], paths: tuple[str, ...]
) -> None:
    """Paths of behaviors that answer otherwise, as few as cover them."""
    assert changed_paths(before, after, changed) == paths
