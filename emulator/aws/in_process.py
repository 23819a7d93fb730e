"""Calls between the endpoint's own services, without HTTP.

A rule's target, a schedule, an event source mapping and a state machine's task all call another
service by AWS's names: `call("sqs", "SendMessage", {"QueueUrl": …, "MessageBody": …})`. What
localpop emulates itself is called as a function; everything else goes to moto (`other_services`).
Nobody who calls needs to know which is which.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from emulator.aws.other_services import OtherServices
from emulator.errors import NotEmulated

Operations: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""A service's operations: (name, input) to output, spelled as AWS's API spells them."""

FUNCTION_ARN: Final = "localpop:FunctionArn"
"""A member of SendMessage's input that only comes from in here: whose dead letter it is."""


class InProcess:
    """The services of the endpoint, for one another.

    Args:
        others: Answers for every service that was not added.
    """

    def __init__(self, others: OtherServices | None = None) -> None:
        self._others = others
        self._services: dict[str, Operations] = {}

    def add(self, service: str, operations: Operations) -> None:
        """Make a service callable.

        Args:
            service: Its signing name, such as `lambda`, `events`, `states`, `sqs`.
            operations: Does one of its operations.
        """
        self._services[service] = operations

    async def call(self, service: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Do an operation and return its output.

        Blobs are bytes and members are spelled as in boto3; dates are epoch ms from localpop's own
        services and `datetime` from the others.

        Args:
            service: Its signing name.
            operation: Such as `StartExecution`.
            params: Its input.

        Raises:
            ApiError: The service refuses.
            NotEmulated: Nobody here does that.
        """
        own = self._services.get(service)
        if own is not None:
            return await own(operation, params)
        if self._others is None:
            raise NotEmulated(f"The AWS operation {service}:{operation}")
        return await self._others.call(service, operation, params)
