"""The bus between the backend and what answers ahead of time: names, and sending.

Every event says what happened; who wants to know is a rule's business (template.yaml).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from origin.backoff import Backoff

BUS_VARIABLE = "ANSWER_BUS_NAME"

BACKEND = "localpop.backend"
"""Source of the backend's: UserLoggedIn, WorkflowEntered, DocumentUploaded, StateChanged."""
PIPELINE = "localpop.answers"
"""Source of the pipeline's own: AnswersWanted, AnswersStored, AnswersInvalidated, …"""

# API Reference "PutEvents": at most 10 entries.
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
MAX_ENTRIES = 10


class EventsError(Exception):
    """Events did not reach the bus; the message says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event before it is sent.

    Attributes:
        source: BACKEND or PIPELINE.
        detail_type: Its name, such as UserLoggedIn.
        detail: What is to be known.
        resources: What it is about, such as a store's ARN.
    """

    source: str
    detail_type: str
    detail: Mapping[str, Any]
    resources: tuple[str, ...] = ()


@dataclass(slots=True)
class EventBus:
    """Where events go.

    Attributes:
        client: boto3's `events`.
        name: The bus.
        backoff: For entries that the bus had no room for.
    """

    client: Any
    name: str
    backoff: Backoff = field(default_factory=lambda: Backoff(attempts=6, base_s=0.1, cap_s=2.0))

    def put(self, happenings: Sequence[Happening]) -> list[str]:
        """Send events, ten at a time, and those again which the bus had no room for.

        Returns:
            The ids that the bus gave them, in their order.

        Raises:
            EventsError: Not all of them arrived.
        """
        ids: list[str] = []
        for first in range(0, len(happenings), MAX_ENTRIES):
            ids += self._put(happenings[first : first + MAX_ENTRIES])
        return ids

    def _put(self, happenings: Sequence[Happening]) -> list[str]:
        entries = {number: self._entry(one) for number, one in enumerate(happenings)}
        ids: dict[int, str] = {}
        failures = 0
        while entries:
            answered = self._send(list(entries.values()))
            for number, result in zip(list(entries), answered, strict=True):
                if "EventId" in result:
                    ids[number] = result["EventId"]
                    del entries[number]
                elif result.get("ErrorCode") not in {"ThrottlingException", "InternalFailure"}:
                    raise EventsError(
                        f"the bus {self.name} refused an event: {result.get('ErrorCode')}: "
                        f"{result.get('ErrorMessage')}"
                    )
            if entries:
                failures += 1
                if not self.backoff.wait(failures):
                    raise EventsError(f"the bus {self.name} had no room for {len(entries)} events")
        return [ids[number] for number in sorted(ids)]

    def _send(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            answered: list[dict[str, Any]] = self.client.put_events(Entries=entries)["Entries"]
        except (BotoCoreError, ClientError) as error:
            raise EventsError(f"no event reached the bus {self.name}: {error}") from error
        return answered

    def _entry(self, one: Happening) -> dict[str, Any]:
        return {
            "Source": one.source,
            "DetailType": one.detail_type,
            "Detail": json.dumps(one.detail, separators=(",", ":")),
            "Resources": list(one.resources),
            "EventBusName": self.name,
        }


def bus_name(environment: Mapping[str, str] = os.environ) -> str:
    """The bus's name from the environment.

    Raises:
        EventsError: It is not set.
    """
    name = environment.get(BUS_VARIABLE, "")
    if not name:
        raise EventsError(f"{BUS_VARIABLE} is not set. Set it to the name of the event bus")
    return name
