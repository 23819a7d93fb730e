"""Shared openings: the stand-in of AWS, and an environment in which boto3 finds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from starlette.types import Receive, Scope, Send

from origin.dataset import DataSet, load_data_set
from origin.model import Model, open_model
from tests.origin.aws_stand_in import STORE_ARN, StandIn, serve

SESSION_KEY = "a-session-key-of-more-than-32-bytes"


@dataclass
class Switchboard:
    """One server for all tests, with a fresh stand-in behind it for each."""

    url: str = ""
    current: StandIn = field(default_factory=StandIn)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on (ASGI)."""
        await self.current(scope, receive, send)


class BorrowedModel(Model):
    """A model whose connections belong to somebody else, for an application that closes its own."""

    def __init__(self, model: Model) -> None:
        super().__init__(model._client, model.model_id)

    def close(self) -> None:
        """Leave them open."""


@pytest.fixture(scope="session")
def switchboard() -> Iterator[Switchboard]:
    """The one server."""
    switchboard = Switchboard()
    with serve(switchboard) as authority:
        switchboard.url = f"http://local@{authority}"
        yield switchboard


@pytest.fixture
def stand_in(switchboard: Switchboard) -> Iterator[StandIn]:
    """AWS, as far as these tests need it, with the environment set up to find it."""
    switchboard.current = StandIn()
    with pytest.MonkeyPatch.context() as environment:
        set_environment(environment, switchboard.url)
        yield switchboard.current


@pytest.fixture(scope="session")
def model(switchboard: Switchboard) -> Iterator[Model]:
    """The model at the stand-in."""
    with pytest.MonkeyPatch.context() as environment:
        set_environment(environment, switchboard.url)
        model = open_model(os.environ, max_connections=32)
    yield model
    model.close()


@pytest.fixture(scope="session")
def data() -> DataSet:
    """The data set that ships."""
    return load_data_set()


def set_environment(environment: pytest.MonkeyPatch, endpoint_url: str) -> None:
    """Set the variables by which boto3, and the origin's programs, find their way."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BEDROCK_"))]:
        environment.delenv(name)
    variables = {
        # No configuration of whoever runs the tests gets in.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "ANSWER_STORE_ARN": STORE_ARN,
        "SESSION_KEY": SESSION_KEY,
        "PYTHONWARNINGS": "error",
    }
    for name, value in variables.items():
        environment.setenv(name, value)
