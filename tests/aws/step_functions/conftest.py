"""State machines through a real boto3, against an endpoint with everything that localpop has."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.aws.cloudfront.shapes import ROLE
from tests.aws.endpoint import Endpoint, client

_numbers = itertools.count(1)


@dataclass(frozen=True)
class States:
    """Step Functions' client with a few short words."""

    client: Any

    def create(self, definition: Mapping[str, Any] | str, **more: Any) -> str:
        """A state machine of a new name; gives its ARN."""
        text = definition if isinstance(definition, str) else json.dumps(definition)
        given = {"name": f"machine-{next(_numbers)}", "roleArn": ROLE, "definition": text, **more}
        arn: str = self.client.create_state_machine(**given)["stateMachineArn"]
        return arn

    def start(self, arn: str, value: object = None, **more: Any) -> str:
        """An execution's ARN."""
        given = json.dumps({} if value is None else value)
        started = self.client.start_execution(stateMachineArn=arn, input=given, **more)
        found: str = started["executionArn"]
        return found

    def ended(self, execution: str) -> Any:
        """What DescribeExecution says once it has ended."""
        for _ in range(2_000):
            described = self.client.describe_execution(executionArn=execution)
            if described["status"] != "RUNNING":
                return described
            time.sleep(0.01)
        raise AssertionError("the execution does not end")

    def run(self, definition: Mapping[str, Any], value: object = None) -> Any:
        """Create, start, wait."""
        return self.ended(self.start(self.create(definition), value))


@pytest.fixture(scope="session")
def states(account: Endpoint) -> Iterator[States]:
    """The API of the endpoint that everything shares."""
    with contextlib.closing(client("stepfunctions", account.url)) as made:
        yield States(made)
