"""One running endpoint for all tests of the AWS room, and real boto3 clients for it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.endpoint import Endpoint, Options, client, running_endpoint

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


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """An endpoint with everything that `localpop up` has."""
    path = tmp_path_factory.mktemp("account") / "stores.sqlite3"
    with running_endpoint(path, Options(control=True)) as running:
        yield running


@pytest.fixture(scope="session")
def cloudfront(account: Endpoint) -> Iterator[Any]:
    """The client of CloudFront's control API."""
    with contextlib.closing(client("cloudfront", account.url)) as made:
        yield made


@pytest.fixture(scope="session")
def lambda_client(account: Endpoint) -> Iterator[Any]:
    """The client of Lambda's API."""
    with contextlib.closing(client("lambda", account.url)) as made:
        yield made


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return f"name-{next(_numbers)}"


@pytest.fixture
def arn(endpoint: Endpoint) -> str:
    """A store that no other test uses, empty."""
    return endpoint.new_store(f"store-{next(_numbers)}")


@pytest.fixture
def store_file(tmp_path: Path) -> Path:
    """Where a test may keep stores of its own."""
    return tmp_path / "stores.sqlite3"
