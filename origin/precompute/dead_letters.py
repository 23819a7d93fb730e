"""Where messages go that will never succeed, with the reason, to be looked at and replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEAD_LETTERS_VARIABLE = "ANSWER_DEAD_LETTERS_URL"
# Messages in the log of what went wrong, and an attribute's value, stay readable.
_REASON_MAX_CHARS = 1000


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """A FIFO queue.

    Attributes:
        client: boto3's `sqs`.
        url: Its URL.
    """

    client: Any
    url: str

    def bury(self, record: Mapping[str, Any], code: str, reason: str) -> None:
        """Move one message here; twice is once, because its own id deduplicates it.

        The attributes have the names that EventBridge gives those of its dead letters; the target
        is the queue that the message came from.
        """
        attributes = {"ERROR_CODE": code, "ERROR_MESSAGE": reason[:_REASON_MAX_CHARS] or code}
        if record.get("eventSourceARN"):
            attributes["TARGET_ARN"] = record["eventSourceARN"]
        self.client.send_message(
            QueueUrl=self.url,
            MessageBody=record["body"],
            MessageGroupId=record.get("attributes", {}).get("MessageGroupId", "writer"),
            MessageDeduplicationId=record["messageId"],
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )
