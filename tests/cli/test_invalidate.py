"""`localpop invalidate`, against a whole emulator."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.app.running import LOCALPOP, Localpop, free_port, localpop, project


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localpop]:
    """An emulator whose origin's page at / may be cached."""
    folder = tmp_path_factory.mktemp("project")
    with localpop(project(folder, origin_port=free_port()), "--latency", "off") as running:
        yield running


def invalidate(served: Localpop, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    port = served.aws_url.rpartition(":")[2]
    return subprocess.run(
        [LOCALPOP, "invalidate", "--aws-port", port, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_is_invalidated_is_fetched_anew(served: Localpop) -> None:
    """Miss, Hit, then a Miss again; what another path names stays."""
    first = [served.get("/").x_cache for _ in range(2)]
    other = invalidate(served, "/other*")
    still = served.get("/").x_cache
    done = invalidate(served, "/*")
    after = served.get("/").x_cache

    assert [*first, still, after] == ["Miss", "Hit", "Hit", "Miss"]
    assert other.stdout == "0 cached objects removed\n"
    assert done.stdout.endswith(" removed\n")
    assert not done.stdout.startswith("0 ")


def test_another_distribution_keeps_what_it_has(served: Localpop) -> None:
    """--distribution narrows it."""
    served.get("/")

    assert invalidate(served, "/*", "--distribution", "ENOTTHIS").stdout.startswith("0 ")
    assert served.get("/").x_cache == "Hit"


def test_a_path_that_aws_refuses_is_refused(served: Localpop) -> None:
    """With what is wrong with it."""
    outcome = invalidate(served, "images/*")

    assert outcome.returncode == 2
    assert "it must begin with /" in outcome.stderr
