"""One running endpoint for all tests of the AWS room, and real boto3 clients for it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.endpoint import Endpoint, client, running_endpoint

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The endpoint; its models answer at once."""
    with running_endpoint(tmp_path_factory.mktemp("aws") / "stores.sqlite3") as running:
        yield running


@pytest.fixture(scope="session")
def kvs(endpoint: Endpoint) -> Iterator[Any]:
    """The data API's client as everybody makes it: awscrt is there, so it signs with SigV4A."""
    with contextlib.closing(client("cloudfront-keyvaluestore", endpoint.url)) as made:
        yield made


@pytest.fixture(scope="session")
def bedrock(endpoint: Endpoint) -> Iterator[Any]:
    """The client of Bedrock's runtime."""
    with contextlib.closing(client("bedrock-runtime", endpoint.url)) as made:
        yield made


@pytest.fixture
def arn(endpoint: Endpoint) -> str:
    """A store that no other test uses, empty."""
    return endpoint.new_store(f"store-{next(_numbers)}")


@pytest.fixture
def store_file(tmp_path: Path) -> Path:
    """Where a test may keep stores of its own."""
    return tmp_path / "stores.sqlite3"
