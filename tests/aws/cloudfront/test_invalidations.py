"""Invalidations as a real boto3 sees them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws.cloudfront.shapes import distribution, listed, refusal
from tests.aws.endpoint import Endpoint


@pytest.fixture
def identity(cloudfront: Any, name: str) -> str:
    """A distribution of its own."""
    made = cloudfront.create_distribution(DistributionConfig=distribution(name))
    return str(made["Distribution"]["Id"])


def batch(*paths: str, reference: str = "1") -> dict[str, Any]:
    """An InvalidationBatch."""
    return {"Paths": listed(*paths), "CallerReference": reference}


def test_an_invalidation_reaches_the_caches_and_is_completed(
    account: Endpoint, cloudfront: Any, identity: str
) -> None:
    """Create tells the edge; get, list and the waiter find it."""
    made = cloudfront.create_invalidation(
        DistributionId=identity, InvalidationBatch=batch("/a", "/b/*")
    )
    invalidation = made["Invalidation"]["Id"]
    cloudfront.get_waiter("invalidation_completed").wait(DistributionId=identity, Id=invalidation)
    listing = cloudfront.list_invalidations(DistributionId=identity)["InvalidationList"]

    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["Location"].endswith(f"{identity}/invalidation/{invalidation}")
    assert account.invalidated[-1] == (identity, ("/a", "/b/*"))
    assert [one["Id"] for one in listing["Items"]] == [invalidation]


def test_the_same_reference_is_the_same_invalidation(
    account: Endpoint, cloudfront: Any, identity: str
) -> None:
    """Sent twice it is made once; with other paths it is refused."""

    def create(*paths: str) -> Any:
        return cloudfront.create_invalidation(
            DistributionId=identity, InvalidationBatch=batch(*paths)
        )

    first, second = create("/a"), create("/a")
    count = len(account.invalidated)
    other = refusal(lambda: create("/b"))

    assert first["Invalidation"]["Id"] == second["Invalidation"]["Id"]
    assert other[:2] == ("InvalidArgument", 400)
    assert len(account.invalidated) == count


@pytest.mark.parametrize("path", ["a", "", "/" + "x" * 4_000, "/ü", "/a b"])
def test_a_path_that_cannot_be_is_refused(cloudfront: Any, identity: str, path: str) -> None:
    """In the API's own words."""

    def create() -> None:
        cloudfront.create_invalidation(DistributionId=identity, InvalidationBatch=batch(path))

    assert refusal(create) == (
        "InvalidArgument",
        400,
        "Your request contains one or more invalid invalidation paths.",
    )


def test_what_is_not_there_cannot_be_invalidated(cloudfront: Any, identity: str) -> None:
    """404 for the distribution, 404 for the invalidation; no paths are a 400."""
    missing = refusal(
        lambda: cloudfront.create_invalidation(
            DistributionId="ENOTHING", InvalidationBatch=batch("/")
        )
    )
    unknown = refusal(lambda: cloudfront.get_invalidation(DistributionId=identity, Id="INOTHING"))
    empty = refusal(
        lambda: cloudfront.create_invalidation(DistributionId=identity, InvalidationBatch=batch())
    )

    assert missing[:2] == ("NoSuchDistribution", 404)
    assert unknown[:2] == ("NoSuchInvalidation", 404)
    assert empty[:2] == ("InvalidArgument", 400)
